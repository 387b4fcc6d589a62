// The numbers of a model, between the layout that steps and trains (input-major, Wx `(D, H)`) and the layout of ONNX's RNN operator
// (W `(1, H, D)`, R `(1, H, H)`, B `(1, 2H)`). Nothing is computed on the way: packing and unpacking keep every bit.
import type { CellLayer } from "../kernels/network-weights.ts";
import { tensor } from "../kernels/tensor.ts";
import type { Tensor } from "../kernels/tensor.ts";
import type { ModelWeights } from "../model/model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { outputFeatures } from "../model/standardisation.ts";
import { layerNames } from "./model-graph.ts";

/** Below this a scale says that its feature never moved, and dividing by it would turn rounding into signal. */
export const SCALE_MIN = 1e-12;

/** File tensors' values by name. */
export type NamedNumbers = ReadonlyMap<string, Float32Array>;

/** A `(columns, rows)` array out of a `(rows, columns)` one. */
function transpose(from: Float32Array, rows: number, columns: number): Float32Array {
  const to = new Float32Array(from.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) to[column * rows + row] = from[row * columns + column]!;
  }
  return to;
}

/** The file's float tensors. `weights` have the spec's shapes. */
export function packWeights(weights: ModelWeights): NamedNumbers {
  const numbers = new Map<string, Float32Array>();
  numbers.set("x_mean", weights.xMean.data).set("x_scale", weights.xScale.data);
  weights.layers.forEach(({ Wx, Wh, b }, index) => {
    const H = b.data.length;
    const { W, R, B } = layerNames(index);
    const biases = new Float32Array(2 * H);
    biases.set(b.data);
    numbers
      .set(W, transpose(Wx.data, Wx.data.length / H, H))
      .set(R, transpose(Wh.data, H, H))
      .set(B, biases);
  });
  numbers.set("head_W", weights.head.W.data).set("head_b", weights.head.b.data);
  return numbers.set("y_scale", weights.yScale.data).set("y_mean", weights.yMean.data);
}

/** The weights out of a file's float tensors, which have the lengths of the spec's graph and pass `numbersProblem`. */
export function unpackWeights(spec: ModelSpec, numbers: NamedNumbers): ModelWeights {
  const O = spec.outputs.length;
  const vector = (name: string): Tensor => {
    const data = numbers.get(name)!;
    return tensor(data, [data.length]);
  };
  let width = spec.features.length;
  const layers = spec.layers.map(({ hidden: H }, index): CellLayer => {
    const D = width;
    width = H;
    const { W, R, B } = layerNames(index);
    return {
      cell: "rnn",
      activation: "tanh",
      Wx: tensor(transpose(numbers.get(W)!, H, D), [D, H]),
      Wh: tensor(transpose(numbers.get(R)!, H, H), [H, H]),
      b: tensor(numbers.get(B)!.slice(0, H), [H]),
    };
  });
  return {
    xMean: vector("x_mean"),
    xScale: vector("x_scale"),
    layers,
    head: { W: tensor(numbers.get("head_W")!, [width, O]), b: vector("head_b") },
    yMean: vector("y_mean"),
    yScale: vector("y_scale"),
  };
}

/** Why a file's float tensors cannot be stepped, naming tensor and place; undefined where they can. */
export function numbersProblem(spec: ModelSpec, numbers: NamedNumbers): string | undefined {
  for (const [name, values] of numbers) {
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong !== -1) return `${name} holds ${values[wrong]} at place ${wrong}`;
  }
  for (const name of ["x_scale", "y_scale"]) {
    const values = numbers.get(name)!;
    const wrong = values.findIndex((value) => value < SCALE_MIN);
    if (wrong !== -1) return `${name} holds ${values[wrong]} at place ${wrong}, and a scale is at least ${SCALE_MIN}`;
  }
  for (const [index, { hidden }] of spec.layers.entries()) {
    const { B } = layerNames(index);
    // ONNX adds two biases; one of them would do, and adding here would change the bits.
    if (
      numbers
        .get(B)!
        .subarray(hidden)
        .some((value) => value !== 0)
    ) {
      return `the second half of ${B} (ONNX's recurrence bias) is not zero; add it to the first half`;
    }
  }
  return undefined;
}

/** The graph's whole-number tensors, which the spec determines. */
export function integerTensors(spec: ModelSpec): ReadonlyMap<string, readonly number[]> {
  const integers = new Map<string, readonly number[]>([["direction_axis", [1]]]);
  if (spec.head.residual) integers.set("output_features", outputFeatures(spec));
  return integers;
}
