// Readings for holding engines against each other: such as the model was trained on, and such as a broken sensor sends.
import { limits } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import type { ModelWeights } from "../model/model.ts";

export type ParityInputs = "usual" | "extreme";

/** How many standard deviations from the mean an extreme value lies. */
const FAR = 1e6;
/** Steps spent on one pattern before the next. */
const PATTERN_STEPS = 8;

function withinLimits(value: number): number {
  return Math.max(-limits.featureMagnitudeMax, Math.min(limits.featureMagnitudeMax, value));
}

/**
 * x `(T, N, D)` in the sensors' units. `usual`: normal, with the model's own means and deviations. `extreme`: in turn usual readings,
 * every feature a million deviations off and changing sides, zeros as a dead sensor sends, and one feature far off among usual ones.
 */
export function parityInputs(
  kind: ParityInputs,
  weights: ModelWeights,
  random: Random,
  steps: number,
  count: number,
): Float32Array {
  const { xMean, xScale } = weights;
  const D = xMean.data.length;
  const x = new Float32Array(steps * count * D);
  for (let row = 0; row < steps * count; row++) {
    const t = Math.floor(row / count);
    const pattern = kind === "usual" ? 0 : Math.floor(t / PATTERN_STEPS) % 4;
    const side = t % 2 === 0 ? FAR : -FAR;
    const odd = random.uint32() % D;
    for (let d = 0; d < D; d++) {
      const normal = random.normal();
      const isFar = pattern === 1 || (pattern === 3 && d === odd);
      const value = xMean.data[d]! + xScale.data[d]! * (isFar ? side : normal);
      x[row * D + d] = pattern === 2 ? 0 : withinLimits(value);
    }
  }
  return x;
}
