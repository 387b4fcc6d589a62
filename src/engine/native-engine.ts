// The engine in plain TypeScript: the kernels that training runs on, over the arena in place. A stream's bits depend on nothing but its
// own state and readings, whatever the batch, its order or its chunking.
import assert from "node:assert/strict";
import type { Model } from "../model/model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { checkBatch } from "./check-batch.ts";
import type { Engine, Slot, StateTensors, StepBatch } from "./engine.ts";
import { Network } from "./network.ts";
import { StateArena } from "./state-arena.ts";

/** Steps synchronously, in the caller's turn, and takes no memory once the arena is large enough. */
export class NativeEngine implements Engine {
  readonly name = "native";
  /** Counts up whenever a change of the kernels changes bits. */
  readonly kernel = "scalar-1";
  readonly deterministic = true;
  readonly spec: ModelSpec;
  readonly version: string;
  readonly #network: Network<Float32Array>;
  readonly #arena: StateArena;
  #closed = false;

  constructor(model: Model) {
    this.spec = model.spec;
    this.version = model.version;
    this.#network = new Network(model.spec, model.weights);
    this.#arena = new StateArena(model.spec.states);
  }

  allocate(): Slot {
    assert(!this.#closed, "the engine is closed");
    return this.#arena.allocate();
  }

  release(slot: Slot): void {
    this.#arena.release(slot);
  }

  read(slot: Slot, into: StateTensors): void {
    this.#arena.read(slot, into);
  }

  write(slot: Slot, from: StateTensors): void {
    this.#arena.write(slot, from);
  }

  copy(from: Slot, to: Slot): void {
    this.#arena.copy(from, to);
  }

  step(batch: StepBatch): void {
    if (this.#closed) assert.fail("the engine is closed");
    checkBatch(this.spec, batch);
    const { slots, count, steps, x, y } = batch;
    const D = this.spec.features.length;
    const O = this.spec.outputs.length;
    this.#arena.beginStep(slots, count);
    const { rows, width } = this.#arena;
    // Stream by stream, not step by step: a stream's state stays in the cache over its T steps.
    for (let n = 0; n < count; n++) {
      const at = slots[n]! * width;
      for (let t = 0; t < steps; t++) {
        const row = t * count + n;
        this.#network.standardise(x, row * D);
        this.#network.stepStandardised(x, row * D, rows, at, y, row * O);
      }
    }
    this.#arena.endStep(slots, count);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}
