// One step of one row through the simple cell, with tanh or relu. Layers in training and the native engine call this same function, so a model steps to the
// same bits in both.
import { addProduct } from "./add-product.ts";
import { tanhInPlace } from "./tanh.ts";
import type { FloatArray, Tensor } from "./tensor.ts";

/** Wx `(D, H)`, Wh `(H, H)`, b `(H)`. */
export interface RnnWeights<A extends FloatArray = Float32Array> {
  readonly Wx: Tensor<A>;
  readonly Wh: Tensor<A>;
  readonly b: Tensor<A>;
}

/** What a plain recurrent cell ends in. */
export type RnnActivation = "tanh" | "relu";

/**
 * hNext = tanh(b + x Wx + h Wh), the RNN operator of ONNX with activation Tanh, or max(0, ...) with Relu, for `x` `(D)` from `xAt`, `h` `(H)` from `hAt`,
 * `hNext` `(H)` from `hNextAt`. `hNext` may be the very row that `h` is: it is written after everything has been read. `sums` is
 * scratch of at least H. Offsets are the caller's word and are not checked.
 */
export function stepRnn<A extends FloatArray>(
  weights: RnnWeights<A>,
  x: A,
  xAt: number,
  h: A,
  hAt: number,
  hNext: A,
  hNextAt: number,
  sums: Float64Array,
  activation: RnnActivation = "tanh",
): void {
  const b = weights.b.data;
  const D = weights.Wx.shape[0]!;
  const H = b.length;
  for (let j = 0; j < H; j++) sums[j] = b[j]!;
  addProduct(sums, H, x, xAt, 1, D, weights.Wx.data);
  addProduct(sums, H, h, hAt, 1, H, weights.Wh.data);
  if (activation === "tanh") tanhInPlace(sums, 0, H);
  for (let j = 0; j < H; j++) {
    const sum = sums[j]!;
    // NaN is not below 0, and stays.
    hNext[hNextAt + j] = activation === "relu" && sum < 0 ? 0 : sum;
  }
}
