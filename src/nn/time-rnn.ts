// T steps of a tanh cell for N sequences, with a state that it can carry from call to call. Gradients stop at the edge of a call:
// truncated backpropagation through time (Williams and Peng, 1990).
import type { RnnWeights } from "../kernels/step-rnn.ts";
import { swapLeadingAxes } from "../kernels/swap-leading-axes.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { BackwardTurn } from "./backward-turn.ts";
import { checkSameShape, checkSequences } from "./check-shape.ts";
import { KeptState } from "./kept-state.ts";
import type { RecurrentLayer } from "./layer.ts";
import { backwardRnn, checkRnnWeights, createRnnGradients, createRnnTrace, forwardRnn } from "./rnn-cell.ts";
import type { RnnTrace } from "./rnn-cell.ts";

interface SequenceBuffers<A extends FloatArray> {
  readonly trace: RnnTrace<A>;
  /** `(N, T, H)` */
  readonly hs: Tensor<A>;
  /** `(N, T, D)` */
  readonly dxs: Tensor<A>;
  /** `(N, H)` */
  readonly dh: Tensor<A>;
}

export interface TimeRnnOptions {
  /**
   * Whether a forward starts from the state that the last one ended with, or that `setState` gave. Without it every forward starts from
   * zeros, whatever `setState` was given.
   */
  readonly stateful?: boolean;
}

export class TimeRNN<A extends FloatArray = Float32Array> implements RecurrentLayer<A> {
  readonly params: readonly Tensor<A>[];
  /** For Wx, Wh, b: sums over N and T; overwritten by each backward. */
  readonly grads: readonly Tensor<A>[];
  readonly stateful: boolean;
  readonly #weights: RnnWeights<A>;
  readonly #gradients: RnnWeights<A>;
  readonly #state: KeptState<A>;
  readonly #turn = new BackwardTurn("TimeRNN");
  #buffers: SequenceBuffers<A>;

  /** Wx `(D, H)`, Wh `(H, H)`, b `(H)`, which become `params` themselves. Throws `bad_argument` where they do not fit each other. */
  constructor(Wx: Tensor<A>, Wh: Tensor<A>, b: Tensor<A>, options: TimeRnnOptions = {}) {
    this.#weights = { Wx, Wh, b };
    checkRnnWeights("TimeRNN", this.#weights);
    this.#gradients = createRnnGradients(this.#weights);
    this.params = [Wx, Wh, b];
    this.grads = [this.#gradients.Wx, this.#gradients.Wh, this.#gradients.b];
    this.stateful = options.stateful ?? false;
    this.#state = new KeptState("TimeRNN", b.data.length, b);
    this.#buffers = this.#build(1, 1);
  }

  /**
   * h_t = tanh(h_{t-1} Wh + x_t Wx + b): xs `(N, T, D)` -> `(N, T, H)`, the layer's own tensor, overwritten by the next forward.
   * Memory is taken when N or T changes, otherwise never. Throws `bad_argument` on a wrong shape, or where a stateful layer keeps a
   * state of another batch size; nothing has changed then.
   */
  forward(xs: Tensor<A>): Tensor<A> {
    const { Wx, b } = this.#weights;
    const D = Wx.shape[0]!;
    const H = b.data.length;
    checkSequences("run TimeRNN forward", "xs", xs, D);
    if (this.stateful) this.#state.checkBatch(xs);
    else this.#state.reset();
    const N = xs.shape[0]!;
    const T = xs.shape[1]!;
    if (this.#buffers.trace.N !== N || this.#buffers.trace.T !== T) this.#buffers = this.#build(N, T);
    const { trace, hs } = this.#buffers;
    swapLeadingAxes(xs.data, 0, trace.xs, N, T, D);
    this.#state.start(trace.hs, N);
    forwardRnn(this.#weights, trace);
    this.#state.keep(trace.hs, T * N * H, N);
    swapLeadingAxes(trace.hs, N * H, hs.data, T, N, H);
    this.#turn.give();
    return hs;
  }

  /**
   * The gradient by the last forward's outputs, dhs `(N, T, H)`, to that by its inputs `(N, T, D)`, the layer's own tensor, overwritten
   * by the next backward. Writes `grads` and `dh`. Once for each forward: throws `unavailable` otherwise.
   */
  backward(dhs: Tensor<A>): Tensor<A> {
    this.#turn.check();
    const { trace, hs, dxs, dh } = this.#buffers;
    checkSameShape("run TimeRNN backward", "dhs", dhs, hs, "pass the gradient by the last forward's output");
    this.#turn.take();
    const { N, T } = trace;
    swapLeadingAxes(dhs.data, 0, trace.das, N, T, hs.shape[2]!);
    backwardRnn(this.#weights, trace, this.#gradients);
    swapLeadingAxes(trace.dxs, 0, dxs.data, T, N, dxs.shape[2]!);
    dh.data.set(trace.dh);
    return dxs;
  }

  /** The gradient that reached the state before the first step in the last backward, `(N, H)`; zeros before any. The layer's own tensor. */
  get dh(): Tensor<A> {
    return this.#buffers.dh;
  }

  /** Keeps a copy of h `(N, H)`, from which the next forward of a stateful layer starts. Throws `bad_argument` on another width. */
  setState(h: Tensor<A>): void {
    this.#state.set(h);
  }

  /** The next forward starts from zeros, with any batch size. */
  resetState(): void {
    this.#state.reset();
  }

  /** A copy `(N, H)` of the state after the last forward, or of what `setState` gave since; undefined where there is neither. */
  getState(): Tensor<A> | undefined {
    return this.#state.get();
  }

  #build(N: number, T: number): SequenceBuffers<A> {
    const { Wx, b } = this.#weights;
    const H = b.data.length;
    return {
      trace: createRnnTrace(this.#weights, N, T),
      hs: zerosLike(b, [N, T, H]),
      dxs: zerosLike(b, [N, T, Wx.shape[0]!]),
      dh: zerosLike(b, [N, H]),
    };
  }
}
