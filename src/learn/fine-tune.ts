// Goes on training a model where it stands, on a group's newer readings: the same network and scaling, smaller steps. What comes of it is a
// challenger; whether it is any better is judged on readings that neither has seen (prequential-loss.ts).
import type { Clock } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import { chooseKernel } from "../kernels/open-network.ts";
import { kernelVersions } from "../kernels/recurrent-network.ts";
import type { TableStream } from "../message/reading-table.ts";
import { forecastOutputs, outputFeatures } from "../model/forecast-outputs.ts";
import type { Model, ModelWeights } from "../model/model.ts";
import { namedWeights } from "../model/named-weights.ts";
import type { ModelSpec } from "../model/spec.ts";
import { requireTunable } from "../model/tuning-problem.ts";
import { Persistence } from "./baselines.ts";
import { evaluate, rmseByOutput } from "./evaluate.ts";
import { modelOf } from "./fit-network.ts";
import type { Forecaster } from "./forecaster.ts";
import type { HistoryRun } from "./history-table.ts";
import { ModelForecaster } from "./model-forecaster.ts";
import { buildSeries } from "./series.ts";
import type { Series, SeriesOptions } from "./series.ts";
import { trainModel } from "./train-model.ts";
import { defaultTrainingSettings } from "./training-settings.ts";
import type { TrainingSettings } from "./training-settings.ts";

export interface FineTuneOptions {
  readonly champion: Model;
  readonly runs: readonly HistoryRun[];
  readonly seed: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Where the readings come from, for the model file. */
  readonly source: string;
  /** What an earlier one of the same champion had come to when it was ended, by its `onBest`: this one goes on with that. */
  readonly begun?: Model | undefined;
  /** Gets what makes a model of the best pass so far, which takes a while. */
  readonly onBest?: ((best: () => Model) => Promise<void>) | undefined;
}

export interface FineTuned {
  readonly model: Model;
  readonly epochs: number;
  readonly rows: { readonly train: number; readonly validation: number };
  /** How far the weights went: the length of the difference over the length of the champion's, of all layers and the head. */
  readonly change: number;
}

/** Rows of a stretch, and of how many stretches one chooses among the passes. */
const STRETCH_ROWS = 100;
const STRETCHES = 5;
/** Rows to forecast that training and validation have at least. */
const TUNING_ROWS_MIN = { train: 400, validation: 80 } as const;
const SETTINGS = { epochsMax: 100, patience: 15, lanes: 4 } as const;

/** How series are built for a model. Throws `bad_argument` for one that cannot be fine-tuned. */
export function seriesOptionsOf(spec: ModelSpec): SeriesOptions {
  requireTunable(spec);
  return { features: spec.features.length, targets: outputFeatures(spec), horizon: forecastOutputs(spec)[0]!.horizon };
}

/**
 * Runs cut into stretches, of which every fifth chooses and is not trained on, in each run another one: by the latest alone a pass would be
 * chosen that suits one season, and many short runs must do as well as a long one.
 */
function splitRuns(runs: readonly HistoryRun[], width: number): [TableStream[], TableStream[]] {
  const parts: [TableStream[], TableStream[]] = [[], []];
  for (const [index, run] of runs.entries()) {
    const chooses = (stretch: number): boolean => (index + stretch) % STRETCHES === STRETCHES - 1;
    const count = Math.ceil(run.count / STRETCH_ROWS);
    for (let from = 0, to = 1; from < count; from = to++) {
      while (to < count && !chooses(from) && !chooses(to)) to++;
      const rows = rowsOf(run, from * STRETCH_ROWS, Math.min(run.count, to * STRETCH_ROWS), width);
      parts[chooses(from) ? 1 : 0].push(rows);
    }
  }
  return parts;
}

function rowsOf({ key, times, values }: HistoryRun, from: number, to: number, width: number): TableStream {
  return {
    key: `${key}.${from}`,
    count: to - from,
    times: times.subarray(from, to),
    values: values.subarray(from * width, to * width),
  };
}

function targetRows(series: readonly Series[], outputs: number): number {
  return series.reduce((sum, { targets }) => {
    let rows = 0;
    for (let at = 0; at < targets.length; at += outputs) if (!Number.isNaN(targets[at]!)) rows++;
    return sum + rows;
  }, 0);
}

function settingsOf({ head }: ModelSpec, seed: number): TrainingSettings {
  // What the network is made of stands in its spec; these are read for how it is trained.
  const { kind, residual } = head;
  return {
    ...defaultTrainingSettings,
    ...SETTINGS,
    head: kind === "gaussian" ? "gaussian" : "regression",
    residual,
    seed,
    kernel: chooseKernel(undefined),
  };
}

/** The length of the difference of two networks' trained weights over the length of the first's. */
function weightChange(before: ModelWeights, after: ModelWeights): number {
  const from = namedWeights(before);
  const to = namedWeights(after);
  let [difference, length] = [0, 0];
  from.forEach(([name, tensor], index) => {
    // Means and scales are not trained.
    if (!/^(layers|head)/.test(name)) return;
    const other = to[index]![1].data;
    for (let i = 0; i < other.length; i++) {
      difference += (other[i]! - tensor.data[i]!) ** 2;
      length += tensor.data[i]! ** 2;
    }
  });
  return Math.sqrt(difference / length);
}

/**
 * Throws `bad_argument` where there are too few readings, or the model is none that can be tuned; `unavailable` where training diverges. The
 * same readings, seed and kernel give the same bytes.
 */
export async function fineTune(options: FineTuneOptions): Promise<FineTuned> {
  const { champion, runs, seed, clock, signal, source, begun } = options;
  const { spec, weights } = champion;
  const layout = seriesOptionsOf(spec);
  const O = layout.targets.length;
  const [train, validation] = splitRuns(runs, layout.features).map((part) => part.map((rows) => buildSeries(rows, layout))) as [
    Series[],
    Series[],
  ];
  const rows = { train: targetRows(train, O), validation: targetRows(validation, O) };
  if (rows.train < TUNING_ROWS_MIN.train || rows.validation < TUNING_ROWS_MIN.validation) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot fine-tune model ${spec.name}: ${rows.train} readings to learn from and ${rows.validation} to choose by, ` +
        `at least ${TUNING_ROWS_MIN.train} and ${TUNING_ROWS_MIN.validation} are needed`,
    );
  }
  const settings = settingsOf(spec, seed);
  const passed = begun?.spec.training?.epochs ?? 0;
  const common = { source, seed, kernel: kernelVersions[settings.kernel!], rows: { ...rows, test: 0 } };
  const training = await trainModel({
    spec,
    scaling: weights,
    from: begun?.weights ?? weights,
    goesOn: begun !== undefined,
    train,
    validation,
    settings: { ...settings, epochsMax: Math.max(1, settings.epochsMax - passed) },
    clock,
    signal,
    onBest: (best, epochs) => {
      const soFar = { ...common, epochs: passed + epochs, testRmse: {}, persistenceRmse: {} };
      return options.onBest?.(() => modelOf({ ...spec, training: soFar }, best)) ?? Promise.resolve();
    },
  });
  const epochs = passed + training.epochs.length;
  const walks = validation.map((series) => ({ series, past: undefined }));
  const rmseOf = async (forecaster: Forecaster): Promise<Record<string, number>> =>
    rmseByOutput(spec, await evaluate(forecaster, walks, O, clock));
  const provenance: ModelSpec["training"] = {
    ...common,
    epochs,
    testRmse: await rmseOf(new ModelForecaster(modelOf(spec, training.weights))),
    persistenceRmse: await rmseOf(new Persistence(layout)),
  };
  return {
    model: modelOf({ ...spec, training: provenance }, training.weights),
    epochs,
    rows,
    change: weightChange(weights, training.weights),
  };
}
