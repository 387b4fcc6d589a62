// The numbers of a model, between the layout that steps and trains (input-major, gates in PyTorch's order) and the layout of ONNX's
// operators (W `(1, G * H, D)`, R `(1, G * H, H)`, B `(1, 2 * G * H)`, gates in an order of its own). Nothing is computed on the way: packing and
// unpacking keep every bit.
import { hiddenOf, targetsOf } from "../kernels/network-weights.ts";
import type { CellLayer } from "../kernels/network-weights.ts";
import { tensor } from "../kernels/tensor.ts";
import type { Tensor } from "../kernels/tensor.ts";
import { createCellLayer, gateCount } from "../model/cell-layers.ts";
import { outputFeatures } from "../model/forecast-outputs.ts";
import type { ModelWeights } from "../model/model.ts";
import type { LayerSpec, ModelSpec } from "../model/spec.ts";
import { layerNames } from "./model-graph.ts";

/** Below this a scale says that its feature never moved, and dividing by it would turn rounding into signal. */
export const SCALE_MIN = 1e-12;

/** What a logarithm of a variance is multiplied by to be that of a deviation: a tensor of the graph, and no number of the model's. */
const HALF = Float32Array.of(0.5);

/** File tensors' values by name. */
export type NamedNumbers = ReadonlyMap<string, Float32Array>;

/** Where ONNX's gates (z, r, h; i, o, f, c) stand among ours (r, z, n; i, f, g, o). */
const GATES = { rnn: [0], gru: [1, 0, 2], lstm: [0, 3, 1, 2] } as const;

/** ONNX's `(G * H, rows)` out of our `(rows, G * H)`. */
function toFile(layer: CellLayer, { data, shape }: Tensor): Float32Array {
  const [rows, columns] = [shape[0]!, shape[1]!];
  const H = hiddenOf(layer);
  const to = new Float32Array(data.length);
  GATES[layer.cell].forEach((ours, gate) => {
    for (let unit = 0; unit < H; unit++) {
      const at = (gate * H + unit) * rows;
      for (let row = 0; row < rows; row++) to[at + row] = data[row * columns + ours * H + unit]!;
    }
  });
  return to;
}

/** The inverse of `toFile`. */
function fromFile(cell: CellLayer["cell"], from: Float32Array, [rows, columns]: readonly number[], H: number): Float32Array {
  const to = new Float32Array(from.length);
  GATES[cell].forEach((ours, gate) => {
    for (let unit = 0; unit < H; unit++) {
      const at = (gate * H + unit) * rows!;
      for (let row = 0; row < rows!; row++) to[row * columns! + ours * H + unit] = from[at + row]!;
    }
  });
  return to;
}

/** The file's float tensors. `weights` have the spec's shapes. */
export function packWeights(spec: ModelSpec, weights: ModelWeights): NamedNumbers {
  const numbers = new Map<string, Float32Array>();
  numbers.set("x_mean", weights.xMean.data).set("x_scale", weights.xScale.data);
  weights.layers.forEach((layer, index) => {
    const H = hiddenOf(layer);
    const { W, R, B } = layerNames(index);
    const biases = new Float32Array(2 * layer.b.data.length);
    GATES[layer.cell].forEach((ours, gate) => biases.set(layer.b.data.subarray(ours * H, (ours + 1) * H), gate * H));
    // Of the second biases, which ONNX adds, only that of a GRU's n cannot be told as a part of the first.
    if (layer.cell === "gru") biases.set(layer.bn.data, 5 * H);
    numbers.set(W, toFile(layer, layer.Wx)).set(R, toFile(layer, layer.Wh)).set(B, biases);
  });
  numbers.set("head_W", weights.head.W.data).set("head_b", weights.head.b.data);
  if (spec.head.kind !== "classifier") numbers.set("y_scale", weights.yScale.data).set("y_mean", weights.yMean.data);
  if (spec.head.kind === "gaussian") numbers.set("half", HALF);
  return numbers;
}

function unpackLayer(spec: LayerSpec, index: number, D: number, numbers: NamedNumbers): CellLayer {
  const { W, R, B } = layerNames(index);
  const H = spec.hidden;
  const cell = spec.cell === "gru" || spec.cell === "lstm" ? spec.cell : "rnn";
  return createCellLayer(spec, D, (name, shape) => {
    if (name === "Wx" || name === "Wh") return tensor(fromFile(cell, numbers.get(name === "Wx" ? W : R)!, shape, H), shape);
    const biases = numbers.get(B)!;
    if (name === "bn") return tensor(biases.slice(5 * H), shape);
    const b = new Float32Array(shape[0]!);
    GATES[cell].forEach((ours, gate) => b.set(biases.subarray(gate * H, (gate + 1) * H), ours * H));
    return tensor(b, shape);
  });
}

/** The weights out of a file's float tensors, which have the lengths of the spec's graph and pass `numbersProblem`. */
export function unpackWeights(spec: ModelSpec, numbers: NamedNumbers): ModelWeights {
  const O = spec.outputs.length;
  const K = targetsOf(spec.head.kind, O);
  const vector = (name: string, length: number): Tensor => tensor(numbers.get(name) ?? new Float32Array(), [length]);
  let width = spec.features.length;
  const layers = spec.layers.map((layer, index) => {
    const D = width;
    width = layer.hidden;
    return unpackLayer(layer, index, D, numbers);
  });
  return {
    xMean: vector("x_mean", spec.features.length),
    xScale: vector("x_scale", spec.features.length),
    layers,
    head: { W: tensor(numbers.get("head_W")!, [width, O]), b: vector("head_b", O) },
    yMean: vector("y_mean", K),
    yScale: vector("y_scale", K),
  };
}

/** Why a file's float tensors cannot be stepped, naming tensor and place; undefined where they can. */
export function numbersProblem(spec: ModelSpec, numbers: NamedNumbers): string | undefined {
  for (const [name, values] of numbers) {
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong !== -1) return `${name} holds ${values[wrong]} at place ${wrong}`;
  }
  for (const name of ["x_scale", "y_scale"]) {
    const values = numbers.get(name) ?? new Float32Array();
    const wrong = values.findIndex((value) => value < SCALE_MIN);
    if (wrong !== -1) return `${name} holds ${values[wrong]} at place ${wrong}, and a scale is at least ${SCALE_MIN}`;
  }
  const half = numbers.get("half");
  if (half !== undefined && half[0] !== HALF[0]) return `half holds ${half[0]}, and halves`;
  for (const [index, layer] of spec.layers.entries()) {
    const { B } = layerNames(index);
    // ONNX adds two biases; one of them would do, and adding here would change the bits. A GRU's last is not only added.
    const rows = gateCount(layer) * layer.hidden;
    const second = numbers.get(B)!.subarray(rows, layer.cell === "gru" ? rows + 2 * layer.hidden : 2 * rows);
    if (second.some((value) => value !== 0)) {
      const gates = layer.cell === "gru" ? " for z and r" : "";
      return `the second half of ${B} (ONNX's recurrence bias) is not zero${gates}; add it to the first half`;
    }
  }
  return undefined;
}

/** The graph's whole-number tensors, which the spec determines. */
export function integerTensors(spec: ModelSpec): ReadonlyMap<string, readonly number[]> {
  const integers = new Map<string, readonly number[]>([["direction_axis", [1]]]);
  if (spec.head.residual) integers.set("output_features", outputFeatures(spec));
  if (spec.head.kind === "gaussian") integers.set("head_parts", [spec.outputs.length / 2, spec.outputs.length / 2]);
  return integers;
}
