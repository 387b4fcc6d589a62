// Readings that come before their turn: held for a bounded time and number, and released in the order of their sequence numbers. Behind
// the journal: a held reading is acked like any other, and its release is an event.
import type { Clock } from "../base/clock.ts";
import type { Metrics } from "../base/metrics.ts";
import { AcceptedReadings } from "./accepted-readings.ts";
import type { Arrived } from "./accepted-readings.ts";
import type { Fold, StreamRef } from "./fold.ts";
import type { HeldReading } from "./held-readings.ts";
import type { Ledger } from "./ledger.ts";

/** How many readings of a stream may wait for others, and how long. */
export interface ReorderBounds {
  readonly readings: number;
  readonly withinMs: number;
}

export class Reorder {
  readonly #fold: Fold;
  readonly #ledger: Ledger;
  readonly #metrics: Metrics;
  readonly #clock: Clock;

  constructor(fold: Fold, ledger: Ledger, metrics: Metrics, clock: Clock) {
    this.#fold = fold;
    this.#ledger = ledger;
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /** Keeps reading `index` until its turn comes. It carries an identity. */
  hold({ group, row }: StreamRef, arrived: Arrived, index: number): void {
    const { readings, receivedAt, clockSynced, deviceTimes, times } = arrived;
    const D = group.features;
    const event = {
      kind: "held",
      group: group.index,
      row,
      identity: readings.identity!,
      sequence: readings.sequences[index]!,
      receivedAt,
      clockSynced,
      deviceTime: deviceTimes,
      time: times[index]!,
      values: readings.values.slice(index * D, (index + 1) * D),
      missing: readings.missing?.slice(index * D, (index + 1) * D),
    } as const;
    this.#fold.applyHeld(event, this.#clock.monotonicMs());
    this.#ledger.push(event);
    this.#metrics.counter("readings_held").add();
  }

  /** Whether the first held reading has come to its turn: nothing of its stream may be accepted before it. */
  isDue({ group, row }: StreamRef): boolean {
    const first = group.held.of(row)[0];
    return first !== undefined && first.sequence === group.columns.sequence[row]! + 1;
  }

  /** Releases what has come to its turn, and more where too many are held; all without bounds. */
  release(ref: StreamRef, bounds: ReorderBounds | undefined): void {
    const { group, row } = ref;
    while (this.isDue(ref) || group.held.of(row).length > (bounds?.readings ?? 0)) this.#releaseRun(ref);
  }

  /** Releases everything of a stream: its device has restarted, or others have been waited for long enough. */
  releaseAll(ref: StreamRef): void {
    while (ref.group.held.of(ref.row).length > 0) this.#releaseRun(ref);
  }

  /** Releases what has waited too long. Returns in how many milliseconds the next will have; Infinity where nothing waits. */
  releaseOverdue(boundsOf: (group: number) => ReorderBounds | undefined): number {
    const now = this.#clock.monotonicMs();
    let nextMs = Infinity;
    for (const group of this.#fold.groups) {
      const withinMs = boundsOf(group.index)?.withinMs ?? 0;
      for (const row of Array.from(group.held.rows())) {
        const since = Math.min(...group.held.of(row).map(({ sinceMs }) => sinceMs));
        if (now >= since + withinMs) this.releaseAll({ group, row });
        else nextMs = Math.min(nextMs, since + withinMs - now);
      }
    }
    return nextMs;
  }

  /** Releases the first held reading of a stream and those that follow it without a gap. */
  #releaseRun(ref: StreamRef): void {
    const { group, row } = ref;
    const held = group.held.of(row);
    const run = held.filter((reading, i) => i === 0 || reading.sequence === held[0]!.sequence + i);
    const accepted = new AcceptedReadings(this.#fold, ref, arrivedOf(run, group.features));
    const missed = run[0]!.sequence - group.columns.sequence[row]! - 1;
    if (missed > 0) this.#metrics.counter("readings_missed").add(missed);
    run.forEach((_, i) => {
      if (accepted.add(i, i === 0 ? missed : 0)) this.#metrics.counter("time_backwards").add();
    });
    group.held.drop(row, run.at(-1)!.sequence);
    this.#metrics.counter("readings_accepted").add(run.length);
    this.#metrics.counter("readings_released").add(run.length);
    this.#ledger.push(accepted.event(undefined), accepted.firstStaged);
  }
}

/** A run of held readings as if they had come together. */
function arrivedOf(run: readonly HeldReading[], features: number): Arrived {
  const count = run.length;
  const values = new Float32Array(count * features);
  const missing = run.some((held) => held.missing !== undefined) ? new Uint8Array(count * features) : undefined;
  for (const [i, held] of run.entries()) {
    values.set(held.values, i * features);
    if (held.missing !== undefined) missing!.set(held.missing, i * features);
  }
  return {
    readings: {
      part: undefined,
      identity: run[0]!.identity,
      count,
      sequences: Float64Array.from(run, ({ sequence }) => sequence),
      times: new Float64Array(0),
      values,
      missing,
    },
    receivedAt: run.at(-1)!.receivedAt,
    clockSynced: run.every(({ clockSynced }) => clockSynced),
    times: Float64Array.from(run, ({ time }) => time),
    deviceTimes: run.every(({ deviceTime }) => deviceTime),
    fromHeld: true,
  };
}
