// The streams of one config entry: one engine, one set of rules, a row a stream. Accepting a reading here is the fold itself: live
// readings and replayed ones change a stream through the same lines.
import type { Engine, StateTensors } from "../engine/engine.ts";
import { carriedState, createStateTensors, sharedStateOf } from "../engine/engine.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { decodeStateTensors, encodeStateTensors } from "../journal/command-event-codec.ts";
import type { Identity } from "../message/reading.ts";
import type { Model } from "../model/model.ts";
import { GroupScores } from "./group-scores.ts";
import { HeldReadings } from "./held-readings.ts";
import { RecentReadings } from "./recent-readings.ts";
import type { GroupSettings, SwitchPolicy } from "./settings.ts";
import { StreamColumns } from "./stream-columns.ts";
import { Stepper } from "./stepper.ts";

const NEVER_HELD = 255;
/** Streams that are rebuilt together where nobody waits. */
const REBUILT_TOGETHER = 64;

/** What a reading brings apart from its values. */
export interface Arrival {
  /** A gap in the sequence or a restart of the device lies before it. */
  readonly broken: boolean;
  readonly sequence: number;
  readonly time: number;
  /** Whether differences of `time` mean anything. */
  readonly timeTrusted: boolean;
}

export class StreamGroup {
  /** Its place in the epoch's settings and in journal events. */
  readonly index: number;
  #model: Model;
  #modelOutputNames: readonly string[];
  #engine: Engine;
  #stepper: Stepper;
  readonly columns: StreamColumns;
  readonly held: HeldReadings;
  readonly recent: RecentReadings;
  #scores: GroupScores | undefined;
  #scratch: StateTensors;
  #settings: GroupSettings;

  constructor(index: number, settings: GroupSettings, model: Model, engine: Engine) {
    const features = model.spec.features.length;
    this.index = index;
    this.#settings = settings;
    this.#model = model;
    this.#modelOutputNames = model.spec.outputs.map(({ name }) => name);
    this.#engine = engine;
    this.#stepper = new Stepper(engine);
    this.columns = new StreamColumns(features);
    this.columns.holdByTime(settings.holdMs !== undefined);
    this.held = new HeldReadings(features);
    this.recent = new RecentReadings(features);
    this.#scores = settings.score && new GroupScores(model.spec, settings.score);
    this.#scratch = createStateTensors(engine.spec.states);
  }

  get settings(): GroupSettings {
    return this.#settings;
  }

  /** Works by other settings from now on. A stream's scores go on where budget or horizons changed, and begin anew where there were none. */
  follow(settings: GroupSettings): void {
    this.#settings = settings;
    this.columns.holdByTime(settings.holdMs !== undefined);
    const { score } = settings;
    if (score === undefined) this.#scores = undefined;
    else if (this.#scores !== undefined) this.#scores.follow(this.#model.spec, score);
    else {
      this.#scores = new GroupScores(this.#model.spec, score);
      for (let row = 0; row < this.columns.rows; row++) if (this.columns.keys[row] !== undefined) this.#scores.begin(row);
    }
  }

  /** Undefined where the config wants no scores. */
  get scores(): GroupScores | undefined {
    return this.#scores;
  }

  /** The model's outputs, and those of the score. */
  get outputNames(): readonly string[] {
    return this.#scores?.outputNames ?? this.#modelOutputNames;
  }

  get model(): Model {
    return this.#model;
  }

  get engine(): Engine {
    return this.#engine;
  }

  get stepper(): Stepper {
    return this.#stepper;
  }

  /**
   * Goes on with another engine and closes the old one; of another model only where its features are the same. States are dealt with as
   * `states` says; by `carry` what the new one has by the same names and shapes goes on, and what is shared. Nothing may be staged.
   */
  async moveTo(model: Model, engine: Engine, states: SwitchPolicy): Promise<void> {
    const { columns, recent } = this;
    const stepper = new Stepper(engine);
    const shared = states === "carry" ? sharedStateOf(this.#engine) : undefined;
    if (shared !== undefined) engine.shared!.write(shared);
    for (let row = 0; row < columns.rows; row++) {
      if (columns.keys[row] === undefined) continue;
      const slot = engine.allocate();
      if (states === "replay") recent.markStale(row);
      else if (states === "reset") recent.forget(row);
      else if (!recent.isStale(row)) engine.write(slot, carriedState(this.readState(row), engine.spec.states));
      columns.slot[row] = slot;
    }
    const before = this.#engine;
    this.#model = model;
    this.#modelOutputNames = model.spec.outputs.map(({ name }) => name);
    this.#engine = engine;
    this.#stepper = stepper;
    this.#scratch = createStateTensors(engine.spec.states);
    await before.close();
  }

  /** Builds the states of streams that have yet to be rebuilt, all or one's. Nothing may be staged. */
  async rebuild(from = 0, to = this.columns.rows): Promise<void> {
    const { recent, columns, stepper } = this;
    if (recent.staleCount === 0) return;
    for (let row = from, streams = 0; row < to; row++) {
      if (recent.isStale(row)) {
        recent.stage(row, stepper, columns.slot[row]!);
        streams++;
      }
      if (streams < REBUILT_TOGETHER && row < to - 1) continue;
      await stepper.run();
      stepper.clear();
      streams = 0;
    }
  }

  /** Remembers no last readings any longer; what was to be built from them is built. Nothing may be staged. */
  async forgetRecent(): Promise<void> {
    await this.rebuild();
    this.recent.clear();
  }

  get features(): number {
    return this.#model.spec.features.length;
  }

  get outputs(): number {
    return this.#model.spec.outputs.length;
  }

  add(row: number, key: string): void {
    this.columns.add(row, key, this.engine.allocate());
    this.#scores?.begin(row);
  }

  remove(row: number): void {
    this.engine.release(this.columns.slot[row]!);
    this.columns.remove(row);
    this.held.drop(row, Infinity);
    this.recent.forget(row);
    this.#scores?.notes.forget(row);
  }

  /**
   * The first feature whose missing value nothing can stand in for at a reading's time, -1 where there is none. A stream that is not there
   * yet has no row.
   */
  unfillable(row: number | undefined, missing: Uint8Array, from: number, time: number): number {
    const { holdMs, holdReadingsMax } = this.#settings;
    const { heldAt } = this.columns;
    for (let d = 0; d < this.features; d++) {
      if (missing[from + d] === 0) continue;
      const policy = this.#settings.missing[d]!;
      if (policy === "refuse") return d;
      if (policy !== "hold") continue;
      const cell = (row ?? 0) * this.features + d;
      const heldFor = row === undefined ? NEVER_HELD : this.columns.heldFor[cell]!;
      if (holdMs === undefined || heldAt === undefined) {
        if (heldFor >= holdReadingsMax) return d;
      } else if (heldFor === NEVER_HELD || time - heldAt[cell]! > holdMs) return d;
    }
    return -1;
  }

  /** The start of a message's accepted readings. Returns whether the device has restarted since the last one. */
  beginMessage(row: number, identity: Identity | undefined): boolean {
    const { columns } = this;
    if (identity === undefined) return false;
    const restarted = columns.boot[row] !== identity.boot || columns.nonce[row] !== identity.nonce;
    columns.boot[row] = identity.boot;
    columns.nonce[row] = identity.nonce;
    return restarted && columns.steps[row]! > 0;
  }

  /** Stages one reading, `values` and `missing` from `from` on, and remembers it. Returns its index in the stepper. */
  accept(row: number, arrival: Arrival, values: Float32Array, missing: Uint8Array | undefined, from: number): number {
    const { columns, stepper, recent } = this;
    const elapsedMs = this.#elapsed(row, arrival);
    const { gap } = this.settings;
    const acts = arrival.broken && columns.steps[row]! > 0 && gap.policy !== "carry";
    const factor = acts && gap.policy === "decay" ? Math.exp(-elapsedMs / gap.tauMs) : 0;
    const forgets = acts && gap.policy === "reset";
    // What is stepped needs the state that it has yet to get; what is reset only where a part of that stays.
    const needsState = !forgets || this.engine.fade !== undefined;
    if (recent.isStale(row) && needsState) recent.stage(row, stepper, columns.slot[row]!);
    if (forgets) recent.forget(row);
    const index = stepper.stage(columns.slot[row]!, acts ? gap.policy : "none", factor, arrival.time);
    this.#fill(row, values, missing, from, index);
    columns.noteTimes(row, arrival.time, missing, from);
    this.#scores?.noteStaged(index, arrival.broken);
    if (this.settings.switch === "replay") {
      recent.add(row, acts && gap.policy === "decay" ? factor : 1, stepper.x, index * this.features);
    }
    columns.sequence[row] = arrival.sequence;
    columns.time[row] = arrival.time;
    columns.steps[row]!++;
    return index;
  }

  /** Milliseconds since the stream's last reading: the difference of times, or the median interval where that means nothing. */
  #elapsed(row: number, arrival: Arrival): number {
    const { columns } = this;
    if (columns.steps[row] === 0) return 0;
    const difference = arrival.time - columns.time[row]!;
    if (!arrival.timeTrusted || difference <= 0) return columns.medianInterval(row);
    columns.addInterval(row, difference);
    return difference;
  }

  #fill(row: number, values: Float32Array, missing: Uint8Array | undefined, from: number, index: number): void {
    const D = this.features;
    const { held, heldFor } = this.columns;
    for (let d = 0; d < D; d++) {
      const cell = row * D + d;
      if (missing === undefined || missing[from + d] === 0) {
        held[cell] = values[from + d]!;
        heldFor[cell] = 0;
        this.stepper.x[index * D + d] = values[from + d]!;
        continue;
      }
      this.stepper.missing[index * D + d] = 1;
      if (heldFor[cell]! < NEVER_HELD - 1) heldFor[cell]!++;
      this.stepper.x[index * D + d] = this.settings.missing[d] === "hold" ? held[cell]! : this.#model.weights.xMean.data[d]!;
    }
  }

  /** Of a stream that is not to be rebuilt first. */
  readState(row: number): StateTensors {
    const state = createStateTensors(this.engine.spec.states);
    this.engine.read(this.columns.slot[row]!, state);
    return state;
  }

  /** Puts a state from outside in; to another model it would mean nothing, and what came before it would contradict it. */
  setState(row: number, state: StateTensors): void {
    this.recent.forget(row);
    this.engine.write(this.columns.slot[row]!, state);
  }

  resetState(row: number): void {
    this.recent.forget(row);
    this.stepper.reset(this.columns.slot[row]!);
  }

  /** All that a stream remembers, for a checkpoint. */
  encodeRow(into: ByteWriter, row: number): void {
    into.varint(row);
    into.text(this.columns.keys[row]!);
    this.columns.encodeRow(into, row);
    this.held.encodeRow(into, row);
    this.#scores?.encodeRow(into, row);
    this.recent.encodeRow(into, row);
    if (this.recent.isStale(row)) return;
    this.engine.read(this.columns.slot[row]!, this.#scratch);
    encodeStateTensors(into, this.#scratch);
  }

  /** Adds the stream that `encodeRow` wrote, one of `rowCount` rows; returns its row. */
  decodeRow(from: ByteReader, rowCount: number): number {
    const row = from.varint();
    // Rows up to it come into being with it.
    const bound = Math.min(rowCount, limits.streamRowsMax);
    if (row >= bound) throw new HiddenstateError("bad_payload", `row ${row} is none of ${bound}`);
    this.add(row, from.text());
    this.columns.decodeRow(from, row);
    // Its wait begins anew: the monotonic clock of the process that held it is gone.
    this.held.decodeRow(from, row, 0);
    this.#scores?.decodeRow(from, row);
    this.recent.decodeRow(from, row);
    if (!this.recent.isStale(row)) this.engine.write(this.columns.slot[row]!, decodeStateTensors(from));
    return row;
  }
}
