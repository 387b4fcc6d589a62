// The mean of squared differences, with its gradient: in WebAssembly over float32 where there is SIMD, to the same bits.
import { SimdSquaredError } from "../kernels/simd-squared-error.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkSameShape } from "./check-shape.ts";
import { countKnown, LossGradient } from "./loss-gradient.ts";
import type { Loss } from "./loss.ts";

/** The mean of squared differences; missing targets are NaN and do not count. */
export class MeanSquaredError<A extends FloatArray = Float32Array> implements Loss<A> {
  readonly #gradient = new LossGradient<A>("MeanSquaredError");
  #simd: SimdSquaredError | undefined;

  /**
   * L = sum((y - target)^2) / count over the known targets of two tensors of one shape, summed in double precision. With NaN where a mask
   * is 0 it is the masked error. Memory is taken when the shape changes.
   */
  forward(ys: Tensor<A>, targets: Tensor<A>): number {
    checkSameShape("take the mean squared error", "targets", targets, ys, "pass one target for each output");
    const dys = this.#gradient.roomFor(ys);
    const loss = this.#forwardSimd(ys.data, targets.data, dys) ?? forwardPlain(ys.data, targets.data, dys, countKnown(targets));
    this.#gradient.give();
    return loss;
  }

  /** dL/dy of the last forward. */
  backward(): Tensor<A> {
    return this.#gradient.take();
  }

  /** Undefined over float64, and where there is no SIMD. */
  #forwardSimd(ys: FloatArray, targets: FloatArray, dys: FloatArray): number | undefined {
    if (!(ys instanceof Float32Array && targets instanceof Float32Array && dys instanceof Float32Array)) return undefined;
    if (this.#simd?.count !== dys.length) this.#simd = SimdSquaredError.open(dys.length, this.#simd);
    return this.#simd?.forward(ys, targets, dys);
  }
}

function forwardPlain(ys: FloatArray, targets: FloatArray, dys: FloatArray, count: number): number {
  let sum = 0;
  for (let i = 0; i < dys.length; i++) {
    const target = targets[i]!;
    const difference = Number.isNaN(target) ? 0 : ys[i]! - target;
    sum += difference * difference;
    dys[i] = (2 * difference) / count;
  }
  return sum / count;
}
