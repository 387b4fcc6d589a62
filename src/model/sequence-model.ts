// The network of a model spec, trainable: recurrent layers and a head composed of nn layers, in the order that a model file describes.
// It trains in standard deviations and predicts in units; it knows nothing of files, streams or time.
import { HiddenstateError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { CellLayer, HeadKind } from "../kernels/network-weights.ts";
import { copyTensor, sameShape, zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { CrossEntropy } from "../nn/cross-entropy.ts";
import { Dropout } from "../nn/dropout.ts";
import { GaussianNLL } from "../nn/gaussian-nll.ts";
import type { Layer, RecurrentLayer } from "../nn/layer.ts";
import type { Loss } from "../nn/loss.ts";
import { MeanSquaredError } from "../nn/mean-squared-error.ts";
import { TimeAffine } from "../nn/time-affine.ts";
import { TimeGRU } from "../nn/time-gru.ts";
import { TimeLSTM } from "../nn/time-lstm.ts";
import type { TimeLayerOptions } from "../nn/time-layer.ts";
import { TimeRNN } from "../nn/time-rnn.ts";
import type { KernelOptions } from "../nn/training-kernel.ts";
import { mapWeights } from "./map-weights.ts";
import type { ModelWeights } from "./model.ts";
import { namedWeights, weightShapeProblem } from "./named-weights.ts";
import type { ModelSpec } from "./spec.ts";
import { Standardisation } from "./standardisation.ts";

/** How a network is put together for training. */
export interface SequenceModelOptions<A extends FloatArray = Float32Array> extends KernelOptions {
  /** Whether states carry over from call to call (see TimeRNN). Default false. */
  readonly stateful?: boolean;
  /**
   * What `loss` is, in place of the head's own: the mean squared error for a regression, GaussianNLL for a Gaussian head, CrossEntropy of
   * every step for a classifier.
   */
  readonly loss?: Loss<A>;
  /** A dropout between each two layers, while training. */
  readonly dropout?: { readonly rate: number; readonly random: Random };
}

interface PredictionBuffers<A extends FloatArray> {
  /** `(N, T, D)`, standardised. */
  readonly xs: Tensor<A>;
  /** `(N, T, O)`, in units. */
  readonly outputs: Tensor<A>;
}

/** N sequences a call, T steps each; D features in, O outputs out. In float64 it is the reference of its float32 twin. */
export class SequenceModel<A extends FloatArray = Float32Array> {
  readonly spec: ModelSpec;
  /** All trainable tensors, from the first layer to the head: the model's own. */
  readonly params: readonly Tensor<A>[];
  /** One gradient for each of `params`, in their order; overwritten by each backward. */
  readonly grads: readonly Tensor<A>[];
  /** @internal */
  readonly standardisation: Standardisation<A>;
  readonly #weights: ModelWeights<A>;
  readonly #layers: readonly RecurrentLayer<A>[];
  readonly #dropouts: readonly Dropout<A>[];
  /** All of them from the bottom, the head last. */
  readonly #way: readonly Layer<A>[];
  readonly #loss: Loss<A>;
  #training = true;
  #buffers: PredictionBuffers<A> | undefined;

  /** `weights` are copied. Throws `bad_model` where they are not of the spec's shapes. */
  constructor(spec: ModelSpec, weights: ModelWeights<A>, options: SequenceModelOptions<A> = {}) {
    const { stateful = false, loss = headLoss<A>(spec.head.kind), dropout, kernel } = options;
    this.spec = spec;
    this.#weights = mapWeights(checkedWeights(spec, weights), copyTensor);
    this.#layers = this.#weights.layers.map((layer) => createLayer(layer, { stateful, kernel }));
    const between = dropout === undefined ? [] : this.#layers.slice(1);
    this.#dropouts = between.map(() => new Dropout<A>(dropout!.rate, dropout!.random));
    const layers = this.#layers.flatMap((layer, index): Layer<A>[] => {
      const below = this.#dropouts[index - 1];
      return below === undefined ? [layer] : [below, layer];
    });
    this.#way = [...layers, new TimeAffine(this.#weights.head.W, this.#weights.head.b, { kernel })];
    this.#loss = loss;
    this.standardisation = new Standardisation(spec, this.#weights);
    this.params = this.#way.flatMap((layer) => layer.params);
    this.grads = this.#way.flatMap((layer) => layer.grads);
  }

  /** Whether forwards and losses drop, where there is dropout: from the start, until this is set to false. `predict` never does. */
  get training(): boolean {
    return this.#training;
  }

  set training(training: boolean) {
    this.#training = training;
    for (const dropout of this.#dropouts) dropout.training = training;
  }

  /**
   * Standardised xs `(N, T, D)` -> what the head puts out `(N, T, O)`, the model's own tensor, overwritten by the next call: standardised
   * targets, for a Gaussian head followed by logarithms of variances, or logits.
   */
  forward(xs: Tensor<A>): Tensor<A> {
    let hs = xs;
    for (let i = 0; i < this.#way.length; i++) hs = this.#way[i]!.forward(hs);
    return hs;
  }

  /** A forward, and its loss against targets: standardised ones `(N, T, K)`, or numbers of classes `(N, T, 1)`. A backward may follow. */
  loss(xs: Tensor<A>, targets: Tensor<A>): number {
    return this.#loss.forward(this.forward(xs), targets);
  }

  /** The gradients of the last loss: writes `grads`, returns the one by xs `(N, T, D)`. Throws `unavailable` unless a loss came before. */
  backward(): Tensor<A> {
    return this.#layers[0]!.backward(this.#backwardAboveFirst());
  }

  /** A backward that writes `grads` alone, which is what a training needs. */
  backwardParams(): void {
    this.#layers[0]!.backwardParams(this.#backwardAboveFirst());
  }

  /** The gradient by the first layer's outputs. */
  #backwardAboveFirst(): Tensor<A> {
    let ds = this.#loss.backward();
    for (let i = this.#way.length - 1; i > 0; i--) ds = this.#way[i]!.backward(ds);
    return ds;
  }

  /**
   * Readings in the sensors' units `(N, T, D)` -> the outputs of the model file `(N, T, O)`, in the targets' units or probabilities; the
   * model's own tensor, as `forward`. Nothing is dropped.
   */
  predict(readings: Tensor<A>): Tensor<A> {
    if (this.#buffers === undefined || !sameShape(this.#buffers.xs.shape, readings.shape)) {
      const outputs = [...readings.shape.slice(0, -1), this.spec.outputs.length];
      this.#buffers = { xs: zerosLike(readings, readings.shape), outputs: zerosLike(readings, outputs) };
    }
    const { xs, outputs } = this.#buffers;
    this.standardisation.inputs(readings, xs);
    for (const dropout of this.#dropouts) dropout.training = false;
    this.standardisation.outputs(this.forward(xs), readings, outputs);
    for (const dropout of this.#dropouts) dropout.training = this.#training;
    return outputs;
  }

  /** The gradients that reached the states before the first step in the last backward, in the order of `getState`. */
  get stateGradients(): Tensor<A>[] {
    return this.#layers.flatMap((layer) => layer.stateGradients);
  }

  /** Copies of the states `(N, H)`, from the first layer up h and, for an LSTM, c; undefined where none is kept. */
  getState(): Tensor<A>[] | undefined {
    const states: Tensor<A>[] = [];
    for (const layer of this.#layers) {
      const ofLayer = layer.getStates();
      if (ofLayer === undefined) return undefined;
      states.push(...ofLayer);
    }
    return states;
  }

  /** Keeps copies of states in the order of `getState`. Throws `bad_argument` on another number or shape. */
  setState(states: readonly Tensor<A>[]): void {
    const count = this.#layers.reduce((sum, layer) => sum + layer.stateCount, 0);
    if (states.length !== count) {
      throw new HiddenstateError(
        "bad_argument",
        `cannot set the state of model ${this.spec.name}: there are ${states.length} states, and it has ${count}; ` +
          "pass h of each layer from the first up, for an LSTM followed by its c",
      );
    }
    let at = 0;
    for (const layer of this.#layers) layer.setStates(states.slice(at, (at += layer.stateCount)));
  }

  /** The next forward starts from zeros, with any batch size. */
  resetState(): void {
    for (const layer of this.#layers) layer.resetState();
  }

  /** A copy of the weights as they stand: a snapshot to keep, or to put back with `setWeights`. */
  getWeights(): ModelWeights<A> {
    return mapWeights(this.#weights, copyTensor);
  }

  /** Copies `weights` over the model's own; states stay. Throws `bad_model` where they are not of the spec's shapes. */
  setWeights(weights: ModelWeights<A>): void {
    const from = namedWeights(checkedWeights(this.spec, weights));
    namedWeights(this.#weights).forEach(([, tensor], index) => tensor.data.set(from[index]![1].data));
  }
}

function checkedWeights<A extends FloatArray>(spec: ModelSpec, weights: ModelWeights<A>): ModelWeights<A> {
  const problem = weightShapeProblem(spec, weights);
  if (problem !== undefined) throw new HiddenstateError("bad_model", `cannot build model ${spec.name}: ${problem}`);
  return weights;
}

function headLoss<A extends FloatArray>(kind: HeadKind): Loss<A> {
  switch (kind) {
    case "regression":
      return new MeanSquaredError<A>();
    case "gaussian":
      return new GaussianNLL<A>();
    case "classifier":
      return new CrossEntropy<A>();
  }
}

function createLayer<A extends FloatArray>(layer: CellLayer<A>, options: TimeLayerOptions): RecurrentLayer<A> {
  const { Wx, Wh, b } = layer;
  switch (layer.cell) {
    case "rnn":
      return new TimeRNN(Wx, Wh, b, { ...options, activation: layer.activation });
    case "gru":
      return new TimeGRU(Wx, Wh, b, layer.bn, { ...options, linearBeforeReset: layer.linearBeforeReset });
    case "lstm":
      return new TimeLSTM(Wx, Wh, b, options);
  }
}
