// The one graph that a spec means: its tensors, nodes, inputs and outputs by name. The exporter writes it and the importer holds a file
// against it, so a file that loads computes what its spec says. It knows names and shapes, never a number.
import { targetsOf } from "../kernels/network-weights.ts";
import { gateCount } from "../model/cell-layers.ts";
import type { LayerSpec, ModelSpec } from "../model/spec.ts";

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
  /** Whole numbers, and lists of words. */
  readonly attributes: Readonly<Record<string, number | readonly string[]>>;
}

export interface ModelGraph {
  readonly tensors: readonly TensorEntry[];
  readonly nodes: readonly NodeEntry[];
  readonly inputs: readonly PortEntry[];
  readonly outputs: readonly PortEntry[];
}

/** The names of layer `index`'s weights, counted from 1 in the file: ONNX's W `(1, G * H, D)`, R `(1, G * H, H)` and B `(1, 2 * G * H)`. */
export function layerNames(index: number): { readonly W: string; readonly R: string; readonly B: string } {
  const prefix = `layer${index + 1}`;
  return { W: `${prefix}_W`, R: `${prefix}_R`, B: `${prefix}_B` };
}

function node(operator: string, inputs: string[], outputs: string[], attributes: NodeEntry["attributes"] = {}): NodeEntry {
  return { operator, inputs, outputs, attributes };
}

function float(name: string, ...shape: number[]): TensorEntry {
  return { name, type: "float32", shape };
}

function tensorsOf(spec: ModelSpec): TensorEntry[] {
  const D = spec.features.length;
  const O = spec.outputs.length;
  const K = targetsOf(spec.head.kind, O);
  const tensors = [float("x_mean", D), float("x_scale", D)];
  let width = D;
  spec.layers.forEach((layer, index) => {
    const { W, R, B } = layerNames(index);
    const H = layer.hidden;
    const rows = gateCount(layer) * H;
    tensors.push(float(W, 1, rows, width), float(R, 1, rows, H), float(B, 1, 2 * rows));
    width = H;
  });
  tensors.push(float("head_W", width, O), float("head_b", O));
  if (K > 0) tensors.push(float("y_scale", K), float("y_mean", K));
  if (spec.head.kind === "gaussian") tensors.push(float("half", 1), { name: "head_parts", type: "int64", shape: [2] });
  tensors.push({ name: "direction_axis", type: "int64", shape: [1] });
  if (spec.head.residual) tensors.push({ name: "output_features", type: "int64", shape: [K] });
  return tensors;
}

const OPERATORS = { rnn_tanh: "RNN", rnn_relu: "RNN", rnn: "RNN", gru: "GRU", lstm: "LSTM" } as const;

function stateCount({ cell }: LayerSpec): number {
  return cell === "lstm" ? 2 : 1;
}

function layerAttributes(layer: LayerSpec): NodeEntry["attributes"] {
  const activations = "activations" in layer ? layer.activations : layer.cell === "rnn_relu" ? ["Relu"] : undefined;
  return {
    hidden_size: layer.hidden,
    ...(layer.cell === "gru" ? { linear_before_reset: layer.linearBeforeReset ? 1 : 0 } : {}),
    ...(activations === undefined ? {} : { activations }),
  };
}

/** The recurrent layers' nodes, and the name of what the last one puts out, `(T, N, H)`. */
function layerNodes(spec: ModelSpec): { nodes: NodeEntry[]; top: string } {
  const nodes: NodeEntry[] = [];
  let top = "x_scaled";
  let state = 0;
  spec.layers.forEach((layer, index) => {
    const { W, R, B } = layerNames(index);
    const states = spec.states.slice(state, state + stateCount(layer));
    state += states.length;
    // The operators give (T, 1, N, H), the second axis being the direction.
    const [all, h] = [`layer${index + 1}_Y`, `layer${index + 1}_h`];
    const inputs = [top, W, R, B, "", ...states.map(({ input }) => input)];
    const outputs = [all, ...states.map(({ output }) => output)];
    nodes.push(
      node(OPERATORS[layer.cell], inputs, outputs, layerAttributes(layer)),
      node("Squeeze", [all, "direction_axis"], [h]),
    );
    top = h;
  });
  return { nodes, top };
}

/** From the means in standard deviations, `y_standard`, to `out` in units. */
function targetNodes(spec: ModelSpec, out: string): NodeEntry[] {
  const scaled = node("Mul", ["y_standard", "y_scale"], ["y_centred"]);
  if (!spec.head.residual) return [scaled, node("Add", ["y_centred", "y_mean"], [out])];
  return [
    scaled,
    node("Add", ["y_centred", "y_mean"], ["y_change"]),
    node("Gather", ["x", "output_features"], ["y_present"], { axis: 2 }),
    node("Add", ["y_change", "y_present"], [out]),
  ];
}

function headNodes(spec: ModelSpec, top: string): NodeEntry[] {
  const affine = (out: string): NodeEntry[] => [
    node("MatMul", [top, "head_W"], ["head_product"]),
    node("Add", ["head_product", "head_b"], [out]),
  ];
  switch (spec.head.kind) {
    case "regression":
      return [...affine("y_standard"), ...targetNodes(spec, "y")];
    case "gaussian":
      return [
        ...affine("head_sums"),
        node("Split", ["head_sums", "head_parts"], ["y_standard", "log_variance"], { axis: 2 }),
        ...targetNodes(spec, "y_means"),
        node("Mul", ["log_variance", "half"], ["log_deviation"]),
        node("Exp", ["log_deviation"], ["deviation_standard"]),
        node("Mul", ["deviation_standard", "y_scale"], ["y_deviations"]),
        node("Concat", ["y_means", "y_deviations"], ["y"], { axis: 2 }),
      ];
    case "classifier":
      return [...affine("logits"), node("Softmax", ["logits"], ["y"], { axis: 2 })];
  }
}

/** The graph of a spec that `specProblem` has no complaint about. */
export function modelGraph(spec: ModelSpec): ModelGraph {
  const statePorts = (end: "input" | "output"): PortEntry[] =>
    spec.states.map((state) => ({ name: state[end], shape: [1, "N", state.shape[2]!] }));
  const scaling = [node("Sub", ["x", "x_mean"], ["x_centred"]), node("Div", ["x_centred", "x_scale"], ["x_scaled"])];
  const { nodes, top } = layerNodes(spec);
  return {
    tensors: tensorsOf(spec),
    nodes: [...scaling, ...nodes, ...headNodes(spec, top)],
    inputs: [{ name: "x", shape: ["T", "N", spec.features.length] }, ...statePorts("input")],
    outputs: [{ name: "y", shape: ["T", "N", spec.outputs.length] }, ...statePorts("output")],
  };
}
