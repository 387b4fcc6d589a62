// Every stream's states in one float32 array, a row a slot, the tensors of one stream side by side: the rows of an engine whose kernel
// keeps none. The array doubles when it is full, so whoever keeps a reference to it over a `reserve` holds an old one.
import { grown } from "../base/grown.ts";
import type { StateRows } from "./state-arena.ts";

const SLOTS_MIN = 16;

interface Column {
  /** Where the tensor starts in a row. */
  readonly at: number;
  readonly length: number;
}

export class FloatRows implements StateRows {
  readonly columns: readonly Column[];
  /** Values in a row. */
  readonly width: number;
  #values = new Float32Array();
  #slots = 0;

  /** `lengths`: of a stream's state tensors, in order. */
  constructor(lengths: readonly number[]) {
    let at = 0;
    this.columns = lengths.map((length) => {
      at += length;
      return { at: at - length, length };
    });
    this.width = at;
  }

  get slots(): number {
    return this.#slots;
  }

  /** The rows, slot after slot: valid until the next `reserve`. */
  get values(): Float32Array {
    return this.#values;
  }

  reserve(count: number): void {
    if (count <= this.#slots) return;
    this.#slots = Math.max(count, 2 * this.#slots, SLOTS_MIN);
    this.#values = grown(this.#values, new Float32Array(this.#slots * this.width));
  }

  clear(slot: number): void {
    this.#values.fill(0, slot * this.width, (slot + 1) * this.width);
  }

  copy(from: number, to: number): void {
    this.#values.copyWithin(to * this.width, from * this.width, (from + 1) * this.width);
  }

  read(slot: number, state: number, values: Float32Array): void {
    const { at, length } = this.columns[state]!;
    const from = slot * this.width + at;
    values.set(this.#values.subarray(from, from + length));
  }

  write(slot: number, state: number, values: Float32Array): void {
    this.#values.set(values, slot * this.width + this.columns[state]!.at);
  }
}
