// A short window held against a long one, feature by feature: what LevelPart and VariancePart share. Each names the value whose short
// mean should stay near its long one.
import { log } from "../kernels/log.ts";
import type { RowLayout } from "./row-layout.ts";
import { isMeasured } from "./score-part.ts";
import type { ScoredReading, ScorePart } from "./score-part.ts";
import { Tail } from "./tail.ts";

const COUNT = 0;
const SHORT = 1;
const LONG = 2;
/** The mean square of short - long. */
const SQUARES = 3;
export const WINDOW_FIELDS = 4;

/** Readings that the long and the short mean stand for. */
export const LONG_READINGS = 2000;
export const SHORT_READINGS = 12;
/** A difference counts for its own later judgement as no more than this many of its deviations. */
const OUTLIER = 4;

export abstract class WindowPart implements ScorePart {
  abstract readonly kind: string;
  readonly weights: Float64Array;
  readonly expected: Float64Array;
  readonly seen: Float64Array;
  protected readonly at: number;
  readonly #fields: number;
  readonly #features: number;
  readonly #tail: Tail;

  protected constructor(layout: RowLayout, features: number, ownFields: number) {
    this.#fields = WINDOW_FIELDS + ownFields;
    this.#features = features;
    this.at = layout.take(this.#fields * features);
    this.#tail = new Tail(layout);
    this.weights = new Float64Array(features);
    this.expected = new Float64Array(features);
    this.seen = new Float64Array(features);
  }

  /** The value that is averaged, for a feature whose fields begin at `at`, with its own ones behind WINDOW_FIELDS. */
  protected abstract valueOf(row: Float64Array, at: number, x: number): number;
  /** Writes `expected` and `seen` from the long and the short mean of the value. */
  protected abstract explain(d: number, long: number, short: number, x: number): void;

  begin(row: Float64Array): void {
    row.fill(0, this.at, this.at + this.#fields * this.#features);
    this.#tail.begin(row);
  }

  judge(row: Float64Array, reading: ScoredReading): number {
    let most = 0;
    for (let d = 0; d < this.#features; d++) {
      this.weights[d] = 0;
      if (!isMeasured(reading, d)) continue;
      const deviations = this.#judgeFeature(row, this.at + this.#fields * d, reading.x[reading.xFrom + d]!, d);
      this.weights[d] = deviations * deviations;
      if (deviations > most) most = deviations;
    }
    const surprise = this.#tail.surprise(row, most);
    this.#tail.add(row, most);
    return surprise;
  }

  #judgeFeature(row: Float64Array, at: number, x: number, d: number): number {
    const value = this.valueOf(row, at, x);
    const count = row[at + COUNT]! + 1;
    row[at + COUNT] = count;
    row[at + SHORT]! += (value - row[at + SHORT]!) / Math.min(count, SHORT_READINGS);
    const long = row[at + LONG]!;
    const difference = row[at + SHORT]! - long;
    const squares = row[at + SQUARES]!;
    const deviation = Math.sqrt(squares);
    this.explain(d, long, row[at + SHORT]!, x);
    row[at + LONG]! += (value - long) / Math.min(count, LONG_READINGS);
    const bound = count > SHORT_READINGS ? OUTLIER * deviation : Infinity;
    const counted = Math.min(Math.abs(difference), Math.max(bound, 1e-12 * Math.abs(long)));
    row[at + SQUARES]! += (counted * counted - squares) / Math.min(count, LONG_READINGS);
    if (count <= SHORT_READINGS || !(deviation > 0)) return 0;
    return Math.abs(difference) / deviation;
  }
}

/** ln(x) for a ratio that may be 0. */
export function boundedLog(x: number): number {
  return log(Math.max(x, 1e-12));
}
