// The arithmetic of optimizers on a WebAssembly build, over all parameters of a network at once: they are copied in side by side, each
// padded to whole quads, and out again. Moments live here, and are lent as tensors.
import { createTrainingInstance } from "./simd-module.ts";
import type { SimdKernel, TrainingExports } from "./simd-module.ts";
import type { Tensor } from "./tensor.ts";

/** The arrays as optimize.ts of the assembly numbers them. */
const ARRAYS = ["gradients", "params", "first", "second", "largest", "factors"] as const;
type ArrayName = (typeof ARRAYS)[number];

/** An instance, and views of its arrays, one for each of the tensors that it was laid out for. */
class Rows {
  readonly exports: TrainingExports;
  readonly count: number;
  readonly factors: Float32Array;
  readonly #view: (name: ArrayName) => Float32Array[];

  constructor(instance: ReturnType<typeof createTrainingInstance>, tensors: readonly Tensor[], moments: number) {
    const { exports, memory } = instance;
    const starts: number[] = [];
    let count = 0;
    for (const { data } of tensors) {
      starts.push(count);
      count += (data.length + 3) & ~3;
    }
    exports.openOptimizer(count, moments);
    this.exports = exports;
    this.count = count;
    const factors = exports.optimizerArray(ARRAYS.indexOf("factors")) / 4;
    this.factors = memory.floats.subarray(factors, factors + 9);
    this.#view = (name) => {
      const at = exports.optimizerArray(ARRAYS.indexOf(name)) / 4;
      return tensors.map(({ data }, i) => memory.floats.subarray(at + starts[i]!, at + starts[i]! + data.length));
    };
  }

  views(name: ArrayName): Float32Array[] {
    return this.#view(name);
  }
}

function copyIn(tensors: readonly Tensor[], views: readonly Float32Array[]): void {
  for (let i = 0; i < tensors.length; i++) views[i]!.set(tensors[i]!.data);
}

function copyOut(views: readonly Float32Array[], tensors: readonly Tensor[]): void {
  for (let i = 0; i < tensors.length; i++) tensors[i]!.data.set(views[i]!);
}

function haveLengthsOf(tensors: readonly Tensor[], views: readonly Float32Array[]): boolean {
  if (tensors.length !== views.length) return false;
  for (let i = 0; i < views.length; i++) if (tensors[i]!.data.length !== views[i]!.length) return false;
  return true;
}

/** What stays the same at every step of Adam: see src/nn/adam.ts. */
export interface AdamConstants {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The share of each param that its gradient gets. */
  readonly coupled: number;
}

export class SimdAdam {
  /** Of the params' shapes, in memory of this object; the last are none without `amsgrad`. */
  readonly firstMoments: readonly Tensor[];
  readonly secondMoments: readonly Tensor[];
  readonly secondMomentsMax: readonly Tensor[];
  readonly #rows: Rows;
  readonly #params: readonly Float32Array[];
  readonly #gradients: readonly Float32Array[];
  /** beta1, 1 - beta1, beta2, 1 - beta2, epsilon, coupled; rate, growth, shrink. */
  readonly #factors: Float32Array;

  /** That the kernel runs here is the caller's word. */
  constructor(kernel: SimdKernel, params: readonly Tensor[], constants: AdamConstants, amsgrad: boolean) {
    const rows = new Rows(createTrainingInstance(kernel), params, amsgrad ? 3 : 2);
    const lend = (name: ArrayName): Tensor[] => rows.views(name).map((data, i) => ({ shape: params[i]!.shape, data }));
    this.firstMoments = lend("first");
    this.secondMoments = lend("second");
    this.secondMomentsMax = amsgrad ? lend("largest") : [];
    this.#rows = rows;
    this.#params = rows.views("params");
    this.#gradients = rows.views("gradients");
    this.#factors = rows.factors;
    const { beta1, beta2, epsilon, coupled } = constants;
    this.#factors.set([beta1, 1 - beta1, beta2, 1 - beta2, epsilon, coupled]);
  }

  /**
   * Moves params, of the shapes that it was built for, by their gradients: with `rate` = learningRate / (1 - beta1^t), `growth` =
   * 1 / sqrt(1 - beta2^t), and what is left of each param before the step.
   */
  step(params: readonly Tensor[], grads: readonly Tensor[], rate: number, growth: number, shrink: number): void {
    // Numbers go through memory: as arguments they would be boxed.
    const factors = this.#factors;
    factors[6] = rate;
    factors[7] = growth;
    factors[8] = shrink;
    copyIn(params, this.#params);
    copyIn(grads, this.#gradients);
    this.#rows.exports.stepAdam(this.#rows.count);
    copyOut(this.#params, params);
  }
}

/** The length of gradients, and their scaling, for one list of tensors after another. */
export class SimdGradients {
  readonly #instance: ReturnType<typeof createTrainingInstance>;
  #rows: Rows;
  #views: readonly Float32Array[] = [];

  /** That the kernel runs here is the caller's word. */
  constructor(kernel: SimdKernel) {
    this.#instance = createTrainingInstance(kernel);
    this.#rows = new Rows(this.#instance, [], 0);
  }

  /** The sum of the squares of all values, in double precision. Memory is taken where their lengths are others than the last ones'. */
  sumSquares(grads: readonly Tensor[]): number {
    if (!haveLengthsOf(grads, this.#views)) {
      this.#rows = new Rows(this.#instance, grads, 0);
      this.#views = this.#rows.views("gradients");
    }
    copyIn(grads, this.#views);
    return this.#rows.exports.sumSquares(this.#rows.count);
  }

  /** Multiplies the gradients of the last sum by a factor, in place. */
  scale(grads: readonly Tensor[], factor: number): void {
    this.#rows.exports.scaleGradients(this.#rows.count, factor);
    copyOut(this.#views, grads);
  }
}
