// The one measure of how far two engines are apart. Relative to the quantity's own scale: 1e-5 of an absolute pressure is below the last
// place of a float32, and 1e-5 of a value near zero would ask for nothing.
import type { ModelSpec } from "../model/spec.ts";

/** Engines further apart than this are not the same model. */
export const PARITY_TOLERANCE = 1e-5;

/** The worst differences of two engines by the parity measure. */
export interface ParityDifference {
  outputs: number;
  states: number;
}

/** |a - b| / max(scale, |b|). Where either is not finite: 0 for the same infinity, else infinite, NaN beside NaN included. */
export function parityDifference(a: number, b: number, scale: number): number {
  if (a === b) return 0;
  const difference = Math.abs(a - b) / Math.max(scale, Math.abs(b));
  return Number.isNaN(difference) ? Infinity : difference;
}

/** The outputs' scales, `(O)`: their features' standard deviations on the training rows. A state's scale is 1. */
export function outputScales(spec: ModelSpec): Float64Array {
  return Float64Array.from(spec.outputs, (output) => output.deviation);
}

/** The worst difference between `count` values of `a` from `aAt` and of `b` from `bAt`, value i on the scale `scales[i % scales.length]`. */
export function worstDifference(
  a: ArrayLike<number>,
  aAt: number,
  b: ArrayLike<number>,
  bAt: number,
  count: number,
  scales: Float64Array,
): number {
  let worst = 0;
  for (let i = 0; i < count; i++) {
    worst = Math.max(worst, parityDifference(a[aAt + i]!, b[bAt + i]!, scales[i % scales.length]!));
  }
  return worst;
}

/** Whether both stay within the tolerance. */
export function isWithin({ outputs, states }: ParityDifference): boolean {
  return outputs <= PARITY_TOLERANCE && states <= PARITY_TOLERANCE;
}
