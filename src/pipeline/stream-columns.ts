// What a group's streams remember apart from the hidden state, a row a stream, in columns: a hundred thousand streams cost arrays, not
// objects. Rows are reused; which row a stream has is journalled.
import { strict as assert } from "node:assert";
import { grown } from "../base/grown.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { KeptEvent } from "../journal/events.ts";

/** Intervals between readings that a stream remembers for its median. */
export const INTERVALS = 16;
const CAPACITY_MIN = 16;

export class StreamColumns {
  readonly #features: number;
  #capacity = 0;
  #rows = 0;
  readonly #free: number[] = [];
  readonly keys: (string | undefined)[] = [];
  /** The engine's slot. */
  slot = new Int32Array(0);
  /** 0 without identity. */
  boot = new Uint32Array(0);
  nonce = new Uint32Array(0);
  /** The last accepted one, -1 before the first. */
  sequence = new Float64Array(0);
  /** Accepted readings in all. */
  steps = new Float64Array(0);
  time = new Float64Array(0);
  receivedAt = new Float64Array(0);
  /** The last INTERVALS differences of `time` in milliseconds, as a ring. */
  #intervals = new Float32Array(0);
  #intervalCount = new Uint32Array(0);
  /** `(rows, D)`: each feature's last value, and for how many readings it has been missing since; 255 where there was none yet. */
  held = new Float32Array(0);
  heldFor = new Uint8Array(0);
  /** `(rows, D)`: the time of each feature's last value; undefined where values are not held by time. */
  heldAt: Float64Array | undefined;

  constructor(features: number) {
    this.#features = features;
  }

  /** One past the highest row in use. */
  get rows(): number {
    return this.#rows;
  }

  get count(): number {
    return this.#rows - this.#free.length;
  }

  /** The row the next `add` would take. */
  get nextRow(): number {
    return this.#free.at(-1) ?? this.#rows;
  }

  /** Takes a row for a stream without a past. */
  add(row: number, key: string, slot: number): void {
    while (this.#rows <= row) {
      if (this.#rows < row) this.#free.push(this.#rows);
      this.keys.push(undefined);
      this.#rows++;
      if (this.#rows > this.#capacity) this.#grow();
    }
    assert(this.keys[row] === undefined, "a row holds one stream");
    const free = this.#free.lastIndexOf(row);
    if (free >= 0) this.#free.splice(free, 1);
    this.keys[row] = key;
    this.slot[row] = slot;
    this.boot[row] = 0;
    this.nonce[row] = 0;
    this.sequence[row] = -1;
    this.steps[row] = 0;
    this.time[row] = 0;
    this.receivedAt[row] = 0;
    this.#intervalCount[row] = 0;
    this.held.fill(0, row * this.#features, (row + 1) * this.#features);
    this.heldFor.fill(255, row * this.#features, (row + 1) * this.#features);
    this.heldAt?.fill(0, row * this.#features, (row + 1) * this.#features);
  }

  remove(row: number): void {
    this.keys[row] = undefined;
    this.#free.push(row);
  }

  #grow(): void {
    const capacity = Math.max(CAPACITY_MIN, this.#capacity * 2);
    this.#capacity = capacity;
    this.slot = grown(this.slot, new Int32Array(capacity));
    this.boot = grown(this.boot, new Uint32Array(capacity));
    this.nonce = grown(this.nonce, new Uint32Array(capacity));
    this.sequence = grown(this.sequence, new Float64Array(capacity));
    this.steps = grown(this.steps, new Float64Array(capacity));
    this.time = grown(this.time, new Float64Array(capacity));
    this.receivedAt = grown(this.receivedAt, new Float64Array(capacity));
    this.#intervals = grown(this.#intervals, new Float32Array(capacity * INTERVALS));
    this.#intervalCount = grown(this.#intervalCount, new Uint32Array(capacity));
    this.held = grown(this.held, new Float32Array(capacity * this.#features));
    this.heldFor = grown(this.heldFor, new Uint8Array(capacity * this.#features));
    if (this.heldAt !== undefined) this.heldAt = grown(this.heldAt, new Float64Array(capacity * this.#features));
  }

  /** From now on values are held by time, or not. What is held already counts from the stream's last reading. */
  holdByTime(isOn: boolean): void {
    if (isOn === (this.heldAt !== undefined)) return;
    this.heldAt = isOn ? new Float64Array(this.#capacity * this.#features) : undefined;
    for (let row = 0; row < this.#rows; row++) {
      this.heldAt?.fill(this.time[row]!, row * this.#features, (row + 1) * this.#features);
    }
  }

  addInterval(row: number, ms: number): void {
    const count = this.#intervalCount[row]!;
    this.#intervals[row * INTERVALS + (count % INTERVALS)] = ms;
    // Counting on past INTERVALS keeps the ring's place; it wraps long before it could overflow.
    this.#intervalCount[row] = count + 1 === 2 * INTERVALS ? INTERVALS : count + 1;
  }

  /** The median of the remembered intervals in milliseconds, 0 where there is none. */
  medianInterval(row: number): number {
    const count = Math.min(this.#intervalCount[row]!, INTERVALS);
    if (count === 0) return 0;
    const sorted = this.#intervals.slice(row * INTERVALS, row * INTERVALS + count).toSorted();
    return count % 2 === 1 ? sorted[(count - 1) / 2]! : (sorted[count / 2 - 1]! + sorted[count / 2]!) / 2;
  }

  /** Notes when a reading's values came, where they are held by time. */
  noteTimes(row: number, time: number, missing: Uint8Array | undefined, from: number): void {
    if (this.heldAt === undefined) return;
    const D = this.#features;
    for (let d = 0; d < D; d++) {
      if (missing === undefined || missing[from + d] === 0) this.heldAt[row * D + d] = time;
    }
  }

  /** Keeps the values of a reading that is not stepped, for later ones that lack them. */
  keep({ row, receivedAt, time, values, missing }: KeptEvent): void {
    this.receivedAt[row] = receivedAt;
    for (let d = 0; d < this.#features; d++) {
      if (missing[d] === 1) continue;
      this.held[row * this.#features + d] = values[d]!;
      this.heldFor[row * this.#features + d] = 0;
    }
    this.noteTimes(row, time, missing, 0);
  }

  encodeRow(into: ByteWriter, row: number): void {
    into.varint(this.boot[row]!);
    into.u32(this.nonce[row]!);
    into.varint(this.sequence[row]! + 1);
    into.varint(this.steps[row]!);
    into.f64(this.time[row]!);
    into.f64(this.receivedAt[row]!);
    const count = this.#intervalCount[row]!;
    into.varint(count);
    into.f32Array(this.#intervals.subarray(row * INTERVALS, row * INTERVALS + Math.min(count, INTERVALS)));
    into.f32Array(this.held.subarray(row * this.#features, (row + 1) * this.#features));
    into.raw(this.heldFor.subarray(row * this.#features, (row + 1) * this.#features));
    if (this.heldAt === undefined) return;
    for (let d = 0; d < this.#features; d++) into.f64(this.heldAt[row * this.#features + d]!);
  }

  /** Fills a row just added from what `encodeRow` wrote. */
  decodeRow(from: ByteReader, row: number): void {
    this.boot[row] = from.varint();
    this.nonce[row] = from.u32();
    this.sequence[row] = from.varint() - 1;
    this.steps[row] = from.varint();
    this.time[row] = from.f64();
    this.receivedAt[row] = from.f64();
    const count = from.varint();
    this.#intervalCount[row] = count;
    from.f32Array(this.#intervals.subarray(row * INTERVALS, row * INTERVALS + Math.min(count, INTERVALS)));
    from.f32Array(this.held.subarray(row * this.#features, (row + 1) * this.#features));
    this.heldFor.set(from.raw(this.#features), row * this.#features);
    if (this.heldAt === undefined) return;
    for (let d = 0; d < this.#features; d++) this.heldAt[row * this.#features + d] = from.f64();
  }
}
