// The weights that training starts from, drawn from a seeded generator: the same spec and seed give the same bits on every machine.
import type { Random } from "../base/random.ts";
import type { CellLayer } from "../kernels/network-weights.ts";
import { zeros } from "../kernels/tensor.ts";
import type { Tensor } from "../kernels/tensor.ts";
import { fillUniform } from "../nn/initializers.ts";
import type { ModelWeights } from "./model.ts";
import type { ModelSpec } from "./spec.ts";

/** Means and standard deviations of the training rows: of the features, and of what the head predicts (values, or changes if residual). */
export type ModelScaling = Pick<ModelWeights, "xMean" | "xScale" | "yMean" | "yScale">;

/**
 * Every weight and bias uniform in +-1 / sqrt(H), as PyTorch starts nn.RNN and nn.Linear; H is the layer's hidden size, and for the head
 * that of the layer below it. `scaling` is taken as it is, not copied.
 */
export function initialWeights(spec: ModelSpec, scaling: ModelScaling, random: Random): ModelWeights {
  const draw = (shape: readonly number[], hidden: number): Tensor => {
    const drawn = zeros(shape);
    fillUniform(drawn, 1 / Math.sqrt(hidden), random);
    return drawn;
  };
  let width = spec.features.length;
  const layers = spec.layers.map(({ hidden }): CellLayer => {
    const below = width;
    width = hidden;
    return {
      cell: "rnn",
      activation: "tanh",
      Wx: draw([below, hidden], hidden),
      Wh: draw([hidden, hidden], hidden),
      b: draw([hidden], hidden),
    };
  });
  const outputs = spec.outputs.length;
  const head = { W: draw([width, outputs], width), b: draw([outputs], width) };
  return { ...scaling, layers, head };
}
