// Where training of a forecaster starts: from a network that already remembers. A recurrence that neither shrinks nor stretches its state
// much, fed by inputs small enough to stay where tanh is almost straight, holds the last readings apart (Jaeger, 2001: echo states).
import type { Random } from "../base/random.ts";
import { initialWeights } from "../model/initial-weights.ts";
import type { ModelScaling } from "../model/initial-weights.ts";
import type { ModelWeights } from "../model/model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { fillOrthogonal, fillUniform } from "../nn/initializers.ts";

const RECURRENT_GAIN = 0.9;
/** Of the first layer's input weights where there is one feature; of D features each gets 1 / sqrt(D) of it. */
const INPUT_BOUND = 0.3;
const BIAS_BOUND = 0.1;

/** The head and the upper layers' input weights start as `initialWeights` has them. `scaling` is taken as it is, not copied. */
export function startingWeights(spec: ModelSpec, scaling: ModelScaling, random: Random): ModelWeights {
  const weights = initialWeights(spec, scaling, random.fork());
  for (const { cell, Wh, b } of weights.layers) {
    // Gates remember by themselves, and start as they are.
    if (cell !== "rnn") continue;
    fillOrthogonal(Wh, random.fork(), RECURRENT_GAIN);
    fillUniform(b, BIAS_BOUND, random.fork());
  }
  const [first] = weights.layers;
  if (first!.cell === "rnn") fillUniform(first!.Wx, INPUT_BOUND / Math.sqrt(spec.features.length), random.fork());
  return weights;
}
