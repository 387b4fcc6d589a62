// What training on a table is asked for, and what it means where nothing is said.
import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/clock.ts";
import type { ReadingTable } from "../message/reading-table.ts";
import type { Split } from "./split-by-time.ts";
import type { TrainingProgress } from "./train-model.ts";
import { defaultTrainingSettings } from "./training-settings.ts";
import type { TrainingCell, TrainingSettings } from "./training-settings.ts";

/** Rows, what to forecast of them, and how. `table`, `name` and `targets` are all that is needed. */
export interface TrainOnTableOptions {
  readonly table: ReadingTable;
  /** The model's name; it goes into the model file. */
  readonly name: string;
  /** What the rows were, for the model file: a file's name or `firmware-sim`. Default `a table`. */
  readonly source?: string | undefined;
  /** Of the table's features, in their order; missing ones are empty. */
  readonly units?: readonly string[] | undefined;
  /** The features to forecast: an output each. */
  readonly targets: readonly string[];
  /** How many rows ahead; default 1. */
  readonly horizon?: number | undefined;
  /** By time; default 0.6 for training, 0.2 for validation, 0.2 for the test. */
  readonly split?: Split | undefined;
  /** Rows of a season; without it there is no seasonal-naive to compare with. */
  readonly period?: number | undefined;
  /** A forecast across a longer pause between two rows does not count. */
  readonly pauseMsMax?: number | undefined;
  /** Whatever differs from `defaultTrainingSettings`. */
  readonly settings?: Partial<TrainingSettings> | undefined;
  /** Trains the other cells on the same rows too, to compare with. */
  readonly compare?: boolean | undefined;
  /** A network is about to be trained: the model first, then those that it is compared with. */
  readonly onNetwork?: ((cell: TrainingCell) => void) | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
  /** Ends training with the best so far; evaluation still follows. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
}

/** The same with nothing left open. */
export interface TrainingTask extends TrainOnTableOptions {
  readonly source: string;
  readonly horizon: number;
  readonly split: Split;
  readonly settings: TrainingSettings;
  readonly clock: Clock;
}

const DEFAULT_SPLIT: Split = { train: 0.6, validation: 0.2, test: 0.2 };

export function trainingTask(options: TrainOnTableOptions): TrainingTask {
  const { source = "a table", horizon = 1, split = DEFAULT_SPLIT, clock = systemClock } = options;
  return { ...options, source, horizon, split, clock, settings: { ...defaultTrainingSettings, ...options.settings } };
}
