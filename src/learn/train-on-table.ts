// From a table of readings to a model file and what is known of it: splits by time, trains, and holds the model against the simple rules on
// rows that nothing before has seen. It touches no disk; the same table and options give the same bytes.
import type { Clock } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import { sliceStream } from "../message/reading-table.ts";
import { chooseKernel } from "../kernels/open-network.ts";
import { kernelVersions } from "../kernels/recurrent-network.ts";
import type { ReadingTable, TableStream } from "../message/reading-table.ts";
import type { Model } from "../model/model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { Autoregression, Persistence, SeasonalNaive } from "./baselines.ts";
import type { RowLayout } from "./baselines.ts";
import { evaluate, rmseByOutput } from "./evaluate.ts";
import type { Score } from "./evaluate.ts";
import { featureRanges } from "./fit-scaling.ts";
import type { FeatureRange } from "./fit-scaling.ts";
import type { Forecaster, Walk } from "./forecaster.ts";
import { countWeights, fitNetwork, modelOf } from "./fit-network.ts";
import type { Fit, Problem } from "./fit-network.ts";
import { ModelForecaster } from "./model-forecaster.ts";
import { buildSeries, countTargets } from "./series.ts";
import type { Series } from "./series.ts";
import { splitByTime } from "./split-by-time.ts";
import type { Split, TableParts } from "./split-by-time.ts";
import type { Training } from "./train-model.ts";
import { trainingTask } from "./train-on-table-options.ts";
import type { TrainingTask, TrainOnTableOptions } from "./train-on-table-options.ts";
import { checkTrainingSettings } from "./training-settings.ts";
import type { TrainingCell, TrainingSettings } from "./training-settings.ts";

/** What a part of the table held. */
export interface PartSummary {
  readonly rows: number;
  /** Values to forecast, over all outputs. */
  readonly targets: number;
  readonly streams: number;
  /** Milliseconds since 1970. */
  readonly firstTime: number;
  readonly lastTime: number;
}

/** A network of the ladder. */
export interface Rung {
  readonly cell: TrainingCell;
  /** Numbers that were trained. */
  readonly weights: number;
  readonly epochs: number;
  readonly score: Score;
}

/** A trained model, and what is known of it. */
export interface TrainingOutcome {
  /** Its `bytes` are the `.onnx` file. */
  readonly model: Model;
  readonly training: Training;
  readonly settings: TrainingSettings;
  /** @internal */
  readonly ranges: readonly FeatureRange[];
  readonly parts: { readonly train: PartSummary; readonly validation: PartSummary; readonly test: PartSummary };
  /** On the test part: the model, then the rules. */
  readonly scores: readonly Score[];
  /** The networks that were compared, the model among them, from the simplest cell up; none without `compare`. */
  readonly ladder: readonly Rung[];
  /** @internal The test part's stream with the most to forecast, for a picture. */
  readonly longestWalk: Walk;
  /** @internal */
  readonly layout: RowLayout;
}

/** The order of the autoregression that a model is held against. */
const AUTOREGRESSION_ORDER = 6;
/** Values to forecast that each part has at least, for each output. */
const TARGETS_MIN = { train: 50, validation: 10, test: 10 } as const;
const HORIZON_MAX = 10_000;
/** What `compare` holds beside each other, from the simplest up. */
const COMPARED_CELLS: readonly TrainingCell[] = ["rnn_tanh", "gru", "lstm"];

type PartName = keyof TableParts;
type PartSeries = Readonly<Record<PartName, readonly Series[]>>;
type BuildSeries = (stream: TableStream) => Series;

function refuse(reason: string): never {
  throw new HiddenstateError("bad_argument", `cannot train: ${reason}`);
}

function checkOptions({ table, targets, horizon, period, settings }: TrainingTask): RowLayout {
  checkTrainingSettings(settings);
  if (!Number.isInteger(horizon) || horizon < 1 || horizon > HORIZON_MAX) {
    refuse(`the horizon is ${horizon}; a whole number from 1 to ${HORIZON_MAX} is expected`);
  }
  if (period !== undefined && !(Number.isInteger(period) && period >= 1)) {
    refuse(`the period is ${period}; a whole number of rows from 1 is expected`);
  }
  if (targets.length === 0) refuse("no target is named; name one of the features");
  const places = targets.map((target) => {
    const place = table.features.indexOf(target);
    if (place === -1) refuse(`the target "${target}" is none of the features; they are ${table.features.join(", ")}`);
    return place;
  });
  if (new Set(targets).size < targets.length) refuse("a target is named twice");
  return { features: table.features.length, targets: places, horizon };
}

function checkCounts(series: PartSeries, layout: RowLayout, targets: readonly string[], split: Split): void {
  const O = targets.length;
  const names = { train: "training", validation: "validation", test: "test" } as const;
  for (const part of ["train", "validation", "test"] as const) {
    for (let o = 0; o < O; o++) {
      let count = 0;
      for (const one of series[part]) {
        for (let at = o; at < one.targets.length; at += O) if (!Number.isNaN(one.targets[at]!)) count++;
      }
      const least = TARGETS_MIN[part];
      if (count >= least) continue;
      const rows = Math.ceil((least + layout.horizon) / split[part]);
      refuse(
        `the ${names[part]} part has ${count} rows whose "${targets[o]!}" ${layout.horizon} rows on is known, and ${least} are needed; ` +
          `with this split that takes a file of about ${rows} rows for each stream, or another split`,
      );
    }
  }
}

function summaryOf(table: ReadingTable, series: readonly Series[]): PartSummary {
  let [rows, firstTime, lastTime] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { count, times } of table.streams) {
    rows += count;
    for (const time of times) {
      firstTime = Math.min(firstTime, time);
      lastTime = Math.max(lastTime, time);
    }
  }
  const targets = series.reduce((sum, one) => sum + countTargets(one), 0);
  return { rows, targets, streams: table.streams.length, firstTime, lastTime };
}

/** The test part's walks; the rules may look back on the rows of the same stream that lie before. */
function testWalks(table: ReadingTable, test: readonly Series[], build: BuildSeries): Walk[] {
  const streams = new Map(table.streams.map((stream) => [stream.key, stream]));
  return test.map((series) => {
    const stream = streams.get(series.key)!;
    const before = stream.count - series.count;
    return { series, past: before === 0 ? undefined : build(sliceStream(stream, 0, before)) };
  });
}

async function scoreAll(
  forecasters: readonly Forecaster[],
  walks: readonly Walk[],
  outputs: number,
  clock: Clock,
): Promise<Score[]> {
  const scores: Score[] = [];
  for (const forecaster of forecasters) scores.push(await evaluate(forecaster, walks, outputs, clock));
  return scores;
}

/** Trains the cells that the model is not made of, on the same rows from the same settings, and measures all of them on the same walks. */
async function climbLadder(problem: Problem, fit: Fit, own: Score, walks: readonly Walk[]): Promise<Rung[]> {
  const { clock, settings, signal, targets, onNetwork } = problem.options;
  const rungs: Rung[] = [];
  for (const cell of COMPARED_CELLS) {
    const isOwn = cell === settings.cell;
    if (!isOwn && signal?.aborted === true) continue;
    if (!isOwn) onNetwork?.(cell);
    const { model, training } = isOwn ? fit : await fitNetwork(problem, { ...settings, cell });
    const score = isOwn ? own : await evaluate(new ModelForecaster(model, cell), walks, targets.length, clock);
    rungs.push({ cell, weights: countWeights(model.weights), epochs: training.epochs.length, score });
  }
  return rungs;
}

/**
 * Trains a model on the first rows of a table, chooses its weights on those that follow, and measures it beside simple rules on the last,
 * which nothing before has seen. `model.bytes` of what it returns is the `.onnx` file. Throws `bad_argument` where the options or the rows
 * cannot make a model, with what is needed; `unavailable` where training diverges in its first pass, or the kernel asked for does not run
 * here. A signal ends training early, and what it had by then is evaluated and returned.
 */
export async function trainOnTable(asked: TrainOnTableOptions): Promise<TrainingOutcome> {
  const options = trainingTask(asked);
  const { table, targets, split, period, pauseMsMax, clock } = options;
  const layout = checkOptions(options);
  const kernel = chooseKernel(options.settings.kernel);
  const settings = { ...options.settings, kernel };
  const build: BuildSeries = (stream) => buildSeries(stream, { ...layout, pauseMsMax });
  const parts = splitByTime(table, split);
  // Each part's series by themselves: what is held, forecast or summed in one part has not touched another.
  const series: PartSeries = {
    train: parts.train.streams.map(build),
    validation: parts.validation.streams.map(build),
    test: parts.test.streams.map(build),
  };
  checkCounts(series, layout, targets, split);
  const ranges = featureRanges(parts.train);
  const { train, validation } = series;
  const problem: Problem = { options, layout, ranges, train, validation };
  options.onNetwork?.(settings.cell);
  const fit = await fitNetwork(problem, settings);
  const walks = testWalks(table, series.test, build);
  const rules = [new Persistence(layout), new Autoregression(layout, AUTOREGRESSION_ORDER, train)];
  const seasonal = period === undefined ? [] : [new SeasonalNaive(layout, period)];
  const scores = await scoreAll([new ModelForecaster(fit.model), ...rules, ...seasonal], walks, targets.length, clock);
  const ladder = options.compare === true ? await climbLadder(problem, fit, scores[0]!, walks) : [];
  const summaries = {
    train: summaryOf(parts.train, train),
    validation: summaryOf(parts.validation, validation),
    test: summaryOf(parts.test, series.test),
  };
  const { spec, training } = fit;
  const provenance: ModelSpec["training"] = {
    source: options.source,
    seed: settings.seed,
    kernel: kernelVersions[kernel],
    epochs: training.epochs.length,
    rows: { train: summaries.train.rows, validation: summaries.validation.rows, test: summaries.test.rows },
    testRmse: rmseByOutput(spec, scores[0]!),
    persistenceRmse: rmseByOutput(spec, scores[1]!),
  };
  return {
    model: modelOf({ ...spec, training: provenance }, training.weights),
    training,
    settings,
    ranges,
    parts: summaries,
    scores,
    ladder,
    longestWalk: walks.reduce((most, one) => (countTargets(one.series) > countTargets(most.series) ? one : most)),
    layout,
  };
}
