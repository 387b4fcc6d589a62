// The long short-term memory over T steps of N rows: forward and backward side by side.
import assert from "node:assert/strict";
import { addProductTransposed } from "../kernels/add-product-transposed.ts";
import type { CellLayer, LstmLayer } from "../kernels/network-weights.ts";
import { lstmScratch, stepLstm } from "../kernels/step-lstm.ts";
import { sumOuterProducts, sumRows } from "../kernels/sum-outer-products.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray } from "../kernels/tensor.ts";
import { createTrack, PlainRun } from "./plain-run.ts";
import type { StateTrack } from "./plain-run.ts";

export class LstmRun<A extends FloatArray> extends PlainRun<A> {
  readonly initial: readonly A[];
  readonly final: readonly A[];
  readonly dInitial: readonly A[];
  readonly #c: StateTrack<A>;
  /** `(N, H)`: the gradient on its way back through c. */
  readonly #dc: A;
  /** `(T, N, 5H)`: i, f, g, o and tanh(c') of each step. */
  readonly #gates: A;
  /** `(T, N, 4H)`: the gradients by what goes into i, f, g, o. */
  protected readonly das: A;

  constructor(layer: LstmLayer<A>, N: number, T: number) {
    super(layer, N, T);
    const H = layer.Wh.shape[0]!;
    this.#c = createTrack(layer, N, T);
    this.#dc = zerosLike(layer.b, [N, H]).data;
    this.#gates = zerosLike(layer.b, [T, N, lstmScratch.gates * H]).data;
    this.das = zerosLike(layer.b, [T, N, 4 * H]).data;
    this.initial = [this.h.initial, this.#c.initial];
    this.final = [this.h.final, this.#c.final];
    this.dInitial = [this.dh, this.#dc];
  }

  /** i, f, o = sigmoid(b + x Wx + h Wh), g = tanh(the same of its own), c' = f c + i g, h' = o tanh(c') */
  protected step(layer: CellLayer<A>): void {
    assert(layer.cell === "lstm");
    const { N, T, xs, sums } = this;
    const hs = this.h.all;
    const cs = this.#c.all;
    const D = layer.Wx.shape[0]!;
    const H = layer.Wh.shape[0]!;
    for (let row = 0; row < T * N; row++) {
      const before = row * H;
      const after = before + N * H;
      const gatesAt = row * lstmScratch.gates * H;
      stepLstm(layer, xs, row * D, hs, before, cs, before, hs, after, cs, after, this.#gates, gatesAt, sums);
    }
  }

  /** With a = b + x Wx + h Wh of all four gates: dx = da Wx^T, dh = da Wh^T, dWx = x^T da, dWh = h^T da, db = da. */
  protected stepBack(layer: CellLayer<A>, grads: CellLayer<A>): void {
    assert(layer.cell === "lstm");
    const { N, T, xs, dh, sums } = this;
    const das = this.das;
    const D = layer.Wx.shape[0]!;
    const H = layer.Wh.shape[0]!;
    dh.fill(0);
    this.#dc.fill(0);
    for (let t = T - 1; t >= 0; t--) {
      for (let n = 0; n < N; n++) this.#backThroughGates(t * N + n, n, H);
      dh.fill(0);
      for (let n = 0; n < N; n++) addProductTransposed(dh, n * H, H, das, (t * N + n) * 4 * H, 4 * H, layer.Wh.data);
    }
    const rows = T * N;
    sumOuterProducts(grads.Wx.data, rows, xs, D, das, 4 * H, sums);
    // Row by row, the states before the steps are the first T * N rows of all states.
    sumOuterProducts(grads.Wh.data, rows, this.h.all, H, das, 4 * H, sums);
    sumRows(grads.b.data, rows, das, 4 * H, sums);
  }

  /**
   * One row of one step: do = dh' tanh(c'), dc' += dh' o (1 - tanh(c')^2), di = dc' g, df = dc' c, dg = dc' i, each times its gate's
   * derivative, and dc = dc' f.
   */
  #backThroughGates(row: number, n: number, H: number): void {
    const { dhs, dh } = this;
    const dc = this.#dc;
    const gates = this.#gates;
    const das = this.das;
    const cs = this.#c.all;
    for (let j = 0; j < H; j++) {
      const gate = row * lstmScratch.gates * H + j;
      const i = gates[gate]!;
      const f = gates[gate + H]!;
      const g = gates[gate + 2 * H]!;
      const o = gates[gate + 3 * H]!;
      const cellTanh = gates[gate + 4 * H]!;
      const at = n * H + j;
      const dhNext = dhs[row * H + j]! + dh[at]!;
      const dcNext = dc[at]! + dhNext * o * (1 - cellTanh * cellTanh);
      const da = row * 4 * H + j;
      das[da] = dcNext * g * i * (1 - i);
      das[da + H] = dcNext * cs[row * H + j]! * f * (1 - f);
      das[da + 2 * H] = dcNext * i * (1 - g * g);
      das[da + 3 * H] = dhNext * cellTanh * o * (1 - o);
      dc[at] = dcNext * f;
    }
  }
}
