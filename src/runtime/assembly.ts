// The runtime put together above its surroundings: state directory, pipeline, intake and sink, in the order in which they start and the
// reverse in which they stop. Whatever it takes from the world comes in as an argument, so that the simulator runs this very code.
import { within } from "../base/clock.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Delivery } from "../message/delivery.ts";
import { Intake } from "../mqtt/intake.ts";
import type { IntakeOptions } from "../mqtt/intake.ts";
import { Sink } from "../mqtt/sink.ts";
import type { SinkOptions } from "../mqtt/sink.ts";
import type { Outbox } from "../pipeline/outbox.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import type { PipelineOptions } from "../pipeline/pipeline-options.ts";
import type { Recovered } from "../pipeline/recover.ts";
import { Routes } from "../pipeline/routes.ts";
import { encodeEpochSettings } from "../pipeline/settings.ts";
import type { GroupSettings } from "../pipeline/settings.ts";
import { Announcements } from "./announcements.ts";
import { Bridge, healthOf } from "./bridge.ts";
import { homeAssistantPrefix } from "./config-schema.ts";
import type { Config } from "./config-schema.ts";
import { subscriptionsOf } from "./connections.ts";
import { Control } from "./control.ts";
import { EngineChoices } from "./engine-choices.ts";
import { EngineTrials } from "./engine-trials.ts";
import { entriesOf } from "./groups.ts";
import type { ConfiguredGroup } from "./groups.ts";
import { openLearning } from "./learning-loop.ts";
import type { LearningLoop } from "./learning-loop.ts";
import { ModelSwitch } from "./model-switch.ts";
import type { OnSwitch } from "./model-switch.ts";
import { planEpoch, versionsNamed } from "./plan-epoch.ts";
import { noteConfigured, tellOfSwitches } from "./start-switches.ts";
import { StateDirectory } from "./state-directory.ts";
import type { Opened, StateBounds } from "./state-directory.ts";
import type { Surroundings } from "./surroundings.ts";
import { openUpdates } from "./updates.ts";
import type { Updates } from "./updates.ts";

/** Bounds that no config moves; as in `limits` where absent. */
export interface Bounds
  extends
    StateBounds,
    Pick<PipelineOptions, "bootSilenceMs" | "checkpointAfterBytes" | "clockJumpMs" | "streamExpiryCheckMs">,
    Pick<IntakeOptions, "unsettledMessagesMax">,
    Pick<SinkOptions, "windowMax"> {
  readonly checkpointBytesPerSecond?: number;
}

export interface AssemblyOptions {
  readonly config: Config;
  /** The config's groups, their models loaded. */
  readonly groups: readonly ConfiguredGroup[];
  readonly around: Surroundings;
  readonly bounds?: Bounds;
  /** Sees every message before the pipeline gets it; what it returns goes on in its place. */
  readonly onDelivery?: (delivery: Delivery) => Delivery;
  readonly onSwitch?: OnSwitch;
  /** Whether a group's model has to go at this start. */
  readonly condemns?: (settings: GroupSettings) => boolean;
}

interface AssemblyParts extends Opened {
  readonly outbox: Outbox;
  readonly choices: EngineChoices;
  /** Where streams were announced to Home Assistant before this start. */
  readonly formerHomeAssistant: string | undefined;
  /** The state lies on a flash card. */
  readonly onCard: boolean;
}

/** Of the time a stop may take, what each part may use. */
const STOP_DRAIN_MS = limits.stopMsMax * 0.3;
const STOP_CHECKPOINT_MS = limits.stopMsMax * 0.35;
const STOP_SINK_MS = limits.stopMsMax * 0.2;

export class Assembly {
  readonly #options: AssemblyOptions;
  readonly state: StateDirectory;
  readonly outbox: Outbox;
  readonly pipeline: Pipeline;
  readonly control: Control;
  readonly trials: EngineTrials;
  readonly models: ModelSwitch;
  readonly learning: LearningLoop;
  readonly updates: Updates | undefined;
  readonly intake: Intake;
  readonly sink: Sink;
  readonly #bridge: Bridge | undefined;
  #fail: (thrown: unknown) => void = () => {};
  #connect: () => void = () => {};
  /** Resolves when the broker has granted our subscriptions for the first time. */
  readonly connected: Promise<void>;
  /** What was found on disk at the start. */
  readonly recovered: Recovered;
  /** Rejects when this cannot go on: the disk has failed, or the broker refuses us for good. */
  readonly failed: Promise<never>;

  private constructor(options: AssemblyOptions, parts: AssemblyParts) {
    const { config, groups, around, bounds = {}, onDelivery = (delivery: Delivery) => delivery } = options;
    const { clock, log, metrics, ports, random } = around;
    this.#options = options;
    this.state = parts.state;
    this.outbox = parts.outbox;
    this.recovered = parts.recovered;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.connected = new Promise((resolve) => {
      this.#connect = resolve;
    });
    // Whoever does not wait for it learns of the failure from the log.
    this.failed.catch(() => {});
    const { state, outbox } = this;
    const entries = entriesOf(groups, state.fold.settings);
    const routes = new Routes(config.node, entries, { commands: config.commands.mqtt, streamsMax: config.streams.max });
    this.pipeline = this.#openPipeline(parts, routes);
    this.trials = new EngineTrials({
      groups: new Set(config.groups.filter(({ engine }) => engine === "auto").map(({ name }) => name)),
      fold: state.fold,
      pipeline: this.pipeline,
      choices: parts.choices,
      models: state.models,
      clock,
      log,
      runTrial: around.runTrial,
    });
    this.models = new ModelSwitch({
      fold: state.fold,
      pipeline: this.pipeline,
      models: state.models,
      choices: parts.choices,
      groups: config.groups,
      disk: around.disk,
      clock,
      log,
      verifyModel: around.verifyModel,
      onSwitch: options.onSwitch,
    });
    this.learning = openLearning(config, around, this);
    this.control = new Control(state.fold, this.pipeline, this.models, random, this.learning);
    const refused = (reason: string): void =>
      this.#end(new HiddenstateError("broker_refused", `cannot use the broker: ${reason}`));
    const announcements = new Announcements(outbox);
    this.#bridge = config.bridge ? this.#openBridge(parts, announcements) : undefined;
    this.updates = openUpdates(config, around, this, announcements);
    const connected = (): void => this.#bridge?.connected();
    this.sink = new Sink({ ...bounds, port: ports.sink, source: announcements, clock, metrics, log, connected, refused });
    this.intake = new Intake({
      ...bounds,
      port: ports.intake,
      subscriptions: subscriptionsOf(config, entries),
      hadSession: parts.recovered.position > 0,
      clock,
      metrics,
      log,
      receive: (delivery) => {
        if (this.#bridge?.hears(delivery) === true) delivery.settle();
        else this.pipeline.receive(onDelivery(delivery));
      },
      connecting: () => this.pipeline.connecting(),
      session: (outcome) => this.pipeline.sessionAnswered(outcome),
      subscribed: () => {
        log.info("taking readings", { groups: config.groups.map(({ name }) => name) });
        this.#connect();
      },
      refused,
    });
  }

  #openBridge({ state, outbox, formerHomeAssistant }: AssemblyParts, announcements: Announcements): Bridge {
    const { config, around } = this.#options;
    const { clock, metrics } = around;
    const homeAssistant = homeAssistantPrefix(config);
    return new Bridge({
      node: config.node,
      announcements,
      fold: state.fold,
      clock,
      homeAssistant,
      formerHomeAssistant: formerHomeAssistant === homeAssistant ? undefined : formerHomeAssistant,
      takesCommands: config.commands.mqtt,
      tunes: (group) => this.learning.tunes(group),
      settled: () => this.pipeline.drain(),
      health: (upSeconds) => healthOf(metrics, { upSeconds, intakeUp: this.intake.isReady, unconfirmed: outbox.count }),
    });
  }

  #openPipeline({ state, outbox, recovered, onCard }: AssemblyParts, routes: Routes): Pipeline {
    const { config, around, bounds = {} } = this.#options;
    const { node, durability, streams } = config;
    const { fold, journal, checkpoints, reserve } = state;
    const { clock, log, metrics } = around;
    return new Pipeline({
      ...bounds,
      node,
      fold,
      journal,
      checkpoints,
      reserve,
      durability: { mode: durability.mode, lingerMs: durability.linger ?? (onCard ? limits.cardLingerMs : 0) },
      bytesPerSecond: bounds.checkpointBytesPerSecond ?? (onCard ? limits.cardCheckpointBytesPerSecond : Infinity),
      outbox,
      routes,
      fineTune: (group) => this.control.fineTune(group),
      clock,
      log,
      metrics,
      streamsMax: streams.max,
      streamExpiryMs: streams.expireAfter,
      checkpointPosition: recovered.checkpointPosition,
      onCheckpoint: (firstPosition) => void state.models.sweep(firstPosition),
      onFatal: (thrown) => this.#end(thrown),
    });
  }

  /** Opens the state directory and recovers what is in it. Changes nothing there; throws what `StateDirectory.recover` throws. */
  static recover({ config, groups, around, bounds = {} }: AssemblyOptions): Promise<Opened> {
    const { disk, clock, random, metrics } = around;
    const models = groups.map(({ model }) => model);
    const { bytes, age: ageMs } = config.history;
    const options = { ...bounds, disk, directory: config.state, clock, random, metrics, history: { bytes, ageMs } };
    return StateDirectory.recover(options, models, config.durability.onDamage);
  }

  /**
   * Makes the state writable and puts everything together upon it; nothing moves before `run`. Throws `foreign_state`, `bad_model`,
   * `disk_failed` or `disk_full`, and has then closed the state.
   */
  static async begin(options: AssemblyOptions, opened: Opened): Promise<Assembly> {
    const { config, groups, around } = options;
    const { state, recovered } = opened;
    try {
      const choices = await EngineChoices.load(around.disk, config.state);
      const homeAssistant = homeAssistantPrefix(config);
      const formerHomeAssistant = recovered.position === 0 ? undefined : state.fold.settings.homeAssistant;
      const inForce = await planEpoch({
        node: config.node,
        groups,
        present: state.fold.groups,
        choices,
        models: state.models,
        nowMs: around.clock.wallMs(),
        ...(options.condemns && { condemns: options.condemns }),
      });
      const planned = { ...inForce, ...(homeAssistant === undefined ? {} : { homeAssistant }) };
      tellOfSwitches(around.log, state.fold.groups, planned);
      await state.models.keep(versionsNamed(planned));
      await noteConfigured(state, groups, planned, around.clock.wallMs());
      const outbox = await state.begin();
      const onCard = await around.disk.isFlashCard(config.state);
      const settings = encodeEpochSettings(planned);
      const isNew = recovered.position === 0 || encodeEpochSettings(state.fold.settings) !== settings;
      // The pipeline's routes need the groups, and the journal the event that names them.
      if (isNew) await state.beginEpoch(settings);
      await state.models.retain(versionsNamed(planned), state.journal.position);
      return new Assembly(options, { state, recovered, outbox, choices, onCard, formerHomeAssistant });
    } catch (thrown) {
      await state.close();
      throw thrown;
    }
  }

  /** Connects to the broker, waiting for it where it is away. */
  run(): void {
    this.sink.start();
    this.intake.start();
    this.trials.start();
    this.#bridge?.start();
    this.updates?.start();
    this.learning.start().catch((thrown: unknown) => this.#end(thrown));
  }

  #end(thrown: unknown): void {
    this.#options.around.log.error("the runtime cannot go on", { reason: reasonOf(thrown) });
    this.#fail(thrown);
  }

  /** Takes no more messages, finishes those it has, writes a checkpoint if that fits, and disconnects: within `limits.stopMsMax`. */
  async stop(): Promise<void> {
    const { clock, log } = this.#options.around;
    this.intake.stop();
    this.trials.stop();
    this.learning.stop();
    const updatesClosed = this.updates?.stop();
    await within(clock, STOP_DRAIN_MS, this.pipeline.drain());
    const written = await within(clock, STOP_CHECKPOINT_MS, this.pipeline.checkpoint());
    if (!written) log.warn("no checkpoint at the stop: it would take too long; the next start replays the journal");
    this.pipeline.stop();
    this.#bridge?.stop();
    await this.sink.drain(STOP_SINK_MS);
    await Promise.all([this.intake.close(), updatesClosed]);
    await this.sink.close();
    await this.state.close();
  }
}
