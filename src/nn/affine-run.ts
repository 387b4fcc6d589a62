// What trains a dense layer: which implementation, and the plain one.
import type { AffineRun } from "../kernels/affine-run.ts";
import { addProductTransposed } from "../kernels/add-product-transposed.ts";
import { affine } from "../kernels/affine.ts";
import type { AffineWeights } from "../kernels/affine.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import { SimdAffineRun } from "../kernels/simd-affine-run.ts";
import { sumOuterProducts, sumRows } from "../kernels/sum-outer-products.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray } from "../kernels/tensor.ts";

/** Over float32, or as the reference over float64. */
export class PlainAffineRun<A extends FloatArray> implements AffineRun<A> {
  readonly rows: number;
  readonly xs: A;
  readonly ys: A;
  readonly dys: A;
  readonly dxs: A;
  readonly #sums: Float64Array;

  constructor({ W, b }: AffineWeights<A>, rows: number) {
    const H = W.shape[0]!;
    const O = b.data.length;
    this.rows = rows;
    this.xs = zerosLike(W, [rows, H]).data;
    this.ys = zerosLike(W, [rows, O]).data;
    this.dys = zerosLike(W, [rows, O]).data;
    this.dxs = zerosLike(W, [rows, H]).data;
    this.#sums = new Float64Array(O);
  }

  forward(weights: AffineWeights<A>): void {
    const { rows, xs, ys } = this;
    const H = weights.W.shape[0]!;
    const O = weights.b.data.length;
    for (let row = 0; row < rows; row++) affine(weights, xs, row * H, ys, row * O, this.#sums);
  }

  backward(weights: AffineWeights<A>, grads: AffineWeights<A>): void {
    const { rows, xs, dys, dxs } = this;
    const H = weights.W.shape[0]!;
    const O = weights.b.data.length;
    dxs.fill(0);
    for (let row = 0; row < rows; row++) addProductTransposed(dxs, row * H, H, dys, row * O, O, weights.W.data);
    sumOuterProducts(grads.W.data, rows, xs, H, dys, O, this.#sums);
    sumRows(grads.b.data, rows, dys, O, this.#sums);
  }
}

/**
 * Memory for `rows` rows through `weights`, whose sizes are taken, not their numbers, on a kernel that `trainingKernel` has named.
 * `replaces` is a run that nobody uses any more, whose memory may be taken over.
 */
export function openAffineRun<A extends FloatArray>(
  kernel: Kernel,
  weights: AffineWeights<A>,
  rows: number,
  replaces?: AffineRun<A>,
): AffineRun<A>;
export function openAffineRun(kernel: Kernel, weights: AffineWeights, rows: number, replaces?: AffineRun): AffineRun<FloatArray> {
  return kernel === "scalar" ? new PlainAffineRun(weights, rows) : new SimdAffineRun(kernel, weights, rows, replaces);
}
