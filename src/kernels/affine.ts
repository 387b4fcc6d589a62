// One row through a dense layer: the head of every network, in training and in the engine.
import { addProduct } from "./add-product.ts";
import type { FloatArray, Tensor } from "./tensor.ts";

/** W `(H, O)`, b `(O)`. */
export interface AffineWeights<A extends FloatArray = Float32Array> {
  readonly W: Tensor<A>;
  readonly b: Tensor<A>;
}

/** y = x W + b, for `x` `(H)` from `xAt`, `y` `(O)` from `yAt`; `sums` is scratch of at least O. */
export function affine<A extends FloatArray>(
  weights: AffineWeights<A>,
  x: A,
  xAt: number,
  y: A,
  yAt: number,
  sums: Float64Array,
): void {
  const b = weights.b.data;
  const H = weights.W.shape[0]!;
  const O = b.length;
  for (let j = 0; j < O; j++) sums[j] = b[j]!;
  addProduct(sums, O, x, xAt, 1, H, weights.W.data);
  for (let j = 0; j < O; j++) y[yAt + j] = sums[j]!;
}
