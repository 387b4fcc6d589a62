// The arithmetic of optimizers on a WebAssembly build, over all parameters of a network at once: they are copied in side by side, each
// padded to whole quads, and out again. Moments live here, and are lent as tensors.
import { createTrainingInstance } from "./simd-module.ts";
import type { SimdKernel, TrainingExports } from "./simd-module.ts";
import type { Tensor } from "./tensor.ts";

/** The arrays as optimize.ts of the assembly numbers them. */
const ARRAYS = ["gradients", "params", "first", "second", "largest"] as const;
type ArrayName = (typeof ARRAYS)[number];

/** An instance, and views of its arrays, one for each of the tensors that it was laid out for. */
class Rows {
  readonly exports: TrainingExports;
  readonly count: number;
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

/** What a step of Adam multiplies with: see src/nn/adam.ts. */
export interface AdamFactors {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** learningRate / (1 - beta1^t) */
  readonly rate: number;
  /** 1 / sqrt(1 - beta2^t) */
  readonly growth: number;
  /** What is left of each param before the step. */
  readonly shrink: number;
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

  /** That the kernel runs here is the caller's word. */
  constructor(kernel: SimdKernel, params: readonly Tensor[], amsgrad: boolean) {
    const rows = new Rows(createTrainingInstance(kernel), params, amsgrad ? 3 : 2);
    const lend = (name: ArrayName): Tensor[] => rows.views(name).map((data, i) => ({ shape: params[i]!.shape, data }));
    this.firstMoments = lend("first");
    this.secondMoments = lend("second");
    this.secondMomentsMax = amsgrad ? lend("largest") : [];
    this.#rows = rows;
    this.#params = rows.views("params");
    this.#gradients = rows.views("gradients");
  }

  /** Moves params, of the shapes that it was built for, by their gradients. */
  step(params: readonly Tensor[], grads: readonly Tensor[], factors: AdamFactors): void {
    const { exports, count } = this.#rows;
    const { beta1, beta2, epsilon, rate, growth, shrink, coupled } = factors;
    copyIn(params, this.#params);
    copyIn(grads, this.#gradients);
    exports.stepAdam(count, beta1, 1 - beta1, beta2, 1 - beta2, rate, growth, epsilon, shrink, coupled);
    copyOut(this.#params, params);
  }
}

/** The length of gradients, and their scaling. */
export class SimdGradients {
  readonly #instance: ReturnType<typeof createTrainingInstance>;
  #tensors: readonly Tensor[] = [];
  #rows: Rows;
  #views: readonly Float32Array[] = [];

  /** That the kernel runs here is the caller's word. */
  constructor(kernel: SimdKernel) {
    this.#instance = createTrainingInstance(kernel);
    this.#rows = new Rows(this.#instance, [], 0);
  }

  /** The sum of the squares of all values, in double precision. Memory is taken where `grads` is another list than the last. */
  sumSquares(grads: readonly Tensor[]): number {
    if (grads !== this.#tensors) {
      this.#rows = new Rows(this.#instance, grads, 0);
      this.#views = this.#rows.views("gradients");
      this.#tensors = grads;
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
