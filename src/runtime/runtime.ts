// The runtime: an assembly on the system's clock, disk and broker connections, and the control socket through which it is asked.
import type { Log } from "../base/log.ts";
import type { Alarm } from "../message/alarm.ts";
import type { Prediction } from "../message/prediction.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { Recovered } from "../pipeline/recover.ts";
import type { ReleaseObserver } from "../pipeline/release-observer.ts";
import type { GroupSettings } from "../pipeline/settings.ts";
import { HiddenstateError } from "../base/errors.ts";
import { Assembly } from "./assembly.ts";
import type { Config } from "./config-schema.ts";
import type { CommandOptions, Control, StreamState } from "./control.ts";
import { ControlSocket } from "./control-socket.ts";
import { CrashCount } from "./crash-count.ts";
import { loadGroups } from "./groups.ts";
import type { LearningProgress } from "./learning-loop.ts";
import type { PromoteOptions, Switched } from "./model-switch.ts";
import { Onlookers } from "./onlookers.ts";
import { StateDirectory } from "./state-directory.ts";
import { statusOf } from "./status.ts";
import type { Status } from "./status.ts";
import { surroundingsOf } from "./surroundings.ts";
import type { Surroundings } from "./surroundings.ts";
import { Watchdog } from "./watchdog.ts";

/** A runtime in this process; `createRuntime` starts one. */
export class Runtime {
  readonly #config: Config;
  readonly #around: Surroundings;
  readonly #assembly: Assembly;
  readonly #socket: ControlSocket;
  readonly #crashes: CrashCount;
  readonly #startedAtMs: number;
  readonly #onlookers: Onlookers;
  #stopping: Promise<void> | undefined;
  #watchdog: Watchdog | undefined;

  private constructor(config: Config, around: Surroundings, assembly: Assembly, { socket, crashes }: Holdings) {
    this.#config = config;
    this.#around = around;
    this.#assembly = assembly;
    this.#socket = socket;
    this.#crashes = crashes;
    this.#startedAtMs = around.clock.monotonicMs();
    this.#onlookers = new Onlookers(assembly.state.fold, around.log);
  }

  /**
   * @internal
   * Starts a runtime: recovers its state and connects to the broker, waiting for it where it is away. Throws `bad_config`, `bad_model`,
   * `state_in_use`, `foreign_state` or `disk_failed`, and has then written nothing over.
   */
  static async start(config: Config, surroundings: Partial<Surroundings> = {}): Promise<Runtime> {
    const around = await surroundingsOf(config, surroundings);
    const { disk, clock, log } = around;
    const groups = await loadGroups(config, disk);
    await StateDirectory.make(disk, config.state);
    const socket = await ControlSocket.open(config.state, () => {
      throw new HiddenstateError("unavailable", "cannot answer yet: the runtime is starting; ask again");
    });
    try {
      const crashes = await CrashCount.load(disk, config.state, clock.wallMs());
      const startedAtMs = clock.monotonicMs();
      const options = { config, groups, around, condemns: (settings: GroupSettings) => crashes.condemns(settings) };
      const opened = await Assembly.recover(options);
      const assembly = await Assembly.begin(options, opened);
      tellOfRecovery(log, opened.recovered, assembly.state.fold.streamCount, clock.monotonicMs() - startedAtMs);
      await crashes.begin();
      const runtime = new Runtime(config, around, assembly, { socket, crashes });
      runtime.#begin();
      return runtime;
    } catch (thrown) {
      await socket.close();
      throw thrown;
    }
  }

  #begin(): void {
    this.#socket.handleBy((method, params) =>
      method === "status" ? Promise.resolve(this.status()) : this.control.handle(method, params),
    );
    this.failed.catch(async (thrown: unknown) => {
      if (isNoCrash(thrown)) await this.#crashes.end();
    });
    this.#assembly.run();
  }

  /** Resolves when the broker has granted our subscriptions for the first time: from then on no reading passes by. */
  get connected(): Promise<void> {
    return this.#assembly.connected;
  }

  /** @internal What was found on disk at the start. */
  get recovered(): Recovered {
    return this.#assembly.recovered;
  }

  /** Rejects when the runtime cannot go on: the disk has failed, or the broker refuses it for good. Stop it then, and start another. */
  get failed(): Promise<never> {
    return this.#assembly.failed;
  }

  /** Streams, groups, engines, the broker's connections and everything counted, at this moment. */
  status(): Status {
    const { clock, metrics } = this.#around;
    const { state, pipeline, outbox, intake, sink, trials, learning, updates } = this.#assembly;
    return statusOf({
      node: this.#config.node,
      wallMs: clock.wallMs(),
      upSeconds: (clock.monotonicMs() - this.#startedAtMs) / 1000,
      fold: state.fold,
      releasedPosition: pipeline.releasedPosition,
      outbox,
      intakeReady: intake.isReady,
      sinkUp: sink.isUp,
      metrics,
      engineReason: (group) => trials.reasonOf(group),
      learningOf: ({ settings }) => learning.progressOf(settings.name)?.text,
      updateOf: ({ settings }) => updates?.describe(settings.name),
    });
  }

  /** @internal How far a group's model has come with learning, see `learn` in the config; undefined where it does not learn. */
  learningOf(group: string): LearningProgress | undefined {
    return this.#assembly.learning.progressOf(group);
  }

  /** A stream's hidden state at this moment of its order, by the names of the model's states. Throws `unknown_stream`. */
  getState(stream: string): Promise<StreamState> {
    return this.control.getState(stream);
  }

  /** Replaces a stream's hidden state at this moment of its order, durably. Throws `unknown_stream` or `bad_state`. */
  setState(stream: string, state: unknown, options?: CommandOptions): Promise<void> {
    return this.control.setState(stream, state, options);
  }

  /** Puts a stream's hidden state back to the model's initial one, durably. Throws `unknown_stream`. */
  resetState(stream: string, options?: CommandOptions): Promise<void> {
    return this.control.resetState(stream, options);
  }

  /** @internal What its streams are and remember, to be read and never changed. */
  get fold(): Fold {
    return this.#assembly.state.fold;
  }

  /** @internal Shows what is released from now on to an observer, until the returned function is called. */
  observe(observer: ReleaseObserver): () => void {
    return this.#onlookers.add(observer);
  }

  /**
   * Calls a listener with each prediction once its reading is durable, in the journal's order, until the returned function is called. It is
   * told once and in this process only: what must not be missed over a crash comes from the broker or a `DirectLink`, at least once. The
   * listener may keep what it gets, and holds up the readings for as long as it works; one that throws is logged.
   */
  onPrediction(listener: (prediction: Prediction) => void): () => void {
    return this.#onlookers.onPrediction(listener);
  }

  /** Calls a listener with each alarm that opens or closes, as `onPrediction`. */
  onAlarm(listener: (alarm: Alarm) => void): () => void {
    return this.#onlookers.onAlarm(listener);
  }

  /**
   * Puts the model in a file in force for a group, between two steps, once it has been held to the parity measure. Throws `bad_argument`,
   * `bad_model` or `unavailable`, and the model in force stays then.
   */
  promoteModel(file: string, group: string, options?: PromoteOptions): Promise<Switched> {
    return this.control.promoteModel(file, group, options);
  }

  /** Puts the version in force that was before. Throws `bad_argument` where none was. */
  rollbackModel(group: string): Promise<Switched> {
    return this.control.rollbackModel(group);
  }

  /**
   * @internal Calls `feed` now, and again every so often, as long as readings that come would be stepped and kept; see `Watchdog`.
   */
  feedWatchdog(everyMs: number, feed: () => Promise<void>): void {
    const { pipeline, outbox } = this.#assembly;
    const { clock, log, metrics } = this.#around;
    const isDiskFull = (): boolean => metrics.gauge("disk_full").value === 1;
    this.#watchdog?.stop();
    this.#watchdog = new Watchdog({ pipeline, outbox, isDiskFull, clock, log, everyMs, feed });
  }

  /** All that can be asked of the state directory: listing and renaming streams, listing and tuning models. */
  get control(): Control {
    return this.#assembly.control;
  }

  /** Takes no more messages, finishes those it has, writes a checkpoint if that fits, and disconnects: within `limits.stopMsMax`. */
  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  async #end(): Promise<void> {
    this.#watchdog?.stop();
    await this.#assembly.stop();
    await this.#crashes.end();
    await this.#socket.close();
  }
}

/** What a runtime has of its state directory. */
interface Holdings {
  readonly socket: ControlSocket;
  readonly crashes: CrashCount;
}

/** An end for which no model can be to blame: the disk, the broker, the config. */
function isNoCrash(thrown: unknown): boolean {
  return thrown instanceof HiddenstateError && thrown.code !== "unavailable";
}

/**
 * Starts what `hiddenstate run` starts, in this process: recovers the streams' states from `config.state` and connects to the broker, or to
 * the `ports` of a DirectLink. The config comes from `defineConfig` or `parseConfig`; what is absent in `surroundings` is the system's own.
 * Throws `bad_config`, `bad_model`, `state_in_use`, `foreign_state`, `state_damaged` or `disk_failed`, and has then written nothing over.
 * Stop it before the process ends.
 */
export function createRuntime(config: Config, surroundings: Partial<Surroundings> = {}): Promise<Runtime> {
  return Runtime.start(config, surroundings);
}

function tellOfRecovery(log: Log, recovered: Recovered, streams: number, ms: number): void {
  const { position, events, mismatches, damaged } = recovered;
  if (position === 0) return log.info("a new state directory");
  log.info("recovered", { streams, replayedEvents: events, unconfirmedMessages: recovered.messages.length, ms: Math.round(ms) });
  if (mismatches > 0) log.warn("replayed steps differ from the outputs in the journal", { readings: mismatches });
  if (damaged) log.error("the journal is damaged: events that were once durable are gone; its files are set aside as damaged-*");
}
