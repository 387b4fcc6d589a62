// The scores of one group's streams: a row of numbers a stream, judged when a reading has been stepped. Live and in a replay the rows
// move by the same lines, from the outputs that the journal keeps, so a replay on another kernel scores as the first run did.
import { isDeepStrictEqual } from "node:util";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { HiddenstateError } from "../base/errors.ts";
import { grown } from "../base/grown.ts";
import type { ReadingsEvent } from "../journal/events.ts";
import { decodeAlarm, encodeAlarm } from "../message/alarm.ts";
import type { Alarm, Verdict } from "../message/alarm.ts";
import { alarmOutput, scoreOutput } from "../message/score-outputs.ts";
import { targetsOf } from "../kernels/network-weights.ts";
import type { ModelSpec } from "../model/spec.ts";
import { Scorer } from "../score/scorer.ts";
import type { ScorerShape, ScoreSettings } from "../score/scorer.ts";
import type { ScoredReading } from "../score/score-part.ts";
import { AlarmNotes } from "./alarm-notes.ts";

/** What a scored group adds to each reading's outputs: the score, and 1 while an alarm is open. */
export const SCORE_OUTPUTS = [scoreOutput, alarmOutput] as const;

/** What of a model's outputs can be held against a later reading; classes cannot, nor can what names no feature of the model. */
function shapeOf({ features, outputs, head }: ModelSpec): ScorerShape {
  const names = features.map(({ name }) => name);
  const targets = targetsOf(head.kind, outputs.length);
  const forecasts = outputs.slice(0, targets).flatMap(({ feature, horizon }, output) => {
    const column = feature === undefined ? -1 : names.indexOf(feature);
    if (column < 0 || horizon === undefined) return [];
    return [{ output, feature: column, horizon, deviation: head.kind === "gaussian" ? targets + output : undefined }];
  });
  return { features: names, forecasts };
}

function outputNamesOf({ outputs }: ModelSpec): string[] {
  return [...outputs.map(({ name }) => name), ...SCORE_OUTPUTS];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Where an event's readings and outputs lie. */
export interface Steps {
  /** `(staged, D)`, the event's readings from row `first` on. */
  readonly x: Float32Array;
  readonly first: number;
  /** Rows of `yWidth` numbers, the model's outputs in front, the event's from row `yFirst` on. */
  readonly y: Float32Array;
  readonly yFirst: number;
  readonly yWidth: number;
}

/** What an event says of its readings once they are judged. */
export interface Scored {
  /** `(count, O + 2)`, valid until the next event is judged. */
  readonly outputs: Float32Array;
  readonly alarms: readonly Uint8Array[];
  readonly muted: boolean;
}

/** A reading of a stream, for a message that is about its alarms. */
export type ReadingLabel = Pick<Alarm, "stream" | "boot" | "nonce" | "sequence" | "time">;

/** What is new about a stream's alarms; what is absent is as it was. */
export interface AlarmChange {
  readonly muted?: number;
  readonly said?: Verdict;
}

const NOTHING = new Float32Array(0);

export class GroupScores {
  #outputNames: readonly string[];
  readonly notes = new AlarmNotes();
  readonly #features: readonly string[];
  #shape: ScorerShape;
  #settings: ScoreSettings;
  #scorer: Scorer;
  /** `(rows, rowSize)`. */
  #rows = new Float64Array(0);
  /** By staged reading: 1 where a gap lies before it. */
  #broken = new Uint8Array(64);
  /** `(count, O + 2)` of the event at hand. */
  #outputs = new Float32Array(64);
  /** What is judged, filled for each reading. */
  readonly #reading: Writable<ScoredReading> = {
    x: NOTHING,
    xFrom: 0,
    missing: undefined,
    missingFrom: 0,
    y: NOTHING,
    yFrom: 0,
    time: 0,
    broken: false,
  };

  constructor(spec: ModelSpec, settings: ScoreSettings) {
    this.#shape = shapeOf(spec);
    this.#features = this.#shape.features;
    this.#outputNames = outputNamesOf(spec);
    this.#settings = settings;
    this.#scorer = new Scorer(this.#shape, settings);
  }

  /** The model's outputs, then the score's. */
  get outputNames(): readonly string[] {
    return this.#outputNames;
  }

  /**
   * Judges by other settings and outputs from now on, of the same features; what the streams have shown so far stays, and so do budgets of
   * their own.
   */
  follow(spec: ModelSpec, settings: ScoreSettings): void {
    const [shape, scorer] = [this.#shape, this.#scorer];
    this.#shape = shapeOf(spec);
    this.#outputNames = outputNamesOf(spec);
    this.#settings = settings;
    this.#scorer = new Scorer(this.#shape, settings);
    if (isDeepStrictEqual(shape, this.#shape)) return;
    const rows = this.#rows;
    const count = rows.length / scorer.rowSize;
    this.#rows = new Float64Array(count * this.#scorer.rowSize);
    for (let row = 0; row < count; row++) {
      this.#scorer.succeed(scorer, rows.subarray(row * scorer.rowSize, (row + 1) * scorer.rowSize), this.#row(row));
    }
  }

  begin(row: number): void {
    const { rowSize } = this.#scorer;
    const needed = (row + 1) * rowSize;
    if (needed > this.#rows.length) this.#rows = grown(this.#rows, new Float64Array(Math.max(needed, 2 * this.#rows.length)));
    this.#scorer.begin(this.#row(row));
  }

  #row(row: number): Float64Array {
    const { rowSize } = this.#scorer;
    return this.#rows.subarray(row * rowSize, (row + 1) * rowSize);
  }

  /** How many alarms a week a row's stream may raise where nothing is wrong: its own budget, or the config's. */
  budgetOf(row: number): number {
    return this.notes.budgetOf(row) ?? this.#settings.falseAlarmsPerWeek;
  }

  /** Whether an alarm of a row's stream is open, muted or not. */
  isAlarming(row: number): boolean {
    return this.#scorer.isAlarming(this.#row(row));
  }

  /** Whether an alarm of a row's stream is open and not muted. */
  isRaised(row: number): boolean {
    return this.isAlarming(row) && this.notes.mutedUntil(row) === 0;
  }

  /** Notes what a person calls the last alarm of a row's stream, which there must be; one that is open closes when it was nothing. */
  call(row: number, said: Verdict, time: number): void {
    this.notes.say(row, said);
    if (said !== "normal" || !this.isAlarming(row)) return;
    this.#scorer.close(this.#row(row));
    this.notes.close(row, time);
  }

  /** The message of how a stream's alarms stand after a change, `reading` being the stream's last. `by` tells it from others. */
  standing(row: number, reading: ReadingLabel, by: string, { muted, said }: AlarmChange): Uint8Array {
    const note = this.notes.noteOf(row);
    const until = muted ?? this.notes.mutedUntil(row);
    const change = { by, said: said ?? note?.said, muted: muted ?? (until > 0 ? until : undefined) };
    const last = note && decodeAlarm(note.opened);
    const open = this.isAlarming(row) && until === 0 && said !== "normal";
    if (open) return encodeAlarm({ ...last!, stream: reading.stream, ...change });
    return encodeAlarm({ ...reading, score: last?.score ?? 0, open, ...change });
  }

  /** Notes of the reading staged at `index` whether a gap lies before it. */
  noteStaged(index: number, broken: boolean): void {
    if (index >= this.#broken.length) this.#broken = grown(this.#broken, new Uint8Array(2 * index));
    this.#broken[index] = broken ? 1 : 0;
  }

  /**
   * Judges an event's readings; returns their outputs with score and alarm, and the messages of alarms that opened or closed: none while the
   * stream is muted, and one of how things stand when that has ended.
   */
  judge(event: ReadingsEvent, key: string, steps: Steps): Scored {
    const { first, yFirst, yWidth } = steps;
    const scorer = this.#scorer;
    const reading = this.#reading;
    reading.x = steps.x;
    reading.y = steps.y;
    reading.missing = event.missing;
    const row = this.#row(event.row);
    const D = this.#features.length;
    const width = this.outputNames.length;
    const O = width - SCORE_OUTPUTS.length;
    const alarms = this.notes.endMute(event.row, event.receivedAt) ? [this.#unmuted(event, key)] : [];
    const muted = this.notes.mutedUntil(event.row) > 0;
    const budget = this.budgetOf(event.row);
    const outputs = this.#room(event.count * width);
    let sequence = event.firstSequence - 1 - (event.skipped?.[0] ?? 0);
    for (let i = 0; i < event.count; i++) {
      sequence += 1 + (event.skipped?.[i] ?? 0);
      reading.xFrom = (first + i) * D;
      reading.missingFrom = i * D;
      reading.yFrom = (yFirst + i) * yWidth;
      reading.time = event.times[i]!;
      reading.broken = this.#broken[first + i] === 1;
      scorer.judge(row, reading, budget);
      for (let o = 0; o < O; o++) outputs[i * width + o] = steps.y[reading.yFrom + o]!;
      outputs[i * width + O] = scorer.score;
      outputs[i * width + O + 1] = scorer.isAlarming(row) ? 1 : 0;
      if (scorer.opened === undefined && !scorer.closed) continue;
      const message = this.#note(event, key, sequence, event.times[i]!);
      if (!muted) alarms.push(message);
    }
    return { outputs, alarms, muted };
  }

  #unmuted(event: ReadingsEvent, stream: string): Uint8Array {
    const { boot = 0, nonce = 0 } = event.identity ?? {};
    const reading = { stream, boot, nonce, sequence: event.firstSequence, time: event.times[0]! };
    return this.standing(event.row, reading, `${boot}/${event.firstSequence}/unmuted`, { muted: 0 });
  }

  #room(count: number): Float32Array {
    if (count > this.#outputs.length) this.#outputs = new Float32Array(2 * count);
    return this.#outputs.subarray(0, count);
  }

  /** Notes that the reading judged last has opened or closed an alarm; returns the message of it. */
  #note(event: ReadingsEvent, stream: string, sequence: number, time: number): Uint8Array {
    const { score, opened } = this.#scorer;
    const { boot = 0, nonce = 0 } = event.identity ?? {};
    const label = { stream, boot, nonce, sequence, time, score };
    if (opened === undefined) {
      this.notes.close(event.row, time);
      return encodeAlarm({ ...label, open: false, said: this.notes.noteOf(event.row)!.said });
    }
    const { kind, probability, extrapolated } = opened;
    const contributions = opened.contributions.map(({ feature, ...rest }) => ({ feature: this.#features[feature]!, ...rest }));
    const message = encodeAlarm({ ...label, open: true, kind, probability, extrapolated, contributions });
    this.notes.open(event.row, message);
    return message;
  }

  encodeRow(into: ByteWriter, row: number): void {
    const values = this.#row(row);
    into.varint(values.length);
    for (const value of values) into.f64(value);
    this.notes.encodeRow(into, row);
  }

  decodeRow(from: ByteReader, row: number): void {
    const count = from.varint();
    const values = this.#row(row);
    if (count !== values.length)
      throw new HiddenstateError("bad_payload", `a stream's score has ${count} numbers, not ${values.length}`);
    for (let i = 0; i < count; i++) values[i] = from.f64();
    this.notes.decodeRow(from, row);
  }
}
