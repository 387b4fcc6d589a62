// Which implementation trains a recurrent layer. Layers ask here, and know only the contract.
import type { CellLayer } from "../kernels/network-weights.ts";
import type { SequenceRun } from "../kernels/sequence-run.ts";
import type { FloatArray } from "../kernels/tensor.ts";
import { GruRun } from "./gru-cell.ts";
import { LstmRun } from "./lstm-cell.ts";
import { RnnRun } from "./rnn-cell.ts";

/** Memory for T steps of N rows through `layer`, whose sizes are taken, not its numbers. */
export function openRun<A extends FloatArray>(layer: CellLayer<A>, N: number, T: number): SequenceRun<A> {
  switch (layer.cell) {
    case "rnn":
      return new RnnRun(layer, N, T);
    case "gru":
      return new GruRun(layer, N, T);
    case "lstm":
      return new LstmRun(layer, N, T);
  }
}
