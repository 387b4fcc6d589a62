// Reading bytes one after the other, big-endian, as CBOR and MessagePack have them. Reading past the end is an error of the payload, and so
// is nesting deeper than any message of readings needs.
import { limits } from "../base/limits.ts";
import { PayloadError } from "./payload-error.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

export class BinaryCursor {
  readonly #format: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #depth = 0;

  constructor(format: string, bytes: Uint8Array) {
    this.#format = format;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  refuse(reason: string): never {
    throw new PayloadError("undecodable", `cannot decode payload: it is not ${this.#format}: byte ${this.#at}: ${reason}`);
  }

  /** Moves on by `count` bytes; returns where they begin. */
  #skip(count: number): number {
    if (count > this.remaining) this.refuse(`${count} bytes are expected, ${this.remaining} are left`);
    const at = this.#at;
    this.#at += count;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#skip(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#skip(4));
  }

  /** A bigint where a number would round it. */
  u64(): number | bigint {
    return exact(this.#view.getBigUint64(this.#skip(8)));
  }

  i8(): number {
    return this.#view.getInt8(this.#skip(1));
  }

  i16(): number {
    return this.#view.getInt16(this.#skip(2));
  }

  i32(): number {
    return this.#view.getInt32(this.#skip(4));
  }

  i64(): number | bigint {
    return exact(this.#view.getBigInt64(this.#skip(8)));
  }

  /** IEEE 754 binary16. */
  f16(): number {
    const bits = this.u16();
    const [sign, exponent, fraction] = [bits >> 15 === 0 ? 1 : -1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
  }

  f32(): number {
    return this.#view.getFloat32(this.#skip(4));
  }

  f64(): number {
    return this.#view.getFloat64(this.#skip(8));
  }

  /** The caller's own. */
  bytes(count: number): Uint8Array {
    const at = this.#skip(count);
    return this.#bytes.slice(at, at + count);
  }

  text(count: number): string {
    const at = this.#skip(count);
    try {
      return decoder.decode(this.#bytes.subarray(at, at + count));
    } catch {
      return this.refuse("a text is not UTF-8");
    }
  }

  /** Reads what lies inside something else. */
  inside<T>(read: () => T): T {
    if (++this.#depth > limits.nestingMax) this.refuse(`it is nested deeper than ${limits.nestingMax} levels`);
    const value = read();
    this.#depth--;
    return value;
  }

  /** `count` items, each of which takes a byte at least. */
  list<T>(count: number, read: () => T): T[] {
    if (count > this.remaining) this.refuse(`${count} items are expected in ${this.remaining} bytes`);
    return this.inside(() => Array.from({ length: count }, read));
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
