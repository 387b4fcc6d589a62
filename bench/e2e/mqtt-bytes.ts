// The few MQTT 3.1.1 packets that a load needs, as bytes: a client library would cost more than what is measured. A reading's packet is made
// once a device; for each message only its packet id, sequence and time are written over, at fields whose length never changes.
import assert from "node:assert/strict";
import { payloadCodec } from "../../src/message/codecs.ts";

/** From here to 2^35 a varint has five bytes. */
export const FIRST_SEQUENCE = 2 ** 28;
const SEQUENCE_BYTES = 5;
/** Milliseconds since 1970 have six, until 2109. */
const TIME_BYTES = 6;
const PUBLISH_QOS_1 = 0x32;
/** Between two readings of a device. */
export const READING_INTERVAL_MS = 10;

export const DEVICE_DIGITS = 6;

export function deviceOf(stream: number): string {
  return `s${String(stream).padStart(DEVICE_DIGITS, "0")}`;
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
};

function packet(first: number, body: Buffer): Buffer {
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

export function connectPacket(clientId: string): Buffer {
  const cleanSession = 2;
  return packet(0x10, Buffer.concat([text("MQTT"), Buffer.from([4, cleanSession, 0, 0]), text(clientId)]));
}

export function subscribePacket(filter: string): Buffer {
  return packet(0x82, Buffer.concat([Buffer.from([0, 1]), text(filter), Buffer.from([1])]));
}

function writeVarint(into: Uint8Array, at: number, value: number, bytes: number): void {
  let rest = value;
  for (let i = 0; i < bytes - 1; i++) {
    into[at + i] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  into[at + bytes - 1] = rest;
}

function varintEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at]! >= 0x80) at++;
  return at + 1;
}

/** Where the bytes after a field's tag begin; the fields before it are the numbers that a SensorBatch begins with. */
function fieldAt(payload: Uint8Array, wanted: number): number {
  let at = 0;
  while (at < payload.length) {
    const tag = payload[at++]!;
    if (tag >> 3 === wanted) return at;
    const wireType = tag & 7;
    if (wireType === 0) at = varintEnd(payload, at);
    else if (wireType === 5) at += 4;
    else break;
  }
  throw new Error(`a SensorBatch has no field ${wanted} among its first`);
}

export interface DeviceOptions {
  readonly topic: string;
  readonly boot: number;
  readonly features: readonly string[];
  /** Readings a message. */
  readonly readings: number;
  /** `(readings, features)` */
  readonly values: Float32Array;
  readonly timeMs: number;
}

/** One device's PUBLISH packets. */
export class DevicePackets {
  readonly bytes: number;
  readonly #template: Buffer;
  readonly #packetIdAt: number;
  readonly #payloadAt: number;
  readonly #sequenceAt: number;
  readonly #timeAt: number;
  readonly #readings: number;
  readonly #timeMs: number;
  #messages = 0;

  constructor({ topic, boot, features, readings, values, timeMs }: DeviceOptions) {
    const count = readings;
    const payload = payloadCodec("protobuf").encode(
      {
        part: undefined,
        identity: { boot, nonce: 77 },
        count,
        sequences: Float64Array.from({ length: count }, (_, i) => FIRST_SEQUENCE + i),
        times: Float64Array.from({ length: count }, (_, i) => timeMs + i * READING_INTERVAL_MS),
        values,
        missing: undefined,
      },
      features,
    );
    this.#template = packet(PUBLISH_QOS_1, Buffer.concat([text(topic), Buffer.from([0, 0]), payload]));
    const start = this.#template.length - payload.length;
    this.#payloadAt = start;
    this.#packetIdAt = start - 2;
    this.#sequenceAt = start + fieldAt(payload, 3);
    this.#timeAt = start + fieldAt(payload, 6);
    assert.equal(varintEnd(this.#template, this.#sequenceAt) - this.#sequenceAt, SEQUENCE_BYTES);
    assert.equal(varintEnd(this.#template, this.#timeAt) - this.#timeAt, TIME_BYTES);
    this.bytes = this.#template.length;
    this.#readings = readings;
    this.#timeMs = timeMs;
  }

  /** Writes the device's next message at `at`. */
  write(into: Buffer, at: number, packetId: number): void {
    this.#template.copy(into, at);
    into[at + this.#packetIdAt] = packetId >> 8;
    into[at + this.#packetIdAt + 1] = packetId & 0xff;
    const readings = this.#messages++ * this.#readings;
    writeVarint(into, at + this.#sequenceAt, FIRST_SEQUENCE + readings, SEQUENCE_BYTES);
    writeVarint(into, at + this.#timeAt, this.#timeMs + readings * READING_INTERVAL_MS, TIME_BYTES);
  }

  /** The payload of the device's next message. */
  nextPayload(): Uint8Array {
    const packet = Buffer.allocUnsafeSlow(this.bytes);
    this.write(packet, 0, 0);
    return packet.subarray(this.#payloadAt);
  }
}

/** Cuts what arrives into packets. `visit` gets the first byte, and the place of the body: from `start` to `end` in `bytes`. */
export class PacketCutter {
  readonly #visit: (first: number, bytes: Buffer, start: number, end: number) => void;
  #rest: Buffer | undefined;

  constructor(visit: (first: number, bytes: Buffer, start: number, end: number) => void) {
    this.#visit = visit;
  }

  take(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + 2 <= bytes.length) {
      let length = 0;
      let start = at + 1;
      let scale = 1;
      while (start < bytes.length && bytes[start]! >= 0x80) {
        length += (bytes[start++]! & 0x7f) * scale;
        scale *= 128;
      }
      if (start >= bytes.length) break;
      length += bytes[start++]! * scale;
      if (start + length > bytes.length) break;
      this.#visit(bytes[at]!, bytes, start, start + length);
      at = start + length;
    }
    this.#rest = at < bytes.length ? bytes.subarray(at) : undefined;
  }
}
