// Which implementation trains a recurrent layer. Layers ask here, and know only the contract.
import type { CellLayer } from "../kernels/network-weights.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import type { SequenceRun } from "../kernels/sequence-run.ts";
import { SimdSequenceRun } from "../kernels/simd-sequence-run.ts";
import type { FloatArray } from "../kernels/tensor.ts";
import { GruRun } from "./gru-cell.ts";
import { LstmRun } from "./lstm-cell.ts";
import { RnnRun } from "./rnn-cell.ts";

/** In plain TypeScript, over float32, or as the reference over float64. */
export function openPlainRun<A extends FloatArray>(layer: CellLayer<A>, N: number, T: number): SequenceRun<A> {
  switch (layer.cell) {
    case "rnn":
      return new RnnRun(layer, N, T);
    case "gru":
      return new GruRun(layer, N, T);
    case "lstm":
      return new LstmRun(layer, N, T);
  }
}

/**
 * Memory for T steps of N rows through `layer`, whose sizes are taken, not its numbers, on a kernel that `trainingKernel` has named.
 * `replaces` is a run that nobody uses any more, whose memory may be taken over.
 */
export function openRun<A extends FloatArray>(
  kernel: Kernel,
  layer: CellLayer<A>,
  N: number,
  T: number,
  replaces?: SequenceRun<A>,
): SequenceRun<A>;
export function openRun(kernel: Kernel, layer: CellLayer, N: number, T: number, replaces?: SequenceRun): SequenceRun<FloatArray> {
  return kernel === "scalar" ? openPlainRun(layer, N, T) : new SimdSequenceRun(kernel, layer, N, T, replaces);
}
