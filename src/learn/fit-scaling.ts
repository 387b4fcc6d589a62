// The means and standard deviations that a model carries inside, from the training rows and no others.
import { HiddenstateError } from "../base/errors.ts";
import { tensor } from "../kernels/tensor.ts";
import type { Tensor } from "../kernels/tensor.ts";
import type { ReadingTable } from "../message/reading-table.ts";
import type { ModelScaling } from "../model/initial-weights.ts";
import type { Series } from "./series.ts";

/** What is known of one feature from the training rows, in its unit. Missing values take no part. */
export interface FeatureRange {
  readonly mean: number;
  readonly deviation: number;
  readonly min: number;
  readonly max: number;
}

/** A deviation of less than this part of the values themselves is what float32 makes of rounding. */
const DEVIATION_PART_MIN = 1e-7;
const DEVIATION_MIN = 1e-12;
/** Changes that never vary (a ramp) are scaled by this part of the feature's own deviation. */
const CHANGE_PART_MIN = 1e-6;

interface Moments {
  readonly count: number;
  readonly mean: number;
  readonly deviation: number;
}

/** Mean and population standard deviation, in two passes over the values that are there. */
function momentsOf(forEach: (visit: (value: number) => void) => void): Moments {
  let count = 0;
  let sum = 0;
  forEach((value) => {
    count++;
    sum += value;
  });
  const mean = sum / count;
  let squares = 0;
  forEach((value) => (squares += (value - mean) * (value - mean)));
  return { count, mean, deviation: Math.sqrt(squares / count) };
}

/** Throws `bad_argument` for a feature without a value, or that never changes: nothing can be learned from it. */
export function featureRanges(train: ReadingTable): FeatureRange[] {
  const D = train.features.length;
  return train.features.map((name, d) => {
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    const { count, mean, deviation } = momentsOf((visit) => {
      for (const { values } of train.streams) {
        for (let at = d; at < values.length; at += D) {
          const value = values[at]!;
          if (Number.isNaN(value)) continue;
          min = Math.min(min, value);
          max = Math.max(max, value);
          visit(value);
        }
      }
    });
    if (count === 0) refuse(name, "has no value in the training part");
    if (deviation < Math.max(DEVIATION_MIN, Math.abs(mean) * DEVIATION_PART_MIN)) {
      refuse(name, `never changes in the training part: it is always ${min}`);
    }
    return { mean, deviation, min, max };
  });
}

function refuse(name: string, reason: string): never {
  throw new HiddenstateError("bad_argument", `cannot train: the feature "${name}" ${reason}; leave it out of the features`);
}

function vector(values: readonly number[]): Tensor {
  return tensor(Float32Array.from(values), [values.length]);
}

/**
 * Of the inputs, and of what the head says: each target's value, or with `residual` its change from the present reading. `targets` are
 * the places of the outputs' features, as the series were built with; every output has a target in `series`.
 */
export function fitScaling(
  ranges: readonly FeatureRange[],
  series: readonly Series[],
  targets: readonly number[],
  residual: boolean,
): ModelScaling {
  const D = ranges.length;
  const O = targets.length;
  const outputs = targets.map((feature, o) => {
    const { mean, deviation } = momentsOf((visit) => {
      for (const { count, inputs, targets: values } of series) {
        for (let row = 0; row < count; row++) {
          const value = values[row * O + o]!;
          if (!Number.isNaN(value)) visit(residual ? value - inputs[row * D + feature]! : value);
        }
      }
    });
    return { mean, deviation: Math.max(deviation, CHANGE_PART_MIN * ranges[feature]!.deviation) };
  });
  return {
    xMean: vector(ranges.map(({ mean }) => mean)),
    xScale: vector(ranges.map(({ deviation }) => deviation)),
    yMean: vector(outputs.map(({ mean }) => mean)),
    yScale: vector(outputs.map(({ deviation }) => deviation)),
  };
}
