// The mean of squared differences over all elements, with its gradient.
import { sameShape, zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { BackwardTurn } from "./backward-turn.ts";
import { checkSameShape } from "./check-shape.ts";
import type { Loss } from "./loss.ts";

export class MeanSquaredError<A extends FloatArray = Float32Array> implements Loss<A> {
  readonly #turn = new BackwardTurn("MeanSquaredError");
  #dys: Tensor<A> | undefined;

  /**
   * L = sum((y - target)^2) / count over two tensors of one shape, summed in double precision. A target of NaN is a missing one: it takes
   * no part, in the count neither, and its gradient is 0; where all are missing L is 0. Memory is taken when the shape changes.
   */
  forward(ys: Tensor<A>, targets: Tensor<A>): number {
    checkSameShape("take the mean squared error", "targets", targets, ys, "pass one target for each output");
    if (this.#dys === undefined || !sameShape(this.#dys.shape, ys.shape)) this.#dys = zerosLike(ys, ys.shape);
    const dys = this.#dys.data;
    let count = 0;
    for (let i = 0; i < dys.length; i++) if (!Number.isNaN(targets.data[i]!)) count++;
    let sum = 0;
    for (let i = 0; i < dys.length; i++) {
      const target = targets.data[i]!;
      const difference = Number.isNaN(target) ? 0 : ys.data[i]! - target;
      sum += difference * difference;
      dys[i] = (2 * difference) / Math.max(count, 1);
    }
    this.#turn.give();
    return sum / Math.max(count, 1);
  }

  /** dL/dy of the last forward. Once for each forward: throws `unavailable` otherwise. */
  backward(): Tensor<A> {
    this.#turn.take();
    return this.#dys!;
  }
}
