// Runs: a feature that says the same again and again, and one that stays away. How often a reading goes on with a run is counted, with a
// prior of one in each direction, and the longest run so far is no news: only what goes beyond it is.
import { log } from "../kernels/log.ts";
import type { RowLayout } from "./row-layout.ts";
import { isMeasured, WARM_UP_READINGS } from "./score-part.ts";
import type { ScoredReading, ScorePart } from "./score-part.ts";

const COUNT = 0;
/** Readings that went on with a run. */
const REPEATS = 1;
const RUN = 2;
const LONGEST = 3;
const LAST = 4;
const FIELDS = 5;

const SURPRISE_MAX = 25;

abstract class RunPart implements ScorePart {
  abstract readonly kind: string;
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
    return Math.max(most - log(this.#features), 0);
  }

  #judgeFeature(row: Float64Array, at: number, reading: ScoredReading, d: number): number {
    const goesOn = this.goesOn(reading, d, row[at + LAST]!);
    this.expected[d] = row[at + LAST]!;
    if (isMeasured(reading, d)) row[at + LAST] = reading.x[reading.xFrom + d]!;
    this.seen[d] = row[at + LAST]!;
    if (goesOn === undefined) return 0;
    const count = row[at + COUNT]!;
    // Of the readings before this run, which must not make itself likely; where those are few, nothing is usual yet.
    const before = count - row[at + RUN]!;
    const probability = (row[at + REPEATS]! + 1) / (before + 2);
    row[at + COUNT] = count + 1;
    if (!goesOn) {
      row[at + LONGEST] = Math.max(row[at + LONGEST]!, row[at + RUN]!);
      row[at + REPEATS]! += row[at + RUN]!;
      row[at + RUN] = 0;
      return 0;
    }
    const run = row[at + RUN]! + 1;
    row[at + RUN] = run;
    const beyond = run - row[at + LONGEST]!;
    if (beyond <= 0 || before < WARM_UP_READINGS) return 0;
    return Math.min(-log(probability) * beyond, SURPRISE_MAX);
  }
}

/** A flat line: a sensor that is stuck gives the very value of before. */
export class FlatPart extends RunPart {
  readonly kind = "flat";

  protected goesOn(reading: ScoredReading, d: number, last: number): boolean | undefined {
    if (!isMeasured(reading, d) || Number.isNaN(last)) return undefined;
    return reading.x[reading.xFrom + d] === last;
  }
}

/** A dropout: a feature that is missing where it seldom was. */
export class DropoutPart extends RunPart {
  readonly kind = "dropout";

  protected goesOn(reading: ScoredReading, d: number): boolean {
    return !isMeasured(reading, d);
  }
}
