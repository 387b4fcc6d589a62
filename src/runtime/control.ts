// What can be asked of a state directory, whether a runtime is running on it or it has been opened for the question: one set of
// methods behind the library, the control socket and the command line.
import { HiddenstateError } from "../base/errors.ts";
import { randomName } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import { factsOf } from "../pipeline/commands.ts";
import type { Answer, CommandName, StreamFacts } from "../pipeline/commands.ts";
import { commandNames } from "../pipeline/commands.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";

export type StateNumbers = Readonly<Record<string, readonly number[]>>;

/** A stream's state as it is exported: what `set` and `import` take back. */
export interface StreamState {
  readonly facts: StreamFacts;
  readonly state: StateNumbers;
}

export interface CommandOptions {
  /** 1 to 128 bytes; a command of a transaction already carried out is answered, not done again. A random one where absent. */
  readonly transaction?: string;
}

function isCommandName(value: unknown): value is CommandName {
  return commandNames.some((name) => name === value);
}

export class Control {
  readonly #fold: Fold;
  readonly #pipeline: Pipeline;
  readonly #random: Random;

  constructor(fold: Fold, pipeline: Pipeline, random: Random) {
    this.#fold = fold;
    this.#pipeline = pipeline;
    this.#random = random;
  }

  async #ask(
    command: CommandName,
    stream: string,
    options: CommandOptions,
    details: { state?: unknown; to?: string } = {},
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

  /** All streams, by key. */
  listStreams(): StreamFacts[] {
    return Array.from(this.#fold.streams(), ([key, ref]) => factsOf(key, ref)).toSorted((a, b) => (a.stream < b.stream ? -1 : 1));
  }

  /** A request of the control socket. */
  async handle(method: string, params: unknown): Promise<unknown> {
    if (method === "streams") return this.listStreams();
    if (!isCommandName(method)) throw new HiddenstateError("bad_argument", `cannot answer "${method}": there is no such method`);
    const fields = new Map(Object.entries(params ?? {}));
    const text = (name: string): string | undefined => {
      const value: unknown = fields.get(name);
      return typeof value === "string" ? value : undefined;
    };
    const transaction = text("transaction");
    const to = text("to");
    return this.#ask(method, text("stream") ?? "", transaction === undefined ? {} : { transaction }, {
      state: fields.get("state"),
      ...(to === undefined ? {} : { to }),
    });
  }
}
