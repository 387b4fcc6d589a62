// A squared error near the target and a linear one far from it, so that outliers do not rule (Huber, 1964), in PyTorch's form.
import { HiddenstateError } from "../base/errors.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkSameShape } from "./check-shape.ts";
import { countKnown, LossGradient } from "./loss-gradient.ts";
import type { Loss } from "./loss.ts";

/** A squared error near the target and a linear one far from it (Huber, 1964), in PyTorch's form; missing targets are NaN. */
export class HuberLoss<A extends FloatArray = Float32Array> implements Loss<A> {
  readonly #delta: number;
  readonly #gradient = new LossGradient<A>("HuberLoss");

  /** `delta`, above 0, is the difference from which on the loss is linear, in the targets' units. Default 1. */
  constructor(delta = 1) {
    if (!(delta > 0 && delta < Infinity)) {
      throw new HiddenstateError("bad_argument", `cannot build HuberLoss: delta is ${delta}; it must be above 0 and finite`);
    }
    this.#delta = delta;
  }

  /**
   * The mean over the known targets of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), with d = y - target, for two tensors of
   * one shape. Memory is taken when the shape changes.
   */
  forward(ys: Tensor<A>, targets: Tensor<A>): number {
    checkSameShape("take the Huber loss", "targets", targets, ys, "pass one target for each output");
    const delta = this.#delta;
    const dys = this.#gradient.roomFor(ys);
    const count = countKnown(targets);
    let sum = 0;
    for (let i = 0; i < dys.length; i++) {
      const target = targets.data[i]!;
      const difference = Number.isNaN(target) ? 0 : ys.data[i]! - target;
      const magnitude = Math.abs(difference);
      // Where the difference is NaN, so are the loss and its gradient.
      const far = magnitude > delta;
      sum += far ? delta * (magnitude - delta / 2) : (difference * difference) / 2;
      dys[i] = (far ? Math.sign(difference) * delta : difference) / count;
    }
    this.#gradient.give();
    return sum / count;
  }

  /** dL/dy of the last forward. */
  backward(): Tensor<A> {
    return this.#gradient.take();
  }
}
