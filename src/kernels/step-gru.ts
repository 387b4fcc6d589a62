// One step of one row through a gated recurrent unit (Cho et al., 2014), in both of its forms: the reset gate after the product with
// the state, as PyTorch and cuDNN have it, and before it, as in the paper.
import { addProductColumns } from "./add-product-columns.ts";
import { addProduct } from "./add-product.ts";
import { sigmoidInPlace } from "./sigmoid.ts";
import { tanhInPlace } from "./tanh.ts";
import type { FloatArray, Tensor } from "./tensor.ts";

/**
 * Wx `(D, 3H)`, Wh `(H, 3H)`, b `(3H)`, gates in PyTorch's order r, z, n; bn `(H)`, the second bias of n, which belongs to its product
 * with the state. (Two biases of r or z would only ever be added, so they have one.)
 */
export interface GruWeights<A extends FloatArray = Float32Array> {
  readonly Wx: Tensor<A>;
  readonly Wh: Tensor<A>;
  readonly b: Tensor<A>;
  readonly bn: Tensor<A>;
}

/** Values of scratch that a step takes for H units: `sums`, and `gates`, which it leaves for a backward. */
export const gruScratch = { sums: 4, gates: 4 } as const;

/**
 * The GRU operator of ONNX with its usual activations:
 *
 *     r = sigmoid(b_r + x Wx_r + h Wh_r), z likewise
 *     n = tanh((b_n + x Wx_n) + r (bn + h Wh_n))       where `linearBeforeReset`
 *     n = tanh(b_n + bn + x Wx_n + (r h) Wh_n)         where not
 *     hNext = n + z (h - n)
 *
 * for `x` `(D)` from `xAt`, `h` `(H)` from `hAt`, `hNext` `(H)` from `hNextAt`, which may be the very row that `h` is. Into `gates` `(4H)`
 * from `gatesAt` go r, z, n, and what r was multiplied into: bn + h Wh_n, or r h. `sums` is scratch of at least 4H. Offsets are the
 * caller's word and are not checked.
 */
export function stepGru<A extends FloatArray>(
  weights: GruWeights<A>,
  linearBeforeReset: boolean,
  x: A,
  xAt: number,
  h: A,
  hAt: number,
  hNext: A,
  hNextAt: number,
  gates: A,
  gatesAt: number,
  sums: Float64Array,
): void {
  const b = weights.b.data;
  const bn = weights.bn.data;
  const D = weights.Wx.shape[0]!;
  const H = bn.length;
  for (let j = 0; j < 3 * H; j++) sums[j] = b[j]!;
  addProduct(sums, 3 * H, x, xAt, 1, D, weights.Wx.data);
  if (linearBeforeReset) {
    // The products of n with x and with h stay apart: the sum of the former makes room for the latter.
    for (let j = 0; j < H; j++) {
      sums[3 * H + j] = sums[2 * H + j]!;
      sums[2 * H + j] = bn[j]!;
    }
    addProduct(sums, 3 * H, h, hAt, 1, H, weights.Wh.data);
    sigmoidInPlace(sums, 0, 2 * H);
    for (let j = 0; j < H; j++) {
      const sum = sums[2 * H + j]!;
      gates[gatesAt + 3 * H + j] = sum;
      sums[2 * H + j] = sums[3 * H + j]! + sums[j]! * sum;
    }
  } else {
    addResetProduct(weights, h, hAt, gates, gatesAt + 3 * H, sums);
  }
  tanhInPlace(sums, 2 * H, 3 * H);
  for (let gate = 0; gate < 3 * H; gate++) gates[gatesAt + gate] = sums[gate]!;
  for (let j = 0; j < H; j++) {
    const n = sums[2 * H + j]!;
    hNext[hNextAt + j] = n + sums[H + j]! * (h[hAt + j]! - n);
  }
}

/** Adds h Wh to the sums of r and z, which become r and z, then bn + (r h) Wh_n to those of n; r h goes into `rh` from `rhAt`. */
function addResetProduct<A extends FloatArray>(
  { Wh, bn }: GruWeights<A>,
  h: A,
  hAt: number,
  rh: A,
  rhAt: number,
  sums: Float64Array,
): void {
  const H = bn.data.length;
  addProductColumns(sums, 0, 2 * H, h, hAt, 1, H, Wh.data, 3 * H, 0);
  sigmoidInPlace(sums, 0, 2 * H);
  for (let j = 0; j < H; j++) rh[rhAt + j] = sums[j]! * h[hAt + j]!;
  for (let j = 0; j < H; j++) sums[2 * H + j] = sums[2 * H + j]! + bn.data[j]!;
  addProductColumns(sums, 2 * H, H, rh, rhAt, 1, H, Wh.data, 3 * H, 2 * H);
}
