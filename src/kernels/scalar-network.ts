// Many streams through one network in plain TypeScript: the fallback where WebAssembly SIMD is missing.
import assert from "node:assert/strict";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { grown } from "../base/grown.ts";
import { checkNetworkWeights, stateLengths } from "./network-weights.ts";
import type { NetworkWeights } from "./network-weights.ts";
import type { LentBuffers, RecurrentNetwork } from "./recurrent-network.ts";
import { RowNetwork } from "./row-network.ts";

export class ScalarNetwork implements RecurrentNetwork {
  readonly kernel = "scalar";
  readonly states: readonly number[];
  readonly #network: RowNetwork<Float32Array>;
  readonly #inputs: number;
  readonly #outputs: number;
  readonly #lent: LentBuffers;
  readonly #weightBytes: number;
  /** Where each state tensor starts in a row, and the values of a row. */
  readonly #stateAt: readonly number[];
  readonly #width: number;
  #rows = new Float32Array();
  #slots = 0;

  /** The weights are lent. Throws `bad_argument` where they do not fit each other. */
  constructor(weights: NetworkWeights, lentRows: number) {
    checkNetworkWeights(weights);
    this.#network = new RowNetwork(weights);
    this.#inputs = weights.xMean.data.length;
    this.#outputs = weights.head.b.data.length;
    this.#lent = {
      slots: new Int32Array(lentRows),
      x: new Float32Array(lentRows * this.#inputs),
      y: new Float32Array(lentRows * this.#outputs),
    };
    this.states = stateLengths(weights.layers);
    let width = 0;
    this.#stateAt = this.states.map((length) => {
      width += length;
      return width - length;
    });
    this.#width = width;
    const tensors = [weights.head.W, ...weights.layers.flatMap(({ Wx, Wh, b }) => [Wx, Wh, b])];
    this.#weightBytes = tensors.reduce((bytes, { data }) => bytes + data.byteLength, 0);
  }

  get slots(): number {
    return this.#slots;
  }

  get bytes(): number {
    const { slots, x, y } = this.#lent;
    return this.#weightBytes + slots.byteLength + x.byteLength + y.byteLength + this.#rows.byteLength;
  }

  reserve(count: number): void {
    if (count <= this.#slots) return;
    // A sixteenth more than asked for, so that a slow stream of newcomers does not copy the arena for each.
    const slots = count + (count >> 4);
    try {
      this.#rows = grown(this.#rows, new Float32Array(slots * this.#width));
    } catch (thrown) {
      throw new HiddenstateError("unavailable", `cannot keep ${count} streams: ${reasonOf(thrown)}`, thrown);
    }
    this.#slots = slots;
  }

  clear(slot: number): void {
    const at = this.#rowOf(slot);
    this.#rows.fill(0, at, at + this.#width);
  }

  copy(from: number, to: number): void {
    const at = this.#rowOf(from);
    this.#rows.copyWithin(this.#rowOf(to), at, at + this.#width);
  }

  read(slot: number, state: number, values: Float32Array): void {
    const at = this.#rowOf(slot) + this.#stateAt[state]!;
    values.set(this.#rows.subarray(at, at + this.states[state]!));
  }

  write(slot: number, state: number, values: Float32Array): void {
    assert.equal(values.length, this.states[state], "a state tensor's length");
    this.#rows.set(values, this.#rowOf(slot) + this.#stateAt[state]!);
  }

  lend(): LentBuffers {
    return this.#lent;
  }

  step(slots: Int32Array, count: number, steps: number, x: Float32Array, y: Float32Array): void {
    const D = this.#inputs;
    const O = this.#outputs;
    if (slots.length < count || x.length < steps * count * D || y.length < steps * count * O)
      assert.fail("a buffer is too short");
    for (let n = 0; n < count; n++) this.#rowOf(slots[n]!);
    // Stream by stream, not step by step: a stream's state stays in the cache over its T steps.
    for (let n = 0; n < count; n++) {
      const at = slots[n]! * this.#width;
      for (let row = n, t = 0; t < steps; t++, row += count) {
        this.#network.standardise(x, row * D);
        this.#network.stepStandardised(x, row * D, this.#rows, at, y, row * O);
      }
    }
  }

  #rowOf(slot: number): number {
    if (slot < 0 || slot >= this.#slots) assert.fail(`slot ${slot} does not exist`);
    return slot * this.#width;
  }
}
