// The way of one reading: admit, step, commit, release, in passes over whatever has come in. It owns no socket; memory may run ahead of
// the disk, nothing leaves before its position is durable.
import type { Clock, Timer } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Delivery } from "../message/delivery.ts";
import { Admit } from "./admit.ts";
import { BrokerSession } from "./broker-session.ts";
import type { SessionOutcome } from "./broker-session.ts";
import { Commands } from "./commands.ts";
import type { Answer, CommandRequest } from "./commands.ts";
import { Checkpointer } from "./checkpointer.ts";
import { Commit } from "./commit.ts";
import { enterEpoch } from "./enter-epoch.ts";
import { Expiry } from "./expiry.ts";
import { Ledger } from "./ledger.ts";
import { MqttCommands } from "./mqtt-commands.ts";
import type { PipelineOptions } from "./pipeline-options.ts";
import { Refusals } from "./refusals.ts";
import type { EpochSettings } from "./settings.ts";
import type { Announced, Item } from "./queue-item.ts";

function gone(): HiddenstateError {
  return new HiddenstateError("unavailable", "cannot carry out the command: the runtime has failed and is about to end");
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #ledger: Ledger;
  readonly #commit: Commit;
  readonly #admit: Admit;
  readonly #refusals: Refusals;
  readonly #commands: Commands;
  readonly #mqttCommands: MqttCommands;
  readonly #session: BrokerSession;
  #queue: Item[] = [];
  #taken = 0;
  #scheduled = false;
  #running = false;
  /** Something asked for a pass while one was running. */
  #wokenAgain = false;
  #failed = false;
  #writtenMark: number;
  readonly #checkpointer: Checkpointer;
  readonly #clock: Clock;
  readonly #expiry: Expiry;
  #overdue: Timer | undefined;
  #idle: (() => void)[] = [];
  /** Checkpoints asked for while a pass was running. */
  #afterPass: (() => void)[] = [];
  #stopped = false;

  constructor(options: PipelineOptions) {
    const { node, fold, journal, outbox, clock, metrics } = options;
    this.#options = options;
    this.#ledger = new Ledger(fold, journal.position, journal.blockBytesWanted);
    const ledger = this.#ledger;
    const onFatal = (thrown: unknown): void => this.#fail(thrown);
    const makeRoom = (): Promise<void> => this.#checkpointer.makeRoom();
    this.#commit = new Commit({ journal, ledger, outbox, durability: options.durability, clock, metrics, makeRoom, onFatal });
    this.#checkpointer = new Checkpointer({ ...options, ledger, commit: this.#commit, position: options.checkpointPosition });
    this.#refusals = new Refusals(node, this.#ledger, metrics, clock);
    this.#admit = new Admit({ ...options, ledger, refusals: this.#refusals });
    this.#session = new BrokerSession({ ...options, ledger });
    this.#commands = new Commands(fold, this.#ledger, options.fineTune);
    this.#mqttCommands = new MqttCommands(node, this.#commands, this.#ledger, this.#refusals);
    this.#writtenMark = outbox.mark;
    this.#clock = clock;
    this.#expiry = new Expiry({ ...options, ledger });
    outbox.onRoom(() => this.#wake());
    // What was held before a restart goes on in time, whether others come or not.
    this.#wake();
  }

  /** Everything before it is as durable as the mode promises. */
  get releasedPosition(): number {
    return this.#commit.releasedPosition;
  }

  /** Nothing happens by itself any more. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Takes a message over, with the duty to settle it. */
  receive(delivery: Delivery): void {
    this.#queue.push(delivery);
    this.#wake();
  }

  /** Carries out a command in its turn; resolves once what it did is durable. */
  ask(request: CommandRequest): Promise<Answer> {
    return new Promise((answered, refused) => {
      if (this.#failed) return refused(gone());
      this.#queue.push({ request, answered, refused });
      this.#wake();
    });
  }

  /**
   * Works by other settings, made from those in force in its turn; resolves once that is durable, and a checkpoint is due. Rejects with what
   * `change` throws, or where they cannot come into force: then everything goes on as it was.
   */
  changeEpoch(change: (present: EpochSettings) => EpochSettings): Promise<void> {
    return new Promise((begun, refused) => {
      if (this.#failed) return refused(gone());
      this.#queue.push({ change, begun, refused });
      this.#wake();
    });
  }

  /** A connection to the broker is about to be made; resolves once it may: what must be known of it after a crash is durable in every mode. */
  connecting(): Promise<void> {
    return new Promise((noted) => {
      this.#queue.push({ noted });
      this.#wake();
    });
  }

  /** The attempt at a connection has come to this: with another session messages may come that repeat none of before. */
  sessionAnswered(session: SessionOutcome): void {
    this.#queue.push({ session });
    this.#wake();
  }

  /** Resolves when everything received so far is settled. With a full outbox that can take as long as the sink's broker is away. */
  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#running) this.#wokenAgain = true;
    if (this.#scheduled || this.#running || this.#failed) return;
    this.#scheduled = true;
    this.#clock.soon(() => {
      this.#scheduled = false;
      this.#wokenAgain = false;
      this.#running = true;
      this.#pass().then(
        () => {
          this.#running = false;
          for (const write of this.#afterPass.splice(0)) write();
          if (this.#wokenAgain || this.#hasWork) this.#wake();
        },
        (thrown: unknown) => this.#fail(thrown),
      );
    });
  }

  get #hasWork(): boolean {
    return this.#taken < this.#queue.length && !this.#options.outbox.isFull;
  }

  #fail(thrown: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    for (const item of this.#queue.splice(0)) if ("refused" in item) item.refused(gone());
    this.#options.onFatal(thrown);
  }

  /** Takes what is there, up to a bound, steps it and sends it on its way to the disk. */
  async #pass(): Promise<void> {
    const startedAtMs = this.#clock.monotonicMs();
    const { position } = this.#ledger;
    let readings = 0;
    // Those staged count too: among them are the ones from which streams are rebuilt.
    while (this.#hasWork && Math.max(readings, this.#ledger.stagedReadings) < limits.readingsPerPassMax) {
      readings += await this.#take(this.#queue[this.#taken++]!);
    }
    this.#options.metrics.gauge("queue_messages").set(this.#queue.length);
    this.#queue = this.#taken === this.#queue.length ? [] : this.#queue.slice(this.#taken);
    this.#taken = 0;
    if (this.#expiry.isDue) await this.#expire();
    this.#releaseOverdue();
    if (this.#ledger.hasPending) this.#noteMark();
    await this.#ledger.flush();
    this.#measure();
    this.#checkpointer.noteWork(this.#ledger.position - position, this.#clock.monotonicMs() - startedAtMs);
    this.#commit.start();
    if (this.#checkpointer.isDue) this.#checkpointer.write().catch((thrown: unknown) => this.#fail(thrown));
    if (this.#queue.length === 0) {
      for (const resolve of this.#idle.splice(0)) this.#commit.whenReleased(resolve);
    }
  }

  /** Forgets silent streams, and not while a message waits that may be of one, if that can be helped. */
  async #expire(): Promise<void> {
    await this.#ledger.flush();
    if (this.#queue.length === 0 || this.#expiry.isOverdue) this.#expiry.run();
  }

  /** How near the bounds are. */
  #measure(): void {
    const { metrics, fold, outbox } = this.#options;
    metrics.gauge("streams").set(fold.streamCount);
    metrics.gauge("outbox_messages").set(outbox.count);
    metrics.gauge("outbox_bytes").set(outbox.bytes);
    metrics.gauge("layouts").set(fold.layouts.size);
    metrics.gauge("transactions").set(fold.answers.size);
    metrics.gauge("weak_deliveries").set(fold.weakDeliveries.size);
    metrics.gauge("held_readings").set(fold.groups.reduce((sum, { held }) => sum + held.count, 0));
    metrics.gauge("journal_bytes_to_replay").set(this.#checkpointer.journalBytes);
    metrics.gauge("block_events").set(this.#ledger.closedEvents);
    metrics.gauge("block_bytes").set(this.#ledger.closedBytes);
    metrics.gauge("commit_lag_events").set(this.#ledger.position - this.#commit.releasedPosition);
  }

  /** Held readings go on once they have waited long enough, whether others come or not. */
  #releaseOverdue(): void {
    this.#overdue?.cancel();
    if (this.#stopped) return;
    const waitMs = this.#admit.releaseOverdue();
    this.#overdue = waitMs < Infinity ? this.#clock.after(waitMs, () => this.#wake()) : undefined;
  }

  /** How far the sink's broker has confirmed goes along with whatever is written next. */
  #noteMark(): void {
    const { mark } = this.#options.outbox;
    if (mark === this.#writtenMark) return;
    this.#writtenMark = mark;
    this.#ledger.push({ kind: "confirmed", mark });
  }

  /** Handles one delivery, command or change of settings; returns how many readings it brought. */
  async #take(item: Item): Promise<number> {
    if ("change" in item) return this.#enterEpoch(item).then(() => 1);
    if ("noted" in item) {
      // What it fails of is told by the commit itself.
      if (this.#session.asked()) this.#commit.synced().then(item.noted, () => {});
      else item.noted();
      return 1;
    }
    if ("session" in item) {
      this.#session.answered(item.session);
      return 1;
    }
    if ("request" in item) {
      const answer = await this.#commands.execute(item.request, false);
      this.#commit.whenReleased(() => item.answered(answer));
      return 1;
    }
    this.#options.metrics.counter("messages_received").add();
    const readings = await this.#takeDelivery(item);
    this.#commit.whenReleased(() => item.settle());
    return readings;
  }

  async #enterEpoch({ change, begun, refused }: Announced): Promise<void> {
    const refusal = await enterEpoch(this.#options.fold, this.#ledger, change);
    if (refusal !== undefined) return refused(refusal.thrown);
    this.#checkpointer.wantOne();
    this.#commit.whenReleased(begun);
  }

  #takeDelivery(delivery: Delivery): number | Promise<number> {
    const route = this.#options.routes.find(delivery.topic);
    switch (route.kind) {
      case "readings":
        return this.#admit.message(delivery, route);
      case "layout":
        this.#admit.layout(delivery);
        return 1;
      case "command":
        return this.#mqttCommands.handle(delivery, route.name).then(() => 1);
      case "passedOver":
        this.#admit.passOver();
        return 1;
      case "unknown":
        this.#refusals.message(delivery, "unknown_topic", "no group of the config takes this topic");
        return 1;
    }
  }

  /**
   * Writes a checkpoint of the present position, unless there is one; readings go on meanwhile. While a pass is running, which can take as
   * long as an engine does, it waits for its end, and comes to nothing where `stop` is called before.
   */
  checkpoint(): Promise<void> {
    if (!this.#running) return this.#checkpointer.write();
    return new Promise((resolve) => this.#afterPass.push(() => resolve(this.#checkpointer.write())));
  }

  /** Resolves when no checkpoint is being written: what changes every stream is best done then. */
  checkpointSettled(): Promise<void> {
    return this.#checkpointer.settled();
  }

  /** Ends what would happen later by itself. */
  stop(): void {
    this.#stopped = true;
    this.#commit.stop();
    this.#overdue?.cancel();
    this.#afterPass = [];
  }
}
