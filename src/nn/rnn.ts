// One step of a tanh cell for N rows. It keeps no state: the state before the step comes in, the state after it goes out, and whoever
// chains steps carries both. TimeRNN does that for T steps without an object a step.
import type { RnnWeights } from "../kernels/step-rnn.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { BackwardTurn } from "./backward-turn.ts";
import { checkRows, checkSameShape } from "./check-shape.ts";
import { backwardRnn, checkRnnWeights, createRnnGradients, createRnnTrace, forwardRnn } from "./rnn-cell.ts";
import type { RnnTrace } from "./rnn-cell.ts";

/** The gradients that a step passes back. The layer's own tensors, overwritten by its next backward. */
export interface RnnInputGradients<A extends FloatArray> {
  /** `(N, D)` */
  readonly dx: Tensor<A>;
  /** `(N, H)` */
  readonly dhPrev: Tensor<A>;
}

interface StepBuffers<A extends FloatArray> {
  readonly trace: RnnTrace<A>;
  readonly hNext: Tensor<A>;
  readonly inputGradients: RnnInputGradients<A>;
}

export class RNN<A extends FloatArray = Float32Array> {
  readonly params: readonly Tensor<A>[];
  /** For Wx, Wh, b; overwritten by each backward. */
  readonly grads: readonly Tensor<A>[];
  readonly #weights: RnnWeights<A>;
  readonly #gradients: RnnWeights<A>;
  readonly #turn = new BackwardTurn("RNN");
  #buffers: StepBuffers<A>;

  /** Wx `(D, H)`, Wh `(H, H)`, b `(H)`, which become `params` themselves. Throws `bad_argument` where they do not fit each other. */
  constructor(Wx: Tensor<A>, Wh: Tensor<A>, b: Tensor<A>) {
    this.#weights = { Wx, Wh, b };
    checkRnnWeights("RNN", this.#weights);
    this.#gradients = createRnnGradients(this.#weights);
    this.params = [Wx, Wh, b];
    this.grads = [this.#gradients.Wx, this.#gradients.Wh, this.#gradients.b];
    this.#buffers = this.#build(1);
  }

  /**
   * hNext = tanh(hPrev Wh + x Wx + b): x `(N, D)`, hPrev `(N, H)` -> `(N, H)`, the layer's own tensor, overwritten by the next forward.
   * Memory is taken when N changes, otherwise never.
   */
  forward(x: Tensor<A>, hPrev: Tensor<A>): Tensor<A> {
    const { Wx, b } = this.#weights;
    checkRows("run RNN forward", "x", x, Wx.shape[0]!);
    const N = x.shape[0]!;
    const buffers = this.#buffers.trace.N === N ? this.#buffers : this.#build(N);
    checkSameShape("run RNN forward", "hPrev", hPrev, buffers.hNext, "pass one row of state for each row of x");
    this.#buffers = buffers;
    const { trace, hNext } = buffers;
    trace.xs.set(x.data);
    trace.hs.set(hPrev.data);
    forwardRnn(this.#weights, trace);
    const count = N * b.data.length;
    for (let i = 0; i < count; i++) hNext.data[i] = trace.hs[count + i]!;
    this.#turn.give();
    return hNext;
  }

  /** dhNext `(N, H)`, the whole gradient by the last forward's hNext, to those by its x and hPrev. Once for each forward. */
  backward(dhNext: Tensor<A>): RnnInputGradients<A> {
    this.#turn.check();
    const { trace, hNext, inputGradients } = this.#buffers;
    checkSameShape("run RNN backward", "dhNext", dhNext, hNext, "pass the gradient by the last forward's output");
    this.#turn.take();
    trace.das.set(dhNext.data);
    backwardRnn(this.#weights, trace, this.#gradients);
    inputGradients.dx.data.set(trace.dxs);
    inputGradients.dhPrev.data.set(trace.dh);
    return inputGradients;
  }

  #build(N: number): StepBuffers<A> {
    const { Wx, b } = this.#weights;
    const rows = [N, b.data.length];
    return {
      trace: createRnnTrace(this.#weights, N, 1),
      hNext: zerosLike(b, rows),
      inputGradients: { dx: zerosLike(b, [N, Wx.shape[0]!]), dhPrev: zerosLike(b, rows) },
    };
  }
}
