// Walks forecasters along series and measures how far off they were: the same rows for each, one reading at a time.
import type { Clock } from "../base/clock.ts";
import { forecastOutputs } from "../model/forecast-outputs.ts";
import type { ModelSpec } from "../model/spec.ts";
import type { Forecaster, Walk } from "./forecaster.ts";

/** Of one output, in its unit, over the rows that have a target. */
export interface OutputScore {
  /** Root of the mean squared error, and mean absolute error; NaN where `count` is 0. */
  readonly rmse: number;
  readonly mae: number;
  readonly count: number;
  /** The share of targets that lay in the interval that the forecast gave for `INTERVAL.share` of them; only where it gives one. */
  readonly coverage?: number;
}

/** The interval by which a forecaster that says how sure it is gets judged: the middle of a normal distribution, in deviations each way. */
export const INTERVAL = { share: 0.9, deviations: 1.6448536269514722 } as const;

/** One forecaster's errors on the test part. */
export interface Score {
  readonly forecaster: string;
  /** In the order of the model's outputs. */
  readonly outputs: readonly OutputScore[];
}

/** A model's errors by the names of its outputs, as its file keeps them. */
export function rmseByOutput(spec: ModelSpec, { outputs }: Score): Record<string, number> {
  return Object.fromEntries(forecastOutputs(spec).map(({ name }, o) => [name, outputs[o]!.rmse]));
}

const ROWS_PER_TURN = 4096;

/** `outputs` is O. Now and then lets others run, by `clock`. */
export async function evaluate(forecaster: Forecaster, walks: readonly Walk[], outputs: number, clock: Clock): Promise<Score> {
  const [squares, sums, counts] = [new Float64Array(outputs), new Float64Array(outputs), new Float64Array(outputs)];
  const within = new Float64Array(outputs);
  const forecast = new Float64Array(outputs);
  const { deviations } = forecaster;
  for (const walk of walks) {
    forecaster.begin(walk);
    const { count, accepted, targets } = walk.series;
    for (let row = 0; row < count; row++) {
      if (row % ROWS_PER_TURN === 0) await new Promise<void>((resolve) => clock.soon(resolve));
      if (accepted[row] === 0) continue;
      forecaster.forecast(row, forecast);
      for (let o = 0; o < outputs; o++) {
        const target = targets[row * outputs + o]!;
        if (Number.isNaN(target)) continue;
        const error = forecast[o]! - target;
        squares[o]! += error * error;
        sums[o]! += Math.abs(error);
        counts[o]!++;
        if (deviations !== undefined && Math.abs(error) <= INTERVAL.deviations * deviations[o]!) within[o]!++;
      }
    }
  }
  const scoreOf = (o: number): OutputScore => ({
    rmse: Math.sqrt(squares[o]! / counts[o]!),
    mae: sums[o]! / counts[o]!,
    count: counts[o]!,
    ...(deviations === undefined ? {} : { coverage: within[o]! / counts[o]! }),
  });
  return { forecaster: forecaster.name, outputs: Array.from(counts, (_, o) => scoreOf(o)) };
}

/** What a forecaster says at every row of a walk, `(count, O)`; NaN where the row is not accepted. */
export function forecastWalk(forecaster: Forecaster, walk: Walk, outputs: number): Float64Array {
  const { count, accepted } = walk.series;
  const forecasts = new Float64Array(count * outputs).fill(Number.NaN);
  const forecast = new Float64Array(outputs);
  forecaster.begin(walk);
  for (let row = 0; row < count; row++) {
    if (accepted[row] === 0) continue;
    forecaster.forecast(row, forecast);
    forecasts.set(forecast, row * outputs);
  }
  return forecasts;
}
