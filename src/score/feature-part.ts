// A part that judges features one by one, each by fields of its own: the most unusual feature of a reading is what counts, at the odds
// of the most unusual of so many.
import { log } from "../kernels/log.ts";
import type { RowLayout } from "./row-layout.ts";
import { isMeasured } from "./score-part.ts";
import type { ScoredReading, ScorePart } from "./score-part.ts";

export abstract class FeaturePart implements ScorePart {
  abstract readonly kind: string;
  readonly weights: Float64Array;
  readonly expected: Float64Array;
  readonly seen: Float64Array;
  readonly #at: number;
  readonly #fields: number;
  readonly #features: number;
  /** ln of how many features the most unusual is chosen from. */
  readonly #choice: number;

  protected constructor(layout: RowLayout, features: number, fields: number) {
    this.#at = layout.take(fields * features);
    this.#fields = fields;
    this.#features = features;
    this.#choice = log(features);
    this.weights = new Float64Array(features);
    this.expected = new Float64Array(features);
    this.seen = new Float64Array(features);
  }

  /** -ln P of a measured value of feature d, whose fields begin at `at`, all 0 in a stream without a past; writes `expected` and `seen`. */
  protected abstract judgeFeature(row: Float64Array, at: number, x: number, d: number): number;

  begin(row: Float64Array): void {
    row.fill(0, this.#at, this.#at + this.#fields * this.#features);
  }

  judge(row: Float64Array, reading: ScoredReading): number {
    let most = 0;
    for (let d = 0; d < this.#features; d++) {
      this.weights[d] = 0;
      if (!isMeasured(reading, d)) continue;
      const surprise = this.judgeFeature(row, this.#at + this.#fields * d, reading.x[reading.xFrom + d]!, d);
      this.weights[d] = surprise;
      if (surprise > most) most = surprise;
    }
    return Math.max(most - this.#choice, 0);
  }
}
