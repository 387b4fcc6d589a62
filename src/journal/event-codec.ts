// The bytes of events, format 1. Events of one block are encoded one after the other; arrival times are kept as differences within
// the block. Layout: one byte for the kind, then the fields in the order below.
import { HiddenstateError } from "../base/errors.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { decodeCommand, encodeCommand } from "./command-event-codec.ts";
import { CLOCK_SYNCED, countWithin, DEVICE_TIMES, HAS_MISSING, packBits, unpackBits } from "./event-fields.ts";
import type { BlockContext } from "./event-fields.ts";
import type { JournalEvent, ReadingsEvent } from "./events.ts";
import { decodeHeld, decodeKept, encodeHeld, encodeKept } from "./waiting-event-codec.ts";

const KINDS = [
  "epoch",
  "layout",
  "streamAdded",
  "streamRemoved",
  "readings",
  "stateSet",
  "stateReset",
  "streamRenamed",
  "notice",
  "confirmed",
  "held",
  "sessionBegan",
  "kept",
  "sessionAsked",
  "sessionKept",
  "alarmMuted",
  "alarmCalled",
  "budgetSet",
  "answered",
] as const;
const CODES = new Map<JournalEvent["kind"], number>(KINDS.map((kind, code) => [kind, code]));

const HAS_IDENTITY = 1;
const HAS_SKIPPED = 2;
const WEAK_DELIVERY = 32;
const FROM_HELD = 64;
const HAS_ALARMS = 128;
const SILENT = 256;
const MUTED = 512;
const NO_BLOBS: readonly Uint8Array[] = [];

function encodeReadings(into: ByteWriter, event: ReadingsEvent, context: BlockContext): void {
  into.varint(event.group);
  into.varint(event.row);
  into.varint(
    (event.identity ? HAS_IDENTITY : 0) |
      (event.skipped ? HAS_SKIPPED : 0) |
      (event.missing ? HAS_MISSING : 0) |
      (event.clockSynced ? CLOCK_SYNCED : 0) |
      (event.deviceTimes ? DEVICE_TIMES : 0) |
      (event.weakDelivery ? WEAK_DELIVERY : 0) |
      (event.fromHeld ? FROM_HELD : 0) |
      (event.alarms.length > 0 ? HAS_ALARMS : 0) |
      (event.silent ? SILENT : 0) |
      (event.muted ? MUTED : 0),
  );
  into.varint(event.count);
  into.varint(event.features);
  into.varint(event.outputs.length / event.count);
  if (event.identity) {
    into.varint(event.identity.boot);
    into.u32(event.identity.nonce);
  }
  into.varint(event.firstSequence);
  if (event.skipped) for (const skipped of event.skipped) into.varint(skipped);
  into.signedVarint(event.receivedAt - context.receivedAt);
  context.receivedAt = event.receivedAt;
  let before = event.receivedAt;
  for (const time of event.times) {
    into.signedVarint(time - before);
    before = time;
  }
  into.f32Array(event.values);
  if (event.missing) into.raw(packBits(event.missing));
  if (event.weakDelivery) {
    into.varint(event.weakDelivery.packetId);
    into.u32(event.weakDelivery.contentHash);
  }
  into.f32Array(event.outputs);
  if (event.alarms.length > 0) encodeBlobs(into, event.alarms);
}

function decodeReadings(from: ByteReader, context: BlockContext): ReadingsEvent {
  const group = from.varint();
  const row = from.varint();
  const flags = from.varint();
  const count = countWithin(from, from.varint());
  const features = countWithin(from, from.varint());
  const outputCount = countWithin(from, from.varint());
  const identity = flags & HAS_IDENTITY ? { boot: from.varint(), nonce: from.u32() } : undefined;
  const firstSequence = from.varint();
  let skipped: Float64Array | undefined;
  if (flags & HAS_SKIPPED) {
    skipped = new Float64Array(count);
    for (let i = 0; i < count; i++) skipped[i] = from.varint();
  }
  const receivedAt = context.receivedAt + from.signedVarint();
  context.receivedAt = receivedAt;
  const times = new Float64Array(count);
  let before = receivedAt;
  for (let i = 0; i < count; i++) times[i] = before += from.signedVarint();
  const values = new Float32Array(countWithin(from, count * features));
  from.f32Array(values);
  const missing = flags & HAS_MISSING ? unpackBits(from.raw(Math.ceil(values.length / 8)), values.length) : undefined;
  const weakDelivery = flags & WEAK_DELIVERY ? { packetId: from.varint(), contentHash: from.u32() } : undefined;
  const outputs = new Float32Array(countWithin(from, count * outputCount));
  from.f32Array(outputs);
  const alarms = flags & HAS_ALARMS ? decodeBlobs(from) : NO_BLOBS;
  const clockSynced = (flags & CLOCK_SYNCED) !== 0;
  const deviceTimes = (flags & DEVICE_TIMES) !== 0;
  const fromHeld = (flags & FROM_HELD) !== 0;
  return {
    kind: "readings",
    group,
    row,
    identity,
    firstSequence,
    count,
    skipped,
    receivedAt,
    clockSynced,
    deviceTimes,
    fromHeld,
    times,
    features,
    values,
    missing,
    weakDelivery,
    outputs,
    alarms,
    silent: (flags & SILENT) !== 0,
    muted: (flags & MUTED) !== 0,
  };
}

function encodeBlobs(into: ByteWriter, blobs: readonly Uint8Array[]): void {
  into.varint(blobs.length);
  for (const blob of blobs) into.blob(blob);
}

function decodeBlobs(from: ByteReader): Uint8Array[] {
  return Array.from({ length: countWithin(from, from.varint()) }, () => from.blob());
}

function encodeTexts(into: ByteWriter, texts: readonly string[]): void {
  into.varint(texts.length);
  for (const text of texts) into.text(text);
}

function decodeTexts(from: ByteReader): string[] {
  return Array.from({ length: countWithin(from, from.varint()) }, () => from.text());
}

export function encodeEvent(into: ByteWriter, event: JournalEvent, context: BlockContext): void {
  into.u8(CODES.get(event.kind)!);
  switch (event.kind) {
    case "readings":
      return encodeReadings(into, event, context);
    case "held":
      return encodeHeld(into, event, context);
    case "kept":
      return encodeKept(into, event, context);
    case "stateSet":
    case "stateReset":
    case "streamRenamed":
    case "alarmMuted":
    case "alarmCalled":
    case "budgetSet":
      return encodeCommand(into, event);
    case "answered":
      into.text(event.transaction);
      return into.text(event.answer);
    case "epoch":
      return into.text(event.settings);
    case "layout":
      into.u32(event.hash);
      encodeTexts(into, event.names);
      return encodeTexts(into, event.units);
    case "streamAdded":
    case "streamRemoved":
      into.varint(event.group);
      into.varint(event.row);
      return into.text(event.key);
    case "notice":
      into.text(event.topic);
      return into.blob(event.payload);
    case "confirmed":
      return into.varint(event.mark);
    case "sessionAsked":
    case "sessionBegan":
    case "sessionKept":
      return;
  }
}

/** The next event of a block. Throws `bad_payload` on bytes that no encoder wrote. Payloads are views into the block. */
export function decodeEvent(from: ByteReader, context: BlockContext): JournalEvent {
  const code = from.u8();
  const kind = KINDS[code];
  if (kind === undefined) {
    throw new HiddenstateError("bad_payload", `cannot decode an event: kind ${code} is not known to this version`);
  }
  switch (kind) {
    case "readings":
      return decodeReadings(from, context);
    case "held":
      return decodeHeld(from, context);
    case "kept":
      return decodeKept(from, context);
    case "stateSet":
    case "stateReset":
    case "streamRenamed":
    case "alarmMuted":
    case "alarmCalled":
    case "budgetSet":
      return decodeCommand(from, kind);
    case "answered":
      return { kind, transaction: from.text(), answer: from.text() };
    case "epoch":
      return { kind, settings: from.text() };
    case "layout":
      return { kind, hash: from.u32(), names: decodeTexts(from), units: decodeTexts(from) };
    case "streamAdded":
    case "streamRemoved":
      return { kind, group: from.varint(), row: from.varint(), key: from.text() };
    case "notice":
      return { kind, topic: from.text(), payload: from.blob() };
    case "confirmed":
      return { kind, mark: from.varint() };
    case "sessionAsked":
    case "sessionBegan":
    case "sessionKept":
      return { kind };
  }
}
