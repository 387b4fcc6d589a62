// How wrong a stream's forecasts were, by horizon and feature, and so how wide an interval around the next one is honest: the root mean square
// of the errors of those that have met their readings. What a network itself says of a forecast that it made from forecasts leaves out that
// they may be wrong.
//
// All of it is part of a stream's state, three tensors a horizon h:
//   forecasts+h  (h, D): a ring of the forecasts that wait for their readings
//   errors+h     (2, D): how many errors were met, up to `ERRORS_KEPT`, and their mean square
//   ring+h       (2):    where in the ring the next forecast goes, and how many wait
import type { Slot } from "./engine.ts";
import { FloatRows } from "./float-rows.ts";

/** Errors before which nothing is known of them. */
export const ERRORS_MIN = 30;
/** The memory of the mean square, in errors. */
export const ERRORS_KEPT = 500;
/** An error counts as no larger than this many root mean squares: one wild reading is an anomaly and not what is usual. */
const OUTLIER = 6;
/** What never errs is taken to err by this part of the feature's deviation in training: nothing can be held against an interval of no width. */
const DEVIATION_MIN = 1e-6;
/** The largest finite float32. */
const SQUARE_MAX = 3.4028234663852886e38;
/** Tensors of a horizon. */
const TENSORS = 3;

export class ForecastErrors {
  readonly rows: FloatRows;
  readonly #horizons: readonly number[];
  /** `(D)`: each feature's standard deviation on the training rows. */
  readonly #deviations: Float64Array;

  constructor(horizons: readonly number[], deviations: Float64Array) {
    const D = deviations.length;
    this.#horizons = horizons;
    this.#deviations = deviations;
    this.rows = new FloatRows(horizons.flatMap((horizon) => [horizon * D, 2 * D, 2]));
  }

  /** Where tensor `tensor` of the `h`th horizon begins. */
  #at(slot: Slot, h: number, tensor: number): number {
    const { columns, width } = this.rows;
    return slot * width + columns[TENSORS * h + tensor]!.at;
  }

  /** Of the ring at `at`: the forecast that the next reading is for, or else where one goes. A state may come from outside. */
  #turn(at: number, horizon: number): number {
    return Math.abs(Math.trunc(this.rows.values[at]!)) % horizon;
  }

  /** Holds a reading, x `(D)` from `xFrom`, against the forecasts that were made for it. What `missing` marks was not measured. */
  meet(slot: Slot, x: Float32Array, xFrom: number, missing: Uint8Array | undefined): void {
    const D = this.#deviations.length;
    const { values } = this.rows;
    for (let h = 0; h < this.#horizons.length; h++) {
      const horizon = this.#horizons[h]!;
      const ring = this.#at(slot, h, 2);
      if (!(values[ring + 1]! >= horizon)) continue;
      const forecast = this.#at(slot, h, 0) + this.#turn(ring, horizon) * D;
      const errors = this.#at(slot, h, 1);
      for (let d = 0; d < D; d++) {
        const error = x[xFrom + d]! - values[forecast + d]!;
        if (!Number.isFinite(error) || (missing !== undefined && missing[xFrom + d] !== 0)) continue;
        this.#add(errors + d, errors + D + d, error * error);
      }
    }
  }

  #add(counts: number, squares: number, square: number): void {
    const { values } = this.rows;
    const count = values[counts]!;
    const mean = values[squares]!;
    const most = count >= ERRORS_MIN ? OUTLIER * OUTLIER * mean : SQUARE_MAX;
    // What never erred has no root mean square to bound an error by.
    const taken = Math.min(square, most > 0 ? most : SQUARE_MAX);
    const met = Math.min(count + 1, ERRORS_KEPT);
    values[counts] = met;
    values[squares] = mean + (taken - mean) / met;
  }

  /** Notes the forecast of the `h`th horizon that was made after a reading, `(D)` from `from`. */
  wait(slot: Slot, h: number, forecast: Float32Array, from: number): void {
    const D = this.#deviations.length;
    const { values } = this.rows;
    const horizon = this.#horizons[h]!;
    const ring = this.#at(slot, h, 2);
    const turn = this.#turn(ring, horizon);
    const at = this.#at(slot, h, 0) + turn * D;
    for (let d = 0; d < D; d++) values[at + d] = forecast[from + d]!;
    values[ring] = (turn + 1) % horizon;
    values[ring + 1] = Math.min(values[ring + 1]! + 1, horizon);
  }

  /** The standard deviation of a forecast of the `h`th horizon: until `ERRORS_MIN` errors are known the feature's own in training. */
  deviation(slot: Slot, h: number, d: number): number {
    const D = this.#deviations.length;
    const { values } = this.rows;
    const errors = this.#at(slot, h, 1);
    const own = this.#deviations[d]!;
    if (!(values[errors + d]! >= ERRORS_MIN)) return own;
    return Math.max(Math.sqrt(Math.max(values[errors + D + d]!, 0)), DEVIATION_MIN * own);
  }

  /** What waits is for readings that never came. What is known of errors stays. */
  forget(slot: Slot): void {
    const { values } = this.rows;
    for (let h = 0; h < this.#horizons.length; h++) values.fill(0, this.#at(slot, h, 2), this.#at(slot, h, 2) + 2);
  }
}
