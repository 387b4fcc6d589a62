// What a trainer needs of every optimizer, and the checks that all of them make.
import { HiddenstateError } from "../base/errors.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkSameShape } from "./check-shape.ts";
import type { OptimizerState } from "./optimizer-state.ts";

/** What every optimizer offers. */
export interface Optimizer<A extends FloatArray = Float32Array> {
  /** May be changed between steps, by a schedule. */
  learningRate: number;
  /** Changes the params in place by their gradients, which come in the params' order and are only read. */
  step(grads: readonly Tensor<A>[]): void;
  /** A copy of what it has gathered. */
  getState(): OptimizerState<A>;
  /**
   * Copies what `getState` gave over its own, after which steps go on to the same bits. Throws `bad_argument` where it came from another
   * optimizer or other params; nothing has changed then.
   */
  setState(state: OptimizerState<A>): void;
}

/** Zero tensors of the params' shapes: room for a moment of each. */
export function createMoments<A extends FloatArray>(params: readonly Tensor<A>[]): Tensor<A>[] {
  return params.map((param) => zerosLike(param, param.shape));
}

/** Throws `bad_argument` unless there is a gradient of its shape for each param. */
export function checkStep<A extends FloatArray>(action: string, params: readonly Tensor<A>[], grads: readonly Tensor<A>[]): void {
  if (grads.length !== params.length) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot ${action}: there are ${grads.length} gradients for ${params.length} params; pass the grads of the same layers in the same order`,
    );
  }
  for (let i = 0; i < params.length; i++) {
    checkSameShape(action, "a gradient", grads[i]!, params[i]!, "pass the grads of the same layers in the same order");
  }
}

/** Throws `bad_argument` unless `value` lies in [least, below). */
export function checkRange(action: string, name: string, value: number, least: number, below: number): void {
  if (value >= least && value < below) return;
  throw new HiddenstateError(
    "bad_argument",
    `cannot ${action}: ${name} is ${value}; it must be at least ${least} and below ${below}`,
  );
}
