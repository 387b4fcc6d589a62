// The mean of squared differences, with its gradient.
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkSameShape } from "./check-shape.ts";
import { countKnown, LossGradient } from "./loss-gradient.ts";
import type { Loss } from "./loss.ts";

export class MeanSquaredError<A extends FloatArray = Float32Array> implements Loss<A> {
  readonly #gradient = new LossGradient<A>("MeanSquaredError");

  /**
   * L = sum((y - target)^2) / count over the known targets of two tensors of one shape, summed in double precision. With NaN where a mask
   * is 0 it is the masked error. Memory is taken when the shape changes.
   */
  forward(ys: Tensor<A>, targets: Tensor<A>): number {
    checkSameShape("take the mean squared error", "targets", targets, ys, "pass one target for each output");
    const dys = this.#gradient.roomFor(ys);
    const count = countKnown(targets);
    let sum = 0;
    for (let i = 0; i < dys.length; i++) {
      const target = targets.data[i]!;
      const difference = Number.isNaN(target) ? 0 : ys.data[i]! - target;
      sum += difference * difference;
      dys[i] = (2 * difference) / count;
    }
    this.#gradient.give();
    return sum / count;
  }

  /** dL/dy of the last forward. */
  backward(): Tensor<A> {
    return this.#gradient.take();
  }
}
