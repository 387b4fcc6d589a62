// Readings that came before others of their stream: journalled and acked, and kept until those others come or are given up. Part of the
// durable state, a list a row, in the order of their sequence numbers.
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { Identity } from "../message/reading.ts";

export interface HeldReading {
  readonly identity: Identity;
  readonly sequence: number;
  readonly receivedAt: number;
  readonly clockSynced: boolean;
  readonly deviceTime: boolean;
  readonly time: number;
  /** `(D)`. */
  readonly values: Float32Array;
  readonly missing: Uint8Array | undefined;
  /** On the monotonic clock of this process. */
  readonly sinceMs: number;
}

const HAS_MISSING = 1;
const CLOCK_SYNCED = 2;
const DEVICE_TIME = 4;

export class HeldReadings {
  readonly #byRow = new Map<number, HeldReading[]>();
  readonly #features: number;
  #count = 0;

  constructor(features: number) {
    this.#features = features;
  }

  /** Readings held, of all rows. */
  get count(): number {
    return this.#count;
  }

  /** Rows that hold something. */
  rows(): IterableIterator<number> {
    return this.#byRow.keys();
  }

  of(row: number): readonly HeldReading[] {
    return this.#byRow.get(row) ?? [];
  }

  has(row: number, sequence: number): boolean {
    return this.of(row).some((held) => held.sequence === sequence);
  }

  add(row: number, reading: HeldReading): void {
    this.#count++;
    const list = this.#byRow.get(row);
    if (list === undefined) {
      this.#byRow.set(row, [reading]);
      return;
    }
    const at = list.findIndex(({ sequence }) => sequence > reading.sequence);
    list.splice(at < 0 ? list.length : at, 0, reading);
  }

  /** Forgets what is held of a row up to a sequence number. */
  drop(row: number, upTo: number): void {
    const rest = this.of(row).filter(({ sequence }) => sequence > upTo);
    this.#count -= this.of(row).length - rest.length;
    if (rest.length === 0) this.#byRow.delete(row);
    else this.#byRow.set(row, rest);
  }

  encodeRow(into: ByteWriter, row: number): void {
    const list = this.of(row);
    into.varint(list.length);
    for (const held of list) {
      into.varint(held.identity.boot);
      into.u32(held.identity.nonce);
      into.varint(held.sequence);
      into.f64(held.receivedAt);
      into.f64(held.time);
      into.u8((held.missing ? HAS_MISSING : 0) | (held.clockSynced ? CLOCK_SYNCED : 0) | (held.deviceTime ? DEVICE_TIME : 0));
      into.f32Array(held.values);
      if (held.missing) into.raw(held.missing);
    }
  }

  decodeRow(from: ByteReader, row: number, sinceMs: number): void {
    for (let left = from.varint(); left > 0; left--) {
      const identity = { boot: from.varint(), nonce: from.u32() };
      const [sequence, receivedAt, time, flags] = [from.varint(), from.f64(), from.f64(), from.u8()];
      const values = new Float32Array(this.#features);
      from.f32Array(values);
      const missing = flags & HAS_MISSING ? from.raw(this.#features).slice() : undefined;
      const labels = { clockSynced: (flags & CLOCK_SYNCED) !== 0, deviceTime: (flags & DEVICE_TIME) !== 0 };
      this.add(row, { identity, sequence, receivedAt, time, values, missing, sinceMs, ...labels });
    }
  }
}
