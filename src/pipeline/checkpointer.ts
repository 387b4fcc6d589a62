// When a checkpoint is due, and writing one while readings go on: afterwards the journal's older segments are free. It also keeps some
// room on the disk for the day when there is none.
import type { Clock } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Metrics } from "../base/metrics.ts";
import type { CheckpointFiles } from "../journal/checkpoint-file.ts";
import type { DiskReserve } from "../journal/disk-reserve.ts";
import type { Journal } from "../journal/journal.ts";
import type { Commit } from "./commit.ts";
import type { Fold } from "./fold.ts";
import type { Ledger } from "./ledger.ts";
import type { Outbox } from "./outbox.ts";
import { Snapshot } from "./snapshot.ts";

export interface CheckpointerOptions {
  readonly fold: Fold;
  readonly ledger: Ledger;
  readonly commit: Commit;
  readonly journal: Journal;
  readonly checkpoints: CheckpointFiles;
  readonly reserve: DiskReserve;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Of the checkpoint that the recovery began with; 0 without one. */
  readonly position: number;
  /** A checkpoint is due after so much journal; as in `limits` where absent. */
  readonly checkpointAfterBytes?: number;
  /** How fast it is written; Infinity for as fast as the disk takes it. */
  readonly bytesPerSecond: number;
  readonly onCheckpoint?: (firstPosition: number) => void;
}

/** After a checkpoint that found no room. */
const RETRY_MS = 60_000;
/** How much a pass counts when the next one is done: a pass of many events tells more of a replay than one of few. */
const STEP_TIME_MEMORY = 0.99;
/** At the start as many events count as free: the first passes run uncompiled code, and must not make a checkpoint due by themselves. */
const EVENTS_ASSUMED = 10_000;

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #writing: Promise<void> | undefined;
  #position: number;
  #sizeBytes = 0;
  #journalBytes = 0;
  #writtenAtMs: number;
  #notBeforeMs = -Infinity;
  #wanted = false;
  /** Of passes lately, each counted by how long ago it was. */
  #workMs = 0;
  #workEvents = EVENTS_ASSUMED;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#position = options.position;
    this.#writtenAtMs = options.clock.monotonicMs();
  }

  /** Learns how long events take, so that it can tell how long a replay would. */
  noteWork(events: number, ms: number): void {
    if (events === 0) return;
    this.#workMs = STEP_TIME_MEMORY * this.#workMs + ms;
    this.#workEvents = STEP_TIME_MEMORY * this.#workEvents + events;
  }

  /** Resolves when none is being written. */
  async settled(): Promise<void> {
    await this.#writing?.catch(() => {});
  }

  /** Of the journal since the last checkpoint. */
  get journalBytes(): number {
    return this.#options.journal.bytes - this.#journalBytes;
  }

  get isDue(): boolean {
    const { commit, journal, clock, metrics, checkpointAfterBytes = limits.checkpointAfterBytes } = this.#options;
    const msPerEvent = this.#workMs / this.#workEvents;
    const replayMs = (commit.releasedPosition - this.#position) * msPerEvent;
    metrics.gauge("replay_ms_expected").set(replayMs);
    metrics.gauge("replay_ms_per_event").set(msPerEvent);
    const now = clock.monotonicMs();
    if (this.#writing !== undefined || now < this.#notBeforeMs || commit.releasedPosition === this.#position) return false;
    // Once the last segment is full, the events that a checkpoint waits for would find no room.
    if (this.#wanted || journal.needsCheckpoint) return true;
    if (this.journalBytes > Math.max(checkpointAfterBytes, 4 * this.#sizeBytes)) return true;
    return replayMs > limits.replayMsMax || now - this.#writtenAtMs > limits.checkpointAfterMs;
  }

  /** Makes a checkpoint due. */
  wantOne(): void {
    this.#wanted = true;
  }

  /** Gives up the reserve, so that the journal can go on in one more segment while a checkpoint makes older ones free. */
  async makeRoom(): Promise<void> {
    const { reserve, metrics } = this.#options;
    this.#wanted = true;
    this.#notBeforeMs = -Infinity;
    if (!reserve.isHeld) return;
    metrics.counter("disk_reserve_given_up").add();
    await reserve.giveUp().catch(() => {});
  }

  /** Writes a checkpoint of the present position, unless there is one. Only between passes. A full disk is no failure: the last one stays. */
  write(): Promise<void> {
    if (this.#writing === undefined && this.#options.ledger.position === this.#position) return Promise.resolve();
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    const { fold, ledger, commit, checkpoints, journal, outbox, clock, metrics, bytesPerSecond, reserve } = this.#options;
    const { position } = ledger;
    const snapshot = new Snapshot(fold, clock, bytesPerSecond);
    const synced = commit.synced();
    // What it fails of is told by the commit itself.
    synced.catch(() => {});
    const journalBytes = journal.bytes;
    try {
      this.#sizeBytes = await checkpoints.write(async (writer) => {
        await snapshot.write(writer);
        await synced;
        await snapshot.writeOutbox(writer, outbox.unconfirmedBefore(position));
        return position;
      });
    } catch (thrown) {
      if (!(thrown instanceof HiddenstateError && thrown.code === "disk_full")) throw thrown;
      metrics.counter("checkpoints_failed").add();
      this.#notBeforeMs = clock.monotonicMs() + RETRY_MS;
      return;
    } finally {
      snapshot.end();
    }
    this.#journalBytes = journalBytes;
    this.#position = position;
    this.#writtenAtMs = clock.monotonicMs();
    this.#wanted = false;
    metrics.counter("checkpoints_written").add();
    metrics.counter("checkpoint_bytes_written").add(this.#sizeBytes);
    await journal.recycle(checkpoints.safePosition);
    this.#options.onCheckpoint?.(journal.firstPosition);
    metrics.gauge("history_bytes").set(journal.historyBytes);
    // Without a reserve everything works; it is tried again at the next checkpoint.
    await reserve.take().catch(() => {});
  }
}
