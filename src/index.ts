// The public API; nothing else is promised.

// Errors, and what a runtime takes from the world
export { HiddenstateError } from "./base/errors.ts";
export type { ErrorCode } from "./base/errors.ts";
export { systemClock } from "./base/clock.ts";
export type { Clock, Timer } from "./base/clock.ts";
export { systemDisk } from "./base/disk.ts";
export type { Disk, DiskFile, OpenMode } from "./base/disk.ts";
export { createRandom, createSystemRandom } from "./base/random.ts";
export type { Random } from "./base/random.ts";
export { createLog, silentLog } from "./base/log.ts";
export type { Log, LogFields, LogLevel } from "./base/log.ts";

// Tensors and layers
export { tensor, zeros, zeros64 } from "./kernels/tensor.ts";
export type { FloatArray, Tensor } from "./kernels/tensor.ts";
export { RNN } from "./nn/rnn.ts";
export { TimeRNN } from "./nn/time-rnn.ts";
export { TimeGRU } from "./nn/time-gru.ts";
export { TimeLSTM } from "./nn/time-lstm.ts";
export type { LstmState } from "./nn/time-lstm.ts";
export { TimeAffine } from "./nn/time-affine.ts";
export type { Layer, RecurrentLayer } from "./nn/layer.ts";
export type { Loss } from "./nn/loss.ts";
export { MeanSquaredError } from "./nn/mean-squared-error.ts";
export { HuberLoss } from "./nn/huber-loss.ts";
export { GaussianNLL } from "./nn/gaussian-nll.ts";
export { CrossEntropy } from "./nn/cross-entropy.ts";
export { Dropout } from "./nn/dropout.ts";
export type { Optimizer } from "./nn/optimizer.ts";
export type { OptimizerState } from "./nn/optimizer-state.ts";
export { SGD } from "./nn/sgd.ts";
export { Adam } from "./nn/adam.ts";
export { constantRate, cosineRate, ReduceOnPlateau, stepRate, warmUp } from "./nn/learning-rate.ts";
export type { LearningRate } from "./nn/learning-rate.ts";
export { clipGradients } from "./nn/clip-gradients.ts";
export { fillOrthogonal, fillUniform, fillXavier } from "./nn/initializers.ts";
export { checkGradients } from "./nn/gradient-check.ts";

// Models and engines
export { SequenceModel } from "./model/sequence-model.ts";
export { initialWeights } from "./model/initial-weights.ts";
export { mapWeights } from "./model/map-weights.ts";
export type { Model, ModelWeights } from "./model/model.ts";
export type { LayerSpec, ModelSpec, OutputSpec } from "./model/spec.ts";
export type { CellLayer, HeadKind } from "./kernels/network-weights.ts";
export { stateSpecs } from "./onnx/state-specs.ts";
export { encodeModel } from "./onnx/encode-model.ts";
export { decodeModel } from "./onnx/decode-model.ts";
export { loadModel } from "./onnx/load-model.ts";
export { openEngine } from "./engine/open-engine.ts";
export type { EngineChoice, EngineOptions } from "./engine/open-engine.ts";
export type { Engine, Slot, StateTensors, StepBatch } from "./engine/engine.ts";

// Training
export { trainOnTable } from "./learn/train-on-table.ts";
export type { TrainingOutcome } from "./learn/train-on-table.ts";
export type { TrainOnTableOptions } from "./learn/train-on-table-options.ts";
export { defaultTrainingSettings } from "./learn/training-settings.ts";
export type { TrainingSettings } from "./learn/training-settings.ts";
export { parseCsv } from "./message/csv-table.ts";
export type { ReadingTable } from "./message/reading-table.ts";

// Messages
export { decodePrediction } from "./message/prediction.ts";
export type { Prediction, PredictionFormat } from "./message/prediction.ts";
export { payloadCodec } from "./message/codecs.ts";
export type { CodecName, PayloadCodec } from "./message/payload-codec.ts";
export type { Identity, Readings } from "./message/reading.ts";
export { layoutHash } from "./message/layout.ts";

// The runtime
export { createRuntime } from "./runtime/runtime.ts";
export type { Runtime } from "./runtime/runtime.ts";
export type { Surroundings } from "./runtime/surroundings.ts";
export { parseConfig } from "./runtime/config.ts";
export type { Config } from "./runtime/config-schema.ts";
export type { ListedAlarm } from "./pipeline/alarm-commands.ts";
export type { StreamState } from "./runtime/control.ts";
export type { ListedModel, PromoteOptions, Switched } from "./runtime/model-switch.ts";
export type { Status } from "./runtime/status.ts";
