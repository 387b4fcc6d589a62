// The public API; nothing else is promised. docs/library.md shows it at work, and docs/api.md, generated from this file, lists all of it
// under the headings that stand here.

// Train a model
export { trainOnTable } from "./learn/train-on-table.ts";
export type { PartSummary, Rung, TrainingOutcome } from "./learn/train-on-table.ts";
export type { TrainOnTableOptions } from "./learn/train-on-table-options.ts";
export { defaultTrainingSettings } from "./learn/training-settings.ts";
export type { TrainingCell, TrainingSettings } from "./learn/training-settings.ts";
export type { Epoch, Training, TrainingEnd, TrainingProgress } from "./learn/train-model.ts";
export type { OutputScore, Score } from "./learn/evaluate.ts";
export type { Split } from "./learn/split-by-time.ts";
export { parseCsv } from "./message/csv-table.ts";
export type { CsvOptions } from "./message/csv-table.ts";
export type { CsvDelimiter } from "./message/csv-rows.ts";
export type { CsvTimeFormat } from "./message/csv-time.ts";
export type { ReadingTable, TableStream } from "./message/reading-table.ts";

// Model files
export { loadModel } from "./onnx/load-model.ts";
export { decodeModel } from "./onnx/decode-model.ts";
export { encodeModel } from "./onnx/encode-model.ts";
export { stateSpecs } from "./onnx/state-specs.ts";
export type { Model, ModelWeights } from "./model/model.ts";
export type { LayerSpec, ModelSpec, OutputSpec, StateSpec } from "./model/spec.ts";
export type { AffineWeights } from "./kernels/affine.ts";
export type { RnnActivation } from "./kernels/step-rnn.ts";
export type { CellLayer, GruLayer, HeadKind, LstmLayer, NetworkWeights, RnnLayer } from "./kernels/network-weights.ts";

// Step a model
export { openEngine } from "./engine/open-engine.ts";
export type { EngineChoice, EngineOptions } from "./engine/open-engine.ts";
export { EngineStream } from "./engine/engine-stream.ts";
export type { Engine, SharedState, Slot, StateTensors, StepBatch, WarmUp } from "./engine/engine.ts";

// Embed the runtime
export { createRuntime } from "./runtime/runtime.ts";
export type { Runtime } from "./runtime/runtime.ts";
export { defineConfig, parseConfig } from "./runtime/config.ts";
export type { Config, ConfigObject } from "./runtime/config-schema.ts";
export { DirectLink } from "./mqtt/direct-link.ts";
export type { Ports } from "./mqtt/packet-port.ts";
export type { LinkMessage, LinkReceiver } from "./mqtt/direct-link.ts";
export { startEmbeddedBroker } from "./mqtt/embedded-broker.ts";
export type { EmbeddedBroker, EmbeddedBrokerOptions } from "./mqtt/embedded-broker.ts";
export { decodePrediction } from "./message/prediction.ts";
export type { Prediction, PredictionFormat } from "./message/prediction.ts";
export { decodeAlarm } from "./message/alarm.ts";
export type { Alarm, AlarmContribution, ClosedAlarm, OpenedAlarm, Verdict } from "./message/alarm.ts";
export type { CommandOptions, Control, StateNumbers, StreamState } from "./runtime/control.ts";
export type { ListedAlarm } from "./pipeline/alarm-commands.ts";
export type { StreamFacts } from "./pipeline/commands.ts";
export type { ListedModel, PromoteOptions, Switched } from "./runtime/model-switch.ts";
export type { Lineage } from "./runtime/model-shelf.ts";
export type { GroupStatus, Status } from "./runtime/status.ts";
export type { MetricsSnapshot } from "./base/metrics.ts";
export type { Surroundings } from "./runtime/surroundings.ts";

// Networks by hand
export { SequenceModel } from "./model/sequence-model.ts";
export type { SequenceModelOptions } from "./model/sequence-model.ts";
export type { ModelScaling } from "./model/initial-weights.ts";
export { initialWeights } from "./model/initial-weights.ts";
export { mapWeights } from "./model/map-weights.ts";
export { RNN } from "./nn/rnn.ts";
export type { RnnInputGradients } from "./nn/rnn.ts";
export { TimeRNN } from "./nn/time-rnn.ts";
export type { TimeRnnOptions } from "./nn/time-rnn.ts";
export { TimeGRU } from "./nn/time-gru.ts";
export type { TimeGruOptions } from "./nn/time-gru.ts";
export { TimeLSTM } from "./nn/time-lstm.ts";
export type { LstmState } from "./nn/time-lstm.ts";
export type { TimeLayer, TimeLayerOptions } from "./nn/time-layer.ts";
export { TimeAffine } from "./nn/time-affine.ts";
export { Dropout } from "./nn/dropout.ts";
export type { Layer, RecurrentLayer } from "./nn/layer.ts";
export { MeanSquaredError } from "./nn/mean-squared-error.ts";
export { HuberLoss } from "./nn/huber-loss.ts";
export { GaussianNLL } from "./nn/gaussian-nll.ts";
export { CrossEntropy } from "./nn/cross-entropy.ts";
export type { CrossEntropyOptions } from "./nn/cross-entropy.ts";
export type { Loss } from "./nn/loss.ts";
export { SGD } from "./nn/sgd.ts";
export type { SgdOptions } from "./nn/sgd.ts";
export { Adam } from "./nn/adam.ts";
export type { AdamOptions } from "./nn/adam.ts";
export type { Optimizer } from "./nn/optimizer.ts";
export type { Moments, OptimizerState } from "./nn/optimizer-state.ts";
export { constantRate, cosineRate, ReduceOnPlateau, stepRate, warmUp } from "./nn/learning-rate.ts";
export type { LearningRate, PlateauOptions, PlateauState } from "./nn/learning-rate.ts";
export { clipGradients } from "./nn/clip-gradients.ts";
export { fillOrthogonal, fillUniform, fillXavier } from "./nn/initializers.ts";
export { checkGradients } from "./nn/gradient-check.ts";
export type { CheckedVariable, GradientCheckOptions, GradientReport } from "./nn/gradient-check.ts";
export type { Kernel } from "./kernels/recurrent-network.ts";
export type { KernelOptions } from "./nn/training-kernel.ts";
export { tensor, zeros, zeros64 } from "./kernels/tensor.ts";
export type { FloatArray, Tensor } from "./kernels/tensor.ts";

// Errors, and what is taken from the world
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
