// Engines held against the clock on one model, at the batch sizes that it is stepped with. It decides nothing; engine-preference.ts does.
// The trial of both runs in a process of its own (trial-process.ts), so that a runtime that steps natively never loads onnxruntime.
import type { Clock } from "../base/clock.ts";
import { createRandom } from "../base/random.ts";
import type { Engine } from "./engine.ts";

/** Nanoseconds a stream-step at one batch size, medians. */
export interface TrialFigure {
  readonly batch: number;
  readonly native: number;
  readonly onnx: number;
}

export interface EngineTrial {
  /** Of each engine, as `Engine.kernel`. */
  readonly kernels: { readonly native: string; readonly onnx: string };
  readonly figures: readonly TrialFigure[];
}

/** Odd, so that there is a middle. */
const ROUNDS = 7;
/** One reading of the clock covers at least this much work. */
const READING_MS = 4;

interface Contender {
  readonly calls: number;
  readonly run: (calls: number) => Promise<void>;
}

function runner(engine: Engine, count: number): (calls: number) => Promise<void> {
  const random = createRandom(count);
  const slots = Int32Array.from({ length: count }, () => engine.allocate());
  const x = Float32Array.from({ length: count * engine.spec.features.length }, () => random.normal());
  const y = new Float32Array(count * engine.spec.outputs.length);
  // Of a time that is known: what learns takes others for readings of before.
  const batch = { slots, count, steps: 1, x, y, times: new Float64Array(count) };
  return async (calls) => {
    for (let call = 0; call < calls; call++) {
      const stepped = engine.step(batch);
      if (stepped !== undefined) await stepped;
    }
  };
}

async function timed(clock: Clock, run: () => Promise<void>): Promise<number> {
  const from = clock.monotonicMs();
  await run();
  return clock.monotonicMs() - from;
}

/** Warm, and with as many calls a reading of the clock as it takes. */
async function prepare(clock: Clock, engine: Engine, batch: number): Promise<Contender> {
  const run = runner(engine, batch);
  let calls = 1;
  while ((await timed(clock, () => run(calls))) < READING_MS) calls *= 2;
  return { calls, run };
}

/** Milliseconds a call. */
async function reading(clock: Clock, { calls, run }: Contender): Promise<number> {
  return (await timed(clock, () => run(calls))) / calls;
}

/** Of a stream-step, out of milliseconds a call: the median. */
function nanoseconds(ms: readonly number[], batch: number): number {
  return (ms.toSorted((a, b) => a - b)[ms.length >> 1]! * 1e6) / batch;
}

/** Nanoseconds a stream-step of one engine alone. It stays open. */
export async function timeEngine(clock: Clock, engine: Engine, batch: number): Promise<number> {
  const contender = await prepare(clock, engine, batch);
  const readings: number[] = [];
  for (let round = 0; round < ROUNDS; round++) readings.push(await reading(clock, contender));
  return nanoseconds(readings, batch);
}

/** Times both engines in turns. They are of one model and stay open. */
export async function tryEngines(
  clock: Clock,
  engines: { readonly native: Engine; readonly onnx: Engine },
  batches: readonly number[],
): Promise<EngineTrial> {
  const figures: TrialFigure[] = [];
  for (const batch of batches) {
    const native = await prepare(clock, engines.native, batch);
    const onnx = await prepare(clock, engines.onnx, batch);
    const readings = { native: [] as number[], onnx: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      readings.native.push(await reading(clock, native));
      readings.onnx.push(await reading(clock, onnx));
    }
    const [ofNative, ofOnnx] = [nanoseconds(readings.native, batch), nanoseconds(readings.onnx, batch)];
    figures.push({ batch, native: Math.round(ofNative), onnx: Math.round(ofOnnx) });
  }
  return { kernels: { native: engines.native.kernel, onnx: engines.onnx.kernel }, figures };
}

/** Runs a trial of the model in a file somewhere. */
export type RunTrial = (file: string, batches: readonly number[]) => Promise<EngineTrial>;
