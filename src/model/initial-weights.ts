// The weights that training starts from, drawn from a seeded generator: the same spec and seed give the same bits on every machine.
import type { Random } from "../base/random.ts";
import { zeros } from "../kernels/tensor.ts";
import type { Tensor } from "../kernels/tensor.ts";
import { fillUniform } from "../nn/initializers.ts";
import { createCellLayer } from "./cell-layers.ts";
import type { ModelWeights } from "./model.ts";
import type { ModelSpec } from "./spec.ts";

/** Means and standard deviations of the training rows: of the features, and of what the head predicts (values, or changes if residual). */
export type ModelScaling = Pick<ModelWeights, "xMean" | "xScale" | "yMean" | "yScale">;

/** What an LSTM's forget gates start from besides the draw, so that a state lives long enough to learn from (Jozefowicz et al., 2015). */
const FORGET_BIAS = 1;

/**
 * Every weight and bias uniform in +-1 / sqrt(H), as PyTorch starts nn.RNN, nn.GRU, nn.LSTM and nn.Linear, but that an LSTM's forget gates
 * get 1 on top; H is the layer's hidden size, and for the head that of the layer below it. `scaling` is taken as it is, not copied.
 */
export function initialWeights(spec: ModelSpec, scaling: ModelScaling, random: Random): ModelWeights {
  const draw = (shape: readonly number[], hidden: number): Tensor => {
    const drawn = zeros(shape);
    fillUniform(drawn, 1 / Math.sqrt(hidden), random);
    return drawn;
  };
  let width = spec.features.length;
  const layers = spec.layers.map((layer) => {
    const below = width;
    const H = layer.hidden;
    width = H;
    const drawn = createCellLayer(layer, below, (_, shape) => draw(shape, H));
    // Gates i, f, g, o.
    if (layer.cell === "lstm") for (let j = H; j < 2 * H; j++) drawn.b.data[j]! += FORGET_BIAS;
    return drawn;
  });
  const outputs = spec.outputs.length;
  const head = { W: draw([width, outputs], width), b: draw([outputs], width) };
  return { ...scaling, layers, head };
}
