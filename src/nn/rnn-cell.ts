// The tanh cell over T steps of N rows, forward and backward side by side. It works on time-major arrays, in which the rows of one step
// lie together and the states before and after all steps are one array; layers bring their callers' tensors into that order.
import { addProductTransposed } from "../kernels/add-product-transposed.ts";
import { stepRnn } from "../kernels/step-rnn.ts";
import type { RnnWeights } from "../kernels/step-rnn.ts";
import { sumOuterProducts, sumRows } from "../kernels/sum-outer-products.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray } from "../kernels/tensor.ts";
import { checkMatrix, checkVector } from "./check-shape.ts";

/** What a forward leaves for its backward, and the scratch of both. */
export interface RnnTrace<A extends FloatArray> {
  readonly N: number;
  readonly T: number;
  /** `(T, N, D)` */
  readonly xs: A;
  /** `(T + 1, N, H)`: the state before the first step, then after each. */
  readonly hs: A;
  /** `(T, N, H)`: the gradient by each step's output, and after the backward by each step's sum before tanh. */
  readonly das: A;
  /** `(T, N, D)` */
  readonly dxs: A;
  /** `(N, H)`: the gradient by the state before the first step. */
  readonly dh: A;
  /** `(H)` */
  readonly sums: Float64Array;
}

export function createRnnTrace<A extends FloatArray>(weights: RnnWeights<A>, N: number, T: number): RnnTrace<A> {
  const { Wx, b } = weights;
  const D = Wx.shape[0]!;
  const H = b.data.length;
  return {
    N,
    T,
    xs: zerosLike(b, [T, N, D]).data,
    hs: zerosLike(b, [T + 1, N, H]).data,
    das: zerosLike(b, [T, N, H]).data,
    dxs: zerosLike(b, [T, N, D]).data,
    dh: zerosLike(b, [N, H]).data,
    sums: new Float64Array(H),
  };
}

/** h_t = tanh(b + x_t Wx + h_{t-1} Wh), from `trace.xs` and the first N rows of `trace.hs` to the rest of `trace.hs`. */
export function forwardRnn<A extends FloatArray>(weights: RnnWeights<A>, trace: RnnTrace<A>): void {
  const { N, T, xs, hs, sums } = trace;
  const D = weights.Wx.shape[0]!;
  const H = weights.b.data.length;
  for (let row = 0; row < T * N; row++) stepRnn(weights, xs, row * D, hs, row * H, hs, (row + N) * H, sums);
}

/**
 * From `trace.das`, which holds the gradient by every output, to the gradients by everything that went in: `grads` of Wx, Wh, b summed
 * over all rows and steps, `trace.dxs`, `trace.dh`. With a = b + x Wx + h Wh: da = (dh' + dh) (1 - h'^2), dx = da Wx^T, dh = da Wh^T,
 * dWx = x^T da, dWh = h^T da, db = da.
 */
export function backwardRnn<A extends FloatArray>(weights: RnnWeights<A>, trace: RnnTrace<A>, grads: RnnWeights<A>): void {
  const { N, T, xs, hs, das, dxs, dh, sums } = trace;
  const D = weights.Wx.shape[0]!;
  const H = weights.b.data.length;
  const Wh = weights.Wh.data;
  dh.fill(0);
  for (let t = T - 1; t >= 0; t--) {
    const dasAt = t * N * H;
    const hsAt = dasAt + N * H;
    for (let i = 0; i < N * H; i++) {
      const h = hs[hsAt + i]!;
      das[dasAt + i] = (das[dasAt + i]! + dh[i]!) * (1 - h * h);
    }
    dh.fill(0);
    for (let n = 0; n < N; n++) addProductTransposed(dh, n * H, H, das, dasAt + n * H, H, Wh);
  }
  const rows = T * N;
  const Wx = weights.Wx.data;
  dxs.fill(0);
  for (let row = 0; row < rows; row++) addProductTransposed(dxs, row * D, D, das, row * H, H, Wx);
  sumOuterProducts(grads.Wx.data, rows, xs, D, das, H, sums);
  // Row by row, the states before the steps are the first T * N rows of hs.
  sumOuterProducts(grads.Wh.data, rows, hs, H, das, H, sums);
  sumRows(grads.b.data, rows, das, H, sums);
}

/** Throws `bad_argument` unless Wx `(D, H)`, Wh `(H, H)` and b `(H)` fit each other. `layer` is the name that errors use. */
export function checkRnnWeights<A extends FloatArray>(layer: string, { Wx, Wh, b }: RnnWeights<A>): void {
  const action = `build ${layer}`;
  checkMatrix(action, "Wx", Wx, undefined, undefined);
  const H = Wx.shape[1]!;
  checkMatrix(action, "Wh", Wh, H, H);
  checkVector(action, "b", b, H);
}

/** Zero gradients of the weights' shapes. */
export function createRnnGradients<A extends FloatArray>({ Wx, Wh, b }: RnnWeights<A>): RnnWeights<A> {
  return { Wx: zerosLike(Wx, Wx.shape), Wh: zerosLike(Wh, Wh.shape), b: zerosLike(b, b.shape) };
}
