// The same weights in other tensors: a copy to keep, or the float64 twin that judges.
import type { CellLayer } from "../kernels/network-weights.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import type { ModelWeights } from "./model.ts";

function mapLayer<A extends FloatArray, B extends FloatArray>(
  layer: CellLayer<A>,
  map: (from: Tensor<A>) => Tensor<B>,
): CellLayer<B> {
  const tensors = { Wx: map(layer.Wx), Wh: map(layer.Wh), b: map(layer.b) };
  switch (layer.cell) {
    case "rnn":
      return { cell: "rnn", activation: layer.activation, ...tensors };
    case "gru":
      return { cell: "gru", linearBeforeReset: layer.linearBeforeReset, ...tensors, bn: map(layer.bn) };
    case "lstm":
      return { cell: "lstm", ...tensors };
  }
}

/** Weights of the same structure with each tensor replaced by `map` of it: `copyTensor`, `toFloat64`. */
export function mapWeights<A extends FloatArray, B extends FloatArray>(
  weights: ModelWeights<A>,
  map: (from: Tensor<A>) => Tensor<B>,
): ModelWeights<B> {
  return {
    xMean: map(weights.xMean),
    xScale: map(weights.xScale),
    layers: weights.layers.map((layer) => mapLayer(layer, map)),
    head: { W: map(weights.head.W), b: map(weights.head.b) },
    yMean: map(weights.yMean),
    yScale: map(weights.yScale),
  };
}
