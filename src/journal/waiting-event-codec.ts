// The bytes of readings that are not stepped when they come: held ones, whose turn comes later, and kept ones, whose values stand in for others.
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { CLOCK_SYNCED, countWithin, DEVICE_TIMES, HAS_MISSING, packBits, unpackBits } from "./event-fields.ts";
import type { BlockContext } from "./event-fields.ts";
import type { HeldEvent, KeptEvent } from "./events.ts";

export function encodeHeld(into: ByteWriter, event: HeldEvent, context: BlockContext): void {
  into.varint(event.group);
  into.varint(event.row);
  into.u8((event.missing ? HAS_MISSING : 0) | (event.clockSynced ? CLOCK_SYNCED : 0) | (event.deviceTime ? DEVICE_TIMES : 0));
  into.varint(event.values.length);
  into.varint(event.identity.boot);
  into.u32(event.identity.nonce);
  into.varint(event.sequence);
  into.signedVarint(event.receivedAt - context.receivedAt);
  context.receivedAt = event.receivedAt;
  into.signedVarint(event.time - event.receivedAt);
  into.f32Array(event.values);
  if (event.missing) into.raw(packBits(event.missing));
}

export function decodeHeld(from: ByteReader, context: BlockContext): HeldEvent {
  const [group, row, flags] = [from.varint(), from.varint(), from.u8()];
  const values = new Float32Array(countWithin(from, from.varint()));
  const identity = { boot: from.varint(), nonce: from.u32() };
  const sequence = from.varint();
  const receivedAt = context.receivedAt + from.signedVarint();
  context.receivedAt = receivedAt;
  const time = receivedAt + from.signedVarint();
  from.f32Array(values);
  const missing = flags & HAS_MISSING ? unpackBits(from.raw(Math.ceil(values.length / 8)), values.length) : undefined;
  const labels = { clockSynced: (flags & CLOCK_SYNCED) !== 0, deviceTime: (flags & DEVICE_TIMES) !== 0 };
  return { kind: "held", group, row, identity, sequence, receivedAt, time, values, missing, ...labels };
}

export function encodeKept(into: ByteWriter, event: KeptEvent, context: BlockContext): void {
  into.varint(event.group);
  into.varint(event.row);
  into.varint(event.values.length);
  into.signedVarint(event.receivedAt - context.receivedAt);
  context.receivedAt = event.receivedAt;
  into.signedVarint(event.time - event.receivedAt);
  into.f32Array(event.values);
  into.raw(packBits(event.missing));
}

export function decodeKept(from: ByteReader, context: BlockContext): KeptEvent {
  const [group, row] = [from.varint(), from.varint()];
  const values = new Float32Array(countWithin(from, from.varint()));
  const receivedAt = context.receivedAt + from.signedVarint();
  context.receivedAt = receivedAt;
  const time = receivedAt + from.signedVarint();
  from.f32Array(values);
  const missing = unpackBits(from.raw(Math.ceil(values.length / 8)), values.length);
  return { kind: "kept", group, row, receivedAt, time, values, missing };
}
