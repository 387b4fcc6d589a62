// The engine on this project's own kernels: WebAssembly SIMD, or TypeScript where that is missing. Its arena is the kernel's, stepped in
// place. A stream's bits depend on nothing but its own state and readings, whatever the batch, its order or its chunking.
import assert from "node:assert/strict";
import { hasKernel } from "../kernels/simd-module.ts";
import { openNetwork } from "../kernels/open-network.ts";
import type { NetworkOptions } from "../kernels/open-network.ts";
import { kernelVersions } from "../kernels/recurrent-network.ts";
import type { Kernel, RecurrentNetwork } from "../kernels/recurrent-network.ts";
import type { Model } from "../model/model.ts";
import { networkWeightsOf } from "../model/network-weights-of.ts";
import type { ModelSpec } from "../model/spec.ts";
import { checkBatch } from "./check-batch.ts";
import type { Engine, Slot, StateTensors, StepBatch } from "./engine.ts";
import { StateArena } from "./state-arena.ts";

/** Steps synchronously, in the caller's turn, and takes no memory once the arena is large enough. */
export class NativeEngine implements Engine {
  readonly name = "native";
  readonly kernel: string;
  readonly deterministic = true;
  readonly spec: ModelSpec;
  readonly version: string;
  readonly #network: RecurrentNetwork;
  readonly #arena: StateArena;
  #closed = false;

  /** The fastest kernel unless one is named. Throws `unavailable` where that one does not run here. */
  constructor(model: Model, options: Pick<NetworkOptions, "kernel"> = {}) {
    this.spec = model.spec;
    this.version = model.version;
    this.#network = openNetwork(networkWeightsOf(model.spec, model.weights), options);
    this.kernel = kernelVersions[this.#network.kernel];
    this.#arena = new StateArena(model.spec.states, this.#network);
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
    this.#arena.beginStep(slots, count);
    this.#network.step(slots, count, steps, x, y);
    this.#arena.endStep(slots, count);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}

/** The kernel that makes the bits which a journal names; undefined where none of this release does on this processor. */
export function kernelOfVersion(version: string): Kernel | undefined {
  const named = (Object.keys(kernelVersions) as Kernel[]).find((kernel) => kernelVersions[kernel] === version);
  return named !== undefined && hasKernel(named) ? named : undefined;
}
