// One stream of an online learner: its readings in deviations from running statistics, the forecasts that wait for theirs, and how good
// those were. Functions on the views of a slot; nothing is kept here, and the weights are somebody else's.
import type { WarmUp } from "../engine/engine.ts";
import { exp } from "../kernels/exp.ts";
import { COUNTERS } from "./online-network.ts";
import type { OnlineWeights } from "./online-network.ts";
import type { OnlineState, StateLayout } from "./online-state.ts";
import { writeSeason } from "./season.ts";

/** A network makes no forecast of a stream before it: there is nothing yet that could be called usual. */
export const READINGS_BEFORE = 100;
const READINGS_WARM = 500;
/** Readings that the losses are averaged over. */
export const LOSS_READINGS = 500;
/** Deviations beyond this are told to the network as this many. */
const INPUT_MAX = 6;
/** A reading counts for the statistics as no further off than this many deviations. */
const OUTLIER = 4;
const OUTLIERS_AFTER = 30;

/** Places in a slot's `numbers`: readings in all, then how good the forecasts were. */
export const COUNT = 0;
export const LOSSES = 1;
export const NUMBERS = 4;
/** Places from `LOSSES` on: mean squared errors of the forecasts and of the last value, and how many readings they are the means of. */
const LOSS = 0;
const PERSISTENCE_LOSS = 1;
export const LOSS_COUNT = 2;

/** Views of one slot's tensors. */
export interface Slot {
  readonly state: OnlineState;
  readonly hidden: readonly Float32Array[];
  /** The last W readings `(W, D)` and their times `(W)`: reading number n, from 0, lies at n % W. */
  readonly window: Float32Array;
  readonly times: Float64Array;
  /** For each horizon a ring of means that are not met yet: `(horizon, D)` one after another. */
  readonly forecasts: Float32Array;
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  readonly numbers: Float64Array;
}

export interface SlotShape {
  /** Numbers in each tensor of the network's hidden state. */
  readonly hidden: readonly number[];
  /** D, and the readings ahead that are forecast. */
  readonly features: number;
  readonly horizons: readonly number[];
  /** Last readings that are remembered, W, and places in the tensor of numbers. */
  readonly window: number;
  readonly numbers: number;
}

/** The tensors that `openSlot` makes views of. */
export function slotLayout({ hidden, features: D, horizons, window, numbers }: SlotShape): StateLayout {
  const states = Object.fromEntries(hidden.map((length, i) => [`hidden ${i}`, [length]]));
  const pending = horizons.reduce((sum, horizon) => sum + horizon, 0);
  return {
    float32: { ...states, window: [window, D], forecasts: [pending, D] },
    float64: { times: [window], mean: [D], variance: [D], numbers: [numbers] },
  };
}

/** `numbersFrom`: where in the tensor of numbers the slot's own begin. */
export function openSlot(state: OnlineState, hiddenTensors: number, numbersFrom = 0): Slot {
  return {
    state,
    hidden: Array.from({ length: hiddenTensors }, (_, index) => state.view32(`hidden ${index}`)),
    window: state.view32("window"),
    times: state.view64("times"),
    forecasts: state.view32("forecasts"),
    mean: state.view64("mean"),
    variance: state.view64("variance"),
    numbers: state.view64("numbers").subarray(numbersFrom),
  };
}

/** The tensors of a network's `size` weights, without the counters. */
export function weightsLayout(size: number): StateLayout["float32"] {
  return { weights: [size], averages: [size], firstMoments: [size], secondMoments: [size] };
}

/** The weights in a state, with their counters at the beginning of its numbers. */
export function openWeights(state: OnlineState): OnlineWeights {
  return {
    weights: state.view32("weights"),
    averages: state.view32("averages"),
    firstMoments: state.view32("firstMoments"),
    secondMoments: state.view32("secondMoments"),
    counters: state.view64("numbers").subarray(0, COUNTERS),
  };
}

/** A feature that never moved is told in its own units. */
export function deviationOf(variance: number): number {
  return variance > 0 ? Math.sqrt(variance) : 1;
}

/**
 * Holds the forecasts that were made for the reading x `(D)` from `xFrom` against it, and the value of as many readings before: their mean
 * squared errors, in deviations, go to `errors` `(2)`. False where there was no forecast.
 */
export function meetForecasts(
  slot: Slot,
  horizons: readonly number[],
  x: ArrayLike<number>,
  xFrom: number,
  errors: Float64Array,
): boolean {
  const { numbers, forecasts, window, times, variance } = slot;
  const count = numbers[COUNT]!;
  const D = variance.length;
  let [squares, persistenceSquares, known] = [0, 0, 0];
  let ring = 0;
  for (const horizon of horizons) {
    const made = (ring + (count % horizon)) * D;
    ring += horizon;
    // It was made after as many readings less, and there was none so early.
    if (count - horizon + 1 < READINGS_BEFORE) continue;
    const before = ((count - horizon) % times.length) * D;
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
  errors[0] = squares / known;
  errors[1] = persistenceSquares / known;
  return known > 0;
}

/** Averages errors that `meetForecasts` gave into losses from `at` on, as so much of a reading, over the last `most` readings or so. */
export function averageIn(losses: Float64Array, at: number, errors: Float64Array, weight: number, most = LOSS_READINGS): void {
  if (!(weight > 0)) return;
  const count = Math.min(losses[at + LOSS_COUNT]! + weight, most);
  losses[at + LOSS_COUNT] = count;
  losses[at + LOSS]! += ((errors[0]! - losses[at + LOSS]!) * weight) / count;
  losses[at + PERSISTENCE_LOSS]! += ((errors[1]! - losses[at + PERSISTENCE_LOSS]!) * weight) / count;
}

/** Whether the network is told less than how far off a reading x `(D)` from `xFrom` is. */
export function isFar({ mean, variance }: Slot, x: ArrayLike<number>, xFrom: number): boolean {
  for (let d = 0; d < mean.length; d++) {
    if (!(Math.abs(x[xFrom + d]! - mean[d]!) <= INPUT_MAX * deviationOf(variance[d]!))) return true;
  }
  return false;
}

/** Takes the reading into the statistics and the window. A value that is no number is taken for the last one. */
export function takeIn(slot: Slot, x: ArrayLike<number>, xFrom: number, time: number): void {
  const { numbers, mean, variance, window, times } = slot;
  const count = numbers[COUNT]! + 1;
  numbers[COUNT] = count;
  const D = mean.length;
  const row = (count - 1) % times.length;
  times[row] = time;
  for (let d = 0; d < D; d++) {
    const given = x[xFrom + d]!;
    const last = count > 1 ? window[((count - 2) % times.length) * D + d]! : 0;
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

/** What losses from `at` on say after so many readings. */
export function warmUpOf(losses: Float64Array, at: number, readings: number): WarmUp {
  const loss = losses[at + LOSS]!;
  const persistenceLoss = losses[at + PERSISTENCE_LOSS]!;
  const warm = readings >= READINGS_WARM && loss < persistenceLoss;
  return { readings, readingsNeeded: READINGS_WARM, loss, persistenceLoss, warm };
}
