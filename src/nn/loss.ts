// What every loss offers to whoever trains.
import type { FloatArray, Tensor } from "../kernels/tensor.ts";

/**
 * A loss closes a network: its forward gives a number, its backward the gradient by what the network put out. What a row of targets holds
 * is the loss's own (values, or the number of a class); a target of NaN is a missing one in all of them: it takes no part, in the count
 * that means are taken over neither, and where all are missing the loss is 0.
 */
export interface Loss<A extends FloatArray = Float32Array> {
  /** ys `(N, T, O)`. Throws `bad_argument` where the targets do not fit; no backward may follow then. */
  forward(ys: Tensor<A>, targets: Tensor<A>): number;
  /** `(N, T, O)`, the loss's own tensor, overwritten by the next forward. Once for each forward: throws `unavailable` otherwise. */
  backward(): Tensor<A>;
}
