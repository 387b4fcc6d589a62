// One step of one row through a long short-term memory (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000,
// without peepholes).
import { addProduct } from "./add-product.ts";
import { sigmoidInPlace } from "./sigmoid.ts";
import { tanhInPlace } from "./tanh.ts";
import type { FloatArray, Tensor } from "./tensor.ts";

/** Wx `(D, 4H)`, Wh `(H, 4H)`, b `(4H)`, gates in PyTorch's order i, f, g, o. */
export interface LstmWeights<A extends FloatArray = Float32Array> {
  readonly Wx: Tensor<A>;
  readonly Wh: Tensor<A>;
  readonly b: Tensor<A>;
}

/** Values of scratch that a step takes for H units: `sums`, and `gates`, which it leaves for a backward. */
export const lstmScratch = { sums: 4, gates: 5 } as const;

/**
 * The LSTM operator of ONNX with its usual activations: i, f, o = sigmoid(b + x Wx + h Wh), g = tanh(the same of its own),
 * cNext = f c + i g, hNext = o tanh(cNext), for `x` `(D)` from `xAt`, `h` and `c` `(H)` from `hAt` and `cAt`, `hNext` and `cNext` `(H)`,
 * which may be the very rows that `h` and `c` are. Into `gates` `(5H)` from `gatesAt` go i, f, g, o and tanh(cNext). `sums` is scratch of
 * at least 4H. Offsets are the caller's word and are not checked.
 */
export function stepLstm<A extends FloatArray>(
  weights: LstmWeights<A>,
  x: A,
  xAt: number,
  h: A,
  hAt: number,
  c: A,
  cAt: number,
  hNext: A,
  hNextAt: number,
  cNext: A,
  cNextAt: number,
  gates: A,
  gatesAt: number,
  sums: Float64Array,
): void {
  const b = weights.b.data;
  const D = weights.Wx.shape[0]!;
  const H = weights.Wh.shape[0]!;
  for (let j = 0; j < 4 * H; j++) sums[j] = b[j]!;
  addProduct(sums, 4 * H, x, xAt, 1, D, weights.Wx.data);
  addProduct(sums, 4 * H, h, hAt, 1, H, weights.Wh.data);
  sigmoidInPlace(sums, 0, 2 * H);
  tanhInPlace(sums, 2 * H, 3 * H);
  sigmoidInPlace(sums, 3 * H, 4 * H);
  for (let gate = 0; gate < 4 * H; gate++) gates[gatesAt + gate] = sums[gate]!;
  for (let j = 0; j < H; j++) {
    const cell = sums[H + j]! * c[cAt + j]! + sums[j]! * sums[2 * H + j]!;
    cNext[cNextAt + j] = cell;
    sums[j] = cell;
  }
  tanhInPlace(sums, 0, H);
  for (let j = 0; j < H; j++) {
    gates[gatesAt + 4 * H + j] = sums[j]!;
    hNext[hNextAt + j] = sums[3 * H + j]! * sums[j]!;
  }
}
