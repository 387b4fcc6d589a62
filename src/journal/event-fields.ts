// What the bytes of several kinds of events have in common.
import { HiddenstateError } from "../base/errors.ts";
import type { ByteReader } from "../base/bytes.ts";

/** Flags in the byte behind an event's group and row. */
export const HAS_MISSING = 4;
export const CLOCK_SYNCED = 8;
export const DEVICE_TIMES = 16;

/** What the encoding of an event takes from the events before it in the same block. */
export interface BlockContext {
  receivedAt: number;
}

export function createBlockContext(): BlockContext {
  return { receivedAt: 0 };
}

/** A count that the bytes left can hold at all: damaged bytes must not make us ask for gigabytes. */
export function countWithin(from: ByteReader, count: number): number {
  if (count > from.remaining)
    throw new HiddenstateError("bad_payload", `cannot decode an event: ${count} values in ${from.remaining} bytes`);
  return count;
}

export function packBits(flags: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(flags.length / 8));
  for (let i = 0; i < flags.length; i++) if (flags[i]) bytes[i >> 3]! |= 1 << (i & 7);
  return bytes;
}

export function unpackBits(bytes: Uint8Array, count: number): Uint8Array {
  const flags = new Uint8Array(count);
  for (let i = 0; i < count; i++) flags[i] = (bytes[i >> 3]! >> (i & 7)) & 1;
  return flags;
}
