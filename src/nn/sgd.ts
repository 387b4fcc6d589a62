// Stochastic gradient descent with momentum (Sutskever et al., 2013), in the form and order of operations of PyTorch's SGD.
import { HiddenstateError } from "../base/errors.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkStep, checkRange, createMoments } from "./optimizer.ts";
import type { Optimizer } from "./optimizer.ts";
import { checkState, copyMoments, restoreMoments } from "./optimizer-state.ts";
import type { Moments, OptimizerState } from "./optimizer-state.ts";

/** Only `learningRate` is needed; the others are 0 or false. */
export interface SgdOptions {
  readonly learningRate: number;
  readonly momentum?: number;
  /** The share of each gradient after the first that does not enter the velocity. */
  readonly dampening?: number;
  readonly nesterov?: boolean;
  /** Adds weightDecay * param to each gradient. */
  readonly weightDecay?: number;
}

/** Stochastic gradient descent with momentum, as PyTorch's SGD computes it. */
export class SGD<A extends FloatArray = Float32Array> implements Optimizer<A> {
  learningRate: number;
  /** One of each param's shape, the optimizer's own; none without momentum. */
  readonly velocities: readonly Tensor<A>[];
  readonly #params: readonly Tensor<A>[];
  readonly #momentum: number;
  readonly #dampening: number;
  readonly #nesterov: boolean;
  readonly #weightDecay: number;
  #started = false;

  /** `params` are lent: each step changes them in place. Throws `bad_argument` on options out of range. */
  constructor(params: readonly Tensor<A>[], options: SgdOptions) {
    const { learningRate, momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 } = options;
    checkRange("build SGD", "learningRate", learningRate, 0, Infinity);
    checkRange("build SGD", "momentum", momentum, 0, Infinity);
    checkRange("build SGD", "weightDecay", weightDecay, 0, Infinity);
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new HiddenstateError("bad_argument", "cannot build SGD: nesterov needs a momentum above 0 and a dampening of 0");
    }
    this.learningRate = learningRate;
    this.velocities = momentum === 0 ? [] : createMoments(params);
    this.#params = params;
    this.#momentum = momentum;
    this.#dampening = dampening;
    this.#nesterov = nesterov;
    this.#weightDecay = weightDecay;
  }

  /**
   * g += weightDecay p; v = g at first, then momentum v + (1 - dampening) g; p -= learningRate u, where u is v, or g + momentum v with
   * nesterov, or g without momentum.
   */
  step(grads: readonly Tensor<A>[]): void {
    checkStep("step SGD", this.#params, grads);
    for (let index = 0; index < grads.length; index++) this.#update(index, grads[index]!.data);
    this.#started = true;
  }

  getState(): OptimizerState<A> {
    const { learningRate } = this;
    return { optimizer: "SGD", learningRate, numbers: { started: Number(this.#started) }, moments: copyMoments(this.#moments) };
  }

  setState(state: OptimizerState<A>): void {
    checkState("SGD", state, ["started"], this.#moments);
    restoreMoments(this.#moments, state.moments);
    this.learningRate = state.learningRate;
    this.#started = state.numbers["started"] !== 0;
  }

  get #moments(): Moments<A> {
    return { velocities: this.velocities };
  }

  #update(index: number, grad: A): void {
    const param = this.#params[index]!.data;
    const velocity = this.velocities[index]?.data;
    const rate = this.learningRate;
    const weightDecay = this.#weightDecay;
    const kept = this.#started ? this.#momentum : 0;
    const taken = this.#started ? 1 - this.#dampening : 1;
    const ahead = this.#nesterov ? this.#momentum : 0;
    for (let i = 0; i < param.length; i++) {
      const value = param[i]!;
      const gradient = grad[i]! + weightDecay * value;
      let update = gradient;
      if (velocity !== undefined) {
        const v = kept * velocity[i]! + taken * gradient;
        velocity[i] = v;
        update = ahead === 0 ? v : gradient + ahead * v;
      }
      param[i] = value - rate * update;
    }
  }
}
