// The same weights in other tensors: a copy to keep, or the float64 twin that judges.
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import type { ModelWeights } from "./model.ts";

/** Weights of the same structure with each tensor replaced by `map` of it: `copyTensor`, `toFloat64`. */
export function mapWeights<A extends FloatArray, B extends FloatArray>(
  weights: ModelWeights<A>,
  map: (from: Tensor<A>) => Tensor<B>,
): ModelWeights<B> {
  return {
    xMean: map(weights.xMean),
    xScale: map(weights.xScale),
    layers: weights.layers.map(({ Wx, Wh, b }) => ({ Wx: map(Wx), Wh: map(Wh), b: map(b) })),
    head: { W: map(weights.head.W), b: map(weights.head.b) },
    yMean: map(weights.yMean),
    yScale: map(weights.yScale),
  };
}
