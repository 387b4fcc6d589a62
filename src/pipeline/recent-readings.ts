// The last readings of each stream of a group, as they were stepped: what another model's state is built from when the models change.
// Part of the durable state, a ring a row; memory is taken for 64 rows at a time, and only once one of them has a reading.
//
// It also knows which streams have yet to be rebuilt. What a rebuilt state is depends on nothing but these readings and the weights, so
// it may be built at any time before it is looked at, and replay need not build it at the same time as it was built live.
import { HiddenstateError } from "../base/errors.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { grown } from "../base/grown.ts";
import { limits } from "../base/limits.ts";
import type { Slot } from "../engine/engine.ts";
import type { Stepper } from "./stepper.ts";

const ROWS_PER_CHUNK = 64;

export class RecentReadings {
  readonly #features: number;
  /** Of one reading: its decay and its features. */
  readonly #width: number;
  /** Readings that a stream remembers. */
  readonly capacity: number;
  /** Each of `(ROWS_PER_CHUNK, capacity, 1 + D)`. */
  #chunks: (Float32Array | undefined)[] = [];
  /** Readings remembered, and where the next one goes: as a count that wraps from twice the capacity back to it. */
  #places = new Uint8Array(0);
  #isStale = new Uint8Array(0);
  #staleCount = 0;

  constructor(features: number) {
    this.#features = features;
    this.#width = 1 + features;
    const fitting = Math.floor(limits.recentBytesMax / (Float32Array.BYTES_PER_ELEMENT * this.#width));
    this.capacity = Math.max(1, Math.min(limits.recentReadingsMax, fitting));
  }

  /** Streams that have yet to be rebuilt. */
  get staleCount(): number {
    return this.#staleCount;
  }

  isStale(row: number): boolean {
    return this.#isStale[row] === 1;
  }

  /** How many readings are remembered of a row. */
  count(row: number): number {
    return Math.min(this.#places[row] ?? 0, this.capacity);
  }

  /** The `index`th remembered reading of a row, the oldest first: the decay before it and its features, a view. */
  at(row: number, index: number): Float32Array {
    const start = this.#startOf(row, (this.#oldest(row) + index) % this.capacity);
    return this.#chunkOf(row).subarray(start, start + this.#width);
  }

  /** The place in the ring of the oldest reading. */
  #oldest(row: number): number {
    return Math.max(0, this.#places[row]! - this.capacity);
  }

  #chunkOf(row: number): Float32Array {
    return this.#chunks[Math.floor(row / ROWS_PER_CHUNK)]!;
  }

  /** Where in its chunk a place of a row's ring begins. */
  #startOf(row: number, place: number): number {
    return ((row % ROWS_PER_CHUNK) * this.capacity + place) * this.#width;
  }

  /** Remembers a reading whose features stand in `x` from `from` on; before it the state was multiplied by `decay`, 1 where it was not. */
  add(row: number, decay: number, x: Float32Array, from: number): void {
    this.#reserve(row);
    const place = this.#places[row]!;
    const chunk = this.#chunkOf(row);
    const start = this.#startOf(row, place % this.capacity);
    chunk[start] = decay;
    for (let d = 0; d < this.#features; d++) chunk[start + 1 + d] = x[from + d]!;
    this.#places[row] = place + 1 === 2 * this.capacity ? this.capacity : place + 1;
  }

  #reserve(row: number): void {
    if (row >= this.#places.length) {
      const rows = Math.max(row + 1, 2 * this.#places.length);
      this.#places = grown(this.#places, new Uint8Array(rows));
      this.#isStale = grown(this.#isStale, new Uint8Array(rows));
    }
    this.#chunks[Math.floor(row / ROWS_PER_CHUNK)] ??= new Float32Array(ROWS_PER_CHUNK * this.capacity * this.#width);
  }

  /** The stream's past begins anew: nothing of it is to be rebuilt. */
  forget(row: number): void {
    if (row >= this.#places.length) return;
    this.#places[row] = 0;
    this.#settle(row);
  }

  #settle(row: number): void {
    this.#staleCount -= this.#isStale[row]!;
    this.#isStale[row] = 0;
  }

  /** The row's state, initial by now, is to be rebuilt from what is remembered, where that is anything. */
  markStale(row: number): void {
    if (this.count(row) === 0 || this.isStale(row)) return;
    this.#isStale[row] = 1;
    this.#staleCount++;
  }

  /** Stages what is remembered of a stale row, whose slot holds the initial state: it is rebuilt once that is stepped. */
  stage(row: number, stepper: Stepper, slot: Slot): void {
    this.#settle(row);
    const count = this.count(row);
    for (let i = 0; i < count; i++) {
      const cells = this.at(row, i);
      const decay = cells[0]!;
      const index = stepper.stage(slot, decay === 1 ? "none" : "decay", decay, Number.NaN);
      for (let d = 0; d < this.#features; d++) stepper.x[index * this.#features + d] = cells[1 + d]!;
    }
  }

  /** Gives the memory back. Nothing may be stale. */
  clear(): void {
    this.#chunks = [];
    this.#places = new Uint8Array(0);
    this.#isStale = new Uint8Array(0);
  }

  encodeRow(into: ByteWriter, row: number): void {
    const count = this.count(row);
    into.varint(count);
    if (count > 0) {
      const chunk = this.#chunkOf(row);
      const oldest = this.#oldest(row);
      into.f32Array(chunk.subarray(this.#startOf(row, oldest), this.#startOf(row, count)));
      into.f32Array(chunk.subarray(this.#startOf(row, 0), this.#startOf(row, oldest)));
    }
    into.u8(this.isStale(row) ? 1 : 0);
  }

  /** Fills a row that remembers nothing. Throws `bad_payload` on more readings than there is room for. */
  decodeRow(from: ByteReader, row: number): void {
    const count = from.varint();
    if (count > this.capacity) {
      throw new HiddenstateError("bad_payload", `cannot decode ${count} readings of a stream: it has at most ${this.capacity}`);
    }
    if (count > 0) {
      this.#reserve(row);
      from.f32Array(this.#chunkOf(row).subarray(this.#startOf(row, 0), this.#startOf(row, count)));
      this.#places[row] = count;
    }
    if (from.u8() === 1) this.markStale(row);
  }
}
