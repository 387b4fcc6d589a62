// A dense layer applied to every step: ys = xs W + b. The head of a sequence model.
import { addProductTransposed } from "../kernels/add-product-transposed.ts";
import { affine } from "../kernels/affine.ts";
import type { AffineWeights } from "../kernels/affine.ts";
import { sumOuterProducts, sumRows } from "../kernels/sum-outer-products.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { BackwardTurn } from "./backward-turn.ts";
import { checkMatrix, checkSameShape, checkSequences, checkVector } from "./check-shape.ts";
import type { Layer } from "./layer.ts";

interface AffineBuffers<A extends FloatArray> {
  /** `(N, T, H)`, copied, so that the caller may reuse its own before the backward. */
  readonly xs: Tensor<A>;
  /** `(N, T, O)` */
  readonly ys: Tensor<A>;
  /** `(N, T, H)` */
  readonly dxs: Tensor<A>;
}

export class TimeAffine<A extends FloatArray = Float32Array> implements Layer<A> {
  readonly params: readonly Tensor<A>[];
  /** For W, b: sums over N and T; overwritten by each backward. */
  readonly grads: readonly Tensor<A>[];
  readonly #weights: AffineWeights<A>;
  readonly #gradients: AffineWeights<A>;
  readonly #sums: Float64Array;
  readonly #turn = new BackwardTurn("TimeAffine");
  #buffers: AffineBuffers<A>;

  /** W `(H, O)`, b `(O)`, which become `params` themselves. Throws `bad_argument` where they do not fit each other. */
  constructor(W: Tensor<A>, b: Tensor<A>) {
    checkMatrix("build TimeAffine", "W", W, undefined, undefined);
    checkVector("build TimeAffine", "b", b, W.shape[1]!);
    this.#weights = { W, b };
    this.#gradients = { W: zerosLike(W, W.shape), b: zerosLike(b, b.shape) };
    this.params = [W, b];
    this.grads = [this.#gradients.W, this.#gradients.b];
    this.#sums = new Float64Array(b.data.length);
    this.#buffers = this.#build(1, 1);
  }

  /** xs `(N, T, H)` -> `(N, T, O)`, the layer's own tensor, overwritten by the next forward. Memory is taken when N or T changes. */
  forward(xs: Tensor<A>): Tensor<A> {
    const { W, b } = this.#weights;
    const H = W.shape[0]!;
    const O = b.data.length;
    checkSequences("run TimeAffine forward", "xs", xs, H);
    const N = xs.shape[0]!;
    const T = xs.shape[1]!;
    const { shape } = this.#buffers.ys;
    if (shape[0] !== N || shape[1] !== T) this.#buffers = this.#build(N, T);
    const { ys, xs: kept } = this.#buffers;
    kept.data.set(xs.data);
    for (let row = 0; row < N * T; row++) affine(this.#weights, kept.data, row * H, ys.data, row * O, this.#sums);
    this.#turn.give();
    return ys;
  }

  /**
   * dys `(N, T, O)` -> dxs `(N, T, H)`, the layer's own tensor, overwritten by the next backward: dxs = dys W^T, dW = xs^T dys, db = dys.
   * Once for each forward: throws `unavailable` otherwise.
   */
  backward(dys: Tensor<A>): Tensor<A> {
    this.#turn.check();
    const { xs, ys, dxs } = this.#buffers;
    checkSameShape("run TimeAffine backward", "dys", dys, ys, "pass the gradient by the last forward's output");
    this.#turn.take();
    const { W, b } = this.#weights;
    const H = W.shape[0]!;
    const O = b.data.length;
    const rows = ys.shape[0]! * ys.shape[1]!;
    dxs.data.fill(0);
    for (let row = 0; row < rows; row++) addProductTransposed(dxs.data, row * H, H, dys.data, row * O, O, W.data);
    sumOuterProducts(this.#gradients.W.data, rows, xs.data, H, dys.data, O, this.#sums);
    sumRows(this.#gradients.b.data, rows, dys.data, O, this.#sums);
    return dxs;
  }

  #build(N: number, T: number): AffineBuffers<A> {
    const { W, b } = this.#weights;
    const hidden = [N, T, W.shape[0]!];
    return { xs: zerosLike(W, hidden), ys: zerosLike(W, [N, T, b.data.length]), dxs: zerosLike(W, hidden) };
  }
}
