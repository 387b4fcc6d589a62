// The small models of the simulation, and a way to step one reading of one stream on each that shares nothing with the pipeline, nor with the
// engine that rolls a model forward: what that remembers and says is written here a second time.
import { createStateTensors } from "../../src/engine/engine.ts";
import type { StateTensors } from "../../src/engine/engine.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { kernelVersions } from "../../src/kernels/recurrent-network.ts";
import type { Model } from "../../src/model/model.ts";
import { rolledModel } from "../../src/model/rolled-model.ts";
import { randomModel } from "../support/random-model.ts";

export const simKernel = kernelVersions.scalar;

const ERRORS_MIN = 30;
const ERRORS_KEPT = 500;

export class SimModel {
  readonly model: Model;
  /** How far its group rolls it forward. */
  readonly horizons: readonly number[] | undefined;
  readonly #engine: NativeEngine;
  readonly #slots: Int32Array;

  constructor(model: Model, horizons?: readonly number[]) {
    this.model = model;
    this.horizons = horizons;
    this.#engine = new NativeEngine(model, { kernel: "scalar" });
    this.#slots = Int32Array.of(this.#engine.allocate());
  }

  get features(): readonly string[] {
    return this.model.spec.features.map(({ name }) => name);
  }

  blank(): StateTensors {
    return createStateTensors(rolledModel(this.model, this.horizons).spec.states);
  }

  /** Steps `state` in place; returns the outputs. What `missing` marks in x stands in for a value. */
  step(state: StateTensors, x: Float32Array, missing: Uint8Array | undefined): Float32Array {
    const y = this.#network(state, x);
    if (this.horizons === undefined) return y;
    const places = this.features.map((name) => this.model.spec.outputs.findIndex(({ feature }) => feature === name));
    const path = [places.map((place) => y[place]!)];
    const copy = Object.fromEntries(Object.entries(state).map(([name, values]) => [name, values.slice()]));
    while (path.length < this.horizons.at(-1)!) {
      const next = this.#network(copy, Float32Array.from(path.at(-1)!));
      path.push(places.map((place) => next[place]!));
    }
    const said = this.horizons.map((horizon) => ({ horizon, forecast: path[horizon - 1]! }));
    const deviations = said.flatMap(({ horizon, forecast }) => {
      this.#meet(state, horizon, x, missing);
      this.#wait(state, horizon, forecast);
      return places.map((place, d) => deviationOf(state, horizon, d, this.model.spec.outputs[place]!.deviation));
    });
    return Float32Array.from([...said.flatMap(({ forecast }) => forecast), ...deviations]);
  }

  /** A gap before the next reading: the network's state times `factor`, the initial one by 0. */
  fade(state: StateTensors, factor: number): void {
    for (const { name } of this.model.spec.states) {
      const values = state[name]!;
      for (let i = 0; i < values.length; i++) values[i] = factor === 0 ? 0 : values[i]! * factor;
    }
    for (const horizon of this.horizons ?? []) state[`ring+${horizon}`]!.fill(0);
  }

  #network(state: StateTensors, x: Float32Array): Float32Array {
    const own = Object.fromEntries(this.model.spec.states.map(({ name }) => [name, state[name]!]));
    const y = new Float32Array(this.model.spec.outputs.length);
    this.#engine.write(this.#slots[0]!, own);
    this.#engine.step({ slots: this.#slots, count: 1, steps: 1, x, y });
    this.#engine.read(this.#slots[0]!, own);
    return y;
  }

  #meet(state: StateTensors, horizon: number, x: Float32Array, missing: Uint8Array | undefined): void {
    const [forecasts, errors] = [state[`forecasts+${horizon}`]!, state[`errors+${horizon}`]!];
    if (state[`ring+${horizon}`]![1]! < horizon) return;
    const D = x.length;
    for (const [d, value] of x.entries()) {
      if (missing?.[d] === 1) continue;
      const [count, mean] = [errors[d]!, errors[D + d]!];
      const square = (value - forecasts[placeIn(state, horizon) * D + d]!) ** 2;
      const taken = count >= ERRORS_MIN && mean > 0 ? Math.min(square, 36 * mean) : square;
      errors[d] = Math.min(count + 1, ERRORS_KEPT);
      errors[D + d] = mean + (taken - mean) / Math.min(count + 1, ERRORS_KEPT);
    }
  }

  #wait(state: StateTensors, horizon: number, forecast: readonly number[]): void {
    const [place, ring] = [placeIn(state, horizon), state[`ring+${horizon}`]!];
    state[`forecasts+${horizon}`]!.set(forecast, place * forecast.length);
    ring.set([(place + 1) % horizon, Math.min(ring[1]! + 1, horizon)]);
  }
}

/** A state that was set may hold anything. */
function placeIn(state: StateTensors, horizon: number): number {
  return Math.abs(Math.trunc(state[`ring+${horizon}`]![0]!)) % horizon;
}

function deviationOf(state: StateTensors, horizon: number, d: number, own: number): number {
  const errors = state[`errors+${horizon}`]!;
  const square = errors[errors.length / 2 + d]!;
  return errors[d]! < ERRORS_MIN ? own : Math.max(Math.sqrt(Math.max(square, 0)), own * 1e-6);
}

/** How far the second group rolls its models forward. */
const HORIZONS = [1, 3];

/** By group: the model that it may begin with, one whose state has the same shapes, and one whose state has others. */
export const simModels: readonly (readonly SimModel[])[] = [
  [11, 21, 31].map((seed, i) => new SimModel(randomModel({ seed, features: 2, hidden: i < 2 ? [3] : [4] }))),
  [12, 22, 32].map(
    (seed, i) => new SimModel(randomModel({ seed, features: 2, hidden: i < 2 ? [2, 2] : [3], outputs: 2 }), HORIZONS),
  ),
];

/** The variant of a group that has a version. */
export function variantOf(group: number, version: string): number {
  return simModels[group]!.findIndex(({ model }) => model.version === version);
}
