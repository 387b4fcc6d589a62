// The way to the disk and out: one block at a time is written while the next one fills, and nothing leaves (message, ack, answer) before
// its position is as durable as the mode promises. A full disk is waited for.
import type { Clock, Timer } from "../base/clock.ts";
import { sleep } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Journal } from "../journal/journal.ts";
import type { Durability } from "./durability.ts";
import type { Group, Ledger } from "./ledger.ts";
import type { Outbox } from "./outbox.ts";
import { PositionQueue } from "./position-queue.ts";

export interface CommitOptions {
  readonly journal: Journal;
  readonly ledger: Ledger;
  readonly outbox: Outbox;
  readonly durability: Durability;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Tries to make room on a full disk; does not throw. */
  readonly makeRoom: () => Promise<void>;
  readonly onFatal: (thrown: unknown) => void;
}

/** While events linger, whether more have come is looked at this often. */
const LOOKS_PER_LINGER = 5;

export class Commit {
  readonly #options: CommitOptions;
  readonly #released: PositionQueue;
  readonly #written: PositionQueue;
  #writing = false;
  #failed = false;
  /** Lingering: since when, how many events there were at the last look, and the next one. */
  #lingerSinceMs = 0;
  #lingerCount = 0;
  #look: Timer | undefined;
  #syncDue: Timer | undefined;

  constructor(options: CommitOptions) {
    this.#options = options;
    this.#released = new PositionQueue(options.journal.position);
    this.#written = new PositionQueue(options.journal.position);
  }

  /** Everything before it is as durable as the mode promises, and has left. */
  get releasedPosition(): number {
    return this.#released.reached;
  }

  /** Runs a callback, in the order of the calls, once all that has happened so far may leave: at once where it has. */
  whenReleased(run: () => void): void {
    this.#released.when(this.#options.ledger.position, run);
  }

  /** Resolves once all that has happened so far is on stable storage, whatever the mode. */
  async synced(): Promise<void> {
    const { ledger, journal } = this.#options;
    await new Promise<void>((resolve) => this.#written.when(ledger.position, resolve));
    await journal.sync();
  }

  /** Something has happened: writes it, now, after a while, or together with what the disk is at work on. */
  start(): void {
    const { ledger, durability } = this.#options;
    if (durability.mode === "volatile") for (const group of ledger.groups) this.#release(group);
    if (this.#writing || this.#failed || ledger.groups.length === 0 || this.#lingers()) return;
    this.#writeAll();
  }

  /** Whether to wait for more to come. */
  #lingers(): boolean {
    const { ledger, durability, clock } = this.#options;
    const isLarge = ledger.closedEvents >= limits.lingerEventsMax || ledger.closedBytes >= limits.lingerBytesMax;
    if (durability.lingerMs === 0 || isLarge) return false;
    if (this.#look === undefined) {
      this.#lingerSinceMs = clock.monotonicMs();
      this.#lookLater();
    }
    return true;
  }

  /** Looks again after a while whether more has come, or time is up. */
  #lookLater(): void {
    const { ledger, durability, clock } = this.#options;
    this.#lingerCount = ledger.closedEvents;
    this.#look = clock.after(durability.lingerMs / LOOKS_PER_LINGER, () => {
      const isOver = clock.monotonicMs() - this.#lingerSinceMs >= durability.lingerMs;
      if (isOver || ledger.closedEvents === this.#lingerCount) this.#writeAll();
      else this.#lookLater();
    });
  }

  #writeAll(): void {
    this.#look?.cancel();
    this.#look = undefined;
    this.#writing = true;
    this.#write().then(
      () => {
        this.#writing = false;
        this.start();
      },
      (thrown: unknown) => {
        this.#failed = true;
        this.#options.onFatal(thrown);
      },
    );
  }

  async #write(): Promise<void> {
    const { journal, ledger, durability, clock, metrics } = this.#options;
    for (let left = ledger.groups.length; left > 0; left--) {
      const group = ledger.take()!;
      const startedAtMs = clock.monotonicMs();
      await this.#append(group);
      if (durability.mode === "strict") await journal.sync();
      else this.#syncSoon();
      metrics.histogram("journal_commit").observe(clock.monotonicMs() - startedAtMs);
      this.#release(group);
      this.#written.advance(group.end);
      ledger.giveBack(group);
    }
  }

  /** Appends a group, waiting for room on the disk for as long as it takes. */
  async #append(group: Group): Promise<void> {
    const { journal, clock, metrics, makeRoom } = this.#options;
    for (;;) {
      try {
        const { bytes } = journal;
        await journal.append(group.block);
        metrics.counter("journal_writes").add();
        metrics.counter("journal_bytes_written").add(journal.bytes - bytes);
        metrics.gauge("disk_full").set(0);
        return;
      } catch (thrown) {
        if (!(thrown instanceof HiddenstateError && thrown.code === "disk_full")) throw thrown;
        metrics.gauge("disk_full").set(1);
        await makeRoom();
        await sleep(clock, limits.diskFullRetryMs);
      }
    }
  }

  #syncSoon(): void {
    const { journal, clock, onFatal } = this.#options;
    this.#syncDue ??= clock.after(limits.relaxedSyncMs, () => {
      this.#syncDue = undefined;
      journal.sync().catch(onFatal);
    });
  }

  #release(group: Group): void {
    if (group.end <= this.#released.reached) return;
    const { outbox } = this.#options;
    // In volatile mode a group may go on filling after this: what has left must not leave again with the rest.
    for (const { position, message } of group.messages.splice(0)) outbox.add(position, message);
    outbox.release(group.end);
    this.#released.advance(group.end);
    for (const readings of group.observed.splice(0)) this.#options.ledger.observer?.released(readings);
  }

  /** Ends what would happen later by itself. */
  stop(): void {
    this.#look?.cancel();
    this.#syncDue?.cancel();
  }
}
