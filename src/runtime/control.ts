// What can be asked of a state directory, whether a runtime is running on it or it has been opened for the question: one set of
// methods behind the library, the control socket and the command line.
import { HiddenstateError } from "../base/errors.ts";
import { randomName } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import { listAlarms } from "../pipeline/alarm-commands.ts";
import type { ListedAlarm } from "../pipeline/alarm-commands.ts";
import type { Verdict } from "../message/alarm.ts";
import { factsOf } from "../pipeline/commands.ts";
import type { Answer, CommandName, StreamFacts } from "../pipeline/commands.ts";
import { commandNames } from "../pipeline/commands.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { LearningLoop } from "./learning-loop.ts";
import type { ListedModel, ModelSwitch, PromoteOptions, Switched } from "./model-switch.ts";

/** A hidden state as JSON has it: arrays of numbers by the names of the model's states. */
export type StateNumbers = Readonly<Record<string, readonly number[]>>;

/** A stream's state as it is exported: what `set` and `import` take back. */
export interface StreamState {
  readonly facts: StreamFacts;
  readonly state: StateNumbers;
}

/** What goes along with a change of a stream. */
export interface CommandOptions {
  /** 1 to 128 bytes; a command of a transaction already carried out is answered, not done again. A random one where absent. */
  readonly transaction?: string;
}

function isCommandName(value: unknown): value is CommandName {
  return commandNames.some((name) => name === value);
}

/** Why nothing is fine-tuned where no runtime works on a state directory. */
export function nothingTunes(): HiddenstateError {
  return new HiddenstateError("unavailable", "cannot fine-tune: no runtime is running on the state directory; start one");
}

/** All that can be asked of a state directory, besides what `Runtime` offers itself. */
export class Control {
  readonly #fold: Fold;
  readonly #pipeline: Pipeline;
  readonly #models: ModelSwitch;
  readonly #learning: Pick<LearningLoop, "ask"> | undefined;
  readonly #random: Random;

  /** @internal Without `learning` no runtime is running. */
  constructor(fold: Fold, pipeline: Pipeline, models: ModelSwitch, random: Random, learning?: Pick<LearningLoop, "ask">) {
    this.#fold = fold;
    this.#pipeline = pipeline;
    this.#models = models;
    this.#learning = learning;
    this.#random = random;
  }

  async #ask(
    command: CommandName,
    stream: string,
    options: CommandOptions,
    details: { state?: unknown; to?: string; until?: unknown; budget?: unknown } = {},
  ): Promise<Extract<Answer, { ok: true }>> {
    const answer = await this.#pipeline.ask({
      command,
      stream,
      transaction: options.transaction ?? randomName(this.#random),
      ...details,
    });
    if (!answer.ok) throw new HiddenstateError(answer.error.code, answer.error.message);
    return answer;
  }

  /** The hidden state and what is known of a stream. Throws `unknown_stream`. */
  async getState(stream: string): Promise<StreamState> {
    const { facts, state } = await this.#ask("get", stream, {});
    return { facts: facts!, state: state! };
  }

  /** Replaces the hidden state, durably. Throws `unknown_stream`, or `bad_state` where it is not the model's. */
  async setState(stream: string, state: unknown, options: CommandOptions = {}): Promise<void> {
    await this.#ask("set", stream, options, { state });
  }

  /** Puts the hidden state back to the model's initial one, durably. */
  async resetState(stream: string, options: CommandOptions = {}): Promise<void> {
    await this.#ask("reset", stream, options);
  }

  async renameStream(stream: string, to: string, options: CommandOptions = {}): Promise<void> {
    await this.#ask("rename", stream, options, { to });
  }

  /** Raises no alarm of a stream until a time, milliseconds since 1970; undefined: does so again. Throws `bad_argument` in a group without scores. */
  async muteAlarms(stream: string, until: number | undefined, options: CommandOptions = {}): Promise<void> {
    await this.#ask(until === undefined ? "unmute" : "mute", stream, options, { until });
  }

  /**
   * Gives a stream an alarm budget of its own, such as 1/week; undefined: its group's again. Throws `bad_argument` where it is none, and in a
   * group without scores.
   */
  async setAlarmBudget(stream: string, budget: string | undefined, options: CommandOptions = {}): Promise<void> {
    await this.#ask("budget", stream, options, { budget: budget ?? null });
  }

  /** Says what a stream's open or last alarm was. Throws `bad_argument` where it has had none. */
  async callAlarm(stream: string, verdict: Verdict, options: CommandOptions = {}): Promise<void> {
    await this.#ask(verdict, stream, options);
  }

  /** Of streams that have had an alarm, are muted or have a budget of their own, how that stands: open ones first. */
  listAlarms(): ListedAlarm[] {
    return listAlarms(this.#fold);
  }

  /** All streams, by key. */
  listStreams(): StreamFacts[] {
    return Array.from(this.#fold.streams(), ([key, ref]) => factsOf(key, ref)).toSorted((a, b) => (a.stream < b.stream ? -1 : 1));
  }

  /** The models in force and those before them. */
  listModels(): Promise<ListedModel[]> {
    return this.#models.list();
  }

  /** Puts the model in a file in force for a group; see `ModelSwitch.promoteFile`. */
  promoteModel(file: string, group: string, options?: PromoteOptions): Promise<Switched> {
    return this.#models.promoteFile(file, group, options);
  }

  /** Puts the version in force that was before; see `ModelSwitch.rollback`. */
  rollbackModel(group: string): Promise<Switched> {
    return this.#models.rollback(group);
  }

  /** Puts a version in force again that was; see `ModelSwitch.restore`. */
  restoreModel(version: string, group: string): Promise<Switched> {
    return this.#models.restore(version, group);
  }

  /** Has a fine-tune of a group's model begin; what comes of it is decided by and by. See `LearningLoop.ask`. */
  async fineTune(group: string): Promise<{ readonly group: string }> {
    if (this.#learning === undefined) throw nothingTunes();
    await this.#learning.ask(group);
    return { group };
  }

  /** @internal A request of the control socket. */
  async handle(method: string, params: unknown): Promise<unknown> {
    const fields = new Map<string, unknown>(Object.entries(params ?? {}));
    const text = (name: string): string | undefined => {
      const value = fields.get(name);
      return typeof value === "string" ? value : undefined;
    };
    switch (method) {
      case "streams":
        return this.listStreams();
      case "alarms":
        return this.listAlarms();
      case "models":
        return this.listModels();
      case "promote":
        return this.promoteModel(text("file") ?? "", text("group") ?? "", { unverified: fields.get("unverified") === true });
      case "rollback":
        return this.rollbackModel(text("group") ?? "");
      case "tune":
        return this.fineTune(text("group") ?? "");
    }
    if (!isCommandName(method)) throw new HiddenstateError("bad_argument", `cannot answer "${method}": there is no such method`);
    const transaction = text("transaction");
    const to = text("to");
    return this.#ask(method, text("stream") ?? "", transaction === undefined ? {} : { transaction }, {
      state: fields.get("state"),
      until: fields.get("until"),
      budget: fields.get("budget"),
      ...(to === undefined ? {} : { to }),
    });
  }
}
