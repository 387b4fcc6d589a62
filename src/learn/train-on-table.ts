// From a table of readings to a model file and what is known of it: splits by time, trains, and holds the model against the simple rules on
// rows that nothing before has seen. It touches no disk; the same table and options give the same bytes.
import type { Clock } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import { createRandom } from "../base/random.ts";
import { sliceStream } from "../message/reading-table.ts";
import type { ReadingTable, TableStream } from "../message/reading-table.ts";
import type { Model, ModelWeights } from "../model/model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { decodeModel } from "../onnx/decode-model.ts";
import { encodeModel } from "../onnx/encode-model.ts";
import { stateSpecs } from "../onnx/state-specs.ts";
import { Autoregression, Persistence, SeasonalNaive } from "./baselines.ts";
import type { RowLayout } from "./baselines.ts";
import { evaluate } from "./evaluate.ts";
import type { Score } from "./evaluate.ts";
import { featureRanges, fitScaling } from "./fit-scaling.ts";
import type { FeatureRange } from "./fit-scaling.ts";
import type { Forecaster, Walk } from "./forecaster.ts";
import { ModelForecaster } from "./model-forecaster.ts";
import { buildSeries, countTargets } from "./series.ts";
import type { Series } from "./series.ts";
import { splitByTime } from "./split-by-time.ts";
import type { Split, TableParts } from "./split-by-time.ts";
import { startingWeights } from "./starting-weights.ts";
import { trainModel } from "./train-model.ts";
import type { Training, TrainingProgress } from "./train-model.ts";
import { checkTrainingSettings } from "./training-settings.ts";
import type { TrainingSettings } from "./training-settings.ts";

export interface TrainOnTableOptions {
  readonly table: ReadingTable;
  /** The model's name, and what the rows were: a file's name or `firmware-sim`. Both go into the model file. */
  readonly name: string;
  readonly source: string;
  /** Of the table's features, in their order; missing ones are empty. */
  readonly units?: readonly string[] | undefined;
  /** The features to forecast: an output each. */
  readonly targets: readonly string[];
  /** How many rows ahead. */
  readonly horizon: number;
  readonly split: Split;
  /** Rows of a season; without it there is no seasonal-naive to compare with. */
  readonly period?: number | undefined;
  /** A forecast across a longer pause between two rows does not count. */
  readonly pauseMsMax?: number | undefined;
  readonly settings: TrainingSettings;
  readonly clock: Clock;
  /** Ends training with the best so far; evaluation still follows. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
}

export interface PartSummary {
  readonly rows: number;
  /** Values to forecast, over all outputs. */
  readonly targets: number;
  readonly streams: number;
  /** Milliseconds since 1970. */
  readonly firstTime: number;
  readonly lastTime: number;
}

export interface TrainingOutcome {
  readonly model: Model;
  readonly training: Training;
  readonly settings: TrainingSettings;
  readonly ranges: readonly FeatureRange[];
  readonly parts: { readonly train: PartSummary; readonly validation: PartSummary; readonly test: PartSummary };
  /** On the test part: the model, then the rules. */
  readonly scores: readonly Score[];
  /** The test part's stream with the most to forecast, for a picture. */
  readonly longestWalk: Walk;
  readonly layout: RowLayout;
}

/** The order of the autoregression that a model is held against. */
const AUTOREGRESSION_ORDER = 6;
/** Values to forecast that each part has at least, for each output. */
const TARGETS_MIN = { train: 50, validation: 10, test: 10 } as const;
const HORIZON_MAX = 10_000;

type PartName = keyof TableParts;
type PartSeries = Readonly<Record<PartName, readonly Series[]>>;
type BuildSeries = (stream: TableStream) => Series;

function refuse(reason: string): never {
  throw new HiddenstateError("bad_argument", `cannot train: ${reason}`);
}

function checkOptions({ table, targets, horizon, period, settings }: TrainOnTableOptions): RowLayout {
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

function specOf(options: TrainOnTableOptions, layout: RowLayout, ranges: readonly FeatureRange[]): ModelSpec {
  const { table, name, units, targets, horizon, settings } = options;
  const layers = settings.hidden.map((hidden) => ({ cell: "rnn_tanh" as const, hidden }));
  const unitOf = (place: number): string => units?.[place] ?? "";
  return {
    format: 1,
    name,
    task: "forecast",
    features: table.features.map((feature, place) => ({ name: feature, unit: unitOf(place) })),
    outputs: targets.map((feature, o) => {
      const place = layout.targets[o]!;
      return { name: `${feature}+${horizon}`, unit: unitOf(place), feature, horizon, deviation: ranges[place]!.deviation };
    }),
    layers,
    head: { kind: "regression", residual: settings.residual },
    states: stateSpecs(layers),
  };
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

function rmseByOutput(spec: ModelSpec, { outputs }: Score): Record<string, number> {
  return Object.fromEntries(spec.outputs.map(({ name }, o) => [name, outputs[o]!.rmse]));
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

/**
 * Throws `bad_argument` where the options or the rows cannot make a model, with what is needed; `unavailable` where training diverges in
 * its first pass. A signal ends training early, and what it had by then is evaluated and returned.
 */
export async function trainOnTable(options: TrainOnTableOptions): Promise<TrainingOutcome> {
  const { table, targets, split, period, pauseMsMax, settings, clock, signal, onProgress } = options;
  const layout = checkOptions(options);
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
  const scaling = fitScaling(ranges, series.train, layout.targets, settings.residual);
  const spec = specOf(options, layout, ranges);
  // What no model file can hold (a name too long) is refused now and not when hours have gone into it.
  encodeModel(spec, startingWeights(spec, scaling, createRandom(settings.seed)));
  const { train, validation } = series;
  const training = await trainModel({ spec, scaling, train, validation, settings, clock, signal, onProgress });
  const walks = testWalks(table, series.test, build);
  const rules = [new Persistence(layout), new Autoregression(layout, AUTOREGRESSION_ORDER, train)];
  const seasonal = period === undefined ? [] : [new SeasonalNaive(layout, period)];
  const trained = modelOf(spec, training.weights);
  const scores = await scoreAll([new ModelForecaster(trained), ...rules, ...seasonal], walks, targets.length, clock);
  const summaries = {
    train: summaryOf(parts.train, train),
    validation: summaryOf(parts.validation, validation),
    test: summaryOf(parts.test, series.test),
  };
  const provenance: ModelSpec["training"] = {
    source: options.source,
    seed: settings.seed,
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
    longestWalk: walks.reduce((most, one) => (countTargets(one.series) > countTargets(most.series) ? one : most)),
    layout,
  };
}

/** The model that a runtime would load: its weights have been through the file. */
function modelOf(spec: ModelSpec, weights: ModelWeights): Model {
  return decodeModel(encodeModel(spec, weights), spec.name);
}
