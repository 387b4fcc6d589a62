// Which slots are taken, and by whom: the duties of every engine's arena, over rows of states that its kernel or it itself keeps. Slots
// are handed out blank and taken back; states go in and out as tensors by name.
import assert from "node:assert/strict";
import { grown } from "../base/grown.ts";
import { countOf } from "../kernels/tensor.ts";
import type { StateSpec } from "../model/spec.ts";
import { checkTensors } from "./check-tensors.ts";
import type { NamedLength } from "./check-tensors.ts";
import type { Slot, StateTensors } from "./engine.ts";

const FREE = 0;
const IDLE = 1;
/** In a batch that is being stepped: its row must not be touched by anyone else. */
const STEPPING = 2;

/** Where the values lie, a row a slot: a part of the kernels' RecurrentNetwork, whose words hold. */
export interface StateRows {
  readonly slots: number;
  reserve(count: number): void;
  clear(slot: number): void;
  copy(from: number, to: number): void;
  read(slot: number, state: number, values: Float32Array): void;
  write(slot: number, state: number, values: Float32Array): void;
}

export class StateArena {
  readonly #states: readonly NamedLength[];
  readonly #rows: StateRows;
  #use = new Uint8Array();
  #freed = new Int32Array();
  #freedCount = 0;
  /** Slots below this have been handed out at least once. */
  #used = 0;

  constructor(states: readonly StateSpec[], rows: StateRows) {
    this.#states = states.map(({ name, shape }) => ({ name, length: countOf(shape) }));
    this.#rows = rows;
  }

  /** A row of zeros, the initial state that a spec declares. Throws `unavailable` where there is no memory for one more. */
  allocate(): Slot {
    if (this.#freedCount === 0 && this.#used === this.#use.length) this.#grow();
    const slot = this.#freedCount > 0 ? this.#freed[--this.#freedCount]! : this.#used++;
    this.#use[slot] = IDLE;
    this.#rows.clear(slot);
    return slot;
  }

  release(slot: Slot): void {
    this.#expectIdle(slot);
    this.#use[slot] = FREE;
    this.#freed[this.#freedCount++] = slot;
  }

  read(slot: Slot, into: StateTensors): void {
    this.#expectIdle(slot);
    checkTensors(this.#states, into, "read");
    this.#states.forEach(({ name }, state) => this.#rows.read(slot, state, into[name]!));
  }

  write(slot: Slot, from: StateTensors): void {
    this.#expectIdle(slot);
    checkTensors(this.#states, from, "write");
    this.#states.forEach(({ name }, state) => this.#rows.write(slot, state, from[name]!));
  }

  copy(from: Slot, to: Slot): void {
    this.#expectIdle(from);
    this.#expectIdle(to);
    this.#rows.copy(from, to);
  }

  /** Marks a batch's rows as being stepped; each must be idle, which also finds a slot that stands in the batch twice. */
  beginStep(slots: Int32Array, count: number): void {
    for (let n = 0; n < count; n++) {
      const slot = slots[n]!;
      if (this.#use[slot] !== IDLE) {
        // Those before it are nobody's batch now.
        this.endStep(slots, n);
        this.#expectIdle(slot);
        assert.fail(`slot ${slot} stands in one batch twice`);
      }
      this.#use[slot] = STEPPING;
    }
  }

  endStep(slots: Int32Array, count: number): void {
    for (let n = 0; n < count; n++) this.#use[slots[n]!] = IDLE;
  }

  #expectIdle(slot: Slot): void {
    const use = this.#use[slot];
    // Not assert(condition, message), which builds its message on every call: this is the hot path.
    if (use === undefined || use === FREE) assert.fail(`slot ${slot} is not allocated`);
    if (use !== IDLE) assert.fail(`slot ${slot} is being stepped`);
  }

  #grow(): void {
    // How much more than this one is the rows' choice.
    this.#rows.reserve(this.#used + 1);
    const { slots } = this.#rows;
    this.#use = grown(this.#use, new Uint8Array(slots));
    // Growing happens with no slot free, so there is nothing to carry over.
    this.#freed = new Int32Array(slots);
  }
}
