// Commands that come as MQTT messages on `hiddenstate/<node>/command/<name>`: JSON with a transaction and an expiry. What cannot even be
// answered goes to the dead-letter topic; everything else is answered below `hiddenstate/<node>/response/`.
import type { Delivery } from "../message/delivery.ts";
import { parseIsoTime } from "../message/iso-time.ts";
import { responseTopic } from "../message/topics.ts";
import type { Answer, CommandName, Commands, TuneAnswer } from "./commands.ts";
import { commandNames } from "./commands.ts";
import type { Ledger } from "./ledger.ts";
import type { Refusals } from "./refusals.ts";

const encoder = new TextEncoder();

/** The one command that is about a group; the others are about a stream. */
const TUNE = "tune";
const KNOWN = [...commandNames, TUNE].join(", ");

interface Parsed {
  readonly transaction: string;
  readonly expires: number;
  /** The stream or the group. */
  readonly subject: string;
  readonly state: unknown;
  readonly to: string | undefined;
  readonly until: number | undefined;
  readonly budget: unknown;
}

function timeOf(value: unknown): number | undefined {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  const time = typeof value === "string" ? parseIsoTime(value) : undefined;
  return time?.zoned === true ? time.ms : undefined;
}

/** The command's fields, or what is wrong with them. */
function parse(name: string, payload: Uint8Array): Parsed | string {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString());
  } catch {
    return "it is not JSON";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "it is not a JSON object";
  const fields = new Map<string, unknown>(Object.entries(value));
  const transaction = fields.get("transaction");
  const about = name === TUNE ? "group" : "stream";
  const subject = fields.get(about);
  const to = fields.get("to");
  const expires = timeOf(fields.get("expires"));
  if (typeof transaction !== "string" || transaction === "") return '"transaction" must be a text';
  if (expires === undefined) return '"expires" must be milliseconds since 1970, or an ISO 8601 time with zone';
  if (typeof subject !== "string") return `"${about}" must be a text`;
  if (to !== undefined && typeof to !== "string") return '"to" must be a text';
  const until = timeOf(fields.get("until"));
  return { transaction, expires, subject, state: fields.get("state"), to, until, budget: fields.get("budget") };
}

export class MqttCommands {
  readonly #node: string;
  readonly #commands: Commands;
  readonly #ledger: Ledger;
  readonly #refusals: Refusals;

  constructor(node: string, commands: Commands, ledger: Ledger, refusals: Refusals) {
    this.#node = node;
    this.#commands = commands;
    this.#ledger = ledger;
    this.#refusals = refusals;
  }

  async handle(delivery: Delivery, name: string): Promise<void> {
    if (delivery.retain)
      return this.#refusals.message(delivery, "retained", "a retained command would be carried out again and again");
    const parsed = parse(name, delivery.payload);
    if (typeof parsed === "string") return this.#refusals.message(delivery, "bad_command", `cannot read the command: ${parsed}`);
    const command = name === TUNE ? TUNE : commandNames.find((known) => known === name);
    let topic: string;
    try {
      topic = responseTopic(this.#node, parsed.transaction);
    } catch (thrown) {
      return this.#refusals.message(delivery, "bad_command", String(thrown));
    }
    if (command === undefined) return this.#refuse(topic, parsed, `there is no command "${name}", only ${KNOWN}`);
    if (parsed.expires < delivery.receivedAt) return this.#refuse(topic, parsed, "it has expired");
    await this.#execute(topic, command, parsed);
  }

  #refuse(topic: string, { transaction }: Parsed, reason: string): void {
    const message = `cannot carry out the command: ${reason}`;
    this.#answer(topic, { transaction, ok: false, error: { code: "bad_argument", message } });
  }

  async #execute(topic: string, command: CommandName | typeof TUNE, parsed: Parsed): Promise<void> {
    const before = this.#ledger.position;
    const { transaction, subject, state, to, until, budget } = parsed;
    const request = { stream: subject, transaction, state, until, budget, ...(to === undefined ? {} : { to }) };
    const answer =
      command === TUNE
        ? await this.#commands.fineTune(subject, transaction)
        : await this.#commands.execute({ command, ...request }, true);
    // A change brings its own answer; a question, a refusal and a repetition have changed nothing.
    if (this.#ledger.position === before) this.#answer(topic, answer);
  }

  #answer(topic: string, answer: Answer | TuneAnswer): void {
    this.#ledger.push({ kind: "notice", topic, payload: encoder.encode(JSON.stringify(answer)) });
  }
}
