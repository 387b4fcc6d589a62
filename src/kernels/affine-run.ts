// The contract of what trains a dense layer, whatever its kernel: many rows forward, and the gradients back. A run is built for one number
// of rows, lends its arrays, and takes no memory afterwards.
import type { AffineWeights } from "./affine.ts";
import type { FloatArray } from "./tensor.ts";

export interface AffineRun<A extends FloatArray = Float32Array> {
  readonly rows: number;
  /** `(rows, H)`: filled by the caller before a forward, and kept as it is until its backward. */
  readonly xs: A;
  /** `(rows, O)`: what the forward put out. */
  readonly ys: A;
  /** `(rows, O)`: the gradient by `ys`, filled by the caller before a backward. */
  readonly dys: A;
  /** `(rows, H)`: the gradient by `xs`. */
  readonly dxs: A;
  /** ys = xs W + b, with the numbers that `weights` has now. */
  forward(weights: AffineWeights<A>): void;
  /** dxs = dys W^T, dW = xs^T dys, db = dys summed over the rows, with the weights of the last forward. */
  backward(weights: AffineWeights<A>, grads: AffineWeights<A>): void;
}
