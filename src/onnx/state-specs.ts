// The state tensors of a stack of recurrent layers, as our model files name them. One place, so that a model's spec, its graph and
// its engines pair the same names.
import { hasNativeActivations } from "../model/native-problem.ts";
import type { LayerSpec, StateSpec } from "../model/spec.ts";

/**
 * A layer's h and, for an LSTM, its c, `(1, 1, H)` at N = 1: `h` (graph input `h_in`, output `h_out`) and `c`, or `h1`, `c1`, `h2`, ... from the
 * bottom of a stack. An h is bounded by 1 where the cell is known to end in a tanh; a c is not
 * bounded.
 */
export function stateSpecs(layers: readonly LayerSpec[]): StateSpec[] {
  return layers.flatMap((layer, index) => {
    const { cell, hidden } = layer;
    const state = (letter: string): StateSpec => {
      const name = layers.length === 1 ? letter : `${letter}${index + 1}`;
      return { name, input: `${name}_in`, output: `${name}_out`, type: "float32", shape: [1, 1, hidden] };
    };
    const isRelu = cell === "rnn_relu" || (cell === "rnn" && layer.activations[0] === "Relu");
    const h = isRelu || !hasNativeActivations(layer) ? state("h") : { ...state("h"), bound: 1 };
    return cell === "lstm" ? [h, state("c")] : [h];
  });
}
