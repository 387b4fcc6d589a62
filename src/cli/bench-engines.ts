// How long the engines need for a reading of each group's model, at several batch sizes, measured again and again: where onnxruntime is
// there both engines in turns, as the runtime measures them for `engine: auto`, else the one that a start would choose.
import type { Clock } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import { timeEngine } from "../engine/engine-trial.ts";
import type { EngineTrial } from "../engine/engine-trial.ts";
import { runTrial } from "../engine/run-trial.ts";
import { nativeProblem } from "../model/native-problem.ts";
import type { EngineChoices } from "../runtime/engine-choices.ts";
import type { ConfiguredGroup } from "../runtime/groups.ts";
import { chooseEngine } from "../runtime/plan-epoch.ts";
import { engineOf } from "../runtime/stream-groups.ts";
import { spreadOf } from "./spread.ts";
import type { Spread } from "./spread.ts";

export interface EngineFigure {
  readonly group: string;
  readonly engine: string;
  readonly kernel: string;
  /** Streams that are stepped together. */
  readonly batch: number;
  /** Nanoseconds a reading. */
  readonly ns: Spread;
}

export interface EngineFigures {
  readonly figures: readonly EngineFigure[];
  /** Why one engine was not measured. */
  readonly notes: readonly string[];
}

async function bothEngines(file: string, batches: readonly number[], rounds: number): Promise<EngineTrial[]> {
  const trials: EngineTrial[] = [];
  for (let round = 0; round < rounds; round++) trials.push(await runTrial(file, batches));
  return trials;
}

function figuresOfTrials(group: string, batches: readonly number[], trials: readonly EngineTrial[]): EngineFigure[] {
  return (["native", "onnx"] as const).flatMap((engine) =>
    batches.map((batch, index) => {
      const ns = spreadOf(trials.map(({ figures }) => figures[index]![engine]));
      return { group, engine, kernel: trials[0]!.kernels[engine], batch, ns };
    }),
  );
}

async function oneEngine(
  { config, model }: ConfiguredGroup,
  choices: EngineChoices,
  clock: Clock,
  batches: readonly number[],
  rounds: number,
): Promise<EngineFigure[]> {
  const engine = await engineOf(model, await chooseEngine(config, model, undefined, choices));
  try {
    const figures: EngineFigure[] = [];
    for (const batch of batches) {
      const times: number[] = [];
      for (let round = 0; round < rounds; round++) times.push(await timeEngine(clock, engine, batch));
      figures.push({ group: config.name, engine: engine.name, kernel: engine.kernel, batch, ns: spreadOf(times) });
    }
    return figures;
  } finally {
    await engine.close();
  }
}

/** Throws what opening the engine does. */
export async function benchEngines(
  group: ConfiguredGroup,
  choices: EngineChoices,
  clock: Clock,
  batches: readonly number[],
  rounds: number,
): Promise<EngineFigures> {
  const { config, model } = group;
  // The trial is of the model as it lies in its file, on the fastest kernel.
  const isPlain = model.rolled === undefined && config.kernel === undefined;
  if (config.model !== undefined && isPlain && nativeProblem(model.spec) === undefined) {
    try {
      const trials = await bothEngines(config.model, batches, rounds);
      return { figures: figuresOfTrials(config.name, batches, trials), notes: [] };
    } catch (thrown) {
      if (!(thrown instanceof HiddenstateError && thrown.code === "unavailable")) throw thrown;
      const figures = await oneEngine(group, choices, clock, batches, rounds);
      return { figures, notes: [`group ${config.name}: onnxruntime was not measured beside it: ${thrown.message}`] };
    }
  }
  return { figures: await oneEngine(group, choices, clock, batches, rounds), notes: [] };
}
