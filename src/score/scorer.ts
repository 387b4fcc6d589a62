// Scores and alarms of streams, reading by reading: how unlikely a reading is by each part of the scorer, and whether that is an alarm
// within the budget. All that is remembered of a stream lies in its row; replayed readings give the same bits.
import { exp } from "../kernels/exp.ts";
import { log } from "../kernels/log.ts";
import { Interval } from "./interval.ts";
import { LevelPart } from "./level.ts";
import { RangePart } from "./range.ts";
import { ResidualPart } from "./residual.ts";
import type { JudgedForecast } from "./residual.ts";
import { RowLayout } from "./row-layout.ts";
import { DropoutPart, FlatPart } from "./run-length.ts";
import { contributionsOf, WARM_UP_READINGS } from "./score-part.ts";
import type { Contribution, ScoredReading, ScorePart } from "./score-part.ts";
import { VariancePart } from "./variance.ts";

export interface ScorerShape {
  /** Their names; D. */
  readonly features: readonly string[];
  /** None for a classifier: then only the features themselves are judged. */
  readonly forecasts: readonly JudgedForecast[];
}

export interface ScoreSettings {
  /** How many alarms a stream may raise in a week where nothing is wrong. */
  readonly falseAlarmsPerWeek: number;
}

export interface Alarm {
  /** The part that found the reading least likely: residual, range, level, variance, flat or dropout. */
  readonly kind: string;
  readonly score: number;
  /** Of a reading as unusual as this, by what the stream has shown. */
  readonly probability: number;
  /** The stream has had too few readings to have shown anything this rare: the probability lies beyond its data. */
  readonly extrapolated: boolean;
  /** The largest first, at most 5. */
  readonly contributions: readonly Contribution[];
}

/** An alarm closes after this many readings that are not near another one. */
const HOLD_OFF_READINGS = 200;
/** Readings at least as unlikely as the budget's probability times this keep an alarm open. */
const CLOSING_FACTOR = 10;
const SCORE_DIGITS = 10;
const WEEK_MS = 7 * 24 * 3_600_000;

const COUNT = 0;
/** Readings that an open alarm still waits for; 0 where none is open. */
const HOLD = 1;
const FIELDS = 2;

export class Scorer {
  /** How many values a stream's row has. */
  readonly rowSize: number;
  readonly #budget: number;
  readonly #at: number;
  readonly #interval: Interval;
  readonly #parts: readonly ScorePart[];
  #score = 0;
  #alarming = false;
  #opened: Alarm | undefined;
  #closed = false;

  constructor(shape: ScorerShape, settings: ScoreSettings) {
    const layout = new RowLayout();
    const D = shape.features.length;
    this.#budget = settings.falseAlarmsPerWeek;
    this.#at = layout.take(FIELDS);
    this.#interval = new Interval(layout);
    this.#parts = [
      new ResidualPart(layout, D, shape.forecasts),
      new RangePart(layout, D),
      new LevelPart(layout, D),
      new VariancePart(layout, D),
      new FlatPart(layout, D),
      new DropoutPart(layout, D),
    ];
    this.rowSize = layout.size;
  }

  /** `row`, of `rowSize` values, becomes that of a stream without a past. */
  begin(row: Float64Array): void {
    row[this.#at + COUNT] = 0;
    row[this.#at + HOLD] = 0;
    this.#interval.begin(row);
    for (const part of this.#parts) part.begin(row);
  }

  /** The next reading of the stream of `row`. Only an alarm takes memory. */
  judge(row: Float64Array, reading: ScoredReading): void {
    const count = row[this.#at + COUNT]! + 1;
    row[this.#at + COUNT] = count;
    this.#interval.add(row, reading.time);
    let surprise = 0;
    let most = this.#parts[0]!;
    for (let index = 0; index < this.#parts.length; index++) {
      const part = this.#parts[index]!;
      const own = part.judge(row, reading);
      if (!(own > surprise)) continue;
      surprise = own;
      most = part;
    }
    // The least of as many probabilities.
    surprise = count > WARM_UP_READINGS ? Math.max(surprise - log(this.#parts.length), 0) : 0;
    this.#score = Math.min(surprise / (Math.LN10 * SCORE_DIGITS), 1);
    this.#alarm(row, surprise, most, count);
  }

  #alarm(row: Float64Array, surprise: number, part: ScorePart, count: number): void {
    this.#opened = undefined;
    this.#closed = false;
    const perReading = Math.min((this.#budget * this.#interval.median(row)) / WEEK_MS, 0.1);
    const opensAt = -log(perReading);
    const hold = row[this.#at + HOLD]!;
    if (surprise >= opensAt && hold === 0) {
      const probability = exp(-surprise);
      const extrapolated = count * probability < 1;
      this.#opened = { kind: part.kind, score: this.#score, probability, extrapolated, contributions: contributionsOf(part) };
    }
    if (surprise >= opensAt || (hold > 0 && surprise >= opensAt - log(CLOSING_FACTOR))) row[this.#at + HOLD] = HOLD_OFF_READINGS;
    else if (hold > 0) {
      row[this.#at + HOLD] = hold - 1;
      this.#closed = hold === 1;
    }
    this.#alarming = row[this.#at + HOLD]! > 0;
  }

  /** Of the reading judged last: its -log10 P / 10, at most 1. About one reading in 1,000 has 0.3 or more, one in a million 0.6. */
  get score(): number {
    return this.#score;
  }

  /** An alarm is open. */
  get alarming(): boolean {
    return this.#alarming;
  }

  /** The alarm that the reading judged last has opened. */
  get opened(): Alarm | undefined {
    return this.#opened;
  }

  /** The reading judged last has closed an alarm. */
  get closed(): boolean {
    return this.#closed;
  }
}
