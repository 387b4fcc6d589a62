// The network of an online learner: one set of layers that steps and trains whichever stream's numbers it is handed. Inputs are features
// in deviations and the season; outputs are means and the logarithms of variances, in deviations too.
import { createRandom } from "../base/random.ts";
import type { AffineWeights } from "../kernels/affine.ts";
import type { CellLayer } from "../kernels/network-weights.ts";
import { stateLengths } from "../kernels/network-weights.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import type { SequenceRun } from "../kernels/sequence-run.ts";
import { zeros } from "../kernels/tensor.ts";
import type { Tensor } from "../kernels/tensor.ts";
import { createCellLayer } from "../model/cell-layers.ts";
import { initialWeights } from "../model/initial-weights.ts";
import type { ModelWeights } from "../model/model.ts";
import { SequenceModel } from "../model/sequence-model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { Adam } from "../nn/adam.ts";
import { clipGradients } from "../nn/clip-gradients.ts";
import { openRun } from "../nn/open-run.ts";
import { trainingKernel } from "../nn/training-kernel.ts";
import { startingWeights } from "./starting-weights.ts";

/** An update sees this many pieces of the window, of so many steps; the first steps of a piece only fill the state. */
export const LANES = 8;
export const STEPS = 32;
const STEPS_UNJUDGED = 8;
export const READINGS_PER_UPDATE = 8;
const LEARNING_RATE = 3e-3;
const GRADIENT_NORM_MAX = 1;
const BETAS = [0.9, 0.999] as const;
/** What the averaged weights, which step, keep of themselves at an update. */
const KEEP = 0.99;

/** A stream's numbers, lent for one call. Vectors are as long as all trainable weights together. */
export interface OnlineWeights {
  readonly weights: Float32Array;
  readonly averages: Float32Array;
  readonly firstMoments: Float32Array;
  readonly secondMoments: Float32Array;
  /** How many updates there were, and beta^t of both moments. */
  readonly counters: Float64Array;
}

export const UPDATES = 0;
export const BETA1_POWER = 1;
export const BETA2_POWER = 2;
export const COUNTERS = 3;

/** Weights side by side, in the order of a model's params. */
function exchange(flat: Float32Array, params: readonly Tensor[], direction: "in" | "out"): void {
  let at = 0;
  for (const { data } of params) {
    const part = flat.subarray(at, (at += data.length));
    if (direction === "in") data.set(part);
    else part.set(data);
  }
}

export class OnlineNetwork {
  readonly spec: ModelSpec;
  readonly kernel: Kernel;
  /** How many weights there are. */
  readonly size: number;
  /** The lengths of a stream's hidden state, one tensor after another. */
  readonly states: readonly number[];
  /** `(LANES, STEPS, D)` and `(LANES, STEPS, K)`: what `update` learns from, filled by its caller; a target that is NaN is not learnt. */
  readonly xs: Tensor;
  readonly targets: Tensor;
  /** `(D)` and `(2 K)`: what `step` reads and writes. */
  readonly input: Float32Array;
  readonly output: Float32Array;
  readonly #starting: ModelWeights;
  readonly #model: SequenceModel;
  readonly #optimizer: Adam;
  readonly #cell: CellLayer;
  readonly #head: AffineWeights;
  readonly #stepParams: readonly Tensor[];
  readonly #run: SequenceRun;

  /** `spec` has one recurrent layer and a Gaussian head. The weights that every stream starts from follow from the seed. */
  constructor(spec: ModelSpec, seed: number, kernel: Kernel | undefined) {
    const D = spec.features.length;
    const O = spec.outputs.length;
    const scaling = { xMean: zeros([D]), xScale: ones(D), yMean: zeros([O / 2]), yScale: ones(O / 2) };
    const random = createRandom(seed);
    this.#starting =
      spec.layers[0]!.cell === "gru" ? initialWeights(spec, scaling, random) : startingWeights(spec, scaling, random);
    this.spec = spec;
    this.#model = new SequenceModel(spec, this.#starting, { kernel });
    this.kernel = trainingKernel(this.#model.params[0]!, kernel);
    this.#optimizer = new Adam(this.#model.params, { learningRate: LEARNING_RATE, betas: BETAS, kernel });
    this.size = this.#model.params.reduce((sum, { data }) => sum + data.length, 0);
    this.#cell = createCellLayer(spec.layers[0]!, D, (_, shape) => zeros(shape));
    const hidden = spec.layers[0]!.hidden;
    this.#head = { W: zeros([hidden, O]), b: zeros([O]) };
    const { Wx, Wh, b } = this.#cell;
    const cellParams = this.#cell.cell === "gru" ? [Wx, Wh, b, this.#cell.bn] : [Wx, Wh, b];
    this.#stepParams = [...cellParams, this.#head.W, this.#head.b];
    this.#run = openRun(this.kernel, this.#cell, 1, 1);
    this.states = stateLengths([this.#cell]);
    this.xs = zeros([LANES, STEPS, D]);
    this.targets = zeros([LANES, STEPS, O / 2]);
    this.input = new Float32Array(D);
    this.output = new Float32Array(O);
  }

  /** The numbers of a stream without a past. */
  begin({ weights, averages, firstMoments, secondMoments, counters }: OnlineWeights): void {
    this.#model.setWeights(this.#starting);
    exchange(weights, this.#model.params, "out");
    averages.set(weights);
    firstMoments.fill(0);
    secondMoments.fill(0);
    counters[UPDATES] = 0;
    counters[BETA1_POWER] = 1;
    counters[BETA2_POWER] = 1;
  }

  /** One step of the averaged weights from `input` to `output`, which takes `state` on. */
  step(averages: Float32Array, state: readonly Float32Array[]): void {
    exchange(averages, this.#stepParams, "in");
    const run = this.#run;
    run.inputs.set(this.input);
    for (let i = 0; i < state.length; i++) run.initial[i]!.set(state[i]!);
    run.forward(this.#cell);
    for (let i = 0; i < state.length; i++) state[i]!.set(run.final[i]!);
    const { W, b } = this.#head;
    const O = this.output.length;
    for (let o = 0; o < O; o++) {
      let sum = b.data[o]!;
      for (let j = 0; j < run.outputs.length; j++) sum += run.outputs[j]! * W.data[j * O + o]!;
      this.output[o] = sum;
    }
  }

  /** One step of Adam on `xs` and `targets`, by truncated backpropagation from blank states. */
  update({ weights, averages, firstMoments, secondMoments, counters }: OnlineWeights): void {
    const model = this.#model;
    const K = this.targets.shape[2]!;
    for (let lane = 0; lane < LANES; lane++) {
      this.targets.data.fill(Number.NaN, lane * STEPS * K, (lane * STEPS + STEPS_UNJUDGED) * K);
    }
    exchange(weights, model.params, "in");
    const loss = model.loss(this.xs, this.targets);
    model.backwardParams();
    const norm = clipGradients(model.grads, GRADIENT_NORM_MAX, { kernel: this.kernel });
    // A piece that no number comes of teaches nothing.
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) return;
    this.#restoreOptimizer(firstMoments, secondMoments, counters);
    this.#optimizer.step(model.grads);
    exchange(weights, model.params, "out");
    exchange(firstMoments, this.#optimizer.firstMoments, "out");
    exchange(secondMoments, this.#optimizer.secondMoments, "out");
    counters[BETA1_POWER]! *= BETAS[0];
    counters[BETA2_POWER]! *= BETAS[1];
    const updates = counters[UPDATES]! + 1;
    counters[UPDATES] = updates;
    const rest = 1 - Math.min(KEEP, (1 + updates) / (10 + updates));
    for (let i = 0; i < weights.length; i++) averages[i]! += rest * (weights[i]! - averages[i]!);
  }

  #restoreOptimizer(firstMoments: Float32Array, secondMoments: Float32Array, counters: Float64Array): void {
    const numbers = { beta1Power: counters[BETA1_POWER]!, beta2Power: counters[BETA2_POWER]! };
    const { learningRate } = this.#optimizer;
    exchange(firstMoments, this.#optimizer.firstMoments, "in");
    exchange(secondMoments, this.#optimizer.secondMoments, "in");
    const moments = { firstMoments: this.#optimizer.firstMoments, secondMoments: this.#optimizer.secondMoments };
    this.#optimizer.setState({ optimizer: "Adam", learningRate, numbers, moments: { ...moments, secondMomentsMax: [] } });
  }

  /** A stream's averaged weights as a model's, for readings in the units of `scaling`. */
  weightsOf(averages: Float32Array, scaling: Pick<ModelWeights, "xMean" | "xScale" | "yMean" | "yScale">): ModelWeights {
    exchange(averages, this.#model.params, "in");
    return { ...this.#model.getWeights(), ...scaling };
  }
}

function ones(length: number): Tensor {
  const tensor = zeros([length]);
  tensor.data.fill(1);
  return tensor;
}
