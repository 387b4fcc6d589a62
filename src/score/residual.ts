// Residuals: readings against what was forecast for them. A forecast waits in the row until its reading comes; each residual is
// standardised by how large it usually is, and all of a reading are judged as one vector by their running covariance.
import { Covariance } from "./covariance.ts";
import type { RowLayout } from "./row-layout.ts";
import { isMeasured } from "./score-part.ts";
import type { ScoredReading, ScorePart } from "./score-part.ts";
import { Tail } from "./tail.ts";

/** A forecast among the outputs of a step. */
export interface JudgedForecast {
  /** The output that is its mean. */
  readonly output: number;
  readonly feature: number;
  /** Readings ahead. */
  readonly horizon: number;
  /** The output that is its standard deviation, where the head has one. */
  readonly deviation: number | undefined;
}

const READINGS_KEPT = 2000;
/** A residual counts for the statistics as no more than this many of its deviations, a vector as no longer than a usual one times this. */
const OUTLIER = 4;
const COUNT = 0;
const MEAN = 1;
const SQUARES = 2;
const FIELDS = 3;

export class ResidualPart implements ScorePart {
  readonly kind = "residual";
  readonly weights: Float64Array;
  readonly expected: Float64Array;
  readonly seen: Float64Array;
  readonly #forecasts: readonly JudgedForecast[];
  readonly #statistics: number;
  /** For each forecast the rings of `horizon` means and, with a deviation, of as many of those; and its place in them. */
  readonly #rings: readonly number[];
  readonly #ringEnd: number;
  readonly #covariance: Covariance;
  readonly #tail: Tail;
  readonly #values: Float64Array;
  readonly #parts: Float64Array;

  constructor(layout: RowLayout, features: number, forecasts: readonly JudgedForecast[]) {
    this.#forecasts = forecasts;
    this.#statistics = layout.take(FIELDS * forecasts.length);
    this.#rings = forecasts.map(({ horizon, deviation }) => layout.take(1 + horizon * (deviation === undefined ? 1 : 2)));
    this.#ringEnd = layout.size;
    this.#covariance = new Covariance(layout, forecasts.length);
    this.#tail = new Tail(layout);
    this.#values = new Float64Array(forecasts.length);
    this.#parts = new Float64Array(forecasts.length);
    this.weights = new Float64Array(features);
    this.expected = new Float64Array(features);
    this.seen = new Float64Array(features);
  }

  begin(row: Float64Array): void {
    row.fill(0, this.#statistics, this.#statistics + FIELDS * this.#forecasts.length);
    this.#forget(row);
    this.#covariance.begin(row);
    this.#tail.begin(row);
  }

  #forget(row: Float64Array): void {
    if (this.#rings.length === 0) return;
    row.fill(Number.NaN, this.#rings[0], this.#ringEnd);
    for (const ring of this.#rings) row[ring] = 0;
  }

  judge(row: Float64Array, reading: ScoredReading): number {
    if (this.#forecasts.length === 0) return 0;
    // What was forecast before a gap was meant for readings that never came.
    if (reading.broken) this.#forget(row);
    this.weights.fill(0);
    let known = 0;
    for (let f = 0; f < this.#forecasts.length; f++) {
      const value = this.#exchange(row, f, reading);
      this.#values[f] = Number.isNaN(value) ? 0 : value;
      if (!Number.isNaN(value)) known++;
    }
    if (known === 0) return 0;
    const distance = this.#covariance.distance(row, this.#values, this.#parts);
    // The square root of the mean square: about 1, whatever the number of values.
    const length = Math.sqrt(distance / known);
    this.#forecasts.forEach(({ feature }, f) => (this.weights[feature]! += this.#parts[f]!));
    const surprise = this.#tail.surprise(row, length);
    this.#tail.add(row, length);
    this.#covariance.add(row, this.#values, length > OUTLIER ? OUTLIER / length : 1);
    return surprise;
  }

  /** The standardised residual of forecast f, NaN where there is none; the new forecast takes the place of the one that is met. */
  #exchange(row: Float64Array, f: number, reading: ScoredReading): number {
    const { output, feature, horizon, deviation } = this.#forecasts[f]!;
    const ring = this.#rings[f]!;
    const turn = row[ring]!;
    const mean = ring + 1 + turn;
    const spread = mean + horizon;
    row[ring] = (turn + 1) % horizon;
    const x = reading.x[reading.xFrom + feature]!;
    const forecast = row[mean]!;
    const scale = deviation === undefined ? 1 : row[spread]!;
    row[mean] = reading.y[reading.yFrom + output]!;
    if (deviation !== undefined) row[spread] = reading.y[reading.yFrom + deviation]!;
    const residual = (x - forecast) / scale;
    if (!Number.isFinite(residual) || !isMeasured(reading, feature)) return Number.NaN;
    this.expected[feature] = forecast;
    this.seen[feature] = x;
    return this.#standardise(row, this.#statistics + FIELDS * f, residual);
  }

  #standardise(row: Float64Array, at: number, residual: number): number {
    const count = Math.min(row[at + COUNT]! + 1, READINGS_KEPT);
    row[at + COUNT] = count;
    const squares = row[at + SQUARES]!;
    const difference = residual - row[at + MEAN]!;
    const deviation = Math.sqrt(squares);
    const bound = count > 10 ? OUTLIER * deviation : Infinity;
    const counted = Math.min(Math.max(difference, -bound), bound);
    row[at + MEAN]! += counted / count;
    row[at + SQUARES]! += (counted * counted - squares) / count;
    return deviation > 0 ? difference / deviation : 0;
  }
}
