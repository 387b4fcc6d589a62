// Readings staged in the order they were accepted, stepped in waves: a wave takes from every stream one run of consecutive readings,
// and runs of one length go through the engine as one batch. Where streams share what they learn, a wave is the next run of any stream.
// Live steps and replay both go through here.
import { grown } from "../base/grown.ts";
import type { Engine, Slot, StateTensors } from "../engine/engine.ts";
import { createStateTensors, scaleState } from "../engine/engine.ts";

/** What happens to a state before a reading: nothing, back to the initial state, or h * factor. */
export type Before = "none" | "reset" | "decay";

const NONE = 0;
const RESET = 1;
const DECAY = 2;
const END = -1;
/** Powers of two up to more streams than there can be. */
const BATCH_SIZES = 24;

export class Stepper {
  readonly #engine: Engine;
  readonly #features: number;
  readonly #outputs: number;
  /** Holds the initial state; never stepped. */
  readonly #blank: Slot;
  readonly #scratch: StateTensors;
  #capacity = 0;
  #count = 0;
  /** Of those staged, how many are stepped; kept only where they are stepped in their order. */
  #stepped = 0;
  /** `(count, D)`: whoever stages a reading fills its row. */
  x = new Float32Array(0);
  /** `(count, D)`: 1 where a value of `x` was not measured; 0 unless whoever stages a reading says so. */
  missing = new Uint8Array(0);
  /** `(count, O)`: outputs of the readings staged, valid from `run` to `clear`. */
  y = new Float32Array(0);
  #slot = new Int32Array(0);
  #before = new Uint8Array(0);
  #factor = new Float32Array(0);
  /** The next staged reading of the same stream. */
  #next = new Int32Array(0);
  /** By slot: the first staged reading not yet stepped, and the last staged. */
  #head = new Int32Array(0);
  #tail = new Int32Array(0);
  /** The streams that have readings left, and each one's run in this wave. */
  #active = new Int32Array(0);
  #runLength = new Int32Array(0);
  #activeCount = 0;
  #batchSlots = new Int32Array(0);
  #batchX = new Float32Array(0);
  #batchMissing = new Uint8Array(0);
  #times = new Float64Array(0);
  #batchTimes = new Float64Array(0);
  #batchY = new Float32Array(0);
  #nonFiniteCount = 0;
  /** Readings stepped in batches of `2 ** i` streams or up to twice as many, by i. */
  readonly batchSizes = new Float64Array(BATCH_SIZES);

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#features = engine.spec.features.length;
    this.#outputs = engine.spec.outputs.length;
    this.#blank = engine.allocate();
    this.#scratch = createStateTensors(engine.spec.states);
  }

  get engine(): Engine {
    return this.#engine;
  }

  /** Readings staged and not yet cleared. */
  get count(): number {
    return this.#count;
  }

  /** Streams put back to their initial state because a step gave NaN or an infinity, in all. */
  get nonFiniteCount(): number {
    return this.#nonFiniteCount;
  }

  /** Adds a reading of a time, ms since 1970, and returns its index: its features go to `x` at index * D. */
  stage(slot: Slot, before: Before, factor: number, time: number): number {
    const index = this.#count++;
    if (index >= this.#capacity) this.#grow();
    if (slot >= this.#head.length) this.#growSlots(slot + 1);
    this.#slot[index] = slot;
    this.#before[index] = before === "none" ? NONE : before === "reset" ? RESET : DECAY;
    this.#factor[index] = factor;
    this.#times[index] = time;
    this.#next[index] = END;
    this.missing.fill(0, index * this.#features, (index + 1) * this.#features);
    if (this.#head[slot] === END) {
      this.#head[slot] = index;
      this.#active[this.#activeCount++] = slot;
    } else {
      this.#next[this.#tail[slot]!] = index;
    }
    this.#tail[slot] = index;
    return index;
  }

  /** Steps everything staged. */
  async run(): Promise<void> {
    if (this.#engine.shared !== undefined) return this.#runInOrder();
    while (this.#activeCount > 0) {
      for (let i = 0; i < this.#activeCount; i++) this.#runLength[i] = this.#beginRun(this.#active[i]!);
      for (let i = 0; i < this.#activeCount; i++) {
        const steps = this.#runLength[i]!;
        if (steps > 0) await this.#stepRuns(i, steps);
      }
      let left = 0;
      for (let i = 0; i < this.#activeCount; i++) {
        const slot = this.#active[i]!;
        if (this.#head[slot] !== END) this.#active[left++] = slot;
      }
      this.#activeCount = left;
    }
  }

  /** Steps everything staged in the order it was: consecutive readings of one stream as one batch. */
  async #runInOrder(): Promise<void> {
    while (this.#stepped < this.#count) {
      const first = this.#stepped++;
      const slot = this.#slot[first]!;
      this.#doBefore(first);
      while (this.#stepped < this.#count && this.#slot[this.#stepped] === slot && this.#before[this.#stepped] === NONE) {
        this.#stepped++;
      }
      this.#batchSlots[0] = slot;
      await this.#stepBatch(1, this.#stepped - first);
    }
    this.#activeCount = 0;
  }

  /** Forgets what was staged and stepped. */
  clear(): void {
    this.#count = 0;
    this.#stepped = 0;
  }

  /** Does what stands before the stream's next reading; returns how many readings follow without anything between them. */
  #beginRun(slot: Slot): number {
    const first = this.#head[slot]!;
    this.#doBefore(first);
    let steps = 1;
    for (let at = this.#next[first]!; at !== END && this.#before[at] === NONE; at = this.#next[at]!) steps++;
    return steps;
  }

  #doBefore(index: number): void {
    if (this.#before[index] === RESET) this.#fade(this.#slot[index]!, 0);
    else if (this.#before[index] === DECAY) this.#fade(this.#slot[index]!, this.#factor[index]!);
  }

  /** Steps all runs of this wave that are `steps` long, from the `from`th stream on, as one batch. */
  async #stepRuns(from: number, steps: number): Promise<void> {
    let count = 0;
    for (let i = from; i < this.#activeCount; i++) {
      if (this.#runLength[i] !== steps) continue;
      this.#runLength[i] = 0;
      this.#batchSlots[count++] = this.#active[i]!;
    }
    await this.#stepBatch(count, steps);
  }

  /** Steps the next `steps` readings of each of the first `count` streams in `#batchSlots`. */
  async #stepBatch(count: number, steps: number): Promise<void> {
    const D = this.#features;
    const O = this.#outputs;
    this.batchSizes[31 - Math.clz32(count)]! += count * steps;
    this.#growBatch(count * steps);
    for (let n = 0; n < count; n++) {
      let at = this.#head[this.#batchSlots[n]!]!;
      for (let step = 0; step < steps; step++, at = this.#next[at]!) {
        const to = (step * count + n) * D;
        for (let d = 0; d < D; d++) {
          this.#batchX[to + d] = this.x[at * D + d]!;
          this.#batchMissing[to + d] = this.missing[at * D + d]!;
        }
        this.#batchTimes[step * count + n] = this.#times[at]!;
      }
    }
    const stepped = this.#engine.step({
      slots: this.#batchSlots,
      count,
      steps,
      x: this.#batchX,
      y: this.#batchY,
      times: this.#batchTimes,
      missing: this.#batchMissing,
    });
    if (stepped !== undefined) await stepped;
    for (let n = 0; n < count; n++) {
      const slot = this.#batchSlots[n]!;
      let at = this.#head[slot]!;
      let finite = true;
      for (let step = 0; step < steps; step++, at = this.#next[at]!) {
        for (let o = 0; o < O; o++) {
          const value = this.#batchY[(step * count + n) * O + o]!;
          this.y[at * O + o] = value;
          if (!Number.isFinite(value)) finite = false;
        }
      }
      this.#head[slot] = at;
      // What learns says nothing until it has something to say.
      if (!finite && this.#engine.warmUp === undefined) this.#recover(slot);
    }
  }

  /** A state that gives NaN would give NaN for ever. */
  #recover(slot: Slot): void {
    this.#nonFiniteCount++;
    this.reset(slot);
  }

  /** Puts the declared initial state into a slot. */
  reset(slot: Slot): void {
    this.#engine.copy(this.#blank, slot);
  }

  /** Multiplies the hidden state; by 0 it is the initial one. */
  #fade(slot: Slot, factor: number): void {
    if (this.#engine.fade !== undefined) this.#engine.fade(slot, factor);
    else if (factor === 0) this.reset(slot);
    else scaleState(this.#engine, slot, factor, this.#scratch);
  }

  #grow(): void {
    const capacity = Math.max(64, this.#capacity * 2);
    this.#capacity = capacity;
    this.x = grown(this.x, new Float32Array(capacity * this.#features));
    this.missing = grown(this.missing, new Uint8Array(capacity * this.#features));
    this.y = grown(this.y, new Float32Array(capacity * this.#outputs));
    this.#slot = grown(this.#slot, new Int32Array(capacity));
    this.#before = grown(this.#before, new Uint8Array(capacity));
    this.#factor = grown(this.#factor, new Float32Array(capacity));
    this.#times = grown(this.#times, new Float64Array(capacity));
    this.#next = grown(this.#next, new Int32Array(capacity));
    this.#active = grown(this.#active, new Int32Array(capacity));
    this.#runLength = new Int32Array(capacity);
    this.#batchSlots = new Int32Array(capacity);
  }

  #growSlots(count: number): void {
    const before = this.#head.length;
    const capacity = Math.max(count, before * 2);
    this.#head = grown(this.#head, new Int32Array(capacity));
    this.#head.fill(END, before);
    this.#tail = grown(this.#tail, new Int32Array(capacity));
  }

  #growBatch(readings: number): void {
    if (readings * this.#features > this.#batchX.length) {
      this.#batchX = new Float32Array(readings * 2 * this.#features);
      this.#batchMissing = new Uint8Array(readings * 2 * this.#features);
    }
    if (readings > this.#batchTimes.length) this.#batchTimes = new Float64Array(readings * 2);
    if (readings * this.#outputs > this.#batchY.length) this.#batchY = new Float32Array(readings * 2 * this.#outputs);
  }
}
