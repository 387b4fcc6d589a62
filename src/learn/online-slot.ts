// One stream of an online learner: its readings in deviations from running statistics, the forecasts that wait for theirs, and how good
// those were. Functions on the views of a slot; nothing is kept here.
import type { WarmUp } from "../engine/engine.ts";
import { exp } from "../kernels/exp.ts";
import type { OnlineWeights } from "./online-network.ts";
import { COUNTERS } from "./online-network.ts";
import type { OnlineState } from "./online-state.ts";
import { writeSeason } from "./season.ts";

/** The last readings, out of which pieces are drawn to learn from. */
export const WINDOW = 1000;
const READINGS_WARM = 500;
/** Readings that the losses are averaged over. */
const LOSS_READINGS = 500;
/** Deviations beyond this are told to the network as this many. */
const INPUT_MAX = 6;
/** A reading counts for the statistics as no further off than this many deviations. */
const OUTLIER = 4;
const OUTLIERS_AFTER = 30;

export const COUNT = COUNTERS;
const LOSS = COUNTERS + 1;
const PERSISTENCE_LOSS = COUNTERS + 2;
const LOSS_COUNT = COUNTERS + 3;
export const NUMBERS = COUNTERS + 4;

/** Views of one slot's tensors. */
export interface Slot {
  readonly state: OnlineState;
  readonly weights: OnlineWeights;
  readonly hidden: readonly Float32Array[];
  /** The last `WINDOW` readings `(WINDOW, D)` and their times: reading number n, from 0, lies at n % WINDOW. */
  readonly window: Float32Array;
  readonly times: Float64Array;
  /** For each horizon a ring of means that are not met yet: `(horizon, D)` one after another. */
  readonly forecasts: Float32Array;
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  readonly numbers: Float64Array;
}

export function openSlot(state: OnlineState, hiddenTensors: number): Slot {
  const [weights, averages, firstMoments, secondMoments] = ["weights", "averages", "firstMoments", "secondMoments"].map((name) =>
    state.view32(name),
  );
  const numbers = state.view64("numbers");
  return {
    state,
    weights: {
      weights: weights!,
      averages: averages!,
      firstMoments: firstMoments!,
      secondMoments: secondMoments!,
      counters: numbers.subarray(0, COUNTERS),
    },
    hidden: Array.from({ length: hiddenTensors }, (_, index) => state.view32(`hidden ${index}`)),
    window: state.view32("window"),
    times: state.view64("times"),
    forecasts: state.view32("forecasts"),
    mean: state.view64("mean"),
    variance: state.view64("variance"),
    numbers,
  };
}

/** A feature that never moved is told in its own units. */
export function deviationOf(variance: number): number {
  return variance > 0 ? Math.sqrt(variance) : 1;
}

/** Holds the forecasts that were made for the reading x `(D)` from `xFrom` against it, and the value of as many readings before. */
export function meetForecasts(slot: Slot, horizons: readonly number[], x: ArrayLike<number>, xFrom: number): void {
  const { numbers, forecasts, window, variance } = slot;
  const count = numbers[COUNT]!;
  const D = variance.length;
  let [squares, persistenceSquares, known] = [0, 0, 0];
  let ring = 0;
  for (const horizon of horizons) {
    const made = (ring + (count % horizon)) * D;
    ring += horizon;
    if (count < horizon) continue;
    const before = ((count - horizon) % WINDOW) * D;
    for (let d = 0; d < D; d++) {
      const deviation = deviationOf(variance[d]!);
      const error = (x[xFrom + d]! - forecasts[made + d]!) / deviation;
      const change = (x[xFrom + d]! - window[before + d]!) / deviation;
      if (!Number.isFinite(error) || !Number.isFinite(change)) continue;
      squares += Math.min(error * error, INPUT_MAX * INPUT_MAX);
      persistenceSquares += Math.min(change * change, INPUT_MAX * INPUT_MAX);
      known++;
    }
  }
  if (known === 0) return;
  const losses = Math.min(numbers[LOSS_COUNT]! + 1, LOSS_READINGS);
  numbers[LOSS_COUNT] = losses;
  numbers[LOSS]! += (squares / known - numbers[LOSS]!) / losses;
  numbers[PERSISTENCE_LOSS]! += (persistenceSquares / known - numbers[PERSISTENCE_LOSS]!) / losses;
}

/** Takes the reading into the statistics and the window. A value that is no number is taken for the last one. */
export function takeIn(slot: Slot, x: ArrayLike<number>, xFrom: number, time: number): void {
  const { numbers, mean, variance, window, times } = slot;
  const count = numbers[COUNT]! + 1;
  numbers[COUNT] = count;
  const D = mean.length;
  const row = (count - 1) % WINDOW;
  times[row] = time;
  for (let d = 0; d < D; d++) {
    const given = x[xFrom + d]!;
    const last = count > 1 ? window[((count - 2) % WINDOW) * D + d]! : 0;
    const value = Number.isFinite(given) ? given : last;
    window[row * D + d] = value;
    if (count === 1) mean[d] = value;
    const bound = count > OUTLIERS_AFTER && variance[d]! > 0 ? OUTLIER * Math.sqrt(variance[d]!) : Infinity;
    const difference = Math.min(Math.max(value - mean[d]!, -bound), bound);
    mean[d]! += difference / count;
    variance[d]! += (difference * difference * ((count - 1) / count) - variance[d]!) / count;
  }
}

/** Writes row `row` of the window in deviations, `(D)`. */
export function writeDeviations({ window, mean, variance }: Slot, row: number, into: Float32Array, at: number): void {
  const D = mean.length;
  for (let d = 0; d < D; d++) {
    const deviations = (window[row * D + d]! - mean[d]!) / deviationOf(variance[d]!);
    into[at + d] = Math.min(Math.max(deviations, -INPUT_MAX), INPUT_MAX);
  }
}

/** What the network takes of row `row` of the window: the features in deviations, and the season. */
export function writeInput(slot: Slot, row: number, into: Float32Array, at: number): void {
  writeDeviations(slot, row, into, at);
  writeSeason(slot.times[row]!, into, at + slot.mean.length);
}

/** From what the network put out after the last reading, means and logarithms of variances `(2 K)`, to y `(2 K)` in the features' units. */
export function giveForecasts(
  { numbers, forecasts, mean, variance }: Slot,
  horizons: readonly number[],
  output: Float32Array,
  y: Float32Array,
  yFrom: number,
): void {
  // The reading itself is number `count` - 1, and a forecast `horizon` on lies where that reading will look for it.
  const count = numbers[COUNT]! - 1;
  const D = mean.length;
  const K = horizons.length * D;
  let ring = 0;
  for (let h = 0; h < horizons.length; h++) {
    const made = (ring + (count % horizons[h]!)) * D;
    ring += horizons[h]!;
    for (let d = 0; d < D; d++) {
      const k = h * D + d;
      const deviation = deviationOf(variance[d]!);
      y[yFrom + k] = mean[d]! + deviation * output[k]!;
      y[yFrom + K + k] = deviation * exp(output[K + k]! / 2);
      forecasts[made + d] = y[yFrom + k]!;
    }
  }
}

export function warmUpOf({ numbers }: Slot): WarmUp {
  const readings = numbers[COUNT]!;
  const loss = numbers[LOSS]!;
  const persistenceLoss = numbers[PERSISTENCE_LOSS]!;
  const warm = readings >= READINGS_WARM && loss < persistenceLoss;
  return { readings, readingsNeeded: READINGS_WARM, loss, persistenceLoss, warm };
}
