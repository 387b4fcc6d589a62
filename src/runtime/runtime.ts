// The whole of it put together: state directory, pipeline, broker connections, control socket, in the order in which they start and the
// reverse in which they stop.
import type { Clock } from "../base/clock.ts";
import { systemClock, within } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { systemDisk } from "../base/disk.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { createLog } from "../base/log.ts";
import { Metrics } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import { createSystemRandom } from "../base/random.ts";
import type { RunTrial } from "../engine/engine-trial.ts";
import { runTrial as runEngineTrial } from "../engine/run-trial.ts";
import { Intake } from "../mqtt/intake.ts";
import { Sink } from "../mqtt/sink.ts";
import type { Outbox } from "../pipeline/outbox.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import type { Recovered } from "../pipeline/recover.ts";
import { Routes } from "../pipeline/routes.ts";
import { encodeEpochSettings } from "../pipeline/settings.ts";
import type { Config } from "./config-schema.ts";
import { brokerPorts, subscriptionsOf } from "./connections.ts";
import type { Ports } from "./connections.ts";
import { Control } from "./control.ts";
import type { CommandOptions, StreamState } from "./control.ts";
import { ControlSocket } from "./control-socket.ts";
import { EngineChoices } from "./engine-choices.ts";
import { EngineTrials } from "./engine-trials.ts";
import { entriesOf, loadGroups, planEpoch } from "./groups.ts";
import type { ConfiguredGroup } from "./groups.ts";
import { StateDirectory } from "./state-directory.ts";
import { statusOf } from "./status.ts";
import type { Status } from "./status.ts";

/** What a runtime takes from the world; the system's own where absent. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The two connections to the broker. */
  readonly ports: Ports;
  /** Measures both engines on a model file. */
  readonly runTrial: RunTrial;
}

interface RuntimeParts {
  readonly state: StateDirectory;
  readonly socket: ControlSocket;
  readonly recovered: Recovered;
  readonly outbox: Outbox;
  readonly groups: readonly ConfiguredGroup[];
  readonly choices: EngineChoices;
  /** The state lies on a flash card. */
  readonly onCard: boolean;
}

/** Of the time a stop may take, what each part may use. */
const STOP_DRAIN_MS = limits.stopMsMax * 0.3;
const STOP_CHECKPOINT_MS = limits.stopMsMax * 0.35;
const STOP_SINK_MS = limits.stopMsMax * 0.2;

export class Runtime {
  readonly #config: Config;
  readonly #around: Surroundings;
  readonly #state: StateDirectory;
  readonly #outbox: Outbox;
  readonly #pipeline: Pipeline;
  readonly #control: Control;
  readonly #trials: EngineTrials;
  readonly #socket: ControlSocket;
  readonly #intake: Intake;
  readonly #sink: Sink;
  readonly #startedAtMs: number;
  #stopping: Promise<void> | undefined;
  #fail: (thrown: unknown) => void = () => {};
  #connect: () => void = () => {};
  /** Resolves when the broker has granted our subscriptions for the first time. */
  readonly connected: Promise<void>;
  /** What was found on disk at the start. */
  readonly recovered: Recovered;
  /** Rejects when the runtime cannot go on: the disk has failed, or the broker refuses it for good. */
  readonly failed: Promise<never>;

  private constructor(config: Config, around: Surroundings, parts: RuntimeParts) {
    const { state, outbox, groups, onCard } = parts;
    const { clock, log, metrics, ports } = around;
    this.#config = config;
    this.#around = around;
    this.#state = state;
    this.#socket = parts.socket;
    this.#outbox = outbox;
    this.recovered = parts.recovered;
    this.#startedAtMs = clock.monotonicMs();
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.connected = new Promise((resolve) => {
      this.#connect = resolve;
    });
    // Whoever does not wait for it learns of the failure from the log.
    this.failed.catch(() => {});
    const entries = entriesOf(groups, state.fold.settings);
    const streamsMax = config.streams.max;
    this.#pipeline = new Pipeline({
      node: config.node,
      fold: state.fold,
      journal: state.journal,
      checkpoints: state.checkpoints,
      reserve: state.reserve,
      durability: { mode: config.durability.mode, lingerMs: config.durability.linger ?? (onCard ? limits.cardLingerMs : 0) },
      bytesPerSecond: onCard ? limits.cardCheckpointBytesPerSecond : Infinity,
      outbox,
      routes: new Routes(config.node, entries, { commands: config.commands.mqtt, streamsMax }),
      clock,
      log,
      metrics,
      streamsMax,
      streamExpiryMs: config.streams.expireAfter,
      checkpointPosition: parts.recovered.checkpointPosition,
      onFatal: (thrown) => this.#end(thrown),
    });
    this.#trials = new EngineTrials({
      groups: new Set(config.groups.filter(({ engine }) => engine === "auto").map(({ name }) => name)),
      fold: state.fold,
      pipeline: this.#pipeline,
      choices: parts.choices,
      models: state.models,
      clock,
      log,
      runTrial: around.runTrial,
    });
    this.#control = new Control(state.fold, this.#pipeline, around.random);
    const refused = (reason: string): void =>
      this.#end(new HiddenstateError("broker_refused", `cannot use the broker: ${reason}`));
    this.#sink = new Sink({ port: ports.sink, source: outbox, clock, metrics, log, refused });
    this.#intake = new Intake({
      port: ports.intake,
      subscriptions: subscriptionsOf(config, entries),
      hadSession: parts.recovered.position > 0,
      clock,
      metrics,
      log,
      receive: (delivery) => this.#pipeline.receive(delivery),
      sessionBegan: () => this.#pipeline.sessionBegan(),
      subscribed: () => {
        log.info("taking readings", { groups: config.groups.map(({ name }) => name) });
        this.#connect();
      },
      refused,
    });
  }

  /**
   * Starts a runtime: recovers its state and connects to the broker, waiting for it where it is away. Throws `bad_config`, `bad_model`,
   * `state_in_use`, `foreign_state` or `disk_failed`, and has then written nothing over.
   */
  static async start(config: Config, surroundings: Partial<Surroundings> = {}): Promise<Runtime> {
    const around = await surroundingsOf(config, surroundings);
    const { disk, clock, log, metrics } = around;
    const groups = await loadGroups(config, disk);
    await StateDirectory.make(disk, config.state);
    const socket = await ControlSocket.open(config.state, () => {
      throw new HiddenstateError("unavailable", "cannot answer yet: the runtime is starting; ask again");
    });
    let state: StateDirectory | undefined;
    try {
      const startedAtMs = clock.monotonicMs();
      const models = groups.map(({ model }) => model);
      const opened = await StateDirectory.recover(
        { disk, directory: config.state, clock, metrics },
        models,
        config.durability.onDamage,
      );
      state = opened.state;
      const { recovered } = opened;
      const choices = await EngineChoices.load(disk, config.state);
      const planned = await planEpoch(config.node, groups, state.fold.groups, choices);
      await state.models.keep(planned.groups.map(({ version }) => version));
      const outbox = await state.begin();
      const onCard = await disk.isFlashCard(config.state);
      const settings = encodeEpochSettings(planned);
      const isNew = recovered.position === 0 || encodeEpochSettings(state.fold.settings) !== settings;
      // The pipeline's routes need the groups, and the journal the event that names them.
      if (isNew) await state.beginEpoch(settings);
      tellOfRecovery(log, recovered, state.fold.streamCount, clock.monotonicMs() - startedAtMs);
      const runtime = new Runtime(config, around, { state, socket, recovered, outbox, groups, choices, onCard });
      runtime.#begin();
      return runtime;
    } catch (thrown) {
      await state?.close();
      await socket.close();
      throw thrown;
    }
  }

  #begin(): void {
    this.#socket.handleBy((method, params) =>
      method === "status" ? Promise.resolve(this.status()) : this.#control.handle(method, params),
    );
    this.#sink.start();
    this.#intake.start();
    this.#trials.start();
  }

  status(): Status {
    const { clock, metrics } = this.#around;
    const { fold } = this.#state;
    return statusOf({
      node: this.#config.node,
      upSeconds: (clock.monotonicMs() - this.#startedAtMs) / 1000,
      fold,
      releasedPosition: this.#pipeline.releasedPosition,
      outbox: this.#outbox,
      intakeReady: this.#intake.isReady,
      sinkUp: this.#sink.isUp,
      metrics,
      engineReason: (group) => this.#trials.reasonOf(group),
    });
  }

  /** Throws `unknown_stream`. */
  getState(stream: string): Promise<StreamState> {
    return this.#control.getState(stream);
  }

  /** Replaces a stream's hidden state at this moment of its order, durably. Throws `unknown_stream` or `bad_state`. */
  setState(stream: string, state: unknown, options?: CommandOptions): Promise<void> {
    return this.#control.setState(stream, state, options);
  }

  /** Puts a stream's hidden state back to the model's initial one, durably. Throws `unknown_stream`. */
  resetState(stream: string, options?: CommandOptions): Promise<void> {
    return this.#control.resetState(stream, options);
  }

  /** All that can be asked of the state directory. */
  get control(): Control {
    return this.#control;
  }

  #end(thrown: unknown): void {
    this.#around.log.error("the runtime cannot go on", { reason: reasonOf(thrown) });
    this.#fail(thrown);
  }

  /** Takes no more messages, finishes those it has, writes a checkpoint if that fits, and disconnects: within `limits.stopMsMax`. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { clock, log } = this.#around;
    this.#intake.stop();
    this.#trials.stop();
    await within(clock, STOP_DRAIN_MS, this.#pipeline.drain());
    const written = await within(clock, STOP_CHECKPOINT_MS, this.#pipeline.checkpoint());
    if (!written) log.warn("no checkpoint at the stop: it would take too long; the next start replays the journal");
    this.#pipeline.stop();
    await this.#sink.drain(STOP_SINK_MS);
    await this.#intake.close();
    await this.#sink.close();
    await this.#state.close();
    await this.#socket.close();
  }
}

/** Starts a runtime; see `Runtime.start` for what it throws. What is absent in `surroundings` is the system's own. */
export function createRuntime(config: Config, surroundings: Partial<Surroundings> = {}): Promise<Runtime> {
  return Runtime.start(config, surroundings);
}

async function surroundingsOf(config: Config, given: Partial<Surroundings>): Promise<Surroundings> {
  const clock = given.clock ?? systemClock;
  const random = given.random ?? createSystemRandom();
  const disk = given.disk ?? systemDisk;
  const log = given.log ?? createLog(config.log);
  const ports = given.ports ?? (await brokerPorts(config, { clock, random, disk, log }));
  const { metrics = new Metrics(), runTrial = runEngineTrial } = given;
  return { clock, random, disk, log, metrics, ports, runTrial };
}

function tellOfRecovery(log: Log, recovered: Recovered, streams: number, ms: number): void {
  const { position, events, mismatches, damaged } = recovered;
  if (position === 0) return log.info("a new state directory");
  log.info("recovered", { streams, replayedEvents: events, unconfirmedMessages: recovered.messages.length, ms: Math.round(ms) });
  if (mismatches > 0) log.warn("replayed steps differ from the outputs in the journal", { readings: mismatches });
  if (damaged) log.error("the journal is damaged: events that were once durable are gone; its files are set aside as damaged-*");
}
