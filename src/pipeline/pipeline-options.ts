// What a pipeline is made of.
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { CheckpointFiles } from "../journal/checkpoint-file.ts";
import type { DiskReserve } from "../journal/disk-reserve.ts";
import type { Journal } from "../journal/journal.ts";
import type { FineTune } from "./commands.ts";
import type { Durability } from "./durability.ts";
import type { Fold } from "./fold.ts";
import type { Outbox } from "./outbox.ts";
import type { Routes } from "./routes.ts";

export interface PipelineOptions {
  readonly node: string;
  readonly fold: Fold;
  readonly journal: Journal;
  readonly checkpoints: CheckpointFiles;
  readonly outbox: Outbox;
  readonly routes: Routes;
  readonly reserve: DiskReserve;
  readonly durability: Durability;
  /** How fast a checkpoint is written. */
  readonly bytesPerSecond: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly fineTune: FineTune;
  readonly streamsMax: number;
  /** A lower boot is believed after this; as in `limits` where absent. */
  readonly bootSilenceMs?: number;
  /** Streams without a reading for this long are removed. */
  readonly streamExpiryMs: number;
  /** How often that is looked after; as in `limits` where absent. */
  readonly streamExpiryCheckMs?: number;
  /** From what difference on the wall clock has been set; as in `limits` where absent. */
  readonly clockJumpMs?: number;
  /** Of the checkpoint that the recovery began with; 0 without one. */
  readonly checkpointPosition: number;
  /** A checkpoint is due after so much journal; as in `limits` where absent. */
  readonly checkpointAfterBytes?: number;
  /** A checkpoint is written, and what lies before this position cannot be replayed any more. */
  readonly onCheckpoint?: (firstPosition: number) => void;
  /** The disk has failed or we have: nothing is acked or published from here on. */
  readonly onFatal: (thrown: unknown) => void;
}
