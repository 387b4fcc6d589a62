// Reads a model file back: ONNX bytes from anywhere to spec and numbers, or one `bad_model` error that names what is wrong. The spec
// says which graph the file must hold; a file whose graph differs anywhere is refused, so what loads is what the spec describes.
import { createHash } from "node:crypto";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { countOf, describeShape, sameShape } from "../kernels/tensor.ts";
import type { Model } from "../model/model.ts";
import { parseModelSpec, SPEC_METADATA_KEY } from "../model/spec.ts";
import type { ModelSpec } from "../model/spec.ts";
import { graphProblem } from "./graph-problem.ts";
import { onnx } from "./generated/onnx.js";
import { modelGraph } from "./model-graph.ts";
import type { TensorEntry } from "./model-graph.ts";
import { integerTensors, numbersProblem, unpackWeights } from "./model-tensors.ts";
import { specProblem } from "./spec-problem.ts";
import { structureBytes } from "./structure-bytes.ts";

const { DataType, DataLocation } = onnx.TensorProto;

/** Throws the one error that a file is refused with. */
type Refuse = (reason: string, cause?: unknown) => never;

function decodeProto(bytes: Uint8Array, refuse: Refuse): onnx.ModelProto {
  if (bytes.length > limits.modelBytesMax) refuse(`it has ${bytes.length} bytes, over ${limits.modelBytesMax}`);
  try {
    const structure = structureBytes(bytes);
    if (structure <= limits.modelStructureBytesMax) return onnx.ModelProto.decode(bytes);
    return refuse(`it holds ${structure} bytes besides its tensors' numbers, over ${limits.modelStructureBytesMax}`);
  } catch (thrown) {
    if (thrown instanceof HiddenstateError) throw thrown;
    return refuse(`it is not an ONNX file, or is cut short (${reasonOf(thrown)})`, thrown);
  }
}

function specOf(proto: onnx.ModelProto, origin: string, refuse: Refuse): ModelSpec {
  const entries = proto.metadataProps.filter((entry) => entry.key === SPEC_METADATA_KEY);
  if (entries.length === 0) refuse(`it has no ${SPEC_METADATA_KEY} in its metadata; hiddenstate train writes files that have`);
  if (entries.length > 1) refuse(`it has ${SPEC_METADATA_KEY} ${entries.length} times in its metadata`);
  const spec = parseModelSpec(entries[0]!.value ?? "", origin);
  const problem = specProblem(spec);
  if (problem !== undefined) refuse(problem);
  return spec;
}

const TYPES = { float32: DataType.FLOAT, int64: DataType.INT64 } as const;
const VALUE_BYTES = { float32: 4, int64: 8 } as const;

/** A view of the tensor's bytes, of the entry's type and shape. */
function rawNumbers(proto: onnx.ITensorProto, entry: TensorEntry, refuse: Refuse): DataView {
  const { name, type, shape } = entry;
  if (proto.dataLocation === DataLocation.EXTERNAL || (proto.externalData?.length ?? 0) > 0) {
    refuse(`tensor ${name} lies in another file, and a model is one file`);
  }
  if (proto.dataType !== TYPES[type]) {
    const found = DataType[proto.dataType ?? 0] ?? `type ${proto.dataType}`;
    refuse(`tensor ${name} is ${found.toLowerCase()}, and the spec wants ${type}`);
  }
  const dims = (proto.dims ?? []).map(Number);
  if (!sameShape(dims, shape)) {
    refuse(`tensor ${name} has shape ${describeShape(dims.slice(0, 8))}, and the spec wants ${describeShape(shape)}`);
  }
  const raw = proto.rawData ?? new Uint8Array();
  const wanted = countOf(shape) * VALUE_BYTES[type];
  if (raw.length !== wanted) refuse(`tensor ${name} has ${raw.length} bytes of raw_data, and its shape takes ${wanted}`);
  return new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
}

function readFloats(view: DataView): Float32Array {
  const values = new Float32Array(view.byteLength / 4);
  for (let i = 0; i < values.length; i++) values[i] = view.getFloat32(i * 4, true);
  return values;
}

function checkIntegers(view: DataView, name: string, wanted: readonly number[], refuse: Refuse): void {
  wanted.forEach((value, i) => {
    const found = view.getBigInt64(i * 8, true);
    if (found !== BigInt(value)) refuse(`tensor ${name} holds ${found} at place ${i}, and the spec means ${value}`);
  });
}

/** Every float tensor of the spec's graph by name, whole-number tensors checked on the way. */
function readTensors(graph: onnx.IGraphProto, spec: ModelSpec, refuse: Refuse): Map<string, Float32Array> {
  const found = new Map<string, onnx.ITensorProto>();
  for (const proto of graph.initializer ?? []) {
    const name = proto.name ?? "";
    if (found.has(name)) refuse(`two tensors are named ${JSON.stringify(name.slice(0, 128))}`);
    found.set(name, proto);
  }
  const floats = new Map<string, Float32Array>();
  const integers = integerTensors(spec);
  for (const entry of modelGraph(spec).tensors) {
    const proto = found.get(entry.name);
    if (proto === undefined) refuse(`tensor ${entry.name} is missing`);
    const view = rawNumbers(proto, entry, refuse);
    if (entry.type === "int64") checkIntegers(view, entry.name, integers.get(entry.name)!, refuse);
    else floats.set(entry.name, readFloats(view));
    found.delete(entry.name);
  }
  const [extra] = found.keys();
  if (extra !== undefined) refuse(`the spec knows no tensor ${JSON.stringify(extra.slice(0, 128))}`);
  return floats;
}

/**
 * A model from the bytes of its file, which it keeps; they must not change afterwards. Weights are copied out. `origin` (a path) opens
 * the message of what it throws: `bad_model` for anything but a file that `encodeModel` could have written.
 */
export function decodeModel(bytes: Uint8Array, origin: string): Model {
  return decodeModelOf(bytes, origin, createHash("sha256").update(bytes).digest("hex"));
}

/** The same where the SHA-256 of the bytes is known already: to take it of megabytes at once keeps others waiting. */
export function decodeModelOf(bytes: Uint8Array, origin: string, version: string): Model {
  const refuse: Refuse = (reason, cause) => {
    throw new HiddenstateError("bad_model", `cannot use model ${origin}: ${reason}`, cause);
  };
  const proto = decodeProto(bytes, refuse);
  const spec = specOf(proto, origin, refuse);
  const graph = proto.graph ?? refuse("it has no graph");
  const numbers = readTensors(graph, spec, refuse);
  const problem = graphProblem(proto, modelGraph(spec)) ?? numbersProblem(spec, numbers);
  if (problem !== undefined) refuse(problem);
  return { spec, version, bytes, weights: unpackWeights(spec, numbers) };
}
