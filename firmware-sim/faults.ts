// Faults of sensors, and the truth about where they are. About one fault begins in every interval; where, of what kind and on which
// feature depends on the seed and the step alone, so the truth can be asked for any stretch without running it.
import { bitsAt, normalAt, uniformAt } from "./noise.ts";
import type { Signal } from "./signals.ts";

/** `spike`: a few readings far off. `stuck`: the last value repeats. `dropout`: values missing. `drift`: a slope. `noise`: a burst of it. */
export type FaultKind = "spike" | "stuck" | "dropout" | "drift" | "noise";

export const faultKinds: readonly FaultKind[] = ["spike", "stuck", "dropout", "drift", "noise"];

export interface Fault {
  readonly kind: FaultKind;
  /** Index of the feature. */
  readonly feature: number;
  /** First step, and the first after the last. */
  readonly start: number;
  readonly end: number;
  /** In the feature's deviations; its sign is the direction. 0 where the kind has no size. */
  readonly size: number;
}

/** Steps, shortest and longest; deviations, smallest and largest. */
const extents: Readonly<Record<FaultKind, { steps: readonly [number, number]; size: readonly [number, number] }>> = {
  spike: { steps: [1, 2], size: [4, 10] },
  stuck: { steps: [20, 120], size: [0, 0] },
  dropout: { steps: [3, 40], size: [0, 0] },
  drift: { steps: [100, 300], size: [2, 5] },
  noise: { steps: [20, 80], size: [0.8, 2] },
};

export interface FaultOptions {
  readonly kinds: readonly FaultKind[];
  /** Steps from one fault to the next, on average. At least 10; faults longer than half of it are cut. */
  readonly intervalSteps: number;
  readonly seed: number;
}

export class FaultPlan {
  readonly #signal: Signal;
  readonly #options: FaultOptions;
  readonly #frozen: Float64Array;

  constructor(signal: Signal, options: FaultOptions) {
    this.#signal = signal;
    this.#options = options;
    this.#frozen = new Float64Array(signal.features.length);
  }

  /** The fault that begins in an interval; the first interval has none, so that every history starts sound. */
  #inInterval(index: number): Fault | undefined {
    const { kinds, intervalSteps, seed } = this.#options;
    if (index < 1 || kinds.length === 0) return undefined;
    const draw = (what: number): number => uniformAt(seed, index * 8 + what);
    const kind = kinds[bitsAt(seed, index * 8) % kinds.length]!;
    const { steps, size } = extents[kind];
    const length = Math.max(1, Math.min(Math.round(steps[0] + draw(1) * (steps[1] - steps[0])), Math.floor(intervalSteps / 2)));
    const start = index * intervalSteps + Math.floor(draw(2) * (intervalSteps - length));
    const magnitude = size[0] + draw(3) * (size[1] - size[0]);
    return {
      kind,
      feature: bitsAt(seed, index * 8 + 4) % this.#signal.features.length,
      start,
      end: start + length,
      size: draw(5) < 0.5 && magnitude > 0 ? -magnitude : magnitude,
    };
  }

  /** The fault at a step. Faults never overlap. */
  at(step: number): Fault | undefined {
    const fault = this.#inInterval(Math.floor(step / this.#options.intervalSteps));
    return fault !== undefined && step >= fault.start && step < fault.end ? fault : undefined;
  }

  /** All faults that touch the steps from `from` to before `to`, in order. */
  between(from: number, to: number): Fault[] {
    const { intervalSteps } = this.#options;
    const found: Fault[] = [];
    for (let index = Math.floor(from / intervalSteps); index * intervalSteps < to; index++) {
      const fault = this.#inInterval(index);
      if (fault !== undefined && fault.end > from && fault.start < to) found.push(fault);
    }
    return found;
  }

  /** Spoils a step's values as the sensor would; marks a lost one in `missing`. Returns the fault, if there is one. */
  apply(step: number, values: Float64Array, missing: Uint8Array): Fault | undefined {
    const fault = this.at(step);
    if (fault === undefined) return undefined;
    const { feature, start, end, size } = fault;
    const scale = size * this.#signal.features[feature]!.deviation;
    switch (fault.kind) {
      case "spike":
        values[feature]! += scale;
        break;
      case "stuck":
        this.#signal.read(start, this.#frozen);
        values[feature] = this.#frozen[feature]!;
        break;
      case "dropout":
        missing[feature] = 1;
        break;
      case "drift":
        values[feature]! += (scale * (step - start + 1)) / (end - start);
        break;
      case "noise":
        values[feature]! += scale * normalAt(this.#options.seed + 1, step);
        break;
    }
    return fault;
  }
}
