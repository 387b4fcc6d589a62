// Commands that read or change one stream: from the library, the control socket or MQTT, all through the same lines, each at a position
// in the stream's order, each at most once by its transaction.
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { StateTensors } from "../engine/engine.ts";
import type { CommandEvent } from "../journal/events.ts";
import { shortestFloat32 } from "../message/float32-text.ts";
import { validateStreamKey } from "../message/stream-key.ts";
import { alarmCommandNames, alarmEventOf, alarmPhrase } from "./alarm-commands.ts";
import type { AlarmCommandDetails, AlarmCommandName } from "./alarm-commands.ts";
import type { Fold, StreamRef } from "./fold.ts";
import type { Ledger } from "./ledger.ts";
import { parseOutsideState } from "../engine/outside-state.ts";

export type CommandName = "get" | "set" | "reset" | "rename" | AlarmCommandName;
export const commandNames: readonly CommandName[] = ["get", "set", "reset", "rename", ...alarmCommandNames];

export interface CommandRequest extends AlarmCommandDetails {
  readonly command: CommandName;
  /** 1 to 128 bytes, chosen by whoever asks: a repetition is answered, not done again. */
  readonly transaction: string;
  /** Of `set`: arrays by tensor name. */
  readonly state?: unknown;
  /** Of `rename`: the new stream key. */
  readonly to?: string;
}

/** What is known of a stream besides its hidden state. */
export interface StreamFacts {
  readonly stream: string;
  readonly group: string;
  /** Readings stepped so far. */
  readonly steps: number;
  /** The last accepted reading's; boot 0 without identity, sequence -1 before the first. */
  readonly boot: number;
  readonly sequence: number;
  readonly time: number;
  readonly version: string;
}

export type Answer =
  | {
      readonly transaction: string;
      readonly ok: true;
      readonly command: CommandName;
      readonly stream: string;
      readonly facts?: StreamFacts;
      readonly state?: Readonly<Record<string, readonly number[]>>;
    }
  | Refusal;

interface Refusal {
  readonly transaction: string;
  readonly ok: false;
  readonly error: { readonly code: ErrorCode; readonly message: string };
}

export type TuneAnswer =
  | { readonly transaction: string; readonly ok: true; readonly command: "tune"; readonly group: string }
  | Refusal;

/** Has a fine-tune of a group's model begin; rejects with why it cannot. */
export type FineTune = (group: string) => Promise<unknown>;

export function factsOf(key: string, { group, row }: StreamRef): StreamFacts {
  const { columns, settings } = group;
  return {
    stream: key,
    group: settings.name,
    steps: columns.steps[row]!,
    boot: columns.boot[row]!,
    sequence: columns.sequence[row]!,
    time: columns.time[row]!,
    version: settings.version,
  };
}

function numbersOf(state: StateTensors): Record<string, number[]> {
  return Object.fromEntries(Object.entries(state).map(([name, values]) => [name, Array.from(values, shortestFloat32)]));
}

function alarmCommandOf({ command }: CommandRequest): AlarmCommandName | undefined {
  return alarmCommandNames.find((name) => name === command);
}

/** What a refused request is told not to do. */
function phraseOf(request: CommandRequest): string {
  const onAlarms = alarmCommandOf(request);
  return onAlarms === undefined ? `${request.command} the state` : alarmPhrase(onAlarms, request.stream);
}

/** A refused command's answer. Throws what is no refusal. */
function refusalOf(transaction: string, thrown: unknown): Refusal {
  if (!(thrown instanceof HiddenstateError)) throw thrown;
  return { transaction, ok: false, error: { code: thrown.code, message: reasonOf(thrown) } };
}

export class Commands {
  readonly #fold: Fold;
  readonly #ledger: Ledger;
  readonly #fineTune: FineTune;

  constructor(fold: Fold, ledger: Ledger, fineTune: FineTune) {
    this.#fold = fold;
    this.#ledger = ledger;
    this.#fineTune = fineTune;
  }

  /**
   * Carries a command out at the present position; its answer may leave once that position is durable. With `reply` the event itself
   * brings the answer to MQTT, after a crash too.
   */
  async execute(request: CommandRequest, reply: boolean): Promise<Answer> {
    await this.#ledger.flush();
    try {
      const known = this.#fold.answers.get(request.transaction);
      if (known !== undefined) return JSON.parse(known) as Answer;
      const ref = this.#find(request);
      if (request.command === "get") {
        await ref.group.rebuild(ref.row, ref.row + 1);
        return this.#get(request, ref);
      }
      const event = this.#eventOf(request, ref, reply);
      this.#fold.applyCommand(event);
      this.#ledger.push(event);
      return JSON.parse(this.#fold.answerOf(event)) as Answer;
    } catch (thrown) {
      return refusalOf(request.transaction, thrown);
    }
  }

  /** Has a fine-tune begin, of which no state knows: what is journalled, and answers a repetition, is that it was asked for. */
  async fineTune(group: string, transaction: string): Promise<TuneAnswer> {
    const before = this.#fold.answers.get(transaction);
    if (before !== undefined) return JSON.parse(before) as TuneAnswer;
    try {
      await this.#fineTune(group);
    } catch (thrown) {
      return refusalOf(transaction, thrown);
    }
    const answer: TuneAnswer = { transaction, ok: true, command: "tune", group };
    const event = { kind: "answered", transaction, answer: JSON.stringify(answer) } as const;
    await this.#fold.apply(event);
    this.#ledger.push(event);
    return answer;
  }

  #find(request: CommandRequest): StreamRef {
    const bytes = Buffer.byteLength(request.transaction);
    if (bytes === 0 || bytes > limits.transactionBytesMax) {
      throw new HiddenstateError(
        "bad_argument",
        `cannot ${phraseOf(request)}: a transaction has 1 to ${limits.transactionBytesMax} bytes`,
      );
    }
    const ref = this.#fold.find(request.stream);
    if (ref === undefined) {
      throw new HiddenstateError(
        "unknown_stream",
        `cannot ${phraseOf(request)}: there is no stream "${request.stream}"; list them first`,
      );
    }
    return ref;
  }

  #get(request: CommandRequest, ref: StreamRef): Answer {
    const state = numbersOf(ref.group.readState(ref.row));
    const { transaction, stream } = request;
    return { transaction, ok: true, command: "get", stream, facts: factsOf(stream, ref), state };
  }

  #eventOf(request: CommandRequest, { group, row }: StreamRef, reply: boolean): CommandEvent {
    const { command } = request;
    const fields = { group: group.index, row, transaction: request.transaction, reply };
    if (command === "set") {
      return { kind: "stateSet", ...fields, state: parseOutsideState(request.state, group.engine.spec.states) };
    }
    if (command === "reset") return { kind: "stateReset", ...fields };
    const onAlarms = alarmCommandOf(request);
    if (onAlarms !== undefined) return alarmEventOf(onAlarms, request, { group, row }, fields);
    const key = request.to ?? "";
    const reason =
      validateStreamKey(key) ?? (this.#fold.find(key) === undefined ? undefined : "there is a stream of that name already");
    if (reason !== undefined)
      throw new HiddenstateError("bad_argument", `cannot rename "${request.stream}" to "${key}": ${reason}`);
    return { kind: "streamRenamed", ...fields, from: request.stream, key };
  }
}
