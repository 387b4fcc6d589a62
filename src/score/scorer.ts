// Scores and alarms of streams, reading by reading: how unlikely a reading is by each part of the scorer, and whether that is an alarm
// within the budget. All that is remembered of a stream lies in its row; replayed readings give the same bits.
import { exp } from "../kernels/exp.ts";
import { log } from "../kernels/log.ts";
import { Interval, WEEK_MS } from "./interval.ts";
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

/**
 * For this many readings an event goes on: only what is e times less probable than the last event is another one. It is about how long
 * the windows of 64 readings need to forget.
 */
const HOLD_OFF_READINGS = 100;
const SCORE_DIGITS = 10;
/** More often than once in so many readings no budget can ask for an alarm. */
const READINGS_PER_ALARM_MIN = 10;

/**
 * What streams show is not independent, so what is claimed to happen once a week may come more or less often. Each alarm makes the next one
 * need an e times lower probability, and each time in which the budget has one without that it came takes it back; no further than this.
 */
const SHIFT_MAX = 4;
/** -ln P that an alarm needs whatever the budget. */
const SURPRISE_MIN = 2;

const COUNT = 0;
/** -ln P of the last event, and for how many readings it still goes on. */
const EVENT = 1;
const EVENT_HOLD = 2;
/** Readings that an open alarm still waits for; 0 where none is open. */
const ALARM_HOLD = 3;
/** How much less probable than by the budget alone a reading must be, as -ln P, for an alarm. */
const SHIFT = 4;
const FIELDS = 5;

export class Scorer {
  /** How many values a stream's row has. */
  readonly rowSize: number;
  readonly #budget: number;
  readonly #at: number;
  readonly #interval: Interval;
  readonly #parts: readonly ScorePart[];
  readonly #variance: VariancePart;
  readonly #flat: FlatPart;
  /** Where in a row what rests on forecasts begins and ends. */
  readonly #residuals: readonly [number, number];
  /** ln of how many statistics are looked at: the least of so many probabilities is what counts. */
  readonly #choice: number;
  #score = 0;
  #event = 0;
  #opened: Alarm | undefined;
  #closed = false;

  constructor(shape: ScorerShape, settings: ScoreSettings) {
    const layout = new RowLayout();
    const D = shape.features.length;
    this.#budget = settings.falseAlarmsPerWeek;
    this.#at = layout.take(FIELDS);
    this.#interval = new Interval(layout);
    this.#variance = new VariancePart(layout, D);
    this.#flat = new FlatPart(layout, D);
    const from = layout.size;
    const residual = new ResidualPart(layout, D, shape.forecasts);
    this.#residuals = [from, layout.size];
    this.#parts = [
      residual,
      new RangePart(layout, D),
      new LevelPart(layout, D),
      this.#variance,
      this.#flat,
      new DropoutPart(layout, D),
    ];
    const ofResiduals = shape.forecasts.length === 0 ? 0 : ResidualPart.statistics;
    this.#choice = log(this.#parts.length - 2 + LevelPart.statistics + ofResiduals);
    this.rowSize = layout.size;
  }

  /** `row`, of `rowSize` values, becomes that of a stream without a past. */
  begin(row: Float64Array): void {
    row.fill(0, this.#at, this.#at + FIELDS);
    this.#interval.begin(row);
    for (const part of this.#parts) part.begin(row);
  }

  /** `row` becomes that of a stream which `before`, of the same features, has judged so far: all goes on but what rests on forecasts. */
  succeed(before: Scorer, from: Float64Array, row: Float64Array): void {
    this.begin(row);
    const [[at], [, end]] = [this.#residuals, before.#residuals];
    row.set(from.subarray(0, at));
    row.set(from.subarray(end), this.#residuals[1]);
  }

  /** The next reading of the stream of `row`, which may have a budget of its own, in false alarms a week. Only an alarm takes memory. */
  judge(row: Float64Array, reading: ScoredReading, budget = this.#budget): void {
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
    surprise = count > WARM_UP_READINGS ? Math.max(surprise - this.#choice, 0) : 0;
    this.#score = scoreOf(surprise);
    const isEvent = this.#holdOff(row, surprise);
    this.#event = isEvent ? this.#score : 0;
    if (most === this.#variance && this.#isFlat()) most = this.#flat;
    this.#alarm(row, surprise, isEvent ? most : undefined, (budget * this.#interval.median(row)) / WEEK_MS);
  }

  /** Whether the feature whose variance is most unusual has none any more: it is in the longest run of its own. */
  #isFlat(): boolean {
    const { weights } = this.#variance;
    let most = 0;
    for (let d = 1; d < weights.length; d++) if (weights[d]! > weights[most]!) most = d;
    return this.#flat.weights[most]! > 0;
  }

  /** Whether the reading begins an event, or is more unlikely than the one that goes on. */
  #holdOff(row: Float64Array, surprise: number): boolean {
    const hold = row[this.#at + EVENT_HOLD]!;
    if (hold > 0) row[this.#at + EVENT_HOLD] = hold - 1;
    if (!(surprise > 0) || (hold > 0 && surprise <= row[this.#at + EVENT]! + 1)) return false;
    row[this.#at + EVENT] = surprise;
    row[this.#at + EVENT_HOLD] = HOLD_OFF_READINGS;
    return true;
  }

  /** `expected`: false alarms in the time of one reading, by the budget. */
  #alarm(row: Float64Array, surprise: number, part: ScorePart | undefined, expected: number): void {
    const count = row[this.#at + COUNT]!;
    this.#opened = undefined;
    this.#closed = false;
    const budget = Math.min(expected, 1 / READINGS_PER_ALARM_MIN);
    const shift = row[this.#at + SHIFT]!;
    const opens = part !== undefined && surprise >= Math.max(shift - log(budget), SURPRISE_MIN);
    const hold = row[this.#at + ALARM_HOLD]!;
    if (count > WARM_UP_READINGS) row[this.#at + SHIFT] = Math.max(shift - budget, -SHIFT_MAX);
    if (opens && hold === 0) {
      const probability = exp(-surprise);
      const extrapolated = count * probability < 1;
      this.#opened = { kind: part.kind, score: this.#score, probability, extrapolated, contributions: contributionsOf(part) };
      row[this.#at + ALARM_HOLD] = HOLD_OFF_READINGS;
      row[this.#at + SHIFT] = Math.min(shift + 1, SHIFT_MAX);
    } else if (hold > 0) {
      row[this.#at + ALARM_HOLD] = opens ? HOLD_OFF_READINGS : hold - 1;
      this.#closed = row[this.#at + ALARM_HOLD] === 0;
    }
  }

  /** Of the reading judged last: its -log10 P / 10, at most 1. About one reading in 1,000 has 0.3 or more, one in a million 0.6. */
  get score(): number {
    return this.#score;
  }

  /**
   * `score` where the reading judged last begins an event or goes on with one by being e times less probable than all of it so far;
   * 0 elsewhere. What a threshold on it marks is events and not each of their readings.
   */
  get event(): number {
    return this.#event;
  }

  /** Whether an alarm of the stream of `row` is open. */
  isAlarming(row: Float64Array): boolean {
    return row[this.#at + ALARM_HOLD]! > 0;
  }

  /** Closes the alarm of the stream of `row`. What the event was by then is still no news. */
  close(row: Float64Array): void {
    row[this.#at + ALARM_HOLD] = 0;
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

/** -ln P as a score: its decimal digits, of which ten are 1. */
function scoreOf(surprise: number): number {
  return Math.min(surprise / (Math.LN10 * SCORE_DIGITS), 1);
}
