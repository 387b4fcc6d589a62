// Stream keys: what a key may be, how a device's part extends it, and how one stands in a topic as a single level.
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";

/** Control characters (Cc) and halves of surrogate pairs (Cs), which have no UTF-8. */
const REFUSED = /[\p{Cc}\p{Cs}]/u;
const PLAIN = /^[A-Za-z0-9._-]+$/;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Why a text cannot be a stream key, or undefined where it can: 1 to 128 bytes of UTF-8 without control characters. */
export function validateStreamKey(key: string): string | undefined {
  if (key.length === 0) return "it is empty";
  // A UTF-16 unit takes at most three bytes of UTF-8, so short keys need not be measured.
  if (key.length * 3 > limits.streamKeyBytesMax) {
    const bytes = Buffer.byteLength(key);
    if (bytes > limits.streamKeyBytesMax) return `it has ${bytes} bytes, at most ${limits.streamKeyBytesMax} are allowed`;
  }
  return REFUSED.test(key) ? "it holds a control character or a broken surrogate pair" : undefined;
}

/**
 * Why a text cannot name a part of a device, or undefined where it can. A part is one or more levels: `x`, `motor/bearing-2`. Empty
 * levels, `.` and `..` are refused, so that a part always stands below its device.
 */
export function validatePart(part: string): string | undefined {
  const reason = validateStreamKey(part);
  if (reason !== undefined) return reason;
  for (const level of part.split("/")) {
    if (level === "") return "it has an empty level";
    if (level === "." || level === "..") return `it has the level "${level}"`;
  }
  return undefined;
}

/** The stream of a device's part: `<key>/<part>`; the device's own where there is no part. Its length is not yet judged. */
export function partStreamKey(key: string, part: string | undefined): string {
  return part === undefined ? key : `${key}/${part}`;
}

/** A key as one topic level: every byte of its UTF-8 that is not one of `A-Za-z0-9._-` becomes %XX, `/` included. */
export function encodeStreamKey(key: string): string {
  if (PLAIN.test(key)) return key;
  let encoded = "";
  for (const byte of encoder.encode(key)) {
    const character = String.fromCharCode(byte);
    encoded += PLAIN.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** The key behind a topic level. Throws `bad_argument` for whatever `encodeStreamKey` would not have written. */
export function decodeStreamKey(encoded: string): string {
  if (PLAIN.test(encoded)) return encoded;
  let key = "";
  try {
    const bytes = encoded.replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    key = decoder.decode(Buffer.from(bytes, "latin1"));
  } catch (thrown) {
    throw new HiddenstateError("bad_argument", `cannot decode the topic level "${encoded}": its bytes are not UTF-8`, thrown);
  }
  if (key === "" || encodeStreamKey(key) !== encoded) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot decode the topic level "${encoded}": a stream key is written in A-Za-z0-9._-, every other byte as %XX`,
    );
  }
  return key;
}
