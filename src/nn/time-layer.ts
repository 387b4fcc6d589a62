// T steps of a cell for N sequences, with a state that it can carry from call to call, whatever the cell: TimeRNN, TimeGRU and TimeLSTM
// add their weights and the names of their states. Gradients stop at the edge of a call: truncated backpropagation through time
// (Williams and Peng, 1990).
import type { CellLayer } from "../kernels/network-weights.ts";
import { hiddenOf } from "../kernels/network-weights.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import type { SequenceRun } from "../kernels/sequence-run.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { BackwardTurn } from "./backward-turn.ts";
import { cellParams, checkCell, createCellGradients } from "./cell-weights.ts";
import { checkSameShape, checkSequences } from "./check-shape.ts";
import { KeptState } from "./kept-state.ts";
import type { RecurrentLayer } from "./layer.ts";
import { openRun } from "./open-run.ts";
import { trainingKernel } from "./training-kernel.ts";
import type { KernelOptions } from "./training-kernel.ts";

interface SequenceBuffers<A extends FloatArray> {
  readonly run: SequenceRun<A>;
  /** `(N, T, H)`, lent by the run. */
  readonly hs: Tensor<A>;
  /** `(N, T, D)`, lent by the run. */
  readonly dxs: Tensor<A>;
  /** `(N, H)` each */
  readonly dStates: readonly Tensor<A>[];
}

/** How a recurrent layer steps. */
export interface TimeLayerOptions extends KernelOptions {
  /**
   * Whether a forward starts from the state that the last one ended with, or that `setState` gave. Without it every forward starts from
   * zeros, whatever `setState` was given.
   */
  readonly stateful?: boolean;
}

/** What TimeRNN, TimeGRU and TimeLSTM have in common: T steps of N sequences a call. */
export abstract class TimeLayer<A extends FloatArray> implements RecurrentLayer<A> {
  readonly params: readonly Tensor<A>[];
  /** For each of `params`: sums over N and T; overwritten by each backward. */
  readonly grads: readonly Tensor<A>[];
  readonly stateful: boolean;
  readonly kernel: Kernel;
  readonly stateCount: number;
  /** What errors call the two calls, made once. */
  readonly #actions: { readonly forward: string; readonly backward: string };
  readonly #cell: CellLayer<A>;
  readonly #gradients: CellLayer<A>;
  readonly #state: KeptState<A>;
  readonly #turn: BackwardTurn;
  #buffers: SequenceBuffers<A>;

  /** `name` is what errors call the layer. Throws `bad_argument` where the cell's weights, which become `params`, do not fit each other. */
  protected constructor(name: string, cell: CellLayer<A>, options: TimeLayerOptions) {
    checkCell(name, cell);
    this.#actions = { forward: `run ${name} forward`, backward: `run ${name} backward` };
    this.#cell = cell;
    this.#gradients = createCellGradients(cell);
    this.params = cellParams(cell);
    this.grads = cellParams(this.#gradients);
    this.stateful = options.stateful ?? false;
    this.kernel = trainingKernel(cell.b, options.kernel);
    const names = cell.cell === "lstm" ? ["h", "c"] : ["h"];
    this.stateCount = names.length;
    this.#state = new KeptState(name, names, hiddenOf(cell), cell.b);
    this.#turn = new BackwardTurn(name);
    this.#buffers = this.#build(1, 1);
  }

  /**
   * Steps the cell: xs `(N, T, D)` -> h of every step `(N, T, H)`, the layer's own tensor, overwritten by the next forward. Memory is
   * taken when N or T changes, otherwise never; the tensor of before is of no use then. Throws `bad_argument` on a wrong shape, or where a
   * stateful layer keeps a state of another batch size; nothing has changed then.
   */
  forward(xs: Tensor<A>): Tensor<A> {
    checkSequences(this.#actions.forward, "xs", xs, this.#cell.Wx.shape[0]!);
    if (this.stateful) this.#state.checkBatch(xs);
    else this.#state.reset();
    const N = xs.shape[0]!;
    const T = xs.shape[1]!;
    if (this.#buffers.run.N !== N || this.#buffers.run.T !== T) this.#buffers = this.#build(N, T, this.#buffers.run);
    const { run, hs } = this.#buffers;
    run.inputs.set(xs.data);
    this.#state.start(run.initial);
    run.forward(this.#cell);
    this.#state.keep(run.final, N);
    this.#turn.give();
    return hs;
  }

  /**
   * The gradient by the last forward's outputs, dhs `(N, T, H)`, to that by its inputs `(N, T, D)`, the layer's own tensor, overwritten
   * by the next backward. Writes `grads` and `stateGradients`. Once for each forward: throws `unavailable` otherwise.
   */
  backward(dhs: Tensor<A>): Tensor<A> {
    this.#runBack(dhs, true);
    return this.#buffers.dxs;
  }

  backwardParams(dhs: Tensor<A>): void {
    this.#runBack(dhs, false);
  }

  #runBack(dhs: Tensor<A>, byInputs: boolean): void {
    this.#turn.check();
    const { run, hs, dStates } = this.#buffers;
    checkSameShape(this.#actions.backward, "dhs", dhs, hs, "pass the gradient by the last forward's output");
    this.#turn.take();
    run.dOutputs.set(dhs.data);
    run.backward(this.#cell, this.#gradients, byInputs);
    for (let index = 0; index < dStates.length; index++) dStates[index]!.data.set(run.dInitial[index]!);
  }

  /** The layer's own tensors, `(N, H)` each: what reached the state before the first step in the last backward; zeros before any. */
  get stateGradients(): readonly Tensor<A>[] {
    return this.#buffers.dStates;
  }

  /** The gradient by h before the first step. */
  get dh(): Tensor<A> {
    return this.#buffers.dStates[0]!;
  }

  /**
   * Keeps copies, from which the next forward of a stateful layer starts. Throws `bad_argument` on another number, width or unequal
   * batch sizes.
   */
  setStates(states: readonly Tensor<A>[]): void {
    this.#state.set(states);
  }

  /** The next forward starts from zeros, with any batch size. */
  resetState(): void {
    this.#state.reset();
  }

  /** Copies of the state after the last forward, or of what was set since; undefined where there is neither. */
  getStates(): Tensor<A>[] | undefined {
    return this.#state.get();
  }

  #build(N: number, T: number, replaces?: SequenceRun<A>): SequenceBuffers<A> {
    const { b, Wx } = this.#cell;
    const H = hiddenOf(this.#cell);
    const run = openRun(this.kernel, this.#cell, N, T, replaces);
    return {
      run,
      hs: { shape: [N, T, H], data: run.outputs },
      dxs: { shape: [N, T, Wx.shape[0]!], data: run.dInputs },
      dStates: Array.from({ length: this.stateCount }, () => zerosLike(b, [N, H])),
    };
  }
}
