// Training one recurrent layer on a WebAssembly build. Everything of a run lies in one memory; a forward copies the layer's numbers in, a
// backward their gradients out, and both are one call.
import { cellNumber, gatesOf, hiddenOf, stateLengths } from "./network-weights.ts";
import type { CellLayer } from "./network-weights.ts";
import type { SequenceRun } from "./sequence-run.ts";
import { createTrainingInstance } from "./simd-module.ts";
import type { SimdInstance, SimdKernel, TrainingExports } from "./simd-module.ts";

/** the arrays of a run as sequence-layout.ts of the assembly numbers them. */
const ARRAY = {
  Wx: 0,
  Wh: 1,
  b: 2,
  bn: 3,
  dWx: 4,
  dWh: 5,
  db: 6,
  dbn: 7,
  firstH: 8,
  lastH: 9,
  cs: 10,
  dOutputs: 11,
  dh: 12,
  dc: 13,
  outputs: 14,
  dInputs: 15,
  inputs: 16,
} as const;

/** A layer's tensors, in memory of the run: the weights as they come in, or the gradients as they go out. */
interface Numbers {
  readonly Wx: Float32Array;
  readonly Wh: Float32Array;
  readonly b: Float32Array;
  readonly bn: Float32Array;
}

export class SimdSequenceRun implements SequenceRun {
  readonly kernel: SimdKernel;
  readonly N: number;
  readonly T: number;
  readonly inputs: Float32Array;
  readonly initial: readonly Float32Array[];
  readonly final: readonly Float32Array[];
  readonly outputs: Float32Array;
  readonly dOutputs: Float32Array;
  readonly dInputs: Float32Array;
  readonly dInitial: readonly Float32Array[];
  readonly #instance: SimdInstance<TrainingExports>;
  readonly #numbers: Numbers;
  readonly #gradients: Numbers;

  /**
   * A run of N sequences of T steps through layers of the cell and shapes of `layer`. `replaces` is a run that nobody uses any more: its
   * memory is taken over where it is of the same kernel. That the kernel runs here is the caller's word.
   */
  constructor(kernel: SimdKernel, layer: CellLayer, N: number, T: number, replaces?: SequenceRun) {
    this.kernel = kernel;
    this.N = N;
    this.T = T;
    const old = replaces instanceof SimdSequenceRun && replaces.kernel === kernel ? replaces : undefined;
    this.#instance = old === undefined ? createTrainingInstance(kernel) : old.#instance;
    const { exports, memory } = this.#instance;
    const D = layer.Wx.shape[0]!;
    const H = hiddenOf(layer);
    const width = gatesOf(layer) * H;
    exports.openSequence(cellNumber(layer), D, H, N, T);
    const view = (name: keyof typeof ARRAY, length: number, skip = 0): Float32Array => {
      const at = exports.sequenceArray(ARRAY[name]) / 4 + skip;
      return memory.floats.subarray(at, at + length);
    };
    const rows = T * N;
    const hasC = stateLengths([layer]).length === 2;
    this.initial = hasC ? [view("firstH", N * H), view("cs", N * H)] : [view("firstH", N * H)];
    this.final = hasC ? [view("lastH", N * H), view("cs", N * H, rows * H)] : [view("lastH", N * H)];
    this.dOutputs = view("dOutputs", rows * H);
    this.dInitial = hasC ? [view("dh", N * H), view("dc", N * H)] : [view("dh", N * H)];
    this.outputs = view("outputs", rows * H);
    this.dInputs = view("dInputs", rows * D);
    this.inputs = view("inputs", rows * D);
    const bn = layer.cell === "gru" ? H : 0;
    this.#numbers = { Wx: view("Wx", D * width), Wh: view("Wh", H * width), b: view("b", width), bn: view("bn", bn) };
    this.#gradients = { Wx: view("dWx", D * width), Wh: view("dWh", H * width), b: view("db", width), bn: view("dbn", bn) };
  }

  forward(layer: CellLayer): void {
    const { Wx, Wh, b, bn } = this.#numbers;
    Wx.set(layer.Wx.data);
    Wh.set(layer.Wh.data);
    b.set(layer.b.data);
    if (layer.cell === "gru") bn.set(layer.bn.data);
    this.#instance.exports.forwardSequence();
  }

  /** Takes the numbers of the last forward, which `layer` must still have. */
  backward(_layer: CellLayer, grads: CellLayer, byInputs: boolean): void {
    this.#instance.exports.backwardSequence(byInputs);
    const { Wx, Wh, b, bn } = this.#gradients;
    grads.Wx.data.set(Wx);
    grads.Wh.data.set(Wh);
    grads.b.data.set(b);
    if (grads.cell === "gru") grads.bn.data.set(bn);
  }
}
