// The small models of the simulation, and a way to step one reading of one stream on each that shares nothing with the pipeline.
import { createStateTensors } from "../../src/engine/engine.ts";
import type { StateTensors } from "../../src/engine/engine.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { kernelVersions } from "../../src/kernels/recurrent-network.ts";
import type { Model } from "../../src/model/model.ts";
import { randomModel } from "../support/random-model.ts";

export const simKernel = kernelVersions.scalar;

export class SimModel {
  readonly model: Model;
  readonly #engine: NativeEngine;
  readonly #slots: Int32Array;
  readonly #y: Float32Array;

  constructor(model: Model) {
    this.model = model;
    this.#engine = new NativeEngine(model, { kernel: "scalar" });
    this.#slots = Int32Array.of(this.#engine.allocate());
    this.#y = new Float32Array(model.spec.outputs.length);
  }

  get features(): readonly string[] {
    return this.model.spec.features.map(({ name }) => name);
  }

  blank(): StateTensors {
    return createStateTensors(this.model.spec.states);
  }

  /** Steps `state` in place; returns the outputs. */
  step(state: StateTensors, x: Float32Array): Float32Array {
    this.#engine.write(this.#slots[0]!, state);
    this.#engine.step({ slots: this.#slots, count: 1, steps: 1, x, y: this.#y });
    this.#engine.read(this.#slots[0]!, state);
    return this.#y.slice();
  }
}

/** By group: the model that it may begin with, one whose state has the same shapes, and one whose state has others. */
export const simModels: readonly (readonly SimModel[])[] = [
  [11, 21, 31].map((seed, i) => new SimModel(randomModel({ seed, features: 2, hidden: i < 2 ? [3] : [4] }))),
  [12, 22, 32].map((seed, i) => new SimModel(randomModel({ seed, features: 1, hidden: i < 2 ? [2, 2] : [3], outputs: 2 }))),
];

/** The variant of a group that has a version. */
export function variantOf(group: number, version: string): number {
  return simModels[group]!.findIndex(({ model }) => model.version === version);
}
