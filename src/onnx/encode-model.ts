// Writes the self-contained model file: graph, numbers and spec in one ONNX ModelProto. The same spec and weights give the same bytes on
// every machine, since the version of a model is the hash of them.
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ModelWeights } from "../model/model.ts";
import { weightShapeProblem } from "../model/named-weights.ts";
import { modelSpecSchema, SPEC_METADATA_KEY } from "../model/spec.ts";
import type { ModelSpec } from "../model/spec.ts";
import { onnx } from "./generated/onnx.js";
import { IR_VERSION, modelGraph, OPSET_VERSION } from "./model-graph.ts";
import type { ModelGraph, NodeEntry, PortEntry, TensorEntry } from "./model-graph.ts";
import { integerTensors, numbersProblem, packWeights } from "./model-tensors.ts";
import { specProblem } from "./spec-problem.ts";

const { DataType } = onnx.TensorProto;
const { AttributeType } = onnx.AttributeProto;

function floatBytes(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i]!, true);
  return bytes;
}

function integerBytes(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setBigInt64(i * 8, BigInt(value), true));
  return bytes;
}

function nodeProto(node: NodeEntry): onnx.NodeProto {
  const attribute = Object.entries(node.attributes).map(([name, value]) =>
    typeof value === "number"
      ? new onnx.AttributeProto({ name, type: AttributeType.INT, i: value })
      : new onnx.AttributeProto({
          name,
          type: AttributeType.STRINGS,
          strings: value.map((word) => new TextEncoder().encode(word)),
        }),
  );
  // A node is named after its first output: a tool that shows the graph shows the names of docs/model-file.md.
  return new onnx.NodeProto({
    name: node.outputs[0]!,
    opType: node.operator,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute,
  });
}

function portProto(port: PortEntry): onnx.ValueInfoProto {
  const dim = port.shape.map((axis) => (typeof axis === "number" ? { dimValue: axis } : { dimParam: axis }));
  return new onnx.ValueInfoProto({ name: port.name, type: { tensorType: { elemType: DataType.FLOAT, shape: { dim } } } });
}

function graphProto(graph: ModelGraph, bytesOf: (tensor: TensorEntry) => Uint8Array): onnx.GraphProto {
  return new onnx.GraphProto({
    name: "hiddenstate",
    node: graph.nodes.map(nodeProto),
    initializer: graph.tensors.map((tensor) => ({
      name: tensor.name,
      dataType: tensor.type === "int64" ? DataType.INT64 : DataType.FLOAT,
      dims: [...tensor.shape],
      rawData: bytesOf(tensor),
    })),
    input: graph.inputs.map(portProto),
    output: graph.outputs.map(portProto),
  });
}

function refusal(spec: ModelSpec, reason: string): HiddenstateError {
  return new HiddenstateError("bad_argument", `cannot export model ${JSON.stringify(spec.name)}: ${reason}`);
}

/** The spec with its fields in the schema's order, whatever order the caller built them in. */
function canonicalSpec(spec: ModelSpec): ModelSpec {
  const parsed = modelSpecSchema.safeParse(spec);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw refusal(spec, `its spec is not one: ${issue.path.join(".")}: ${issue.message}`);
}

/**
 * The `.onnx` file of a model (docs/model-file.md): opset 17, IR version 8. Throws `bad_argument` where weights and spec disagree,
 * where a number is not finite or a scale below 1e-12, and where the file would be larger than `limits.modelBytesMax`.
 */
export function encodeModel(spec: ModelSpec, weights: ModelWeights): Uint8Array {
  const canonical = canonicalSpec(spec);
  const problem = specProblem(spec) ?? weightShapeProblem(spec, weights);
  if (problem !== undefined) throw refusal(spec, problem);
  const floats = packWeights(spec, weights);
  const numberProblem = numbersProblem(spec, floats);
  if (numberProblem !== undefined) throw refusal(spec, numberProblem);
  const integers = integerTensors(spec);
  const graph = graphProto(modelGraph(spec), ({ name, type }) =>
    type === "int64" ? integerBytes(integers.get(name)!) : floatBytes(floats.get(name)!),
  );
  const encoded = onnx.ModelProto.encode({
    irVersion: IR_VERSION,
    producerName: "hiddenstate",
    // The format of the file, not the release that wrote it: the same model keeps its version over releases.
    producerVersion: String(spec.format),
    graph,
    opsetImport: [{ domain: "", version: OPSET_VERSION }],
    metadataProps: [{ key: SPEC_METADATA_KEY, value: JSON.stringify(canonical) }],
  }).finish();
  if (encoded.length > limits.modelBytesMax) {
    throw refusal(spec, `its file would take ${encoded.length} bytes, over the ${limits.modelBytesMax} that are read back`);
  }
  // What protobufjs returns may be a slice of a buffer shared with others.
  return new Uint8Array(encoded);
}
