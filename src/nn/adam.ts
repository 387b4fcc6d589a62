// Adam (Kingma and Ba, 2015), AMSGrad (Reddi et al., 2018) and AdamW (Loshchilov and Hutter, 2019), in the form and order of operations
// of PyTorch's Adam and AdamW. It uses only operations that IEEE 754 fixes to the bit, so a seeded run repeats on any machine with the
// same kernel.
import type { Kernel } from "../kernels/recurrent-network.ts";
import { SimdAdam } from "../kernels/simd-optimizer.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkStep, checkRange, createMoments } from "./optimizer.ts";
import type { Optimizer } from "./optimizer.ts";
import { checkState, copyMoments, restoreMoments } from "./optimizer-state.ts";
import type { Moments, OptimizerState } from "./optimizer-state.ts";
import { trainingKernel } from "./training-kernel.ts";
import type { KernelOptions } from "./training-kernel.ts";

/** Only `learningRate` is needed. */
export interface AdamOptions extends KernelOptions {
  readonly learningRate: number;
  /** How much of the first and of the second moment a step keeps. Default 0.9 and 0.999. */
  readonly betas?: readonly [number, number];
  /** Default 1e-8. */
  readonly epsilon?: number;
  readonly weightDecay?: number;
  /** `gradient` (Adam, the default) adds weightDecay * param to each gradient; `param` (AdamW) shrinks the params themselves. */
  readonly decayOf?: "gradient" | "param";
  /** AMSGrad: divides by the largest second moment so far. */
  readonly amsgrad?: boolean;
}

/** Adam, AMSGrad and AdamW, as PyTorch's Adam and AdamW compute them. */
export class Adam<A extends FloatArray = Float32Array> implements Optimizer<A> {
  learningRate: number;
  readonly kernel: Kernel;
  /** Moving averages of the gradients and of their squares, one of each param's shape: the optimizer's own, and good to write to. */
  readonly firstMoments: readonly Tensor<A>[];
  readonly secondMoments: readonly Tensor<A>[];
  /** The largest second moments so far; none without `amsgrad`. */
  readonly secondMomentsMax: readonly Tensor<A>[];
  readonly #params: readonly Tensor<A>[];
  readonly #simd: SimdAdam | undefined;
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #epsilon: number;
  readonly #weightDecay: number;
  readonly #decoupled: boolean;
  /** The share of each param that its gradient gets. */
  readonly #coupled: number;
  // beta^t as running products: Math.pow may differ between versions of Node.
  #beta1Power = 1;
  #beta2Power = 1;

  /** `params` are lent: each step changes them in place. Throws `bad_argument` on options out of range. */
  constructor(params: readonly Tensor<A>[], options: AdamOptions) {
    const {
      learningRate,
      betas = [0.9, 0.999],
      epsilon = 1e-8,
      weightDecay = 0,
      decayOf = "gradient",
      amsgrad = false,
    } = options;
    checkRange("build Adam", "learningRate", learningRate, 0, Infinity);
    checkRange("build Adam", "betas[0]", betas[0], 0, 1);
    checkRange("build Adam", "betas[1]", betas[1], 0, 1);
    checkRange("build Adam", "epsilon", epsilon, 0, Infinity);
    checkRange("build Adam", "weightDecay", weightDecay, 0, Infinity);
    this.learningRate = learningRate;
    this.kernel = params.length === 0 ? "scalar" : trainingKernel(params[0]!, options.kernel);
    this.#beta1 = betas[0];
    this.#beta2 = betas[1];
    this.#epsilon = epsilon;
    this.#weightDecay = weightDecay;
    this.#decoupled = decayOf === "param";
    this.#coupled = this.#decoupled ? 0 : weightDecay;
    const constants = { beta1: betas[0], beta2: betas[1], epsilon, coupled: this.#coupled };
    this.#simd =
      this.kernel === "scalar" ? undefined : new SimdAdam(this.kernel, params as readonly Tensor[], constants, amsgrad);
    const moments = this.#simd ?? {
      firstMoments: createMoments(params),
      secondMoments: createMoments(params),
      secondMomentsMax: amsgrad ? createMoments(params) : [],
    };
    this.firstMoments = moments.firstMoments as readonly Tensor<A>[];
    this.secondMoments = moments.secondMoments as readonly Tensor<A>[];
    this.secondMomentsMax = moments.secondMomentsMax as readonly Tensor<A>[];
    this.#params = params;
  }

  /**
   * m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
   * p -= learningRate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon).
   */
  step(grads: readonly Tensor<A>[]): void {
    checkStep("step Adam", this.#params, grads);
    this.#beta1Power *= this.#beta1;
    this.#beta2Power *= this.#beta2;
    const rate = this.learningRate / (1 - this.#beta1Power);
    const growth = 1 / Math.sqrt(1 - this.#beta2Power);
    const shrink = this.#decoupled ? 1 - this.learningRate * this.#weightDecay : 1;
    if (this.#simd === undefined) {
      for (let index = 0; index < grads.length; index++) this.#update(index, grads[index]!.data, rate, growth, shrink);
    } else this.#simd.step(this.#params as readonly Tensor[], grads as readonly Tensor[], rate, growth, shrink);
  }

  getState(): OptimizerState<A> {
    const numbers = { beta1Power: this.#beta1Power, beta2Power: this.#beta2Power };
    return { optimizer: "Adam", learningRate: this.learningRate, numbers, moments: copyMoments(this.#moments) };
  }

  setState(state: OptimizerState<A>): void {
    checkState("Adam", state, ["beta1Power", "beta2Power"], this.#moments);
    restoreMoments(this.#moments, state.moments);
    this.learningRate = state.learningRate;
    this.#beta1Power = state.numbers["beta1Power"]!;
    this.#beta2Power = state.numbers["beta2Power"]!;
  }

  get #moments(): Moments<A> {
    const { firstMoments, secondMoments, secondMomentsMax } = this;
    return { firstMoments, secondMoments, secondMomentsMax };
  }

  #update(index: number, grad: A, rate: number, growth: number, shrink: number): void {
    const beta1 = this.#beta1;
    const beta2 = this.#beta2;
    const epsilon = this.#epsilon;
    const coupled = this.#coupled;
    const param = this.#params[index]!.data;
    const first = this.firstMoments[index]!.data;
    const second = this.secondMoments[index]!.data;
    const largest = this.secondMomentsMax[index]?.data;
    for (let i = 0; i < param.length; i++) {
      const value = param[i]!;
      const gradient = grad[i]! + coupled * value;
      const m = beta1 * first[i]! + (1 - beta1) * gradient;
      const v = beta2 * second[i]! + (1 - beta2) * gradient * gradient;
      first[i] = m;
      second[i] = v;
      let scale = v;
      if (largest !== undefined) {
        scale = Math.max(largest[i]!, v);
        largest[i] = scale;
      }
      param[i] = shrink * value - (rate * m) / (Math.sqrt(scale) * growth + epsilon);
    }
  }
}
