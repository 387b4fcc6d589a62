// Holds a file's graph against the one its spec means. Nodes, inputs and outputs are compared as lines of text, so that whatever
// differs (an operator, a name, an attribute, an axis) is both found and shown by the same words.
import { onnx } from "./generated/onnx.js";
import { OPSET_VERSION } from "./model-graph.ts";
import type { Axis, ModelGraph, NodeEntry, PortEntry } from "./model-graph.ts";

const { DataType } = onnx.TensorProto;
const { AttributeType } = onnx.AttributeProto;

/** A name as it is where it reads as one, quoted where it holds anything that could pass for the line's own punctuation. */
function quote(name: string): string {
  return /^\w*$/.test(name) ? name : JSON.stringify(name);
}

/** A list of words, which may hold anything. */
function words(values: readonly string[]): string {
  return `[${values.map((value) => quote(value)).join(", ")}]`;
}

function nodeLine(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly string[],
): string {
  const options = attributes.length === 0 ? "" : ` {${attributes.toSorted().join(", ")}}`;
  return `${operator}(${inputs.map(quote).join(", ")}) -> (${outputs.map(quote).join(", ")})${options}`;
}

function wantedNode({ operator, inputs, outputs, attributes }: NodeEntry): string {
  return nodeLine(
    operator,
    inputs,
    outputs,
    Object.entries(attributes).map(([name, value]) => `${name}: ${typeof value === "number" ? value : words(value)}`),
  );
}

function foundValue({ type, i, strings }: onnx.IAttributeProto): string {
  if (type === AttributeType.INT) return String(Number(i ?? 0));
  if (type === AttributeType.STRINGS) return words((strings ?? []).map((bytes) => Buffer.from(bytes).toString()));
  return AttributeType[type ?? 0]?.toLowerCase() ?? `type ${type}`;
}

function foundNode(node: onnx.INodeProto): string {
  const attributes = (node.attribute ?? []).map((attribute) => `${quote(attribute.name ?? "")}: ${foundValue(attribute)}`);
  // ONNX's own operators have two spellings; any other domain shows before the operator's name.
  const domain = (node.domain ?? "") === "ai.onnx" ? "" : (node.domain ?? "");
  return nodeLine(quote(domain) + quote(node.opType ?? ""), node.input ?? [], node.output ?? [], attributes);
}

function portLine(name: string, type: string, axes: readonly Axis[]): string {
  return `${quote(name)}: ${type} (${axes.map((axis) => quote(String(axis))).join(", ")})`;
}

function wantedPort({ name, shape }: PortEntry): string {
  return portLine(name, "float32", shape);
}

function foundPort(port: onnx.IValueInfoProto): string {
  const tensor = port.type?.tensorType;
  const axes = (tensor?.shape?.dim ?? []).map((dim) => dim.dimParam ?? Number(dim.dimValue ?? 0));
  const found = DataType[tensor?.elemType ?? 0] ?? `type ${tensor?.elemType}`;
  return portLine(port.name ?? "", tensor?.elemType === DataType.FLOAT ? "float32" : found.toLowerCase(), axes);
}

function firstDifference(what: string, found: readonly string[], wanted: readonly string[]): string | undefined {
  const place = wanted.findIndex((line, index) => line !== found[index]);
  if (place === -1)
    return found.length === wanted.length ? undefined : `it has ${found.length} ${what}s, and the spec means ${wanted.length}`;
  const line = found[place];
  const seen = line === undefined ? "missing" : JSON.stringify(line.slice(0, 200));
  return `${what} ${place + 1} is ${seen}, and the spec means ${JSON.stringify(wanted[place])}`;
}

/** Where a file's graph differs from `wanted`, in words; undefined where it does not. Tensors' types and numbers are not its business. */
export function graphProblem(proto: onnx.IModelProto, wanted: ModelGraph): string | undefined {
  const versions = (proto.opsetImport ?? []).map((set) => `${set.domain ?? ""} ${Number(set.version ?? 0)}`.trim());
  if (versions.join() !== String(OPSET_VERSION)) {
    return `it imports operator set ${JSON.stringify(versions.join(", ").slice(0, 200))}, and not ${OPSET_VERSION} alone`;
  }
  return (
    firstDifference("node", (proto.graph?.node ?? []).map(foundNode), wanted.nodes.map(wantedNode)) ??
    firstDifference("input", (proto.graph?.input ?? []).map(foundPort), wanted.inputs.map(wantedPort)) ??
    firstDifference("output", (proto.graph?.output ?? []).map(foundPort), wanted.outputs.map(wantedPort))
  );
}
