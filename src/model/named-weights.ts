// The tensors of a model's weights in one fixed order, each with the name that messages use for it.
import { targetsOf } from "../kernels/network-weights.ts";
import { describeShape, sameShape } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { createCellLayer, describeCell } from "./cell-layers.ts";
import type { ModelWeights } from "./model.ts";
import type { ModelSpec } from "./spec.ts";

/** Names such as `layers[0].Wx`, with the weights' own tensors. */
export function namedWeights<A extends FloatArray>(weights: ModelWeights<A>): [name: string, tensor: Tensor<A>][] {
  const named: [string, Tensor<A>][] = [
    ["xMean", weights.xMean],
    ["xScale", weights.xScale],
  ];
  weights.layers.forEach((layer, index) => {
    const name = `layers[${index}]`;
    named.push([`${name}.Wx`, layer.Wx], [`${name}.Wh`, layer.Wh], [`${name}.b`, layer.b]);
    if (layer.cell === "gru") named.push([`${name}.bn`, layer.bn]);
  });
  named.push(["head.W", weights.head.W], ["head.b", weights.head.b], ["yMean", weights.yMean], ["yScale", weights.yScale]);
  return named;
}

/** What is asked of a tensor that only has to have a shape. */
const NO_VALUES = new Float32Array();

function ofShape(...shape: readonly number[]): Tensor {
  return { shape, data: NO_VALUES };
}

/** Tensors of the spec's shapes, without a value. */
function weightShapes(spec: ModelSpec): ModelWeights {
  const D = spec.features.length;
  const O = spec.outputs.length;
  const K = targetsOf(spec.head.kind, O);
  let width = D;
  const layers = spec.layers.map((layer) => {
    const below = width;
    width = layer.hidden;
    return createCellLayer(layer, below, (_, shape) => ofShape(...shape));
  });
  const head = { W: ofShape(width, O), b: ofShape(O) };
  return { xMean: ofShape(D), xScale: ofShape(D), layers, head, yMean: ofShape(K), yScale: ofShape(K) };
}

/** Why `weights` are not those of `spec`, naming the tensor; undefined where they are. */
export function weightShapeProblem(spec: ModelSpec, weights: ModelWeights<FloatArray>): string | undefined {
  if (weights.layers.length !== spec.layers.length) {
    return `there are weights for ${weights.layers.length} layers, and the spec has ${spec.layers.length}`;
  }
  const wanted = weightShapes(spec);
  for (const [index, layer] of wanted.layers.entries()) {
    const [found, meant] = [describeCell(weights.layers[index]!), describeCell(layer)];
    if (found !== meant) return `layers[${index}] is of cell ${found}, and the spec's is ${meant}`;
  }
  const shapes = namedWeights(wanted);
  for (const [index, [name, { shape }]] of namedWeights(weights).entries()) {
    const meant = shapes[index]![1].shape;
    if (!sameShape(shape, meant)) return `${name} has shape ${describeShape(shape)}, and the spec's is ${describeShape(meant)}`;
  }
  return undefined;
}
