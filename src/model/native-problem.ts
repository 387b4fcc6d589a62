// What a model may hold that this project's kernels do not compute. A file of such a model loads, for its graph is the one that its spec
// means; onnxruntime steps it.
import type { LayerSpec, ModelSpec } from "./spec.ts";

/** The operator's name, and the activations with which the kernels compute it. */
function nativeForms({ cell }: LayerSpec): { readonly operator: string; readonly activations: readonly string[] } {
  switch (cell) {
    case "lstm":
      return { operator: "LSTM", activations: ["Sigmoid, Tanh, Tanh"] };
    case "gru":
      return { operator: "GRU", activations: ["Sigmoid, Tanh"] };
    default:
      return { operator: "RNN", activations: ["Tanh", "Relu"] };
  }
}

/** Whether a layer's activations, where it names them, are those that its cell is known by. */
export function hasNativeActivations(layer: LayerSpec): boolean {
  const named = "activations" in layer ? layer.activations : undefined;
  return named === undefined || nativeForms(layer).activations.includes(named.join(", "));
}

/** Why the kernels cannot step a model, naming the graph's node; undefined where they can. */
export function nativeProblem(spec: ModelSpec): string | undefined {
  const index = spec.layers.findIndex((layer) => !hasNativeActivations(layer));
  const layer = spec.layers[index];
  if (layer === undefined || !("activations" in layer)) return undefined;
  const { operator, activations } = nativeForms(layer);
  return (
    `node layer${index + 1}_Y is ${operator} with the activations ${layer.activations!.join(", ")}, ` +
    `and the native engine has it with ${activations.join(" or ")}`
  );
}

/** The same in a sentence that says what to do. */
export function nativeRefusal(spec: ModelSpec): string | undefined {
  const problem = nativeProblem(spec);
  return problem === undefined
    ? undefined
    : `cannot use model ${JSON.stringify(spec.name)} natively: ${problem}; set engine: onnx`;
}
