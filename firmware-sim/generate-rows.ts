// Simulated readings as a table, for training and evaluation: the very values that a fleet of the same seed publishes.
import type { ReadingTable, TableStream } from "../src/message/reading-table.ts";
import type { Fault } from "./faults.ts";
import type { SignalFeature, SignalKind } from "./signals.ts";
import { createSimulatedSource, deviceName } from "./simulated-source.ts";
import type { SimulatedFaults } from "./simulated-source.ts";

export interface GenerateOptions {
  readonly signal: SignalKind;
  readonly seed: number;
  readonly devices: number;
  /** Rows of each device. */
  readonly steps: number;
  readonly startStep?: number;
  /** Between rows; default one minute. */
  readonly intervalMs?: number;
  /** The time of the first row; default 2025-01-01. */
  readonly startTimeMs?: number;
  readonly faults?: SimulatedFaults;
}

export interface GeneratedRows extends ReadingTable {
  readonly units: readonly string[];
  /** The faults of each stream, in order; steps are counted as in the signal, so the first row is `startStep`. */
  readonly faults: readonly (readonly Fault[])[];
}

const START_TIME_MS = Date.UTC(2025, 0, 1);

export function generateRows(options: GenerateOptions): GeneratedRows {
  const { signal, seed, devices, steps, startStep = 0, intervalMs = 60_000, startTimeMs = START_TIME_MS } = options;
  const streams: TableStream[] = [];
  const faults: Fault[][] = [];
  let features: readonly SignalFeature[] = [];
  for (let index = 0; index < devices; index++) {
    const source = createSimulatedSource(signal, seed, index, options.faults);
    features = source.features;
    const width = features.length;
    const row = new Float64Array(width);
    const missing = new Uint8Array(width);
    const values = new Float32Array(steps * width);
    for (let i = 0; i < steps; i++) {
      missing.fill(0);
      source.read(startStep + i, row, missing);
      for (let d = 0; d < width; d++) values[i * width + d] = missing[d] === 1 ? Number.NaN : row[d]!;
    }
    const times = Float64Array.from({ length: steps }, (_, i) => startTimeMs + i * intervalMs);
    streams.push({ key: deviceName(index), count: steps, times, values });
    faults.push(source.faults.between(startStep, startStep + steps));
  }
  return { features: features.map(({ name }) => name), units: features.map(({ unit }) => unit), streams, faults };
}
