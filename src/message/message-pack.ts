// MessagePack to values as JSON has them, and bigints, dates and byte arrays. Of extension types only the timestamp is known.
import { BinaryCursor } from "./binary-cursor.ts";
import { checkPayloadSize } from "./payload-codec.ts";

const TIMESTAMP = -1;

function array(cursor: BinaryCursor, count: number): unknown[] {
  return cursor.list(count, () => value(cursor));
}

function map(cursor: BinaryCursor, count: number): Record<string, unknown> {
  const pair = (): [string, unknown] => [String(value(cursor)), value(cursor)];
  return Object.fromEntries(cursor.list(count, pair));
}

/** The specification's timestamp: 32 bits of seconds; 30 of nanoseconds and 34 of seconds; or 32 and 64. */
function timestamp(data: Uint8Array): Date | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (data.length === 4) return new Date(view.getUint32(0) * 1000);
  if (data.length === 8) {
    const bits = view.getBigUint64(0);
    return new Date(Number(bits & 0x3_ffff_ffffn) * 1000 + Number(bits >> 34n) / 1e6);
  }
  return data.length === 12 ? new Date(Number(view.getBigInt64(4)) * 1000 + view.getUint32(0) / 1e6) : undefined;
}

function extension(cursor: BinaryCursor, length: number): unknown {
  const type = cursor.i8();
  const data = cursor.bytes(length);
  return (type === TIMESTAMP ? timestamp(data) : undefined) ?? data;
}

type Read = (cursor: BinaryCursor) => unknown;

/** By the first byte, from 0xc0 on. */
const READ: readonly Read[] = [
  () => null,
  (cursor) => cursor.refuse("0xc1 is never used"),
  () => false,
  () => true,
  (cursor) => cursor.bytes(cursor.u8()),
  (cursor) => cursor.bytes(cursor.u16()),
  (cursor) => cursor.bytes(cursor.u32()),
  (cursor) => extension(cursor, cursor.u8()),
  (cursor) => extension(cursor, cursor.u16()),
  (cursor) => extension(cursor, cursor.u32()),
  (cursor) => cursor.f32(),
  (cursor) => cursor.f64(),
  (cursor) => cursor.u8(),
  (cursor) => cursor.u16(),
  (cursor) => cursor.u32(),
  (cursor) => cursor.u64(),
  (cursor) => cursor.i8(),
  (cursor) => cursor.i16(),
  (cursor) => cursor.i32(),
  (cursor) => cursor.i64(),
  (cursor) => extension(cursor, 1),
  (cursor) => extension(cursor, 2),
  (cursor) => extension(cursor, 4),
  (cursor) => extension(cursor, 8),
  (cursor) => extension(cursor, 16),
  (cursor) => cursor.text(cursor.u8()),
  (cursor) => cursor.text(cursor.u16()),
  (cursor) => cursor.text(cursor.u32()),
  (cursor) => array(cursor, cursor.u16()),
  (cursor) => array(cursor, cursor.u32()),
  (cursor) => map(cursor, cursor.u16()),
  (cursor) => map(cursor, cursor.u32()),
];

function value(cursor: BinaryCursor): unknown {
  const first = cursor.u8();
  if (first < 0x80) return first;
  if (first < 0x90) return map(cursor, first & 15);
  if (first < 0xa0) return array(cursor, first & 15);
  if (first < 0xc0) return cursor.text(first & 31);
  return first < 0xe0 ? READ[first - 0xc0]!(cursor) : first - 256;
}

/** The one value of a payload. Throws PayloadError `oversize` or `undecodable`. */
export function decodeMessagePack(payload: Uint8Array): unknown {
  checkPayloadSize(payload);
  const cursor = new BinaryCursor("MessagePack", payload);
  const decoded = value(cursor);
  if (cursor.remaining > 0) cursor.refuse(`${cursor.remaining} bytes follow the value`);
  return decoded;
}
