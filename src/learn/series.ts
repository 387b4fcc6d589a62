// One stream's rows as the runtime would step them, with what each step should have forecast. It decides what a missing value means for
// learning: as an input the last value is held, as a target it does not exist.
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { TableStream } from "../message/reading-table.ts";

export interface SeriesOptions {
  /** How many features a row has (D). */
  readonly features: number;
  /** The feature that each output forecasts, by place: O of them. */
  readonly targets: readonly number[];
  /** How many rows ahead. */
  readonly horizon: number;
  /** A forecast across a longer pause between two rows does not count. */
  readonly pauseMsMax?: number | undefined;
}

export interface Series {
  readonly key: string;
  readonly count: number;
  readonly times: Float64Array;
  /** `(count, D)`: a missing value holds the last one; NaN before a stream's first. */
  readonly inputs: Float32Array;
  /** `(count)`: 1 where the runtime would accept the reading, 0 where nothing can stand in for a missing value. */
  readonly accepted: Uint8Array;
  /** `(count, O)`: the value `horizon` rows on; NaN where it is missing, past the end, beyond a pause, or the row is not accepted. */
  readonly targets: Float32Array;
}

/**
 * Follows the runtime's rules for `missing: hold`: a value is held for at most `limits.holdReadingsMax` readings, and a reading that
 * cannot be completed is refused whole and changes nothing. Throws `bad_argument` on a value that the runtime would never accept.
 */
export function buildSeries(stream: TableStream, options: SeriesOptions): Series {
  const { key, count, times, values } = stream;
  const { features: D } = options;
  const inputs = new Float32Array(count * D);
  const accepted = new Uint8Array(count);
  const held = new Float32Array(D).fill(Number.NaN);
  const heldFor = new Int32Array(D);
  for (let row = 0; row < count; row++) {
    let complete = true;
    for (let d = 0; d < D; d++) {
      const value = values[row * D + d]!;
      if (Math.abs(value) > limits.featureMagnitudeMax) refuseMagnitude(key, row, value);
      if (Number.isNaN(value) && !(heldFor[d]! < limits.holdReadingsMax && !Number.isNaN(held[d]!))) complete = false;
    }
    for (let d = 0; d < D; d++) {
      const value = values[row * D + d]!;
      if (complete) {
        const isMissing = Number.isNaN(value);
        heldFor[d] = isMissing ? heldFor[d]! + 1 : 0;
        if (!isMissing) held[d] = value;
      }
      inputs[row * D + d] = held[d]!;
    }
    accepted[row] = complete ? 1 : 0;
  }
  return { key, count, times, inputs, accepted, targets: targetsOf(stream, accepted, options) };
}

function targetsOf({ count, times, values }: TableStream, accepted: Uint8Array, options: SeriesOptions): Float32Array {
  const { features: D, targets, horizon, pauseMsMax = Number.POSITIVE_INFINITY } = options;
  const O = targets.length;
  const found = new Float32Array(count * O).fill(Number.NaN);
  let pauseAt = -1;
  // A pause lies between a row and its target where one begins at the row or after it, before the target.
  for (let ahead = 1; ahead < Math.min(horizon, count); ahead++) {
    if (times[ahead]! - times[ahead - 1]! > pauseMsMax) pauseAt = ahead - 1;
  }
  for (let row = 0; row + horizon < count; row++) {
    const target = row + horizon;
    if (times[target]! - times[target - 1]! > pauseMsMax) pauseAt = target - 1;
    if (pauseAt >= row || accepted[row] === 0) continue;
    for (let o = 0; o < O; o++) found[row * O + o] = values[target * D + targets[o]!]!;
  }
  return found;
}

function refuseMagnitude(key: string, row: number, value: number): never {
  const where = key === "" ? `row ${row + 1}` : `row ${row + 1} of ${key}`;
  throw new HiddenstateError(
    "bad_argument",
    `cannot train on ${value} in ${where}: no measurement is beyond ${limits.featureMagnitudeMax}; if it marks a missing value, name it as one`,
  );
}

/** How many values of all outputs there are to forecast. */
export function countTargets({ targets }: Series): number {
  let count = 0;
  for (let i = 0; i < targets.length; i++) if (!Number.isNaN(targets[i]!)) count++;
  return count;
}
