// What training on a table is asked for.
import type { Clock } from "../base/clock.ts";
import type { ReadingTable } from "../message/reading-table.ts";
import type { Split } from "./split-by-time.ts";
import type { TrainingProgress } from "./train-model.ts";
import type { TrainingCell, TrainingSettings } from "./training-settings.ts";

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
  /** Trains the other cells on the same rows too, to compare with. */
  readonly compare?: boolean | undefined;
  /** A network is about to be trained: the model first, then those that it is compared with. */
  readonly onNetwork?: ((cell: TrainingCell) => void) | undefined;
  readonly clock: Clock;
  /** Ends training with the best so far; evaluation still follows. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
}
