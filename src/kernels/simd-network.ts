// Many streams through one network, on a WebAssembly build. Weights, scratch and all states lie in one memory of the network's own, and a
// step is one call into it.
import assert from "node:assert/strict";
import { HiddenstateError } from "../base/errors.ts";
import { cellNumber, checkNetworkWeights, gatesOf, hiddenOf, stateLengths } from "./network-weights.ts";
import type { HeadKind, NetworkWeights } from "./network-weights.ts";
import type { LentBuffers, RecurrentNetwork } from "./recurrent-network.ts";
import type { SimdMemory } from "./simd-memory.ts";
import { createSimdInstance } from "./simd-module.ts";
import type { SimdExports, SimdKernel } from "./simd-module.ts";

/** Up to so many values a loop is faster than `set`, which costs 15 ns a call, and for a part of an array an object. */
const LOOP_VALUES_MAX = 32;

/** Head kinds as the assembly numbers them (network.ts there). */
const HEAD_KINDS: readonly HeadKind[] = ["regression", "gaussian", "classifier"];

/** to[toAt ...] = from[fromAt ...], `count` values. Of one kind of array each, for V8 compiles a loop over both into a slower one. */
function copyFloats(from: Float32Array, fromAt: number, count: number, to: Float32Array, toAt: number): void {
  if (count <= LOOP_VALUES_MAX) for (let i = 0; i < count; i++) to[toAt + i] = from[fromAt + i]!;
  else if (count === from.length) to.set(from, toAt);
  else to.set(from.subarray(fromAt, fromAt + count), toAt);
}

function copyIntegers(from: Int32Array, fromAt: number, count: number, to: Int32Array): void {
  if (count <= LOOP_VALUES_MAX) for (let i = 0; i < count; i++) to[i] = from[fromAt + i]!;
  else if (count === from.length) to.set(from);
  else to.set(from.subarray(fromAt, fromAt + count));
}

export class SimdNetwork implements RecurrentNetwork {
  readonly kernel: SimdKernel;
  readonly states: readonly number[];
  readonly #exports: SimdExports;
  readonly #step: SimdExports["step"];
  readonly #memory: SimdMemory;
  readonly #inputs: number;
  readonly #outputs: number;
  readonly #lentRows: number;
  /** Where each state tensor starts in a stream's row, and a row's length, in values. */
  readonly #stateAt: readonly number[];
  readonly #width: number;
  #slots = 0;
  #lent: LentBuffers;
  /** The front of the lent y, as long as the last batch's. */
  #yFront: Float32Array;

  /** Copies the weights. Throws `bad_argument` where they do not fit each other; that the kernel runs here is the caller's word. */
  constructor(kernel: SimdKernel, weights: NetworkWeights, lentRows: number) {
    checkNetworkWeights(weights);
    const { exports, memory } = createSimdInstance(kernel);
    this.kernel = kernel;
    this.states = stateLengths(weights.layers);
    this.#exports = exports;
    const { step } = exports;
    this.#step = step;
    this.#memory = memory;
    this.#inputs = weights.xMean.data.length;
    this.#outputs = weights.head.b.data.length;
    this.#lentRows = lentRows;
    this.#stateAt = this.#build(weights);
    this.#width = exports.arenaRowBytes() / 4;
    this.#lent = this.#lendAnew();
    this.#yFront = this.#lent.y.subarray(0, 0);
  }

  get slots(): number {
    return this.#slots;
  }

  get bytes(): number {
    return this.#memory.bytes;
  }

  reserve(count: number): void {
    if (count <= this.#slots) return;
    this.#slots = this.#exports.reserve(count);
    this.#lent = this.#lendAnew();
    if (this.#slots < count) {
      throw new HiddenstateError(
        "unavailable",
        `cannot keep ${count} streams: there is memory for ${this.#slots}; share them among more models`,
      );
    }
  }

  clear(slot: number): void {
    const at = this.#rowOf(slot);
    this.#memory.floats.fill(0, at, at + this.#width);
  }

  copy(from: number, to: number): void {
    const at = this.#rowOf(from);
    this.#memory.floats.copyWithin(this.#rowOf(to), at, at + this.#width);
  }

  read(slot: number, state: number, values: Float32Array): void {
    const at = this.#rowOf(slot) + this.#stateAt[state]!;
    values.set(this.#memory.floats.subarray(at, at + this.states[state]!));
  }

  write(slot: number, state: number, values: Float32Array): void {
    assert.equal(values.length, this.states[state], "a state tensor's length");
    this.#memory.floats.set(values, this.#rowOf(slot) + this.#stateAt[state]!);
  }

  lend(): LentBuffers {
    return this.#lent;
  }

  step(slots: Int32Array, count: number, steps: number, x: Float32Array, y: Float32Array): void {
    const rows = count * steps;
    const lent = this.#lent;
    if (slots === lent.slots && x === lent.x && y === lent.y && rows <= this.#lentRows) {
      if (this.#step(count, steps) === 0) this.#failOnSlots(count);
    } else this.#stepInParts(slots, count, steps, x, y);
  }

  /** Apart from `step`, which is then small enough to become part of its caller. */
  #stepInParts(slots: Int32Array, count: number, steps: number, x: Float32Array, y: Float32Array): void {
    const rows = count * steps;
    const D = this.#inputs;
    const O = this.#outputs;
    if (slots.length < count || x.length < rows * D || y.length < rows * O) assert.fail("a buffer is too short");
    if (rows <= this.#lentRows) {
      this.#stepPart(slots, 0, count, steps, x, 0, y, 0);
    } else if (count <= this.#lentRows) {
      // As many steps of all streams at a time as there is room for.
      const part = Math.floor(this.#lentRows / count);
      for (let t = 0; t < steps; t += part) {
        this.#stepPart(slots, 0, count, Math.min(part, steps - t), x, t * count * D, y, t * count * O);
      }
    } else {
      for (let t = 0; t < steps; t++) {
        for (let n = 0; n < count; n += this.#lentRows) {
          const row = t * count + n;
          this.#stepPart(slots, n, Math.min(this.#lentRows, count - n), 1, x, row * D, y, row * O);
        }
      }
    }
  }

  /** A batch that the lent buffers have room for, from places in the caller's. */
  #stepPart(
    slots: Int32Array,
    slotsAt: number,
    count: number,
    steps: number,
    x: Float32Array,
    xAt: number,
    y: Float32Array,
    yAt: number,
  ): void {
    const lent = this.#lent;
    const values = count * steps * this.#outputs;
    if (slots !== lent.slots) copyIntegers(slots, slotsAt, count, lent.slots);
    if (x !== lent.x) copyFloats(x, xAt, count * steps * this.#inputs, lent.x, 0);
    if (this.#step(count, steps) === 0) this.#failOnSlots(count);
    if (y === lent.y) return;
    if (values > LOOP_VALUES_MAX) {
      if (this.#yFront.length !== values) this.#yFront = lent.y.subarray(0, values);
      y.set(this.#yFront, yAt);
    } else copyFloats(lent.y, 0, values, y, yAt);
  }

  #failOnSlots(count: number): never {
    const wrong = this.#lent.slots.subarray(0, count).find((slot) => slot < 0 || slot >= this.#slots);
    assert.fail(`slot ${wrong} does not exist`);
  }

  #lendAnew(): LentBuffers {
    const { floats, integers } = this.#memory;
    const slotsAt = this.#exports.slotsAddress() / 4;
    const xAt = this.#exports.xAddress() / 4;
    const yAt = this.#exports.yAddress() / 4;
    return {
      slots: integers.subarray(slotsAt, slotsAt + this.#lentRows),
      x: floats.subarray(xAt, xAt + this.#lentRows * this.#inputs),
      y: floats.subarray(yAt, yAt + this.#lentRows * this.#outputs),
    };
  }

  #rowOf(slot: number): number {
    if (!(slot >= 0 && slot < this.#slots)) assert.fail(`slot ${slot} does not exist`);
    return this.#exports.arenaAddress() / 4 + slot * this.#width;
  }

  /** Hands all numbers over and says where each state tensor starts in a row. */
  #build({ xMean, xScale, layers, head, headKind, yMean, yScale, residual }: NetworkWeights): number[] {
    const exports = this.#exports;
    const O = this.#outputs;
    // A call takes a row of a layer's weights at most, or its biases, which for a GRU are one gate more.
    exports.open(this.#inputs, O, Math.max(O, ...layers.map((layer) => (gatesOf(layer) + 1) * hiddenOf(layer))));
    const give = (values: Float32Array, row: number, width: number, at = 0): void =>
      this.#memory.floats.set(values.subarray(row * width, (row + 1) * width), exports.numbersAddress() / 4 + at);
    for (let i = 0; i < this.#inputs; i++) exports.setInput(i, xMean.data[i]!, xScale.data[i]!);
    const stateAt = layers.flatMap((layer) => {
      const H = hiddenOf(layer);
      const width = gatesOf(layer) * H;
      const D = layer.Wx.shape[0]!;
      exports.addLayer(cellNumber(layer), H);
      for (let i = 0; i < D + H; i++) {
        if (i < D) give(layer.Wx.data, i, width);
        else give(layer.Wh.data, i - D, width);
        exports.setWeights(i);
      }
      give(layer.b.data, 0, width);
      if (layer.cell === "gru") give(layer.bn.data, 0, H, width);
      exports.setBiases();
      const at = exports.stateOffset() / 4;
      return layer.cell === "lstm" ? [at, at + 4 * Math.ceil(H / 4)] : [at];
    });
    exports.addHead(HEAD_KINDS.indexOf(headKind), residual.length > 0);
    for (let unit = 0; unit < head.W.shape[0]!; unit++) {
      give(head.W.data, unit, O);
      exports.setHeadWeights(unit);
    }
    for (let o = 0; o < O; o++) exports.setBias(o, head.b.data[o]!);
    for (let k = 0; k < yMean.data.length; k++) exports.setTarget(k, yMean.data[k]!, yScale.data[k]!, residual[k] ?? 0);
    exports.seal(this.#lentRows);
    return stateAt;
  }
}
