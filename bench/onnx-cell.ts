// A network of one cell and a head as an ONNX file, for onnxruntime to run beside the kernels. It has no scaling, which the kernels' step
// does have: the comparison is not in our favour.
import { gatesOf, hiddenOf } from "../src/kernels/network-weights.ts";
import type { CellLayer, NetworkWeights } from "../src/kernels/network-weights.ts";
import { onnx } from "../src/onnx/generated/onnx.js";

const { DataType } = onnx.TensorProto;
const { AttributeType } = onnx.AttributeProto;

/** Our gates (r, z, n; i, f, g, o) in ONNX's order (z, r, h; i, o, f, c). */
const GATE_ORDER = { rnn: [0], gru: [1, 0, 2], lstm: [0, 3, 1, 2] } as const;
const OPERATOR = { rnn: "RNN", gru: "GRU", lstm: "LSTM" } as const;

function bytesOf(values: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** `(G * H, rows)` in ONNX's order out of `(rows, G * H)`. */
function transposed(layer: CellLayer, from: Float32Array, rows: number): Float32Array {
  const H = hiddenOf(layer);
  const width = gatesOf(layer) * H;
  const to = new Float32Array(from.length);
  GATE_ORDER[layer.cell].forEach((ours, theirs) => {
    for (let unit = 0; unit < H; unit++) {
      for (let row = 0; row < rows; row++) to[(theirs * H + unit) * rows + row] = from[row * width + ours * H + unit]!;
    }
  });
  return to;
}

/** `(2 * G * H)`: ONNX adds a second bias, which only a GRU's n has. */
function biases(layer: CellLayer): Float32Array {
  const H = hiddenOf(layer);
  const width = gatesOf(layer) * H;
  const to = new Float32Array(2 * width);
  GATE_ORDER[layer.cell].forEach((ours, theirs) => to.set(layer.b.data.subarray(ours * H, (ours + 1) * H), theirs * H));
  if (layer.cell === "gru") to.set(layer.bn.data, width + 2 * H);
  return to;
}

function port(name: string, shape: readonly (number | string)[]): onnx.ValueInfoProto {
  const dim = shape.map((axis) => (typeof axis === "number" ? { dimValue: axis } : { dimParam: axis }));
  return new onnx.ValueInfoProto({ name, type: { tensorType: { elemType: DataType.FLOAT, shape: { dim } } } });
}

function operatorNode(layer: CellLayer, states: readonly string[]): onnx.NodeProto {
  const attribute = [new onnx.AttributeProto({ name: "hidden_size", type: AttributeType.INT, i: hiddenOf(layer) })];
  if (layer.cell === "gru") {
    const i = layer.linearBeforeReset ? 1 : 0;
    attribute.push(new onnx.AttributeProto({ name: "linear_before_reset", type: AttributeType.INT, i }));
  }
  return new onnx.NodeProto({
    opType: OPERATOR[layer.cell],
    input: ["x", "W", "R", "B", "", ...states.map((name) => `${name}_in`)],
    output: ["all", ...states.map((name) => `${name}_out`)],
    attribute,
  });
}

/** Inputs x `(T, N, D)`, h_in and for an LSTM c_in `(1, N, H)`; outputs y `(T, N, O)`, h_out, c_out. The first layer and the head only. */
export function encodeCell({ layers, head, xMean }: NetworkWeights): Uint8Array {
  const layer = layers[0]!;
  const D = xMean.data.length;
  const H = hiddenOf(layer);
  const O = head.b.data.length;
  const width = gatesOf(layer) * H;
  const states = layer.cell === "lstm" ? ["h", "c"] : ["h"];
  const floats = (name: string, dims: number[], values: Float32Array): onnx.TensorProto =>
    new onnx.TensorProto({ name, dataType: DataType.FLOAT, dims, rawData: bytesOf(values) });
  const graph = new onnx.GraphProto({
    name: "cell",
    initializer: [
      floats("W", [1, width, D], transposed(layer, layer.Wx.data, D)),
      floats("R", [1, width, H], transposed(layer, layer.Wh.data, H)),
      floats("B", [1, 2 * width], biases(layer)),
      floats("head_W", [H, O], head.W.data),
      floats("head_b", [O], head.b.data),
      new onnx.TensorProto({ name: "axis", dataType: DataType.INT64, dims: [1], rawData: bytesOf(BigInt64Array.of(1n)) }),
    ],
    node: [
      operatorNode(layer, states),
      new onnx.NodeProto({ opType: "Squeeze", input: ["all", "axis"], output: ["h"] }),
      new onnx.NodeProto({ opType: "MatMul", input: ["h", "head_W"], output: ["product"] }),
      new onnx.NodeProto({ opType: "Add", input: ["product", "head_b"], output: ["y"] }),
    ],
    input: [port("x", ["T", "N", D]), ...states.map((name) => port(`${name}_in`, [1, "N", H]))],
    output: [port("y", ["T", "N", O]), ...states.map((name) => port(`${name}_out`, [1, "N", H]))],
  });
  return onnx.ModelProto.encode({ irVersion: 8, graph, opsetImport: [{ domain: "", version: 17 }] }).finish();
}
