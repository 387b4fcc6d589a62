// Which simulated device is which: names, seeds and sources, the same for a fleet that publishes and for rows made to train on.
import type { ReadingSource } from "./device.ts";
import { FaultPlan } from "./faults.ts";
import type { FaultKind } from "./faults.ts";
import { bitsAt } from "./noise.ts";
import { createSignal } from "./signals.ts";
import type { SignalFeature, SignalKind } from "./signals.ts";

export interface SimulatedFaults {
  readonly kinds: readonly FaultKind[];
  readonly intervalSteps: number;
}

export interface SimulatedSource extends ReadingSource {
  readonly features: readonly SignalFeature[];
  /** The truth about this device's faults. */
  readonly faults: FaultPlan;
}

/** `device-001` for index 0. */
export function deviceName(index: number): string {
  return `device-${String(index + 1).padStart(3, "0")}`;
}

/** The source of a fleet's device. It does not depend on how many devices the fleet has. */
export function createSimulatedSource(kind: SignalKind, seed: number, index: number, faults?: SimulatedFaults): SimulatedSource {
  const deviceSeed = bitsAt(seed, index);
  const signal = createSignal(kind, deviceSeed);
  const plan = new FaultPlan(signal, {
    kinds: faults?.kinds ?? [],
    intervalSteps: faults?.intervalSteps ?? 1000,
    seed: ~deviceSeed,
  });
  return {
    features: signal.features,
    faults: plan,
    read(step, values, missing) {
      signal.read(step, values);
      plan.apply(step, values, missing);
    },
  };
}
