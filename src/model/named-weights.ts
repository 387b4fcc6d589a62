// The tensors of a model's weights in one fixed order, each with the name that messages use for it.
import { describeShape, sameShape } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
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

/** Why `weights` are not those of `spec`, naming the tensor; undefined where they are. */
export function weightShapeProblem(spec: ModelSpec, weights: ModelWeights<FloatArray>): string | undefined {
  if (weights.layers.length !== spec.layers.length) {
    return `there are weights for ${weights.layers.length} layers, and the spec has ${spec.layers.length}`;
  }
  const features = spec.features.length;
  const outputs = spec.outputs.length;
  const shapes: number[][] = [[features], [features]];
  let width = features;
  for (const { hidden } of spec.layers) {
    shapes.push([width, hidden], [hidden, hidden], [hidden]);
    width = hidden;
  }
  shapes.push([width, outputs], [outputs], [outputs], [outputs]);
  for (const [index, [name, { shape }]] of namedWeights(weights).entries()) {
    const wanted = shapes[index]!;
    if (!sameShape(shape, wanted)) return `${name} has shape ${describeShape(shape)}, and the spec's is ${describeShape(wanted)}`;
  }
  return undefined;
}
