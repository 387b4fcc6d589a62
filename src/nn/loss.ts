// What every loss offers to whoever trains.
import type { FloatArray, Tensor } from "../kernels/tensor.ts";

/** A loss closes a network: its forward gives a number, its backward the gradient by what the network put out. */
export interface Loss<A extends FloatArray = Float32Array> {
  forward(ys: Tensor<A>, targets: Tensor<A>): number;
  /** The loss's own tensor, overwritten by the next forward. */
  backward(): Tensor<A>;
}
