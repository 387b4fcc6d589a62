// The gated recurrent unit over T steps of N rows, in both of its forms (see step-gru.ts): forward and backward side by side.
import assert from "node:assert/strict";
import { addProductTransposed } from "../kernels/add-product-transposed.ts";
import type { CellLayer, GruLayer } from "../kernels/network-weights.ts";
import { gruScratch, stepGru } from "../kernels/step-gru.ts";
import { sumOuterProductColumns, sumOuterProducts, sumRows } from "../kernels/sum-outer-products.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray } from "../kernels/tensor.ts";
import { PlainRun } from "./plain-run.ts";

export class GruRun<A extends FloatArray> extends PlainRun<A> {
  readonly initial: readonly A[];
  readonly final: readonly A[];
  readonly dInitial: readonly A[];
  /** `(T, N, 4H)`: r, z, n of each step, and what r was multiplied into. A backward leaves the gradient by n's sum in n's place. */
  readonly #gates: A;
  /** `(T, N, 3H)`: the gradients by what goes into r, z, n from the state, and then from the inputs: only n's differ. */
  protected readonly das: A;
  /** `(H)`: the gradient by r h, where that is what goes into n. */
  readonly #drh: A;

  constructor(layer: GruLayer<A>, N: number, T: number) {
    super(layer, N, T);
    const H = layer.Wh.shape[0]!;
    this.#gates = zerosLike(layer.b, [T, N, gruScratch.gates * H]).data;
    this.das = zerosLike(layer.b, [T, N, 3 * H]).data;
    this.#drh = zerosLike(layer.b, [H]).data;
    this.initial = [this.h.initial];
    this.final = [this.h.final];
    this.dInitial = [this.dh];
  }

  /**
   * r, z = sigmoid(b + x Wx + h Wh), n = tanh(b_n + x Wx_n + r (bn + h Wh_n)) where `linearBeforeReset`, else
   * tanh(b_n + bn + x Wx_n + (r h) Wh_n), h' = n + z (h - n)
   */
  protected step(layer: CellLayer<A>): void {
    assert(layer.cell === "gru");
    const { N, T, xs, sums } = this;
    const hs = this.h.all;
    const D = layer.Wx.shape[0]!;
    const H = layer.Wh.shape[0]!;
    for (let row = 0; row < T * N; row++) {
      const gatesAt = row * gruScratch.gates * H;
      stepGru(layer, layer.linearBeforeReset, xs, row * D, hs, row * H, hs, (row + N) * H, this.#gates, gatesAt, sums);
    }
  }

  protected stepBack(layer: CellLayer<A>, grads: CellLayer<A>): void {
    assert(layer.cell === "gru" && grads.cell === "gru");
    const { N, T, xs, dh, sums } = this;
    const das = this.das;
    const D = layer.Wx.shape[0]!;
    const H = layer.Wh.shape[0]!;
    dh.fill(0);
    for (let t = T - 1; t >= 0; t--) {
      for (let n = 0; n < N; n++) {
        if (layer.linearBeforeReset) this.#backResetAfter(layer, t * N + n, n);
        else this.#backResetBefore(layer, t * N + n, n);
      }
    }
    const rows = T * N;
    sumRows(grads.b.data, rows, das, 3 * H, sums);
    for (let j = 0; j < H; j++) grads.bn.data[j] = grads.b.data[2 * H + j]!;
    this.#sumStateProducts(layer, grads.Wh.data, H);
    if (layer.linearBeforeReset) {
      this.#takeInputSide(H);
      sumRows(grads.b.data, rows, das, 3 * H, sums);
    }
    sumOuterProducts(grads.Wx.data, rows, xs, D, das, 3 * H, sums);
  }

  /**
   * One row of one step, n = tanh(a_n + r m) with m = bn + h Wh_n: da_n = dn (1 - n^2), dr = da_n m, dm = da_n r, and
   * dh = dh' z + (da_r, da_z, dm) Wh^T. `das` gets da_r, da_z and dm; da_n goes where n was.
   */
  #backResetAfter(layer: GruLayer<A>, row: number, n: number): void {
    const H = layer.Wh.shape[0]!;
    const { dhs, dh } = this;
    const gates = this.#gates;
    const das = this.das;
    const hs = this.h.all;
    for (let j = 0; j < H; j++) {
      const gate = row * gruScratch.gates * H + j;
      const r = gates[gate]!;
      const z = gates[gate + H]!;
      const candidate = gates[gate + 2 * H]!;
      const dhNext = dhs[row * H + j]! + dh[n * H + j]!;
      const dan = dhNext * (1 - z) * (1 - candidate * candidate);
      const da = row * 3 * H + j;
      das[da] = dan * gates[gate + 3 * H]! * r * (1 - r);
      das[da + H] = dhNext * (hs[row * H + j]! - candidate) * z * (1 - z);
      das[da + 2 * H] = dan * r;
      gates[gate + 2 * H] = dan;
      dh[n * H + j] = dhNext * z;
    }
    addProductTransposed(dh, n * H, H, das, row * 3 * H, 3 * H, layer.Wh.data);
  }

  /**
   * One row of one step, n = tanh(a_n) with (r h) Wh_n in a_n: da_n = dn (1 - n^2), d(rh) = da_n Wh_n^T, dr = d(rh) h, and
   * dh = dh' z + d(rh) r + (da_r, da_z) Wh_rz^T. `das` gets da_r, da_z and da_n.
   */
  #backResetBefore(layer: GruLayer<A>, row: number, n: number): void {
    const H = layer.Wh.shape[0]!;
    const { dhs, dh } = this;
    const gates = this.#gates;
    const das = this.das;
    const drh = this.#drh;
    const hs = this.h.all;
    const da = row * 3 * H;
    for (let j = 0; j < H; j++) {
      const gate = row * gruScratch.gates * H + j;
      const z = gates[gate + H]!;
      const candidate = gates[gate + 2 * H]!;
      const dhNext = dhs[row * H + j]! + dh[n * H + j]!;
      das[da + H + j] = dhNext * (hs[row * H + j]! - candidate) * z * (1 - z);
      das[da + 2 * H + j] = dhNext * (1 - z) * (1 - candidate * candidate);
      dh[n * H + j] = dhNext * z;
    }
    drh.fill(0);
    addProductTransposed(drh, 0, H, das, da + 2 * H, H, layer.Wh.data, 3 * H, 2 * H);
    for (let j = 0; j < H; j++) {
      const r = gates[row * gruScratch.gates * H + j]!;
      das[da + j] = drh[j]! * hs[row * H + j]! * r * (1 - r);
      dh[n * H + j] = dh[n * H + j]! + drh[j]! * r;
    }
    addProductTransposed(dh, n * H, H, das, da, 2 * H, layer.Wh.data, 3 * H, 0);
  }

  /** dWh out of `das` as the steps left them. Row by row, the states before the steps are the first T * N rows of all states. */
  #sumStateProducts(layer: GruLayer<A>, dWh: A, H: number): void {
    const rows = this.T * this.N;
    const das = this.das;
    const hs = this.h.all;
    if (layer.linearBeforeReset) {
      sumOuterProducts(dWh, rows, hs, H, das, 3 * H, this.sums);
      return;
    }
    sumOuterProductColumns(dWh, rows, hs, 0, H, H, das, 3 * H, 0, 2 * H, this.sums);
    const stride = gruScratch.gates * H;
    sumOuterProductColumns(dWh, rows, this.#gates, 3 * H, stride, H, das, 3 * H, 2 * H, H, this.sums);
  }

  /** Puts da_n where dm was. */
  #takeInputSide(H: number): void {
    const gates = this.#gates;
    const das = this.das;
    for (let row = 0; row < this.T * this.N; row++) {
      const from = (row * gruScratch.gates + 2) * H;
      const to = (row * 3 + 2) * H;
      for (let j = 0; j < H; j++) das[to + j] = gates[from + j]!;
    }
  }
}
