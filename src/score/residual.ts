// Residuals: readings against what was forecast for them. A forecast waits in the row until its reading comes. Of each feature the
// residuals of all horizons together, in deviations, are judged over several readings: by their mean, which sees a slow or seasonal
// event that no single reading shows, and by their power. Of several features those of one reading are judged as one vector too, by their
// covariance: each may be usual, and not all together.
import { log } from "../kernels/log.ts";
import { Covariance } from "./covariance.ts";
import { boundedSquare, DEVIATION_FIELDS, inDeviations, POWER_READINGS } from "./deviation.ts";
import { recordSurprise, RECORD_FIELDS } from "./record.ts";
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

const MEAN_READINGS = 16;
/** A vector counts for the covariance as no longer than a usual one times this. */
const OUTLIER = 4;

/** Of a feature. */
const COUNT = 0;
const MEAN = 1;
const POWER = 2;
const MEAN_RECORD = 3;
const POWER_RECORD = MEAN_RECORD + RECORD_FIELDS;
const FEATURE_FIELDS = POWER_RECORD + RECORD_FIELDS;

/** Of a forecast: the deviations of the residual as it is, and in the deviations that were forecast for it. */
const FORECAST_FIELDS = 2 * DEVIATION_FIELDS;

export class ResidualPart implements ScorePart {
  readonly kind = "residual";
  static readonly statistics = 3;
  readonly weights: Float64Array;
  readonly expected: Float64Array;
  readonly seen: Float64Array;
  readonly #forecasts: readonly JudgedForecast[];
  /** 0 where nothing is forecast. */
  readonly #features: number;
  /** The most unusual of so many features is what counts: ln of it. */
  readonly #choice: number;
  readonly #featureFields: number;
  readonly #forecastFields: number;
  /** For each forecast its turn, `horizon` means and, with a deviation, as many of those. */
  readonly #rings: readonly number[];
  readonly #ringEnd: number;
  readonly #covariance: Covariance;
  readonly #tail: Tail;
  /** Of each feature: its residual in the deviations forecast for it, and what it adds to the length of the vector. */
  readonly #values: Float64Array;
  readonly #parts: Float64Array;
  /** Of each feature: the sum of its residuals in deviations, and how many there are. */
  readonly #sums: Float64Array;
  readonly #counts: Float64Array;

  constructor(layout: RowLayout, features: number, forecasts: readonly JudgedForecast[]) {
    this.#forecasts = forecasts;
    this.#features = forecasts.length === 0 ? 0 : features;
    this.#choice = log(features);
    this.#featureFields = layout.take(FEATURE_FIELDS * this.#features);
    this.#forecastFields = layout.take(FORECAST_FIELDS * forecasts.length);
    this.#rings = forecasts.map(({ horizon, deviation }) => layout.take(1 + horizon * (deviation === undefined ? 1 : 2)));
    this.#ringEnd = layout.size;
    this.#covariance = new Covariance(layout, this.#features);
    this.#tail = new Tail(layout);
    this.#values = new Float64Array(features);
    this.#parts = new Float64Array(features);
    this.#sums = new Float64Array(features);
    this.#counts = new Float64Array(features);
    this.weights = new Float64Array(features);
    this.expected = new Float64Array(features);
    this.seen = new Float64Array(features);
  }

  begin(row: Float64Array): void {
    row.fill(0, this.#featureFields, this.#featureFields + FEATURE_FIELDS * this.#features);
    row.fill(0, this.#forecastFields, this.#forecastFields + FORECAST_FIELDS * this.#forecasts.length);
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
    this.#sums.fill(0);
    this.#counts.fill(0);
    this.#values.fill(0);
    for (let f = 0; f < this.#forecasts.length; f++) this.#exchange(row, f, reading);
    let known = 0;
    let most = 0;
    this.weights.fill(0);
    for (let d = 0; d < this.#features; d++) {
      if (this.#counts[d] === 0) continue;
      known++;
      this.#values[d]! /= this.#counts[d]!;
      const surprise = this.#judgeFeature(row, this.#featureFields + FEATURE_FIELDS * d, this.#sums[d]! / this.#counts[d]!);
      this.weights[d] = surprise;
      if (surprise > most) most = surprise;
    }
    most = Math.max(most - this.#choice, 0);
    const joint = known > 1 ? this.#judgeVector(row, known) : 0;
    if (joint <= most) return most;
    this.weights.set(this.#parts);
    return joint;
  }

  /** Meets the forecast that is due with its reading, if there is one, and puts the new one in its place. */
  #exchange(row: Float64Array, f: number, reading: ScoredReading): void {
    const { output, feature, horizon, deviation } = this.#forecasts[f]!;
    const ring = this.#rings[f]!;
    const turn = row[ring]!;
    const mean = ring + 1 + turn;
    row[ring] = (turn + 1) % horizon;
    const x = reading.x[reading.xFrom + feature]!;
    const forecast = row[mean]!;
    const scale = deviation === undefined ? 1 : row[mean + horizon]!;
    row[mean] = reading.y[reading.yFrom + output]!;
    if (deviation !== undefined) row[mean + horizon] = reading.y[reading.yFrom + deviation]!;
    const residual = x - forecast;
    if (!Number.isFinite(residual / scale) || !isMeasured(reading, feature)) return;
    this.expected[feature] = forecast;
    this.seen[feature] = x;
    const at = this.#forecastFields + FORECAST_FIELDS * f;
    const inOwn = inDeviations(row, at, residual);
    this.#values[feature]! += deviation === undefined ? inOwn : inDeviations(row, at + DEVIATION_FIELDS, residual / scale);
    this.#sums[feature]! += inOwn;
    this.#counts[feature]!++;
  }

  /** The root mean square of the vector's independent parts is about 1, however many there are. */
  #judgeVector(row: Float64Array, known: number): number {
    const length = Math.sqrt(this.#covariance.distance(row, this.#values, this.#parts) / known);
    const surprise = this.#tail.surprise(row, length);
    this.#tail.add(row, length);
    this.#covariance.add(row, this.#values, length > OUTLIER ? OUTLIER / length : 1);
    return surprise;
  }

  #judgeFeature(row: Float64Array, at: number, deviations: number): number {
    const count = row[at + COUNT]! + 1;
    row[at + COUNT] = count;
    row[at + MEAN]! += (deviations - row[at + MEAN]!) / Math.min(count, MEAN_READINGS);
    row[at + POWER]! += (boundedSquare(deviations) - row[at + POWER]!) / Math.min(count, POWER_READINGS);
    const byMean = recordSurprise(row, at + MEAN_RECORD, row[at + MEAN]!, count);
    const byPower = recordSurprise(row, at + POWER_RECORD, row[at + POWER]!, count);
    return Math.max(byMean, byPower);
  }
}
