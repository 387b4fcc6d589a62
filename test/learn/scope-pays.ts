// `npm run scope-pays [-- --streams 10]`: what one network for all streams is worth against one for each, on simulated streams of one kind, a
// reading a minute: the squared error of the forecasts over that of the last value, below 1 where a network does better, by how many
// readings each stream has had; then the same of a stream that comes when the others have had theirs; and what it takes: time, and a stream's own state in a checkpoint.
import { parseArgs } from "node:util";
import { createSignal, signalKinds } from "../../firmware-sim/signals.ts";
import type { SignalKind } from "../../firmware-sim/signals.ts";
import { createStateTensors } from "../../src/engine/engine.ts";
import { LearningEngine } from "../../src/learn/learning-engine.ts";
import { startingModel } from "../../src/learn/starting-model.ts";

type Scope = "stream" | "group";

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 5);
const HORIZONS = [1, 12, 48];
/** Readings of a stream at which a stretch ends. */
const ENDS = [200, 300, 500, 1000, 2000] as const;
const READINGS = ENDS.at(-1)!;
const LATE_READINGS = ENDS[2];

interface Course {
  /** `(READINGS, D)`, and the standard deviation of each feature. */
  readonly x: Float32Array;
  readonly deviations: Float64Array;
}

function courseOf(kind: SignalKind, seed: number): Course {
  const signal = createSignal(kind, seed);
  const D = signal.features.length;
  const x = new Float32Array(READINGS * D);
  const values = new Float64Array(D);
  for (let i = 0; i < READINGS; i++) {
    signal.read(i, values);
    x.set(values, i * D);
  }
  const deviations = Float64Array.from({ length: D }, (_, d) => {
    const column = x.filter((_value, i) => i % D === d);
    const mean = column.reduce((sum, value) => sum + value, 0) / READINGS;
    return Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / READINGS) || 1;
  });
  return { x, deviations };
}

/** Squared errors of a stream's forecasts and of the last value, by the stretch in which they were met. */
class Errors {
  readonly own = new Float64Array(ENDS.length);
  readonly persistence = new Float64Array(ENDS.length);

  add({ x, deviations }: Course, y: Float32Array, made: number): void {
    const D = deviations.length;
    HORIZONS.forEach((horizon, h) => {
      const met = made + horizon;
      if (met >= READINGS) return;
      const stretch = ENDS.findIndex((end) => met < end);
      for (let d = 0; d < D; d++) {
        if (Number.isNaN(y[h * D + d]!)) continue;
        const value = x[met * D + d]!;
        this.own[stretch]! += ((value - y[h * D + d]!) / deviations[d]!) ** 2;
        this.persistence[stretch]! += ((value - x[made * D + d]!) / deviations[d]!) ** 2;
      }
    });
  }

  get ratios(): number[] {
    return Array.from(this.own, (own, stretch) => own / this.persistence[stretch]!);
  }
}

interface Outcome {
  readonly ratios: readonly number[];
  readonly late: readonly number[];
  readonly usPerReading: number;
  readonly bytesPerStream: number;
}

function run(kind: SignalKind, scope: Scope, streams: number): Outcome {
  const features = createSignal(kind, 1).features.map(({ name }) => name);
  const engine = new LearningEngine(startingModel({ name: kind, features, horizons: HORIZONS, scope }), undefined);
  const D = features.length;
  const y = new Float32Array(engine.spec.outputs.length);
  const step = (slot: number, course: Course, i: number, at: number, errors: Errors): void => {
    const x = course.x.subarray(i * D, (i + 1) * D);
    engine.step({ slots: Int32Array.of(slot), count: 1, steps: 1, x, y, times: Float64Array.of(START + at * MINUTE) });
    errors.add(course, y, i);
  };
  const courses = Array.from({ length: streams }, (_, n) => courseOf(kind, n + 1));
  const slots = courses.map(() => engine.allocate());
  const errors = new Errors();
  const startedAtMs = performance.now();
  for (let i = 0; i < READINGS; i++) for (const [n, course] of courses.entries()) step(slots[n]!, course, i, i, errors);
  const usPerReading = (1000 * (performance.now() - startedAtMs)) / (READINGS * streams);
  const [late, lateErrors, newcomer] = [courseOf(kind, streams + 1), new Errors(), engine.allocate()];
  for (let i = 0; i < LATE_READINGS; i++) {
    step(newcomer, late, i, READINGS + i, lateErrors);
    for (const [n, course] of courses.entries()) step(slots[n]!, course, i, READINGS + i, new Errors());
  }
  const state = createStateTensors(engine.spec.states);
  engine.read(slots[0]!, state);
  const bytesPerStream = Object.values(state).reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { ratios: errors.ratios, late: lateErrors.ratios.slice(0, 3), usPerReading, bytesPerStream };
}

const { values } = parseArgs({ options: { streams: { type: "string", default: "10" } } });
const from = (stretch: number): number => (stretch === 0 ? 100 : ENDS[stretch - 1]!);
const stretches = ENDS.map((end, stretch) => `${from(stretch)}-${end}`.padStart(10));
process.stdout.write(
  `${"".padEnd(17)}${stretches.join("")}   comes late:${stretches
    .slice(0, 3)
    .map((text) => text.padStart(9))
    .join("")}\n`,
);
const numbers = (ratios: readonly number[]): string => ratios.map((ratio) => ratio.toFixed(2).padStart(10)).join("");
for (const kind of signalKinds) {
  for (const scope of ["stream", "group"] as const) {
    const { ratios, late, usPerReading, bytesPerStream } = run(kind, scope, Number(values.streams));
    process.stdout.write(
      `${kind.padEnd(10)} ${scope.padEnd(6)}${numbers(ratios)}${" ".repeat(12)}${numbers(late)}   ` +
        `${usPerReading.toFixed(0)} us a reading, ${bytesPerStream} bytes of state\n`,
    );
  }
}
