// Runs: a feature that says the same again and again, and one that stays away. Lengths beyond the longest so far are taken for Pareto
// distributed, without a scale: sensors that are coarse, or seldom asked, have long runs now and then.
import { log } from "../kernels/log.ts";
import type { RowLayout } from "./row-layout.ts";
import { isMeasured, WARM_UP_READINGS } from "./score-part.ts";
import type { ScoredReading, ScorePart } from "./score-part.ts";

/** Readings that ended a run or began none. */
const ENDS = 0;
const RUN = 1;
const LONGEST = 2;
const LAST = 3;
const FIELDS = 4;

/** The longest run grows by no more than this at once: a sensor that was stuck for a day must be told when it is stuck again. */
const GROWTH_MAX = 2;

abstract class RunPart implements ScorePart {
  abstract readonly kind: string;
  readonly weights: Float64Array;
  readonly expected: Float64Array;
  readonly seen: Float64Array;
  readonly #at: number;
  readonly #features: number;
  /** ln of how many features the most unusual is chosen from. */
  readonly #choice: number;

  constructor(layout: RowLayout, features: number) {
    this.#at = layout.take(FIELDS * features);
    this.#features = features;
    this.#choice = log(features);
    this.weights = new Float64Array(features);
    this.expected = new Float64Array(features);
    this.seen = new Float64Array(features);
  }

  /** By how much a run of twice the length is less probable: 2 to this power. */
  protected abstract readonly exponent: number;
  /** Whether the reading goes on with the run of feature d, whose last measured value was `last`; undefined where that cannot be said. */
  protected abstract goesOn(reading: ScoredReading, d: number, last: number): boolean | undefined;

  begin(row: Float64Array): void {
    row.fill(0, this.#at, this.#at + FIELDS * this.#features);
    for (let d = 0; d < this.#features; d++) row[this.#at + FIELDS * d + LAST] = Number.NaN;
  }

  judge(row: Float64Array, reading: ScoredReading): number {
    let most = 0;
    for (let d = 0; d < this.#features; d++) {
      const surprise = this.#judgeFeature(row, this.#at + FIELDS * d, reading, d);
      this.weights[d] = surprise;
      if (surprise > most) most = surprise;
    }
    return Math.max(most - this.#choice, 0);
  }

  #judgeFeature(row: Float64Array, at: number, reading: ScoredReading, d: number): number {
    const goesOn = this.goesOn(reading, d, row[at + LAST]!);
    this.expected[d] = row[at + LAST]!;
    if (isMeasured(reading, d)) row[at + LAST] = reading.x[reading.xFrom + d]!;
    this.seen[d] = row[at + LAST]!;
    if (goesOn === undefined) return 0;
    const ends = row[at + ENDS]!;
    const longest = row[at + LONGEST]!;
    if (!goesOn) {
      row[at + ENDS] = ends + 1;
      const bound = ends < WARM_UP_READINGS ? Infinity : GROWTH_MAX * (longest + 1) - 1;
      row[at + LONGEST] = Math.max(longest, Math.min(row[at + RUN]!, bound));
      row[at + RUN] = 0;
      return 0;
    }
    const run = row[at + RUN]! + 1;
    row[at + RUN] = run;
    if (run <= longest || ends < WARM_UP_READINGS) return 0;
    return log(ends) + this.exponent * log((run + 1) / (longest + 1));
  }
}

/** A flat line: a sensor that is stuck gives the very value of before. */
export class FlatPart extends RunPart {
  readonly kind = "flat";
  protected readonly exponent = 1;

  protected goesOn(reading: ScoredReading, d: number, last: number): boolean | undefined {
    if (!isMeasured(reading, d) || Number.isNaN(last)) return undefined;
    return reading.x[reading.xFrom + d] === last;
  }
}

/** A dropout: a feature that is missing where it seldom was. */
export class DropoutPart extends RunPart {
  readonly kind = "dropout";
  /** A mark that a value is missing is no matter of a coarse sensor. */
  protected readonly exponent = 2;

  protected goesOn(reading: ScoredReading, d: number): boolean {
    return !isMeasured(reading, d);
  }
}
