// The simple cell, with tanh or relu, over T steps of N rows: forward and backward side by side.
import assert from "node:assert/strict";
import { addProductTransposed } from "../kernels/add-product-transposed.ts";
import type { CellLayer, RnnLayer } from "../kernels/network-weights.ts";
import { stepRnn } from "../kernels/step-rnn.ts";
import { sumOuterProducts, sumRows } from "../kernels/sum-outer-products.ts";
import type { FloatArray } from "../kernels/tensor.ts";
import { PlainRun } from "./plain-run.ts";

export class RnnRun<A extends FloatArray> extends PlainRun<A> {
  readonly initial: readonly A[];
  readonly final: readonly A[];
  readonly dInitial: readonly A[];
  protected readonly das: A;

  constructor(layer: RnnLayer<A>, N: number, T: number) {
    super(layer, N, T);
    this.initial = [this.h.initial];
    this.final = [this.h.final];
    this.dInitial = [this.dh];
    this.das = this.dhs;
  }

  /** h_t = act(b + x_t Wx + h_{t-1} Wh) */
  protected step(layer: CellLayer<A>): void {
    assert(layer.cell === "rnn");
    const { N, T, xs, sums } = this;
    const hs = this.h.all;
    const D = layer.Wx.shape[0]!;
    const H = layer.Wh.shape[0]!;
    for (let row = 0; row < T * N; row++) {
      stepRnn(layer, xs, row * D, hs, row * H, hs, (row + N) * H, sums, layer.activation);
    }
  }

  /**
   * With a = b + x Wx + h Wh: da = (dh' + dh) act'(a), dx = da Wx^T, dh = da Wh^T, dWx = x^T da, dWh = h^T da, db = da. `dhs` turns into
   * da, step after step from the last.
   */
  protected stepBack(layer: CellLayer<A>, grads: CellLayer<A>): void {
    assert(layer.cell === "rnn");
    const { N, T, xs, das, dh, sums } = this;
    const hs = this.h.all;
    const D = layer.Wx.shape[0]!;
    const H = layer.Wh.shape[0]!;
    dh.fill(0);
    for (let at = (T - 1) * N * H; at >= 0; at -= N * H) {
      if (layer.activation === "tanh") backThroughTanh(das, at, dh, hs, at + N * H);
      else backThroughRelu(das, at, dh, hs, at + N * H);
      dh.fill(0);
      for (let n = 0; n < N; n++) addProductTransposed(dh, n * H, H, das, at + n * H, H, layer.Wh.data);
    }
    const rows = T * N;
    sumOuterProducts(grads.Wx.data, rows, xs, D, das, H, sums);
    // Row by row, the states before the steps are the first T * N rows of all states.
    sumOuterProducts(grads.Wh.data, rows, hs, H, das, H, sums);
    sumRows(grads.b.data, rows, das, H, sums);
  }
}

/** das = (das + dh) (1 - h'^2) for as many values as `dh` has, from `at` and, of h', from `hAt` on. */
function backThroughTanh<A extends FloatArray>(das: A, at: number, dh: A, hs: A, hAt: number): void {
  for (let i = 0; i < dh.length; i++) {
    const h = hs[hAt + i]!;
    das[at + i] = (das[at + i]! + dh[i]!) * (1 - h * h);
  }
}

/** das = das + dh where h' > 0, else 0, likewise. */
function backThroughRelu<A extends FloatArray>(das: A, at: number, dh: A, hs: A, hAt: number): void {
  // NaN is not at most 0, and passes on.
  for (let i = 0; i < dh.length; i++) das[at + i] = hs[hAt + i]! <= 0 ? 0 : das[at + i]! + dh[i]!;
}
