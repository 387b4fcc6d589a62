// Looks through the readings since a position for errors of a model that have grown for good.
import type { Clock } from "../base/clock.ts";
import type { Model } from "../model/model.ts";
import { Adwin, PageHinkley } from "./drift.ts";
import type { HistoryRun } from "./history-table.ts";
import { squaredErrors, walksFrom } from "./prequential-loss.ts";

/** One wild reading is an anomaly, not a change: no single error counts for more than this, in variances. */
const ERROR_MAX = 16;

/** The name of the detector that spoke first, undefined where the errors are as they were. Errors of all runs are taken in the order of time. */
export async function findDrift(
  model: Model,
  runs: readonly HistoryRun[],
  from: number,
  clock: Clock,
): Promise<string | undefined> {
  const errors = await squaredErrors(model, walksFrom(runs, from, model.spec), clock);
  // Detectors know errors in units of what is normal here.
  const usual = median(errors.slice(0, USUAL_ERRORS)) / MEDIAN_OF_SQUARE;
  if (!(usual > 0)) return undefined;
  const detectors = [new PageHinkley(), new Adwin()];
  for (const error of errors) {
    const scaled = Math.min(error / usual, ERROR_MAX);
    for (const detector of detectors) if (detector.add(scaled)) return detector.name;
  }
  return undefined;
}

/** The first errors say what is usual. */
const USUAL_ERRORS = 500;
/** Of the square of a standard normal variable. */
const MEDIAN_OF_SQUARE = 0.4549;

function median(values: Float64Array): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
