// The box: a disk and a clock that outlast its processes, and one process after another. It starts them, ends them in every way, and
// tells the oracles of it.
import { HiddenstateError, reasonOf } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/random.ts";
import type { Delivery } from "../../src/message/delivery.ts";
import { commandTopic } from "../../src/message/topics.ts";
import { drawModel, groupPlan } from "./fault-plan.ts";
import type { GroupPlan, Plan } from "./fault-plan.ts";
import { Oracles } from "./oracles.ts";
import { SimBroker } from "./sim-broker.ts";
import { SimDisk } from "./sim-disk.ts";
import type { SimCommand, SimMessage } from "./sim-message.ts";
import { SimPublisher } from "./sim-publisher.ts";
import { simModels, variantOf } from "./sim-models.ts";
import { NODE, SimProcess } from "./sim-process.ts";
import type { Trace } from "./trace.ts";
import { Life, VirtualClock, WallClock } from "./virtual-clock.ts";

const DAY_MS = 86_400_000;
/** The reference lets go of what is held just before the runtime does, whatever rounding does to two sums of the same moment. */
const EARLY_MS = 1e-4;

export class SimBox {
  readonly time = new VirtualClock();
  readonly broker: SimBroker;
  readonly oracles: Oracles;
  readonly publisher: SimPublisher;
  readonly #wall = new WallClock();
  readonly #disk: SimDisk;
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #trace: Trace;
  readonly #fail: (what: string) => void;
  readonly #messages = new Map<Uint8Array, SimMessage>();
  /** Transactions of the commands that the broker has taken over MQTT, by message. */
  readonly #asked = new Map<number, string>();
  #groups: readonly GroupPlan[];
  #life: Life;
  #process: SimProcess | undefined;
  #isStopping = false;
  #heldAtStart = 0;
  #failuresBefore = 0;
  /** What is durable has changed in the present life, and may have done so between two looks at it. */
  #hasRotted = false;
  /** The disk has been full in the present life: what fails of it may be told when there is room again. */
  #wasFull = false;
  /** The last crash was one of those that come where they hurt. */
  #isUnsteady = false;
  /** Switches under way. */
  #switching = 0;
  crashes = 0;
  readings = 0;

  constructor(plan: Plan, random: Random, trace: Trace, fail: (what: string) => void) {
    this.#plan = plan;
    this.#random = random;
    this.#trace = trace;
    this.#fail = fail;
    this.#groups = plan.groups;
    this.#life = new Life(this.time, this.#wall);
    this.oracles = new Oracles(plan, fail);
    this.#disk = new SimDisk(this.time, plan, random.fork(), trace);
    this.#disk.onTenseMoment = () => this.#cutSoon();
    this.#disk.onCheckpointEmptied = (other) => this.#spoilOther(other);
    this.broker = new SimBroker(this.time, plan, random.fork(), trace, {
      violation: fail,
      // A process that stops notes nothing any more.
      connecting: () => (this.#isStopping ? undefined : this.oracles.reference.connecting()),
      asked: (operation) => this.oracles.reference.tell(operation),
      answered: (present) => {
        if (!this.#isStopping) this.oracles.reference.answered(present);
      },
      lost: ({ id }) => this.#asked.delete(id),
    });
    this.publisher = new SimPublisher(this.broker, plan.groups, fail);
  }

  start(): void {
    const life = new Life(this.time, this.#wall);
    this.#life = life;
    this.#failuresBefore = this.#disk.failures;
    this.#hasRotted = false;
    this.#wasFull = this.#disk.image.capacityBytes !== Infinity;
    if (this.crashes > 0 && this.#plan.faults.has("configChanges") && this.#random.next() < 0.5) this.#changeConfig();
    const groups = this.#groups;
    const startedAtMs = this.time.nowMs;
    let wallAtStartMs = this.#wall.offsetMs;
    SimProcess.start({
      life,
      random: this.#random,
      disk: this.#disk.of(life),
      plan: this.#plan,
      groups,
      ports: this.broker.ports(life, (message, connection) => {
        if (this.publisher.hears(message.topic, message.payload)) return () => {};
        return this.oracles.sent(groups, message, connection);
      }),
      recovered: (state, recovered) => {
        this.#trace.note(this.time.nowMs, "recovered", recovered.position);
        this.oracles.recovered(state.fold, recovered, state.checkpoints.damagedCount, startedAtMs);
        this.oracles.reference.begin(groups, startedAtMs, state.fold.groups.length === 0);
        this.#heldAtStart = this.#held();
      },
      receive: (delivery) => this.#receive(delivery),
      forgotten: (key, position) => this.oracles.forgotten(key, position, this.time.nowMs, wallAtStartMs),
      checkpointed: (given, earlier) => {
        if (given !== earlier)
          this.#fail(`a checkpoint leaves the journal from ${given}, and the one before it began at ${earlier}`);
      },
      onSwitch: (kind, group, version) => this.#onSwitch(kind, Number(group.slice(1)), version),
      fatal: (thrown) => this.#fatal(life, thrown),
    }).then(
      (process) => {
        this.#process = process;
        // Before that it looks at no clock.
        wallAtStartMs = this.#wall.offsetMs;
        process.run();
        this.oracles.reference.ready(this.time.nowMs);
        for (const key of this.oracles.reference.streams.keys()) this.#watchHeld(key);
      },
      (thrown: unknown) => this.#fatal(life, thrown),
    );
    if (this.crashes > 0) this.#cutSoon();
    this.#isUnsteady = false;
  }

  /** The same groups, with other rules; how messages are written stays, for devices know nothing of it. */
  #changeConfig(): void {
    const switches = this.#plan.faults.has("switches");
    this.#groups = this.#groups.map((group) => ({
      ...groupPlan(this.#random, this.#plan.outboxBytesMax > 2000),
      codec: group.codec,
      holdMs: group.holdMs,
      stepsOnLast: group.stepsOnLast,
      switch: group.switch,
      model: switches && this.#random.next() < 0.5 ? drawModel(this.#random, group.switch) : group.model,
    }));
  }

  /** Another model is put in force, or the one before is again; a crash may come at any step of it. */
  switchModel(random: Random): void {
    const process = this.#process;
    if (process === undefined || process.pipeline.isStopped) return;
    const group = random.uint32() % this.#groups.length;
    const { model } = simModels[group]![drawModel(random, this.#groups[group]!.switch)]!;
    const done =
      random.next() < 0.3 ? process.models.rollback(`g${group}`) : process.models.promote(model, "given.onnx", `g${group}`);
    const { faults, diskMs } = this.#plan;
    const life = this.#life;
    const end = (): void => {
      if (!life.isOver) this.#switching--;
    };
    this.#switching++;
    // A full or broken disk is a reason to stay with the model in force, and so is that none was before.
    done.then(end, end);
    if (random.next() < 0.5 || !(faults.has("power") || faults.has("kill"))) return;
    this.time.schedule(diskMs * 12 * random.next(), () => {
      if (!life.isOver) this.crash(faults.has("power"));
    });
  }

  #onSwitch(kind: "promote" | "rollback", group: number, version: string): () => void {
    const { reference } = this.oracles;
    const operation = kind === "rollback" ? reference.rollback(group) : reference.promote(group, variantOf(group, version));
    this.#trace.note(this.time.nowMs, kind, operation);
    // One that has just begun must hold the states of before.
    if (this.#random.next() < 0.3) this.checkpoint();
    return () => reference.tell(operation);
  }

  /** The process has ended itself. */
  #fatal(life: Life, thrown: unknown): void {
    if (life.isOver) return;
    const isFull = this.#wasFull && thrown instanceof HiddenstateError && thrown.code === "disk_full";
    if (this.#disk.failures === this.#failuresBefore && !isFull && !this.#hasRotted) {
      this.#fail(`the process ends, and no fault made it: ${thrown instanceof Error ? (thrown.stack ?? "") : reasonOf(thrown)}`);
    }
    this.crash(false);
  }

  /** Ends the process, with the power or without; another one starts a while later. */
  crash(powerCut: boolean): void {
    if (this.#life.isOver) return;
    this.#trace.note(this.time.nowMs, powerCut ? "power cut" : "kill");
    this.#end();
    this.#disk.crash(powerCut);
    if (powerCut) this.oracles.notePowerCut();
    this.crashes++;
    this.time.schedule(1 + 500 * this.#random.next(), () => {
      if (this.#life.isOver) this.start();
    });
  }

  #end(): void {
    this.#life.end();
    this.readings += this.#process?.metrics.counter("readings_accepted").value ?? 0;
    this.#process = undefined;
    this.#isStopping = false;
    this.#switching = 0;
  }

  /** A stop in order, and a start after it. */
  stop(): void {
    const process = this.#process;
    if (process === undefined || this.#isStopping) return;
    this.#isStopping = true;
    const life = this.#life;
    process.stop().then(
      () => {
        if (life.isOver) return;
        this.#trace.note(this.time.nowMs, "stopped");
        this.crash(false);
      },
      (thrown: unknown) => this.#fatal(life, thrown),
    );
  }

  checkpoint(): void {
    const life = this.#life;
    this.#process?.pipeline.checkpoint().catch((thrown: unknown) => this.#fatal(life, thrown));
  }

  /** Some room is left, or none, for a while. */
  fillDisk(random: Random): void {
    const { image } = this.#disk;
    if (image.capacityBytes !== Infinity) return;
    const used = image.paths.reduce((sum, path) => sum + image.find(path)!.now.length, 0);
    image.capacityBytes = used + Math.floor(random.next() * 20_000);
    this.#wasFull = true;
    this.time.schedule(3000 * random.next(), () => {
      image.capacityBytes = Infinity;
    });
  }

  /** Damage to what is durable, found at the next start. */
  rot(): void {
    if (this.#disk.rot()) this.#noteRot();
  }

  #noteRot(): void {
    this.#hasRotted = true;
    this.oracles.noteRot();
  }

  /** Damage to one of two checkpoints, found at once: the other one and the journal behind it make up for it. */
  spoilCheckpoint(): void {
    if (this.#life.isOver || !this.#disk.spoilCheckpoint()) return;
    this.#trace.note(this.time.nowMs, "checkpoint spoiled");
    this.oracles.noteSpoiledCheckpoint();
    this.crash(false);
  }

  /**
   * Crashes come more often than by chance while one checkpoint is all there is, while a start mends the journal, and at the first writes
   * behind what a crash has left; one of these is often followed by the next.
   */
  #cutSoon(): void {
    const { faults, diskMs } = this.#plan;
    const random = this.#random;
    if (!faults.has("power") || this.#disk.calm || random.next() > (this.#isUnsteady ? 0.5 : 0.1)) return;
    const life = this.#life;
    const powerCut = !faults.has("kill") || random.next() < 0.7;
    this.time.schedule(diskMs * 12 * random.next(), () => {
      if (!life.isOver) this.#crashUnsteadily(powerCut);
    });
  }

  #crashUnsteadily(powerCut: boolean): void {
    this.crash(powerCut);
    this.#isUnsteady = true;
  }

  /**
   * One checkpoint has just been emptied, not durably: now and then the process dies of it, and the other one is damaged, and the journal
   * too. While that goes back to the beginning, there is a start all the same.
   */
  #spoilOther(path: string): void {
    const { faults } = this.#plan;
    const goesBack = this.#process?.state.journal.firstPosition === 0;
    if (!faults.has("rot") || !faults.has("kill") || this.#disk.calm || !goesBack || this.#random.next() > 0.3) return;
    if (!this.#disk.rot(path)) return;
    this.#disk.rot("/state/journal/segment-");
    this.#noteRot();
    this.#crashUnsteadily(false);
  }

  jumpClock(random: Random): void {
    this.#wall.offsetMs += [DAY_MS, -DAY_MS, 3 * 365 * DAY_MS, 660_000, -1500][random.uint32() % 5]! * random.next();
    this.#wall.isSynced = random.next() < 0.7;
  }

  #receive(delivery: Delivery): () => void {
    const message = this.#messages.get(delivery.payload)!;
    const { reference } = this.oracles;
    const { intake } = this.#process!;
    if (intake.unsettled > this.#plan.unsettledMessagesMax) this.#fail("more messages are taken than the bound allows");
    this.oracles.taken(this.time.nowMs);
    const operation = reference.deliver(message, delivery, this.time.nowMs);
    this.#watchHeld(message.meaning.stream);
    if (message.meaning.kind === "command") this.#watchHeld(message.meaning.to);
    return () => reference.tell(operation);
  }

  /** Sees to it that the reference lets go of what a stream holds when the runtime has to. */
  #watchHeld(key: string | undefined): void {
    if (key === undefined) return;
    const life = this.#life;
    const atMs = this.oracles.reference.overdueAtMs(key);
    if (atMs === Infinity) return;
    this.time.schedule(atMs - this.time.nowMs - EARLY_MS, () => {
      if (life.isOver || this.#process === undefined || this.#process.pipeline.isStopped) return;
      if (this.oracles.reference.overdueAtMs(key) <= this.time.nowMs + 2 * EARLY_MS) this.oracles.reference.releaseOverdue(key);
      else this.#watchHeld(key);
    });
  }

  /** A command by the control socket. */
  ask(command: SimCommand): void {
    const process = this.#process;
    if (process === undefined || process.pipeline.isStopped) return;
    const { reference } = this.oracles;
    const operation = reference.command(command);
    this.#watchHeld(command.to);
    const { stream, transaction } = command;
    process.pipeline.ask({ command: command.command, stream, transaction, ...argumentsOf(command) }).then(
      () => reference.tell(operation),
      () => {},
    );
  }

  publishCommand(command: SimCommand, id: number): void {
    const { stream, transaction } = command;
    const fields = { transaction, expires: 8e15, stream, ...argumentsOf(command) };
    this.#asked.set(id, transaction);
    this.publish({
      id,
      topic: commandTopic(NODE, command.command),
      payload: new TextEncoder().encode(JSON.stringify(fields)),
      qos: 1,
      retain: false,
      meaning: command,
      flaw: undefined,
    });
  }

  publish(message: SimMessage): void {
    this.#messages.set(message.payload, message);
    this.broker.take(message);
  }

  calmDown(): void {
    this.#disk.calm = true;
    this.broker.calm = true;
    this.publisher.calmDown();
    this.#disk.image.capacityBytes = Infinity;
  }

  #held(): number {
    let held = 0;
    for (const stream of this.oracles.reference.streams.values()) held += stream.held.length;
    return held;
  }

  /** What is still to be done; empty where nothing is. */
  unrest(): string {
    const process = this.#process;
    if (process === undefined || this.#isStopping) return "no process";
    if (!process.intake.isReady || !process.sink.isUp) return "no connection";
    if (!this.broker.isDrained || process.intake.unsettled > 0) return `${process.intake.unsettled} messages are not acked`;
    if (process.outbox.count > 0) return `${process.outbox.count} messages in the outbox`;
    if (!this.oracles.isAllPublished) return "a prediction that never came";
    if (this.#switching > 0) return "a model is being switched";
    const unsaid = this.publisher.unsaid(this.#wall.isSynced);
    if (unsaid !== undefined) return unsaid;
    return this.#held() > 0 ? "readings are held" : "";
  }

  get isAtRest(): boolean {
    return this.unrest() === "";
  }

  checkAtRest(): void {
    const { state, metrics } = this.#process!;
    this.oracles.heldMore = this.#held() - this.#heldAtStart;
    this.oracles.atRest(state.fold, metrics, this.broker);
    const unanswered = this.oracles.unanswered([...this.#asked.values()]);
    if (unanswered !== undefined && this.#plan.mode === "strict") this.#fail(`the command ${unanswered} was never answered`);
  }
}

/** What a command has beside the stream and the transaction. */
function argumentsOf({ command, state, to }: SimCommand): { state?: Record<string, number[]>; to?: string } {
  if (command === "rename") return { to: to! };
  return { state: Object.fromEntries(Object.entries(state ?? {}).map(([name, values]) => [name, Array.from(values)])) };
}
