// Little-endian bytes, written and read front to back: the journal's, the checkpoint's and the state's encodings are made of these.
// Whole numbers up to 2^53 - 1 are LEB128 varints.
import { HiddenstateError } from "./errors.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Grows as needed; `clear` keeps the memory for the next use. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(initialBytes = 1024) {
    this.#bytes = new Uint8Array(initialBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** A view of what was written; valid until the next write or `clear`. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  #reserve(count: number): number {
    const at = this.#length;
    this.#length = at + count;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }

  f32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setFloat32(at, value, true);
  }

  f64(value: number): void {
    const at = this.#reserve(8);
    this.#view.setFloat64(at, value, true);
  }

  /** A whole number, 0 to 2^53 - 1. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.u8(rest);
  }

  /** A whole number of either sign, up to 2^52 away from 0. */
  signedVarint(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** Raw bytes, without their length. */
  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Bytes after their length. */
  blob(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  text(value: string): void {
    this.blob(encoder.encode(value));
  }

  f32Array(values: Float32Array): void {
    const at = this.#reserve(4 * values.length);
    for (let i = 0; i < values.length; i++) this.#view.setFloat32(at + 4 * i, values[i]!, true);
  }

  /** Overwrites four bytes written before, such as a length known only at the end. */
  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** Overwrites eight bytes written before. */
  patchF64(at: number, value: number): void {
    this.#view.setFloat64(at, value, true);
  }
}

/** Reads what a ByteWriter wrote. Every read past the end or out of range throws `bad_payload`; nothing is ever guessed. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) {
      throw new HiddenstateError("bad_payload", `cannot decode bytes: ${count} wanted at ${at}, ${this.#end - at} left`);
    }
    this.#at = at + count;
    return at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  f32(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 0x80;
      if (scale > 2 ** 49) throw new HiddenstateError("bad_payload", "cannot decode a whole number: it is longer than 8 bytes");
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new HiddenstateError("bad_payload", "cannot decode a whole number: over 2^53");
    return value;
  }

  signedVarint(): number {
    const folded = this.varint();
    return folded % 2 === 1 ? -(folded + 1) / 2 : folded / 2;
  }

  /** A view into the bytes read from, not a copy. */
  raw(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  blob(): Uint8Array {
    return this.raw(this.varint());
  }

  text(): string {
    try {
      return decoder.decode(this.blob());
    } catch (thrown) {
      throw new HiddenstateError("bad_payload", "cannot decode a text: it is not UTF-8", thrown);
    }
  }

  f32Array(into: Float32Array): void {
    const at = this.#take(4 * into.length);
    for (let i = 0; i < into.length; i++) into[i] = this.#view.getFloat32(at + 4 * i, true);
  }
}
