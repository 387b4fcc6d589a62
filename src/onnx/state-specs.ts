// The state tensors of a stack of recurrent layers, as our model files name them. One place, so that a model's spec, its graph and
// its engines pair the same names.
import type { LayerSpec, StateSpec } from "../model/spec.ts";

/**
 * One state a layer, `(1, 1, H)` at N = 1: `h` (graph input `h_in`, output `h_out`), or `h1`, `h2`, ... from the bottom of a stack.
 * Bounded by 1, since the cell ends in a tanh.
 */
export function stateSpecs(layers: readonly LayerSpec[]): StateSpec[] {
  return layers.map((layer, index) => {
    const name = layers.length === 1 ? "h" : `h${index + 1}`;
    return { name, input: `${name}_in`, output: `${name}_out`, type: "float32", shape: [1, 1, layer.hidden], bound: 1 };
  });
}
