// One step of a tanh cell for N rows. It keeps no state: the state before the step comes in, the state after it goes out, and whoever
// chains steps carries both. TimeRNN does that for T steps without an object a step.
import type { RnnLayer } from "../kernels/network-weights.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import type { SequenceRun } from "../kernels/sequence-run.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { BackwardTurn } from "./backward-turn.ts";
import { cellParams, checkCell, createCellGradients } from "./cell-weights.ts";
import { checkRows, checkSameShape } from "./check-shape.ts";
import { openRun } from "./open-run.ts";
import { trainingKernel } from "./training-kernel.ts";
import type { KernelOptions } from "./training-kernel.ts";

/** The gradients that a step passes back. The layer's own tensors, overwritten by its next backward. */
export interface RnnInputGradients<A extends FloatArray> {
  /** `(N, D)` */
  readonly dx: Tensor<A>;
  /** `(N, H)` */
  readonly dhPrev: Tensor<A>;
}

interface StepBuffers<A extends FloatArray> {
  readonly run: SequenceRun<A>;
  readonly hNext: Tensor<A>;
  readonly inputGradients: RnnInputGradients<A>;
}

/** One step of a tanh cell for N rows; it keeps no state. Whoever chains steps carries the state before and after each. */
export class RNN<A extends FloatArray = Float32Array> {
  readonly params: readonly Tensor<A>[];
  /** For Wx, Wh, b; overwritten by each backward. */
  readonly grads: readonly Tensor<A>[];
  readonly kernel: Kernel;
  readonly #cell: RnnLayer<A>;
  readonly #gradients: ReturnType<typeof createCellGradients<A>>;
  readonly #turn = new BackwardTurn("RNN");
  #buffers: StepBuffers<A>;

  /** Wx `(D, H)`, Wh `(H, H)`, b `(H)`, which become `params` themselves. Throws `bad_argument` where they do not fit each other. */
  constructor(Wx: Tensor<A>, Wh: Tensor<A>, b: Tensor<A>, options: KernelOptions = {}) {
    this.#cell = { cell: "rnn", Wx, Wh, b, activation: "tanh" };
    checkCell("RNN", this.#cell);
    this.kernel = trainingKernel(b, options.kernel);
    this.#gradients = createCellGradients(this.#cell);
    this.params = cellParams(this.#cell);
    this.grads = cellParams(this.#gradients);
    this.#buffers = this.#build(1);
  }

  /**
   * hNext = tanh(hPrev Wh + x Wx + b): x `(N, D)`, hPrev `(N, H)` -> `(N, H)`, the layer's own tensor, overwritten by the next forward.
   * Memory is taken when N changes, otherwise never.
   */
  forward(x: Tensor<A>, hPrev: Tensor<A>): Tensor<A> {
    checkRows("run RNN forward", "x", x, this.#cell.Wx.shape[0]!);
    const N = x.shape[0]!;
    const buffers = this.#buffers.run.N === N ? this.#buffers : this.#build(N);
    checkSameShape("run RNN forward", "hPrev", hPrev, buffers.hNext, "pass one row of state for each row of x");
    this.#buffers = buffers;
    const { run, hNext } = buffers;
    run.inputs.set(x.data);
    run.initial[0]!.set(hPrev.data);
    run.forward(this.#cell);
    hNext.data.set(run.outputs);
    this.#turn.give();
    return hNext;
  }

  /** dhNext `(N, H)`, the whole gradient by the last forward's hNext, to those by its x and hPrev. Once for each forward. */
  backward(dhNext: Tensor<A>): RnnInputGradients<A> {
    this.#turn.check();
    const { run, hNext, inputGradients } = this.#buffers;
    checkSameShape("run RNN backward", "dhNext", dhNext, hNext, "pass the gradient by the last forward's output");
    this.#turn.take();
    run.dOutputs.set(dhNext.data);
    run.backward(this.#cell, this.#gradients, true);
    inputGradients.dx.data.set(run.dInputs);
    inputGradients.dhPrev.data.set(run.dInitial[0]!);
    return inputGradients;
  }

  #build(N: number): StepBuffers<A> {
    const { Wx, b } = this.#cell;
    const rows = [N, b.data.length];
    return {
      run: openRun(this.kernel, this.#cell, N, 1),
      hNext: zerosLike(b, rows),
      inputGradients: { dx: zerosLike(b, [N, Wx.shape[0]!]), dhPrev: zerosLike(b, rows) },
    };
  }
}
