// The range check: a value beyond all that a feature has ever had. How far beyond is measured in the span of what it has had.
import { log } from "../kernels/log.ts";
import type { RowLayout } from "./row-layout.ts";
import { isMeasured, WARM_UP_READINGS } from "./score-part.ts";
import type { ScoredReading, ScorePart } from "./score-part.ts";

const COUNT = 0;
const LEAST = 1;
const MOST = 2;
const FIELDS = 3;
/** A value this part of the span beyond it is e times less probable than one just at its edge. */
const SPAN_PART = 0.02;
/** -ln of the least probability; more than a value of its own says nothing. */
const SURPRISE_MAX = 25;

export class RangePart implements ScorePart {
  readonly kind = "range";
  readonly weights: Float64Array;
  readonly expected: Float64Array;
  readonly seen: Float64Array;
  readonly #at: number;
  readonly #features: number;

  constructor(layout: RowLayout, features: number) {
    this.#at = layout.take(FIELDS * features);
    this.#features = features;
    this.weights = new Float64Array(features);
    this.expected = new Float64Array(features);
    this.seen = new Float64Array(features);
  }

  begin(row: Float64Array): void {
    row.fill(0, this.#at, this.#at + FIELDS * this.#features);
  }

  /** Among n + 1 values in any order the last is the largest or least with probability 2 / (n + 1); it falls exponentially beyond. */
  judge(row: Float64Array, reading: ScoredReading): number {
    let most = 0;
    for (let d = 0; d < this.#features; d++) {
      this.weights[d] = 0;
      if (!isMeasured(reading, d)) continue;
      const surprise = this.#judgeFeature(row, this.#at + FIELDS * d, reading.x[reading.xFrom + d]!, d);
      this.weights[d] = surprise;
      if (surprise > most) most = surprise;
    }
    // The most unusual of D features.
    return Math.max(most - log(this.#features), 0);
  }

  #judgeFeature(row: Float64Array, at: number, value: number, d: number): number {
    const count = row[at + COUNT]!;
    row[at + COUNT] = count + 1;
    this.seen[d] = value;
    if (count === 0) {
      row[at + LEAST] = value;
      row[at + MOST] = value;
      return 0;
    }
    const least = row[at + LEAST]!;
    const most = row[at + MOST]!;
    if (value >= least && value <= most) return 0;
    const beyond = value > most ? value - most : least - value;
    this.expected[d] = value > most ? most : least;
    row[at + LEAST] = Math.min(least, value);
    row[at + MOST] = Math.max(most, value);
    if (count < WARM_UP_READINGS) return 0;
    // A feature that never moved has no span: then its own size says what little is.
    const span = Math.max(most - least, 1e-6 * Math.max(Math.abs(most), Math.abs(least)), 1e-12);
    return Math.min(log((count + 1) / 2) + beyond / (SPAN_PART * span), SURPRISE_MAX);
  }
}
