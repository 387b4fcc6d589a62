// Between a spec's layers and the kernels': which cell is which, and which tensors it has.
import type { CellLayer } from "../kernels/network-weights.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import type { LayerSpec } from "./spec.ts";

/** Gates of a cell: G in Wx `(D, G * H)`. */
export function gateCount({ cell }: LayerSpec): number {
  return cell === "lstm" ? 4 : cell === "gru" ? 3 : 1;
}

/**
 * The kernels' layer of a spec's that `nativeProblem` has no complaint about (of another, the same tensors) over D inputs, its tensors
 * by `make`, which is asked for Wx, Wh, b and a GRU's bn in this order.
 */
export function createCellLayer<A extends FloatArray>(
  spec: LayerSpec,
  D: number,
  make: (name: "Wx" | "Wh" | "b" | "bn", shape: readonly number[]) => Tensor<A>,
): CellLayer<A> {
  const H = spec.hidden;
  const columns = gateCount(spec) * H;
  const tensors = { Wx: make("Wx", [D, columns]), Wh: make("Wh", [H, columns]), b: make("b", [columns]) };
  switch (spec.cell) {
    case "rnn_tanh":
      return { cell: "rnn", activation: "tanh", ...tensors };
    case "rnn_relu":
      return { cell: "rnn", activation: "relu", ...tensors };
    case "rnn":
      return { cell: "rnn", activation: spec.activations[0] === "Relu" ? "relu" : "tanh", ...tensors };
    case "gru":
      return { cell: "gru", linearBeforeReset: spec.linearBeforeReset, ...tensors, bn: make("bn", [H]) };
    case "lstm":
      return { cell: "lstm", ...tensors };
  }
}

/** The cell's name with what tells it from others of its kind, for messages. */
export function describeCell(layer: CellLayer<FloatArray>): string {
  switch (layer.cell) {
    case "rnn":
      return `rnn_${layer.activation}`;
    case "gru":
      return `gru with linear_before_reset = ${layer.linearBeforeReset ? 1 : 0}`;
    case "lstm":
      return "lstm";
  }
}
