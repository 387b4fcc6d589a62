// Readings that go on together: staged one by one and then made into an event that says the same. They are those of one message, or ones
// that were held until their turn came.
import type { ReadingsEvent, WeakDelivery } from "../journal/events.ts";
import type { Readings } from "../message/reading.ts";
import type { Fold, StreamRef } from "./fold.ts";

/** What came in together. */
export interface Arrived {
  readonly readings: Readings;
  readonly receivedAt: number;
  readonly clockSynced: boolean;
  /** `(count)`, whole milliseconds since 1970: the device's where they are plausible, else the time of arrival. */
  readonly times: Float64Array;
  /** Whether they are the device's. */
  readonly deviceTimes: boolean;
  readonly fromHeld: boolean;
}

const NOT_STEPPED = new Float32Array(0);
const NO_ALARMS: readonly Uint8Array[] = [];

export class AcceptedReadings {
  readonly #fold: Fold;
  readonly #ref: StreamRef;
  readonly #arrived: Arrived;
  readonly #indexes: number[] = [];
  /** By accepted reading, how many are absent before it; made when there is one. */
  #skipped: Float64Array | undefined;
  #restarted = false;
  #firstSequence = 0;
  #firstStaged = -1;

  constructor(fold: Fold, ref: StreamRef, arrived: Arrived) {
    this.#fold = fold;
    this.#ref = ref;
    this.#arrived = arrived;
  }

  get count(): number {
    return this.#indexes.length;
  }

  /** The first reading's index in its group's stepper. */
  get firstStaged(): number {
    return this.#firstStaged;
  }

  /** Stages reading `index`, before which `missed` sequence numbers are absent. Returns whether its time went back. */
  add(index: number, missed: number): boolean {
    const { group, row } = this.#ref;
    const { columns } = group;
    const { readings, receivedAt, clockSynced, deviceTimes, times, fromHeld } = this.#arrived;
    const isFirst = this.count === 0;
    if (isFirst) {
      this.#fold.touch(group, row);
      this.#restarted = group.beginMessage(row, readings.identity);
      // What was held has been heard of when it came.
      if (!fromHeld) columns.receivedAt[row] = receivedAt;
    }
    const sequence = readings.identity === undefined ? columns.sequence[row]! + 1 : readings.sequences[index]!;
    const time = times[index]!;
    const wentBack = columns.steps[row]! > 0 && time < columns.time[row]!;
    const broken = missed > 0 || (isFirst && this.#restarted);
    const arrival = { broken, sequence, time, timeTrusted: deviceTimes || clockSynced };
    const staged = group.accept(row, arrival, readings.values, readings.missing, index * group.features);
    if (isFirst) {
      this.#firstStaged = staged;
      this.#firstSequence = sequence;
    }
    if (missed > 0) {
      this.#skipped ??= new Float64Array(readings.count);
      this.#skipped[this.count] = missed;
    }
    this.#indexes.push(index);
    return wentBack;
  }

  event(weakDelivery: WeakDelivery | undefined): ReadingsEvent {
    const { group, row } = this.#ref;
    const { readings, receivedAt, clockSynced, deviceTimes, fromHeld } = this.#arrived;
    const missing = readings.missing && this.#pick(readings.missing, group.features);
    return {
      kind: "readings",
      group: group.index,
      row,
      identity: readings.identity,
      firstSequence: this.#firstSequence,
      count: this.count,
      skipped: this.#skipped?.subarray(0, this.count),
      receivedAt,
      clockSynced,
      deviceTimes,
      fromHeld,
      times: this.#pick(this.#arrived.times, 1),
      features: group.features,
      values: this.#pick(readings.values, group.features),
      missing: missing?.some((flag) => flag === 1) === true ? missing : undefined,
      weakDelivery,
      outputs: NOT_STEPPED,
      alarms: NO_ALARMS,
      silent: false,
      muted: false,
    };
  }

  /** The accepted rows of a `(count, width)` array; the array itself where all were accepted. */
  #pick<A extends Float32Array | Float64Array | Uint8Array>(rows: A, width: number): A {
    if (this.count === this.#arrived.readings.count) return rows;
    const picked = rows.slice(0, this.count * width);
    for (const [to, index] of this.#indexes.entries()) picked.set(rows.subarray(index * width, (index + 1) * width), to * width);
    return picked as A;
  }
}
