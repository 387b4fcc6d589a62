// Versions of a model held against each other on the readings that came after a position, each forecast made before its reading came
// (Dawid, 1984: prequential): what would have been, had either been in force.
import type { Clock } from "../base/clock.ts";
import { forecastOutputs } from "../model/forecast-outputs.ts";
import type { Model } from "../model/model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { forecastWalk } from "./evaluate.ts";
import { seriesOptionsOf } from "./fine-tune.ts";
import type { Walk } from "./forecaster.ts";
import type { HistoryRun } from "./history-table.ts";
import { ModelForecaster } from "./model-forecaster.ts";
import { buildSeries } from "./series.ts";

export interface PrequentialLoss {
  /** Readings that had been forecast. */
  readonly readings: number;
  /** By model, in the order given: mean squared errors in the outputs' deviations. */
  readonly losses: readonly number[];
  /** In how many of ten equal stretches of time the second model's loss is lower than the first's. */
  readonly wins: number;
}

/** What a loss is cut into, to tell a model that is better from one that was lucky once. */
const STRETCHES = 10;
/** Rows before the position that a state settles on. */
const WARM_UP_ROWS = 512;

/** A walk along a run, and the journal's position of each of its rows. */
export interface PlacedWalk {
  readonly walk: Walk;
  readonly positions: Float64Array;
}

/** The runs' rows from a while before position `from` on, of which only those from there on have targets. */
export function walksFrom(runs: readonly HistoryRun[], from: number, spec: ModelSpec): PlacedWalk[] {
  const layout = seriesOptionsOf(spec);
  const { features: D, targets, horizon } = layout;
  return runs.flatMap(({ key, count, times, values, positions }) => {
    const first = positions.findIndex((position) => position >= from);
    if (first < 0) return [];
    const start = Math.max(0, first - WARM_UP_ROWS);
    const rows = { key, count: count - start, times: times.subarray(start), values: values.subarray(start * D) };
    const series = buildSeries(rows, layout);
    // The first row judged is forecast by one before it.
    series.targets.fill(Number.NaN, 0, Math.max(0, first - start - horizon) * targets.length);
    return [{ walk: { series, past: undefined }, positions: positions.subarray(start) }];
  });
}

/** A model's squared errors in the outputs' deviations, averaged over the outputs, of all walks in the order of time. */
export async function squaredErrors(model: Model, walks: readonly PlacedWalk[], clock: Clock): Promise<Float64Array> {
  const outputs = forecastOutputs(model.spec);
  const O = outputs.length;
  const forecaster = new ModelForecaster(model);
  const errors: { readonly position: number; readonly error: number }[] = [];
  for (const { walk, positions } of walks) {
    await new Promise<void>((resolve) => clock.soon(resolve));
    const forecasts = forecastWalk(forecaster, walk, O);
    const { targets, count } = walk.series;
    for (let row = 0; row < count; row++) {
      let [sum, known] = [0, 0];
      for (let o = 0; o < O; o++) {
        const error = (forecasts[row * O + o]! - targets[row * O + o]!) / outputs[o]!.deviation;
        if (Number.isNaN(error)) continue;
        sum += error * error;
        known++;
      }
      if (known > 0) errors.push({ position: positions[row]!, error: sum / known });
    }
  }
  errors.sort((a, b) => a.position - b.position);
  return Float64Array.from(errors, ({ error }) => error);
}

function meanOf(errors: Float64Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += errors[i]!;
  return sum / (to - from);
}

/** Two models of the same features and outputs. `readings` is 0, and the losses are NaN, where nothing has come since. */
export async function prequentialLoss(
  models: readonly [Model, Model],
  runs: readonly HistoryRun[],
  from: number,
  clock: Clock,
): Promise<PrequentialLoss> {
  const walks = walksFrom(runs, from, models[0].spec);
  const [first, second] = [await squaredErrors(models[0], walks, clock), await squaredErrors(models[1], walks, clock)];
  const { length: readings } = first;
  const edges = Array.from({ length: STRETCHES + 1 }, (_, index) => Math.floor((index * readings) / STRETCHES));
  const wins = edges.slice(1).filter((to, index) => meanOf(second, edges[index]!, to) < meanOf(first, edges[index]!, to)).length;
  return { readings, losses: [meanOf(first, 0, readings), meanOf(second, 0, readings)], wins };
}
