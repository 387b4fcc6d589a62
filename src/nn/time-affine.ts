// A dense layer applied to every step: ys = xs W + b. The head of a sequence model.
import type { AffineRun } from "../kernels/affine-run.ts";
import type { AffineWeights } from "../kernels/affine.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { openAffineRun } from "./affine-run.ts";
import { BackwardTurn } from "./backward-turn.ts";
import { checkMatrix, checkSameShape, checkSequences, checkVector } from "./check-shape.ts";
import type { Layer } from "./layer.ts";
import { trainingKernel } from "./training-kernel.ts";
import type { KernelOptions } from "./training-kernel.ts";

interface AffineBuffers<A extends FloatArray> {
  /** Keeps a copy of xs, so that the caller may reuse its own before the backward. */
  readonly run: AffineRun<A>;
  /** `(N, T, O)`, lent by the run. */
  readonly ys: Tensor<A>;
  /** `(N, T, H)`, lent by the run. */
  readonly dxs: Tensor<A>;
}

/** A dense layer applied to every step: ys = xs W + b. The head of a sequence model. */
export class TimeAffine<A extends FloatArray = Float32Array> implements Layer<A> {
  readonly params: readonly Tensor<A>[];
  /** For W, b: sums over N and T; overwritten by each backward. */
  readonly grads: readonly Tensor<A>[];
  readonly kernel: Kernel;
  readonly #weights: AffineWeights<A>;
  readonly #gradients: AffineWeights<A>;
  readonly #turn = new BackwardTurn("TimeAffine");
  #buffers: AffineBuffers<A>;

  /** W `(H, O)`, b `(O)`, which become `params` themselves. Throws `bad_argument` where they do not fit each other. */
  constructor(W: Tensor<A>, b: Tensor<A>, options: KernelOptions = {}) {
    checkMatrix("build TimeAffine", "W", W, undefined, undefined);
    checkVector("build TimeAffine", "b", b, W.shape[1]!);
    this.kernel = trainingKernel(W, options.kernel);
    this.#weights = { W, b };
    this.#gradients = { W: zerosLike(W, W.shape), b: zerosLike(b, b.shape) };
    this.params = [W, b];
    this.grads = [this.#gradients.W, this.#gradients.b];
    this.#buffers = this.#build(1, 1);
  }

  /**
   * xs `(N, T, H)` -> `(N, T, O)`, the layer's own tensor, overwritten by the next forward. Memory is taken when N or T changes,
   * and the tensor of before is of no use then.
   */
  forward(xs: Tensor<A>): Tensor<A> {
    checkSequences("run TimeAffine forward", "xs", xs, this.#weights.W.shape[0]!);
    const N = xs.shape[0]!;
    const T = xs.shape[1]!;
    const { shape } = this.#buffers.ys;
    if (shape[0] !== N || shape[1] !== T) this.#buffers = this.#build(N, T, this.#buffers.run);
    const { run, ys } = this.#buffers;
    run.xs.set(xs.data);
    run.forward(this.#weights);
    this.#turn.give();
    return ys;
  }

  /**
   * dys `(N, T, O)` -> dxs `(N, T, H)`, the layer's own tensor, overwritten by the next backward: dxs = dys W^T, dW = xs^T dys, db = dys.
   * Once for each forward: throws `unavailable` otherwise.
   */
  backward(dys: Tensor<A>): Tensor<A> {
    this.#turn.check();
    const { run, ys, dxs } = this.#buffers;
    checkSameShape("run TimeAffine backward", "dys", dys, ys, "pass the gradient by the last forward's output");
    this.#turn.take();
    run.dys.set(dys.data);
    run.backward(this.#weights, this.#gradients);
    return dxs;
  }

  #build(N: number, T: number, replaces?: AffineRun<A>): AffineBuffers<A> {
    const { W, b } = this.#weights;
    const run = openAffineRun(this.kernel, this.#weights, N * T, replaces);
    return {
      run,
      ys: { shape: [N, T, b.data.length], data: run.ys },
      dxs: { shape: [N, T, W.shape[0]!], data: run.dxs },
    };
  }
}
