// Every stream's state in one float32 array, a row a slot, the tensors of one stream side by side. Rows are handed out blank and taken
// back; the array doubles when it is full, so whoever keeps a reference to it over an `allocate` holds an old one.
import assert from "node:assert/strict";
import { HiddenstateError } from "../base/errors.ts";
import { grown } from "../base/grown.ts";
import { countOf } from "../kernels/tensor.ts";
import type { StateSpec } from "../model/spec.ts";
import type { Slot, StateTensors } from "./engine.ts";

const FREE = 0;
const IDLE = 1;
/** In a batch that is being stepped: its row must not be touched by anyone else. */
const STEPPING = 2;

interface Column {
  readonly name: string;
  /** Where the tensor starts in a row. */
  readonly at: number;
  readonly length: number;
}

export class StateArena {
  readonly columns: readonly Column[];
  /** Values in a row. */
  readonly width: number;
  #rows: Float32Array;
  #use: Uint8Array;
  #freed: Int32Array;
  #freedCount = 0;
  /** Slots below this have been handed out at least once. */
  #used = 0;

  constructor(states: readonly StateSpec[], initialSlots = 16) {
    let at = 0;
    this.columns = states.map(({ name, shape }) => {
      const column = { name, at, length: countOf(shape) };
      at += column.length;
      return column;
    });
    this.width = at;
    this.#rows = new Float32Array(initialSlots * this.width);
    this.#use = new Uint8Array(initialSlots);
    this.#freed = new Int32Array(initialSlots);
  }

  /** The rows, slot after slot: valid until the next `allocate`. */
  get rows(): Float32Array {
    return this.#rows;
  }

  /** A row of zeros, the initial state that a spec declares. */
  allocate(): Slot {
    if (this.#freedCount === 0 && this.#used === this.#use.length) this.#grow();
    const slot = this.#freedCount > 0 ? this.#freed[--this.#freedCount]! : this.#used++;
    this.#use[slot] = IDLE;
    this.#rows.fill(0, slot * this.width, (slot + 1) * this.width);
    return slot;
  }

  release(slot: Slot): void {
    this.#expectIdle(slot);
    this.#use[slot] = FREE;
    this.#freed[this.#freedCount++] = slot;
  }

  read(slot: Slot, into: StateTensors): void {
    this.#expectIdle(slot);
    this.#expectTensors(into, "read");
    for (const { name, at, length } of this.columns) {
      const from = slot * this.width + at;
      into[name]!.set(this.#rows.subarray(from, from + length));
    }
  }

  write(slot: Slot, from: StateTensors): void {
    this.#expectIdle(slot);
    this.#expectTensors(from, "write");
    for (const { name, at } of this.columns) this.#rows.set(from[name]!, slot * this.width + at);
  }

  copy(from: Slot, to: Slot): void {
    this.#expectIdle(from);
    this.#expectIdle(to);
    this.#rows.copyWithin(to * this.width, from * this.width, (from + 1) * this.width);
  }

  /** Marks a batch's rows as being stepped; each must be idle, which also finds a slot that stands in the batch twice. */
  beginStep(slots: Int32Array, count: number): void {
    for (let n = 0; n < count; n++) {
      this.#expectIdle(slots[n]!);
      this.#use[slots[n]!] = STEPPING;
    }
  }

  endStep(slots: Int32Array, count: number): void {
    for (let n = 0; n < count; n++) this.#use[slots[n]!] = IDLE;
  }

  #expectIdle(slot: Slot): void {
    const use = this.#use[slot];
    // Not assert(condition, message), which builds its message on every call: this is the hot path.
    if (use === undefined || use === FREE) assert.fail(`slot ${slot} is not allocated`);
    if (use !== IDLE) assert.fail(`slot ${slot} is being stepped, or stands in one batch twice`);
  }

  #expectTensors(tensors: StateTensors, verb: string): void {
    const names = Object.keys(tensors);
    const right = this.columns.map(({ name, length }) => `${name} of ${length}`).join(", ");
    const fits =
      names.length === this.columns.length && this.columns.every(({ name, length }) => tensors[name]?.length === length);
    if (fits) return;
    const found = names.map((name) => `${name} of ${tensors[name]!.length}`).join(", ");
    throw new HiddenstateError(
      "bad_state",
      `cannot ${verb} a state: its tensors are ${found || "none"}, and the model's are ${right}`,
    );
  }

  #grow(): void {
    const slots = this.#use.length * 2;
    this.#rows = grown(this.#rows, new Float32Array(slots * this.width));
    this.#use = grown(this.#use, new Uint8Array(slots));
    // Growing happens with no slot free, so there is nothing to carry over.
    this.#freed = new Int32Array(slots);
  }
}
