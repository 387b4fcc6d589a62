// What the plain runs of all cells have in common: the arrays of the contract, over float32 or, as the reference, float64. States
// before and after the steps are one array, so that the state after a step is that before the next without a copy.
import { addProductTransposed } from "../kernels/add-product-transposed.ts";
import type { CellLayer } from "../kernels/network-weights.ts";
import { gatesOf, hiddenOf } from "../kernels/network-weights.ts";
import type { SequenceRun } from "../kernels/sequence-run.ts";
import { swapLeadingAxes } from "../kernels/swap-leading-axes.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray } from "../kernels/tensor.ts";

/** A state over the steps, `(T + 1, N, H)`: before the first, then after each. */
export interface StateTrack<A extends FloatArray> {
  readonly all: A;
  /** Views of `all`: its first N rows, its last N rows, and all but its first N. */
  readonly initial: A;
  readonly final: A;
  readonly after: A;
}

export abstract class PlainRun<A extends FloatArray> implements SequenceRun<A> {
  readonly N: number;
  readonly T: number;
  readonly inputs: A;
  readonly outputs: A;
  readonly dOutputs: A;
  readonly dInputs: A;
  abstract readonly initial: readonly A[];
  abstract readonly final: readonly A[];
  abstract readonly dInitial: readonly A[];
  /** `(T, N, D)` */
  protected readonly xs: A;
  protected readonly h: StateTrack<A>;
  /** `(T, N, H)`: the gradient by the outputs; a `stepBack` may overwrite it. */
  protected readonly dhs: A;
  /** `(T, N, G H)`: after `stepBack`, the gradients by what x Wx goes into. */
  protected abstract readonly das: A;
  /** `(N, H)`: the gradient on its way back through h. */
  protected readonly dh: A;
  /** `(T, N, D)`: the gradient by `xs`. */
  readonly #dxs: A;
  /** Scratch for the sums of one row. */
  protected readonly sums: Float64Array;

  constructor(layer: CellLayer<A>, N: number, T: number) {
    const { Wx, b } = layer;
    const D = Wx.shape[0]!;
    const H = hiddenOf(layer);
    this.N = N;
    this.T = T;
    this.xs = zerosLike(b, [T, N, D]).data;
    this.#dxs = zerosLike(b, [T, N, D]).data;
    this.h = createTrack(layer, N, T);
    this.outputs = zerosLike(b, [N, T, H]).data;
    this.inputs = zerosLike(b, [N, T, D]).data;
    this.dOutputs = zerosLike(b, [N, T, H]).data;
    this.dInputs = zerosLike(b, [N, T, D]).data;
    this.dhs = zerosLike(b, [T, N, H]).data;
    this.dh = zerosLike(b, [N, H]).data;
    this.sums = new Float64Array((gatesOf(layer) + 1) * H);
  }

  forward(layer: CellLayer<A>): void {
    swapLeadingAxes(this.inputs, 0, this.xs, this.N, this.T, layer.Wx.shape[0]!);
    this.step(layer);
    swapLeadingAxes(this.h.after, 0, this.outputs, this.T, this.N, hiddenOf(layer));
  }

  backward(layer: CellLayer<A>, grads: CellLayer<A>, byInputs: boolean): void {
    swapLeadingAxes(this.dOutputs, 0, this.dhs, this.N, this.T, hiddenOf(layer));
    this.stepBack(layer, grads);
    if (!byInputs) return;
    const { T, N, das } = this;
    const dxs = this.#dxs;
    const D = layer.Wx.shape[0]!;
    const width = gatesOf(layer) * hiddenOf(layer);
    dxs.fill(0);
    for (let row = 0; row < T * N; row++) addProductTransposed(dxs, row * D, D, das, row * width, width, layer.Wx.data);
    swapLeadingAxes(dxs, 0, this.dInputs, T, N, D);
  }

  /** Everything of a forward but `outputs`. */
  protected abstract step(layer: CellLayer<A>): void;
  /** Everything of a backward but the gradients by the inputs. */
  protected abstract stepBack(layer: CellLayer<A>, grads: CellLayer<A>): void;
}

export function createTrack<A extends FloatArray>(layer: CellLayer<A>, N: number, T: number): StateTrack<A> {
  const count = N * hiddenOf(layer);
  const all = zerosLike(layer.b, [T + 1, count]).data;
  return {
    all,
    initial: viewOf(all, 0, count),
    final: viewOf(all, T * count, (T + 1) * count),
    after: viewOf(all, count, (T + 1) * count),
  };
}

function viewOf<A extends FloatArray>(of: A, from: number, to: number): A;
function viewOf(of: FloatArray, from: number, to: number): FloatArray {
  return of.subarray(from, to);
}
