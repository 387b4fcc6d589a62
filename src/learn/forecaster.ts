// What forecasts a series row by row: the model, and the simple rules that it is held against. All are asked in the same way, so that
// their errors are of the same rows.
import type { Series } from "./series.ts";

/** A series to walk along, and the rows of the same stream that lie before it, where there are any. */
export interface Walk {
  readonly series: Series;
  readonly past: Series | undefined;
}

export interface Forecaster {
  readonly name: string;
  /** `(O)`, of a forecaster that says how sure it is: the standard deviations of its last forecast, overwritten by the next. */
  readonly deviations?: Float64Array;
  /** A walk begins; nothing is left of the one before. */
  begin(walk: Walk): void;
  /**
   * Writes what this says at `row` of each output's feature `horizon` rows on, `(O)`. Called once for each accepted row, in order; reads
   * nothing after `row`.
   */
  forecast(row: number, into: Float64Array): void;
}

/** A feature's value `row` rows after the walk's first, in the past where it is negative; NaN where it is not known. */
export function valueAt({ series, past }: Walk, features: number, feature: number, row: number): number {
  if (row >= 0) return series.inputs[row * features + feature]!;
  if (past === undefined || past.count + row < 0) return Number.NaN;
  return past.inputs[(past.count + row) * features + feature]!;
}
