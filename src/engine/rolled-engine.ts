// The engine of a model that is rolled forward: after each reading a copy of the stream's state is stepped on with the network's own
// forecasts, up to the farthest horizon, all rows of a batch together. It stands around the engine of the model itself, whose arithmetic it
// neither knows nor repeats: a stream's bits are as independent of its batch as that one's.
import assert from "node:assert/strict";
import { grown } from "../base/grown.ts";
import { targetsOf } from "../kernels/network-weights.ts";
import { countOf } from "../kernels/tensor.ts";
import type { Model } from "../model/model.ts";
import { fileModelOf, measuredHorizons, nextOutputs } from "../model/rolled-model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { checkBatch } from "./check-batch.ts";
import { checkTensors } from "./check-tensors.ts";
import type { NamedLength } from "./check-tensors.ts";
import { createStateTensors, scaleState } from "./engine.ts";
import type { Engine, Slot, StateTensors, StepBatch } from "./engine.ts";
import { ForecastErrors } from "./forecast-errors.ts";
import { StateArena } from "./state-arena.ts";

/** Rows that are rolled together: more share no more work, and take memory. */
const ROWS_MAX = 256;

export class RolledEngine implements Engine {
  readonly name: Engine["name"];
  readonly kernel: string;
  readonly deterministic: boolean;
  readonly spec: ModelSpec;
  readonly version: string;
  readonly #base: Engine;
  readonly #tensors: readonly NamedLength[];
  readonly #horizons: readonly number[];
  /** Of each horizon its place among the measured, -1 where the head's own deviation stands. */
  readonly #measured: readonly number[];
  /** `(D)`: of each feature the base's output that forecasts it, and where that one's deviation stands, if the head has any. */
  readonly #next: readonly number[];
  readonly #targets: number;
  readonly #errors: ForecastErrors;
  readonly #arena: StateArena;
  readonly #blank: Slot;
  readonly #scratch: StateTensors;
  /** The base's slot of each of our own. */
  #baseSlots = new Int32Array(0);
  /** Slots of the base's: of the batch, of its states before the step, and of the copies that are rolled on. */
  #batch = new Int32Array(0);
  #before = new Int32Array(0);
  #ahead = new Int32Array(0);
  /** `(rows, D)`: what the copies are fed with. */
  #x = new Float32Array(0);
  /** The base's outputs of a batch, and of the copies. */
  #y = new Float32Array(0);
  readonly #yAhead: Float32Array;
  #isStepping = false;

  /** `base`, of the model in the file, is this engine's from now on. */
  constructor(model: Model, base: Engine) {
    const { spec, horizons } = { spec: fileModelOf(model).spec, horizons: model.rolled!.horizons };
    const measured = measuredHorizons(spec, horizons);
    this.name = base.name;
    this.kernel = base.kernel;
    this.deterministic = base.deterministic;
    this.spec = model.spec;
    this.version = model.version;
    this.#base = base;
    this.#tensors = model.spec.states.map(({ name, shape }) => ({ name, length: countOf(shape) }));
    this.#horizons = horizons;
    this.#measured = horizons.map((horizon) => measured.indexOf(horizon));
    this.#next = nextOutputs(spec);
    this.#targets = targetsOf(spec.head.kind, spec.outputs.length);
    const deviations = this.#next.map((output) => spec.outputs[output]!.deviation);
    this.#errors = new ForecastErrors(measured, Float64Array.from(deviations));
    this.#arena = new StateArena(model.spec.states.slice(spec.states.length), this.#errors.rows);
    this.#blank = base.allocate();
    this.#scratch = createStateTensors(spec.states);
    this.#yAhead = new Float32Array(ROWS_MAX * spec.outputs.length);
  }

  allocate(): Slot {
    const baseSlot = this.#base.allocate();
    const slot = this.#arena.allocate();
    if (slot >= this.#baseSlots.length) this.#baseSlots = grown(this.#baseSlots, new Int32Array(2 * slot + 16));
    this.#baseSlots[slot] = baseSlot;
    return slot;
  }

  release(slot: Slot): void {
    this.#arena.release(slot);
    this.#base.release(this.#baseSlots[slot]!);
  }

  read(slot: Slot, into: StateTensors): void {
    checkTensors(this.#tensors, into, "read");
    const [ofBase, own] = this.#split(into);
    this.#arena.read(slot, own);
    this.#base.read(this.#baseSlots[slot]!, ofBase);
  }

  write(slot: Slot, from: StateTensors): void {
    checkTensors(this.#tensors, from, "write");
    const [ofBase, own] = this.#split(from);
    this.#arena.write(slot, own);
    this.#base.write(this.#baseSlots[slot]!, ofBase);
  }

  /** The base's tensors, and ours. */
  #split(tensors: StateTensors): [StateTensors, StateTensors] {
    const parts: [Record<string, Float32Array>, Record<string, Float32Array>] = [{}, {}];
    const { length } = this.#base.spec.states;
    for (const [index, { name }] of this.#tensors.entries()) parts[index < length ? 0 : 1][name] = tensors[name]!;
    return parts;
  }

  copy(from: Slot, to: Slot): void {
    this.#arena.copy(from, to);
    this.#base.copy(this.#baseSlots[from]!, this.#baseSlots[to]!);
  }

  fade(slot: Slot, factor: number): void {
    const baseSlot = this.#baseSlots[slot]!;
    if (factor === 0) this.#base.copy(this.#blank, baseSlot);
    else scaleState(this.#base, baseSlot, factor, this.#scratch);
    this.#errors.forget(slot);
  }

  async step(batch: StepBatch): Promise<void> {
    assert(!this.#isStepping, "a step is under way");
    checkBatch(this.spec, batch);
    const { slots, count } = batch;
    this.#arena.beginStep(slots, count);
    this.#isStepping = true;
    try {
      this.#reserve(count, Math.min(count * batch.steps, ROWS_MAX));
      for (let n = 0; n < count; n++) {
        this.#batch[n] = this.#baseSlots[slots[n]!]!;
        this.#base.copy(this.#batch[n]!, this.#before[n]!);
      }
      await this.#forecast(batch).catch((thrown: unknown) => {
        for (let n = 0; n < count; n++) this.#base.copy(this.#before[n]!, this.#batch[n]!);
        throw thrown;
      });
      this.#measure(batch);
    } finally {
      this.#isStepping = false;
      this.#arena.endStep(slots, count);
    }
  }

  async close(): Promise<void> {
    await this.#base.close();
  }

  #reserve(count: number, rows: number): void {
    const { features, outputs } = this.#base.spec;
    const more = (slots: Int32Array, length: number): Int32Array<ArrayBuffer> =>
      Int32Array.from({ length }, (_, index) => slots[index] ?? this.#base.allocate());
    if (count > this.#before.length) {
      this.#before = more(this.#before, count);
      this.#batch = new Int32Array(count);
      this.#y = new Float32Array(count * outputs.length);
    }
    if (rows <= this.#ahead.length) return;
    this.#ahead = more(this.#ahead, rows);
    this.#x = new Float32Array(rows * features.length);
  }

  /** Writes y but for what is measured. */
  async #forecast({ count, steps, x, y }: StepBatch): Promise<void> {
    const D = this.#next.length;
    const base = this.#base;
    let waiting = 0;
    for (let step = 0; step < steps; step++) {
      const from = x.subarray(step * count * D);
      const stepped = base.step({ slots: this.#batch, count, steps: 1, x: from, y: this.#y });
      if (stepped !== undefined) await stepped;
      for (let n = 0; n < count; n++) {
        const row = step * count + n;
        base.copy(this.#batch[n]!, this.#ahead[waiting]!);
        this.#begin(n, waiting, y, row);
        waiting++;
        if (waiting < this.#ahead.length && row < steps * count - 1) continue;
        await this.#roll(waiting, y, row + 1 - waiting);
        waiting = 0;
      }
    }
  }

  /** Takes what the base forecast for stream n of the batch as the next input of copy `copy`. */
  #begin(n: number, copy: number, y: Float32Array, row: number): void {
    const D = this.#next.length;
    const O = this.#base.spec.outputs.length;
    for (let d = 0; d < D; d++) this.#x[copy * D + d] = this.#y[n * O + this.#next[d]!]!;
    if (this.#horizons[0] !== 1) return;
    this.#give(0, copy, y, row);
    if (this.#measured[0] !== -1) return;
    const deviations = row * this.spec.outputs.length + this.#horizons.length * D;
    for (let d = 0; d < D; d++) y[deviations + d] = this.#y[n * O + this.#targets + this.#next[d]!]!;
  }

  /** What a copy is to be fed with is the forecast of the `h`th horizon. */
  #give(h: number, copy: number, y: Float32Array, row: number): void {
    const D = this.#next.length;
    const at = row * this.spec.outputs.length + h * D;
    for (let d = 0; d < D; d++) y[at + d] = this.#x[copy * D + d]!;
  }

  /** Rolls the first `rows` copies on, whose rows of y begin at `first`. */
  async #roll(rows: number, y: Float32Array, first: number): Promise<void> {
    const D = this.#next.length;
    const O = this.#base.spec.outputs.length;
    const batch = { slots: this.#ahead, count: rows, steps: 1, x: this.#x, y: this.#yAhead };
    let h = this.#horizons[0] === 1 ? 1 : 0;
    for (let ahead = 2; h < this.#horizons.length; ahead++) {
      const stepped = this.#base.step(batch);
      if (stepped !== undefined) await stepped;
      for (let row = 0; row < rows; row++) {
        for (let d = 0; d < D; d++) {
          const forecast = this.#yAhead[row * O + this.#next[d]!]!;
          // A network without bounds may run away from what it was trained on: its last number stands then.
          if (Number.isFinite(forecast)) this.#x[row * D + d] = forecast;
        }
      }
      if (ahead !== this.#horizons[h]) continue;
      for (let row = 0; row < rows; row++) this.#give(h, row, y, first + row);
      h++;
    }
  }

  /** Holds each reading against its forecasts, and writes how sure the new ones are. */
  #measure({ slots, count, steps, x, y, missing }: StepBatch): void {
    const D = this.#next.length;
    const H = this.#horizons.length;
    for (let row = 0; row < steps * count; row++) {
      const slot = slots[row % count]!;
      this.#errors.meet(slot, x, row * D, missing);
      for (let h = 0; h < H; h++) {
        const measured = this.#measured[h]!;
        if (measured === -1) continue;
        const at = (row * 2 * H + h) * D;
        this.#errors.wait(slot, measured, y, at);
        for (let d = 0; d < D; d++) y[at + H * D + d] = this.#errors.deviation(slot, measured, d);
      }
    }
  }
}
