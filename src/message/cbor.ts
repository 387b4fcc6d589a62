// CBOR (RFC 8949) to values as JSON has them, and bigints, dates and byte arrays. Tags that say nothing of numbers or times are passed over.
import { BinaryCursor } from "./binary-cursor.ts";
import { checkPayloadSize } from "./payload-codec.ts";

/** Where the items of an indefinite length end. */
const BREAK = Symbol("break");
const INDEFINITE = 31;

const [TAG_EPOCH, TAG_BIGNUM, TAG_NEGATIVE_BIGNUM, TAG_DECIMAL, TAG_BIGFLOAT] = [1, 2, 3, 4, 5];

/** The argument of an item's first byte [3]; undefined: the length is indefinite. */
function argument(cursor: BinaryCursor, info: number): number | bigint | undefined {
  if (info < 24) return info;
  if (info === 24) return cursor.u8();
  if (info === 25) return cursor.u16();
  if (info === 26) return cursor.u32();
  if (info === 27) return cursor.u64();
  return info === INDEFINITE ? undefined : cursor.refuse(`${info} is no additional information`);
}

function lengthOf(cursor: BinaryCursor, length: number | bigint): number {
  return typeof length === "number" ? length : cursor.refuse(`there are no ${length} bytes`);
}

function simple(cursor: BinaryCursor, info: number): unknown {
  switch (info) {
    case 20:
      return false;
    case 21:
      return true;
    case 22:
      return null;
    case 25:
      return cursor.f16();
    case 26:
      return cursor.f32();
    case 27:
      return cursor.f64();
    case INDEFINITE:
      return BREAK;
    default:
      if (info === 24) cursor.u8();
      else if (info > 24) cursor.refuse(`${info} is no simple value`);
      // 23 is undefined; the others mean nothing that is known here.
      return undefined;
  }
}

/** Items up to the break. */
function untilBreak(cursor: BinaryCursor): unknown[] {
  return cursor.inside(() => {
    const items: unknown[] = [];
    for (let next = item(cursor); next !== BREAK; next = item(cursor)) items.push(next);
    return items;
  });
}

function value(cursor: BinaryCursor): unknown {
  const read = item(cursor);
  return read === BREAK ? cursor.refuse("a break stands where a value is expected") : read;
}

function text(cursor: BinaryCursor, length: number | bigint | undefined): string {
  if (length !== undefined) return cursor.text(lengthOf(cursor, length));
  const parts = untilBreak(cursor);
  return parts.every((part) => typeof part === "string") ? parts.join("") : cursor.refuse("a text is made of something else");
}

function bytes(cursor: BinaryCursor, length: number | bigint | undefined): Uint8Array {
  if (length !== undefined) return cursor.bytes(lengthOf(cursor, length));
  const parts = untilBreak(cursor);
  return parts.every((part) => part instanceof Uint8Array)
    ? Buffer.concat(parts)
    : cursor.refuse("bytes are made of something else");
}

function map(cursor: BinaryCursor, length: number | bigint | undefined): Record<string, unknown> {
  if (length !== undefined) {
    const pair = (): [string, unknown] => [String(value(cursor)), value(cursor)];
    return Object.fromEntries(cursor.list(lengthOf(cursor, length), pair));
  }
  const items = untilBreak(cursor);
  if (items.length % 2 === 1) cursor.refuse("a key has no value");
  return Object.fromEntries(items.flatMap((key, i) => (i % 2 === 0 ? [[String(key), items[i + 1]]] : [])));
}

/** RFC 8949, 3.4. */
function tagged(cursor: BinaryCursor, tag: number | bigint): unknown {
  const inner = cursor.inside(() => value(cursor));
  if (tag === TAG_EPOCH && typeof inner === "number") return new Date(inner * 1000);
  if ((tag === TAG_BIGNUM || tag === TAG_NEGATIVE_BIGNUM) && inner instanceof Uint8Array) {
    const magnitude = BigInt(`0x${Buffer.from(inner).toString("hex") || "0"}`);
    return tag === TAG_BIGNUM ? magnitude : -1n - magnitude;
  }
  if ((tag === TAG_DECIMAL || tag === TAG_BIGFLOAT) && Array.isArray(inner)) {
    const [exponent, mantissa] = inner as readonly unknown[];
    if (tag === TAG_DECIMAL) return Number(`${Number(mantissa)}e${Number(exponent)}`);
    return Number(mantissa) * 2 ** Number(exponent);
  }
  return inner;
}

function item(cursor: BinaryCursor): unknown {
  const first = cursor.u8();
  const [major, info] = [first >> 5, first & 31];
  if (major === 7) return simple(cursor, info);
  const length = argument(cursor, info);
  switch (major) {
    case 0:
      return length ?? cursor.refuse("a number has no length");
    case 1:
      if (length === undefined) return cursor.refuse("a number has no length");
      return typeof length === "bigint" ? -1n - length : -1 - length;
    case 2:
      return bytes(cursor, length);
    case 3:
      return text(cursor, length);
    case 4:
      return length === undefined ? untilBreak(cursor) : cursor.list(lengthOf(cursor, length), () => value(cursor));
    case 5:
      return map(cursor, length);
    default:
      return length === undefined ? cursor.refuse("a tag has no length") : tagged(cursor, length);
  }
}

/** The one value of a payload. Throws PayloadError `oversize` or `undecodable`. */
export function decodeCbor(payload: Uint8Array): unknown {
  checkPayloadSize(payload);
  const cursor = new BinaryCursor("CBOR", payload);
  const decoded = value(cursor);
  if (cursor.remaining > 0) cursor.refuse(`${cursor.remaining} bytes follow the value`);
  return decoded;
}
