// Commands that come as MQTT messages on `hiddenstate/<node>/command/<name>`: JSON with a transaction and an expiry. What cannot even be
// answered goes to the dead-letter topic; everything else is answered below `hiddenstate/<node>/response/`.
import type { Delivery } from "../message/delivery.ts";
import { parseIsoTime } from "../message/iso-time.ts";
import { responseTopic } from "../message/topics.ts";
import type { Answer, CommandName, Commands } from "./commands.ts";
import { commandNames } from "./commands.ts";
import type { Ledger } from "./ledger.ts";
import type { Refusals } from "./refusals.ts";

const encoder = new TextEncoder();

interface Parsed {
  readonly transaction: string;
  readonly expires: number;
  readonly stream: string;
  readonly state: unknown;
  readonly to: string | undefined;
  readonly until: number | undefined;
}

function timeOf(value: unknown): number | undefined {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  const time = typeof value === "string" ? parseIsoTime(value) : undefined;
  return time?.zoned === true ? time.ms : undefined;
}

/** The command's fields, or what is wrong with them. */
function parse(payload: Uint8Array): Parsed | string {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString());
  } catch {
    return "it is not JSON";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "it is not a JSON object";
  const fields = new Map<string, unknown>(Object.entries(value));
  const transaction = fields.get("transaction");
  const stream = fields.get("stream");
  const to = fields.get("to");
  const expires = timeOf(fields.get("expires"));
  if (typeof transaction !== "string" || transaction === "") return '"transaction" must be a text';
  if (expires === undefined) return '"expires" must be milliseconds since 1970, or an ISO 8601 time with zone';
  if (typeof stream !== "string") return '"stream" must be a text';
  if (to !== undefined && typeof to !== "string") return '"to" must be a text';
  return { transaction, expires, stream, state: fields.get("state"), to, until: timeOf(fields.get("until")) };
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
    const parsed = parse(delivery.payload);
    if (typeof parsed === "string") return this.#refusals.message(delivery, "bad_command", `cannot read the command: ${parsed}`);
    const command = commandNames.find((known) => known === name);
    let topic: string;
    try {
      topic = responseTopic(this.#node, parsed.transaction);
    } catch (thrown) {
      return this.#refusals.message(delivery, "bad_command", String(thrown));
    }
    if (command === undefined)
      return this.#refuse(topic, parsed, `there is no command "${name}", only ${commandNames.join(", ")}`);
    if (parsed.expires < delivery.receivedAt) return this.#refuse(topic, parsed, "it has expired");
    await this.#execute(topic, command, parsed);
  }

  #refuse(topic: string, { transaction }: Parsed, reason: string): void {
    const message = `cannot carry out the command: ${reason}`;
    this.#answer(topic, { transaction, ok: false, error: { code: "bad_argument", message } });
  }

  async #execute(topic: string, command: CommandName, parsed: Parsed): Promise<void> {
    const before = this.#ledger.position;
    const { transaction, stream, state, to, until } = parsed;
    const answer = await this.#commands.execute(
      { command, stream, transaction, state, until, ...(to === undefined ? {} : { to }) },
      true,
    );
    // A change brings its own answer; a question, a refusal and a repetition have changed nothing.
    if (this.#ledger.position === before) this.#answer(topic, answer);
  }

  #answer(topic: string, answer: Answer): void {
    this.#ledger.push({ kind: "notice", topic, payload: encoder.encode(JSON.stringify(answer)) });
  }
}
