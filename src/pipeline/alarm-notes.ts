// What is remembered of the alarms of one group's streams: of each the last alarm, what a person has said of it, until when the stream is
// muted, and its budget where a person has given it one. Only streams of which there is any of that take memory, and a reading where there is
// none costs two comparisons.
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { Verdict } from "../message/alarm.ts";

/** A stream's last alarm. */
export interface AlarmNote {
  /** The message that it opened with. */
  readonly opened: Uint8Array;
  /** The time of the reading that closed it, or of the last before a person did; NaN while it is open. */
  readonly closedAt: number;
  readonly said: Verdict | undefined;
}

const SAID: readonly (Verdict | undefined)[] = [undefined, "normal", "fault"];
const NO_ALARM = new Uint8Array(0);

export class AlarmNotes {
  /** By row. */
  readonly #notes = new Map<number, AlarmNote>();
  readonly #mutedUntil = new Map<number, number>();
  readonly #budgets = new Map<number, number>();

  noteOf(row: number): AlarmNote | undefined {
    return this.#notes.get(row);
  }

  /** By this box's wall clock; 0 where the stream is not muted. */
  mutedUntil(row: number): number {
    return this.#mutedUntil.size === 0 ? 0 : (this.#mutedUntil.get(row) ?? 0);
  }

  /** False alarms a week; undefined where the stream has the config's budget. */
  budgetOf(row: number): number | undefined {
    return this.#budgets.size === 0 ? undefined : this.#budgets.get(row);
  }

  /** Streams with a budget of their own. */
  get budgetCount(): number {
    return this.#budgets.size;
  }

  /** The rows of streams that have had an alarm, are muted or have a budget of their own. */
  rows(): ReadonlySet<number> {
    return new Set([...this.#notes.keys(), ...this.#mutedUntil.keys(), ...this.#budgets.keys()]);
  }

  /** Streams that are muted beyond a time of the wall clock. */
  mutedCount(wallMs: number): number {
    let count = 0;
    for (const until of this.#mutedUntil.values()) if (until > wallMs) count++;
    return count;
  }

  open(row: number, opened: Uint8Array): void {
    this.#notes.set(row, { opened, closedAt: Number.NaN, said: undefined });
  }

  close(row: number, closedAt: number): void {
    this.#notes.set(row, { ...this.#notes.get(row)!, closedAt });
  }

  say(row: number, said: Verdict): void {
    this.#notes.set(row, { ...this.#notes.get(row)!, said });
  }

  /** `until` 0: no longer. */
  mute(row: number, until: number): void {
    if (until === 0) this.#mutedUntil.delete(row);
    else this.#mutedUntil.set(row, until);
  }

  /** `perWeek` 0: the config's again. */
  setBudget(row: number, perWeek: number): void {
    if (perWeek === 0) this.#budgets.delete(row);
    else this.#budgets.set(row, perWeek);
  }

  /** Ends a mute that is over when a message comes; returns whether there was one. */
  endMute(row: number, receivedAt: number): boolean {
    const until = this.mutedUntil(row);
    if (until === 0 || receivedAt < until) return false;
    return this.#mutedUntil.delete(row);
  }

  forget(row: number): void {
    this.#notes.delete(row);
    this.#mutedUntil.delete(row);
    this.#budgets.delete(row);
  }

  encodeRow(into: ByteWriter, row: number): void {
    const note = this.#notes.get(row);
    into.varint(this.mutedUntil(row));
    into.f64(this.budgetOf(row) ?? 0);
    into.blob(note?.opened ?? NO_ALARM);
    if (note === undefined) return;
    into.f64(note.closedAt);
    into.u8(SAID.indexOf(note.said));
  }

  /** Of a row just added. */
  decodeRow(from: ByteReader, row: number): void {
    this.mute(row, from.varint());
    this.setBudget(row, from.f64());
    const opened = from.blob().slice();
    if (opened.length > 0) this.#notes.set(row, { opened, closedAt: from.f64(), said: SAID[from.u8()] });
  }
}
