// The one graph that a spec means: its tensors, nodes, inputs and outputs by name. The exporter writes it and the importer holds a file
// against it, so a file that loads computes what its spec says. It knows names and shapes, never a number.
import type { ModelSpec } from "../model/spec.ts";

export const OPSET_VERSION = 17;
/** The IR version of onnx 1.10 and later, read by onnxruntime 1.17. */
export const IR_VERSION = 8;

/** An axis: a length, or the name of a length that each run chooses. */
export type Axis = number | string;

export interface TensorEntry {
  readonly name: string;
  readonly type: "float32" | "int64";
  readonly shape: readonly number[];
}

/** A graph input or output; float32. */
export interface PortEntry {
  readonly name: string;
  readonly shape: readonly Axis[];
}

export interface NodeEntry {
  readonly operator: string;
  /** `""` where an optional input is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly integers: Readonly<Record<string, number>>;
}

export interface ModelGraph {
  readonly tensors: readonly TensorEntry[];
  readonly nodes: readonly NodeEntry[];
  readonly inputs: readonly PortEntry[];
  readonly outputs: readonly PortEntry[];
}

/** The names of layer `index`'s weights, counted from 1 in the file: ONNX RNN's W `(1, H, D)`, R `(1, H, H)` and B `(1, 2H)`. */
export function layerNames(index: number): { readonly W: string; readonly R: string; readonly B: string } {
  const prefix = `layer${index + 1}`;
  return { W: `${prefix}_W`, R: `${prefix}_R`, B: `${prefix}_B` };
}

function node(operator: string, inputs: string[], outputs: string[], integers: Record<string, number> = {}): NodeEntry {
  return { operator, inputs, outputs, integers };
}

function float(name: string, ...shape: number[]): TensorEntry {
  return { name, type: "float32", shape };
}

function tensorsOf(spec: ModelSpec): TensorEntry[] {
  const D = spec.features.length;
  const O = spec.outputs.length;
  const tensors = [float("x_mean", D), float("x_scale", D)];
  let width = D;
  spec.layers.forEach(({ hidden: H }, index) => {
    const { W, R, B } = layerNames(index);
    tensors.push(float(W, 1, H, width), float(R, 1, H, H), float(B, 1, 2 * H));
    width = H;
  });
  tensors.push(float("head_W", width, O), float("head_b", O), float("y_scale", O), float("y_mean", O));
  tensors.push({ name: "direction_axis", type: "int64", shape: [1] });
  if (spec.head.residual) tensors.push({ name: "output_features", type: "int64", shape: [O] });
  return tensors;
}

function nodesOf(spec: ModelSpec): NodeEntry[] {
  const nodes = [node("Sub", ["x", "x_mean"], ["x_centred"]), node("Div", ["x_centred", "x_scale"], ["x_scaled"])];
  let below = "x_scaled";
  spec.layers.forEach(({ hidden }, index) => {
    const { W, R, B } = layerNames(index);
    const { input, output } = spec.states[index]!;
    // RNN gives (T, 1, N, H), its second axis being the direction.
    const [all, h] = [`layer${index + 1}_Y`, `layer${index + 1}_h`];
    nodes.push(node("RNN", [below, W, R, B, "", input], [all, output], { hidden_size: hidden }));
    nodes.push(node("Squeeze", [all, "direction_axis"], [h]));
    below = h;
  });
  nodes.push(
    node("MatMul", [below, "head_W"], ["head_product"]),
    node("Add", ["head_product", "head_b"], ["y_standard"]),
    node("Mul", ["y_standard", "y_scale"], ["y_centred"]),
  );
  if (spec.head.residual) {
    nodes.push(
      node("Add", ["y_centred", "y_mean"], ["y_change"]),
      node("Gather", ["x", "output_features"], ["y_present"], { axis: 2 }),
      node("Add", ["y_change", "y_present"], ["y"]),
    );
  } else {
    nodes.push(node("Add", ["y_centred", "y_mean"], ["y"]));
  }
  return nodes;
}

/** The graph of a spec that `specProblem` has no complaint about. */
export function modelGraph(spec: ModelSpec): ModelGraph {
  const statePorts = (end: "input" | "output"): PortEntry[] =>
    spec.states.map((state, index) => ({ name: state[end], shape: [1, "N", spec.layers[index]!.hidden] }));
  return {
    tensors: tensorsOf(spec),
    nodes: nodesOf(spec),
    inputs: [{ name: "x", shape: ["T", "N", spec.features.length] }, ...statePorts("input")],
    outputs: [{ name: "y", shape: ["T", "N", spec.outputs.length] }, ...statePorts("output")],
  };
}

function repeated(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index);
}

/** What keeps a well-formed spec from having a graph; undefined where nothing does. */
export function specProblem(spec: ModelSpec): string | undefined {
  for (const [what, entries] of Object.entries({ feature: spec.features, output: spec.outputs, state: spec.states })) {
    const twice = repeated(entries.map((entry) => entry.name));
    if (twice !== undefined) return `two of the spec's ${what}s are named ${JSON.stringify(twice)}`;
  }
  const strange = spec.outputs.find((output) => spec.features.every((feature) => feature.name !== output.feature));
  if (strange !== undefined)
    return `output ${JSON.stringify(strange.name)} forecasts ${JSON.stringify(strange.feature)}, which is no feature`;
  if (spec.states.length !== spec.layers.length) {
    return `the spec has ${spec.layers.length} layers and ${spec.states.length} states, where each layer has one state`;
  }
  for (const [index, { hidden }] of spec.layers.entries()) {
    const { name, shape, bound } = spec.states[index]!;
    if (shape.join() !== `1,1,${hidden}`) {
      return `state ${JSON.stringify(name)} has shape (${shape.join(", ")}), where layer ${index + 1} keeps (1, 1, ${hidden})`;
    }
    if (bound !== 1) return `state ${JSON.stringify(name)} must have the bound 1 of an rnn_tanh layer`;
  }
  const { tensors, nodes, inputs } = modelGraph(spec);
  const twice = repeated([...tensors, ...inputs].map((entry) => entry.name).concat(nodes.flatMap((entry) => entry.outputs)));
  return twice === undefined ? undefined : `two tensors of its graph would be named ${JSON.stringify(twice)}`;
}
