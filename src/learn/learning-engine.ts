// The engine of a group that begins without a model: every stream has a network of its own, or all of them have one, which learns from the
// readings as they are stepped. All of that is state, a stream's or the shared one, so it is kept, copied and replayed like any other.
import { checkBatch } from "../engine/check-batch.ts";
import { checkTensors } from "../engine/check-tensors.ts";
import type { Engine, SharedState, Slot, StateTensors, StepBatch, WarmUp } from "../engine/engine.ts";
import { chooseKernel } from "../kernels/open-network.ts";
import { kernelVersions } from "../kernels/recurrent-network.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import { countOf } from "../kernels/tensor.ts";
import { forecastOutputs } from "../model/forecast-outputs.ts";
import type { Model } from "../model/model.ts";
import type { ModelSpec, StateSpec } from "../model/spec.ts";
import { OnlineForecaster } from "./online-forecaster.ts";
import type { StateTensor } from "./online-state.ts";
import { SharedForecaster } from "./shared-forecaster.ts";

/** Counts up whenever what a learner does with a reading changes. */
const LEARNER = "learner-1";
/** A number of double precision travels as as many of single precision whose sum it is. */
const PARTS = 3;

/** The kernel in the name of a learning engine's; undefined where it names none. */
export function learningKernelOf(version: string): Kernel | undefined {
  return (Object.keys(kernelVersions) as Kernel[]).find((kernel) => version === nameOf(kernel));
}

/** How the journal names a learning engine on a kernel, the fastest here unless one is given. Throws `unavailable` where that one does not run. */
export function learningKernelName(asked?: Kernel): string {
  return nameOf(chooseKernel(asked));
}

function nameOf(kernel: Kernel): string {
  return `${LEARNER}/${kernelVersions[kernel]}`;
}

function stateSpecOf({ name, shape, data }: StateTensor): StateSpec {
  const wide = data instanceof Float64Array ? [...shape, PARTS] : [...shape];
  return { name, input: `${name}_in`, output: `${name}_out`, type: "float32", shape: wide };
}

function splitDoubles(from: Float64Array, into: Float32Array): void {
  for (let i = 0; i < from.length; i++) {
    let rest = from[i]!;
    for (let part = 0; part < PARTS; part++) {
      into[PARTS * i + part] = rest;
      rest -= into[PARTS * i + part]!;
    }
  }
}

function joinDoubles(from: Float32Array, into: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i] = from[PARTS * i]! + from[PARTS * i + 1]! + from[PARTS * i + 2]!;
}

function stateOf(tensors: readonly StateTensor[], specs: readonly StateSpec[], into: StateTensors): void {
  expectTensors(specs, into, "read");
  for (const { name, data } of tensors) {
    const values = into[name]!;
    if (data instanceof Float64Array) splitDoubles(data, values);
    else values.set(data);
  }
}

/** Copies, of the types and lengths that `tensors` have. */
function tensorsOf(tensors: readonly StateTensor[], specs: readonly StateSpec[], from: StateTensors): StateTensor[] {
  expectTensors(specs, from, "write");
  return tensors.map(({ name, shape, data }) => {
    const values = from[name]!;
    if (data instanceof Float32Array) return { name, shape, data: values };
    const joined = new Float64Array(data.length);
    joinDoubles(values, joined);
    return { name, shape, data: joined };
  });
}

/** Throws `bad_state` unless the tensors are those of a learner of these settings. */
function expectTensors(specs: readonly StateSpec[], tensors: StateTensors, verb: "read" | "write"): void {
  const lengths = specs.map(({ name, shape }) => ({ name, length: countOf(shape) }));
  checkTensors(lengths, tensors, verb);
}

function sharedOf(forecaster: SharedForecaster): SharedState {
  const specs = forecaster.shared.map((tensor) => stateSpecOf(tensor));
  return {
    specs,
    read: (into) => stateOf(forecaster.shared, specs, into),
    write: (from) => forecaster.writeShared(tensorsOf(forecaster.shared, specs, from)),
    warmUp: () => forecaster.sharedWarmUp,
  };
}

/** Forecasts, and warms up, stream by stream. */
export class LearningEngine implements Engine {
  readonly name = "learning";
  readonly kernel: string;
  readonly deterministic = true;
  readonly spec: ModelSpec;
  readonly version: string;
  readonly shared?: SharedState;
  readonly #forecaster: OnlineForecaster | SharedForecaster;

  /** `model` is a starting one (starting-model.ts). Throws `unavailable` where the kernel does not run here. */
  constructor({ spec, version }: Model, kernel: Kernel | undefined) {
    const settings = {
      name: spec.name,
      features: spec.features.map(({ name }) => name),
      horizons: [...new Set(forecastOutputs(spec).map(({ horizon }) => horizon))],
      layer: spec.layers[0]!,
      seed: spec.learner!.seed,
      ...(kernel && { kernel }),
    };
    if (spec.learner!.scope === "group") {
      const forecaster = new SharedForecaster(settings);
      this.#forecaster = forecaster;
      this.shared = sharedOf(forecaster);
    } else this.#forecaster = new OnlineForecaster(settings);
    this.version = version;
    this.kernel = nameOf(this.#forecaster.kernel);
    const blank = this.#forecaster.allocate();
    this.spec = { ...spec, states: this.#forecaster.tensors(blank).map((tensor) => stateSpecOf(tensor)) };
    this.#forecaster.release(blank);
  }

  /** How far the stream of a slot has come. */
  warmUp(slot: Slot): WarmUp {
    return this.#forecaster.warmUp(slot);
  }

  allocate(): Slot {
    return this.#forecaster.allocate();
  }

  release(slot: Slot): void {
    this.#forecaster.release(slot);
  }

  read(slot: Slot, into: StateTensors): void {
    stateOf(this.#forecaster.tensors(slot), this.spec.states, into);
  }

  write(slot: Slot, from: StateTensors): void {
    this.#forecaster.write(slot, tensorsOf(this.#forecaster.tensors(slot), this.spec.states, from));
  }

  copy(from: Slot, to: Slot): void {
    this.#forecaster.write(to, this.#forecaster.tensors(from));
  }

  /** Outputs are NaN for the first readings of a stream, which are no fault of its. */
  step(batch: StepBatch): void {
    checkBatch(this.spec, batch);
    const { slots, count, steps, x, y, times } = batch;
    const [D, O] = [this.spec.features.length, this.spec.outputs.length];
    for (let step = 0; step < steps; step++) {
      for (let n = 0; n < count; n++) {
        const row = step * count + n;
        this.#forecaster.step(slots[n]!, x, row * D, times?.[row] ?? Number.NaN, y, row * O);
      }
    }
  }

  async close(): Promise<void> {}
}
