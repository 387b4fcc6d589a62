// What must hold, whatever happens: recovered states are a beginning of what should be and long enough, outputs are right, repeated
// to the bit and in order, nothing leaves too early, and in the end nothing is owed.
import type { StateTensors } from "../../src/engine/engine.ts";
import { createStateTensors } from "../../src/engine/engine.ts";
import type { Metrics } from "../../src/base/metrics.ts";
import { decodePrediction } from "../../src/message/prediction.ts";
import type { OutboundMessage } from "../../src/mqtt/packet-port.ts";
import type { Fold, StreamRef } from "../../src/pipeline/fold.ts";
import { shortVersion } from "../../src/model/model.ts";
import type { StreamGroup } from "../../src/pipeline/stream-group.ts";
import type { Recovered } from "../../src/pipeline/recover.ts";
import { hasExpiry } from "./fault-plan.ts";
import type { GroupPlan, Plan } from "./fault-plan.ts";
import type { SimBroker } from "./sim-broker.ts";
import { owedKey, Reference } from "./reference.ts";
import type { SessionMoment } from "./reference-session.ts";
import type { ModelsInForce } from "./reference.ts";
import { variantOf } from "./sim-models.ts";
import type { ReferenceStream } from "./reference-stream.ts";
import { NODE } from "./sim-process.ts";

/** The wall clock is read in whole milliseconds. */
const EXPIRY_SLACK_MS = 2;
const PREDICTION_TOPIC = new RegExp(`^hiddenstate/${NODE}/prediction/([^/]+)(/latest)?$`);

function sameNumbers(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return a.length === b.length;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function sameTensors(a: StateTensors, b: StateTensors): boolean {
  return Object.entries(a).every(([name, values]) => sameNumbers(values, b[name]!));
}

function remembersAs({ recent }: StreamGroup, row: number, stream: ReferenceStream): boolean {
  const same = stream.recent.every(({ decay, x }, i) => sameNumbers(recent.at(row, i), [decay, ...x]));
  return recent.count(row) === stream.recent.length && same;
}

/** What the settings say of each group's models. */
function modelsIn({ groups }: Fold): ModelsInForce[] {
  return groups.map(({ index, settings: { version, configured, before } }) => ({
    variant: variantOf(index, version),
    configured: variantOf(index, configured),
    before: before.map((one) => variantOf(index, one)),
  }));
}

/** How a stream differs from what it should be; undefined where it does not. */
export function differenceOf({ group, row }: StreamRef, stream: ReferenceStream): string | undefined {
  const { columns } = group;
  const pairs: readonly (readonly [string, number, number])[] = [
    ["group", group.index, stream.group],
    ["steps", columns.steps[row]!, stream.steps],
    ["boot", columns.boot[row]!, stream.boot],
    ["nonce", columns.nonce[row]!, stream.nonce],
    ["sequence", columns.sequence[row]!, stream.sequence],
    ["time", columns.time[row]!, stream.time],
    ["receivedAt", columns.receivedAt[row]!, stream.receivedAt],
    ["median interval", columns.medianInterval(row), stream.medianInterval()],
    ["held readings", group.held.of(row).length, stream.held.length],
  ];
  for (const [name, is, should] of pairs) if (!Object.is(is, should)) return `${name} is ${is}, not ${should}`;
  const sequences = group.held.of(row).map(({ sequence }) => sequence);
  if (
    !sameNumbers(
      sequences,
      stream.held.map(({ reading }) => reading.sequence),
    )
  )
    return "it holds other readings";
  const D = group.features;
  if (!sameNumbers(columns.held.subarray(row * D, (row + 1) * D), stream.last)) return "last values differ";
  if (columns.heldAt !== undefined && !sameNumbers(columns.heldAt.subarray(row * D, (row + 1) * D), stream.lastAt))
    return "the times of its last values differ";
  if (group.model.version !== stream.model.model.version) return "it is stepped by another model";
  if (group.settings.switch === "replay" && !remembersAs(group, row, stream)) return "its last readings differ";
  // Where it has yet to be rebuilt, what it will be built from is all there is to see.
  if (group.recent.isStale(row)) return undefined;
  const state = createStateTensors(group.engine.spec.states);
  group.engine.read(columns.slot[row]!, state);
  return sameTensors(state, stream.state) ? undefined : "the hidden state differs";
}

export class Oracles {
  readonly reference: Reference;
  readonly #plan: Plan;
  readonly #fail: (what: string) => void;
  /** By id: the bytes of a prediction that has left. */
  readonly #bytes = new Map<string, Uint8Array>();
  /** By topic, connection and id: predictions that have left. */
  readonly #sentOn = new Set<string>();
  readonly #responses = new Set<string>();
  /** By stream: how many outputs, in order, have left at least once. */
  readonly #sentUpTo = new Map<string, number>();
  /** When the last message was taken, in this life. */
  #takenAtMs: number | undefined;
  /** By stream that held readings: until when, Infinity where it still does. Such a stream is not forgotten. */
  readonly #holding = new Map<string, number>();
  /** A power cut since the last start. */
  #powerCut = false;
  #rotten = false;
  /** Checkpoints that were damaged, one at a time, and nothing else. */
  #spoiled = 0;

  constructor(plan: Plan, fail: (what: string) => void) {
    this.#plan = plan;
    this.#fail = fail;
    this.reference = new Reference(plan);
  }

  notePowerCut(): void {
    this.#powerCut = true;
  }

  /** What is durable has changed: from now on anything may be lost, though nothing may be wrong. */
  noteRot(): void {
    this.#rotten = true;
  }

  /** One of two whole checkpoints has changed: nothing may be lost by it. */
  noteSpoiledCheckpoint(): void {
    this.#spoiled++;
  }

  /** What may be lost: nothing that anyone was told of, as far as the mode promises it. */
  #keepsAllTold(): boolean {
    const { mode, faults } = this.#plan;
    if (this.#rotten || mode === "volatile") return false;
    return mode === "strict" || !(this.#powerCut || faults.has("syncError"));
  }

  recovered(fold: Fold, recovered: Recovered, damagedCheckpoints: number, startedAtMs: number): void {
    const { reference } = this;
    if (recovered.mismatches > 0) this.#fail(`${recovered.mismatches} replayed outputs differ`);
    if (recovered.damaged && !this.#rotten) this.#fail("the journal is called damaged, and nothing was damaged");
    // A header whose bits flip before it is synced looks like one that was finished; so does one written in two pieces that loses the first.
    const looksFinished = this.#plan.faults.has("bitFlips") || this.#plan.faults.has("shortOperations");
    if (damagedCheckpoints > this.#spoiled && !this.#rotten && !looksFinished)
      this.#fail(`${damagedCheckpoints} checkpoints are called damaged, and ${this.#spoiled} were`);
    const matches = (key: string, stream: ReferenceStream | undefined): boolean => {
      const ref = fold.find(key);
      if (ref === undefined || stream === undefined) return ref === undefined && stream === undefined;
      return differenceOf(ref, stream) === undefined;
    };
    const isSession = ({ inDoubt, isEmpty }: SessionMoment): boolean =>
      fold.sessionInDoubt === inDoubt && (fold.weakDeliveries.size === 0) === isEmpty;
    const last = reference.find(
      matches,
      (transaction) => fold.answers.get(transaction) !== undefined,
      isSession,
      recovered.position,
      modelsIn(fold),
    );
    if (last === undefined) return this.#fail(`the recovered state is no beginning of what should be: ${this.#describe(fold)}`);
    if (last < reference.told && this.#keepsAllTold()) {
      return this.#fail(`recovered up to operation ${last}, but the world has been told of ${reference.told}`);
    }
    if (last < reference.told) this.#forgetAfter(last);
    reference.rollBack(last, startedAtMs);
    this.#powerCut = false;
    this.#takenAtMs = undefined;
  }

  /** Outputs of readings that are lost may come a second time with other bytes. */
  #forgetAfter(last: number): void {
    for (const owed of this.reference.outputs()) {
      if (owed.operation <= last || !owed.isSent) continue;
      this.#sentUpTo.set(owed.stream, Math.min(this.#sentUpTo.get(owed.stream) ?? 0, owed.place));
    }
    this.#bytes.clear();
  }

  #describe(fold: Fold): string {
    return Array.from(this.reference.streams, ([key, stream]) => {
      const ref = fold.find(key);
      return `${key}: ${ref === undefined ? "absent" : (differenceOf(ref, stream) ?? "as at the end")}`;
    }).join("; ");
  }

  /** A message is about to be taken: what was due when the one before it was is forgotten by now. */
  taken(nowMs: number): void {
    const atMs = this.#takenAtMs;
    // What came at the same moment has its turn later.
    if (atMs === nowMs) return;
    this.#takenAtMs = nowMs;
    const { expiryMs, expiryCheckMs, faults } = this.#plan;
    // A switch reads models from the disk, and what comes meanwhile waits for its turn.
    const isPrompt = !faults.has("clockJumps") && !faults.has("switches") && !faults.has("updates");
    if (atMs === undefined || !hasExpiry(this.#plan) || !isPrompt) return;
    const graceMs = 3 * expiryCheckMs;
    if (atMs - this.reference.readyAtMs < graceMs) return;
    for (const [key, { heardMs, held }] of this.reference.streams) {
      if (held.length > 0) this.#holding.set(key, Infinity);
      else if (this.#holding.get(key) === Infinity) this.#holding.set(key, nowMs);
      const silentFromMs = Math.max(heardMs + expiryMs, this.#holding.get(key) ?? 0);
      if (atMs - silentFromMs > graceMs) this.#fail(`the stream ${key} is never forgotten`);
    }
  }

  /** The runtime forgets a stream: it must have been silent for long, by a clock that nobody has set meanwhile. */
  forgotten(key: string, position: number, nowMs: number, wallAtStartMs: number): void {
    const stream = this.reference.streams.get(key);
    if (stream === undefined) return this.#fail(`the stream ${key} is forgotten, which is not there`);
    const isOfBefore = stream.heardMs < this.reference.startedAtMs;
    const byWallMs = isOfBefore ? wallAtStartMs + nowMs - stream.receivedAt : 0;
    const silentMs = Math.max(nowMs - stream.heardMs, byWallMs);
    if (silentMs < this.#plan.expiryMs - EXPIRY_SLACK_MS) this.#fail(`the stream ${key} is forgotten after ${silentMs} ms`);
    if (stream.held.length > 0) this.#fail(`the stream ${key} is forgotten, with readings held`);
    this.reference.forget(key, position);
  }

  /** A message leaves; returns what is called when the broker has it. */
  sent(groups: readonly GroupPlan[], message: OutboundMessage, connection: string): () => void {
    const prediction = PREDICTION_TOPIC.exec(message.topic);
    if (prediction !== null && message.payload.length === 0) return this.#farewell(message, prediction[1]!);
    if (prediction !== null) return this.#prediction(groups, message, prediction[2] !== undefined, connection);
    const response = message.topic.startsWith(`hiddenstate/${NODE}/response/`);
    if (response) {
      const transaction = message.topic.slice(message.topic.lastIndexOf("/") + 1);
      const operation = this.reference.transactions.get(transaction);
      // A refusal tells of nothing, though the transaction may have been tried again since.
      const { ok } = JSON.parse(new TextDecoder().decode(message.payload)) as { ok: boolean };
      if (operation !== undefined && ok) this.reference.tell(operation);
      return () => this.#responses.add(transaction);
    }
    if (!message.topic.endsWith("/dead-letter")) this.#fail(`a message on ${message.topic}`);
    return () => {};
  }

  /** What was retained of a stream is cleared, where it has left its name. */
  #farewell({ topic, retain }: OutboundMessage, key: string): () => void {
    if (!retain || !this.reference.leftNames.has(key)) this.#fail(`nothing is said on ${topic}`);
    return () => {};
  }

  #prediction(
    groups: readonly GroupPlan[],
    { topic, payload }: OutboundMessage,
    isLatest: boolean,
    connection: string,
  ): () => void {
    const format = payload[0] === 0x7b ? "json" : "protobuf";
    if (!groups.some((group) => group.format === format) && !this.#plan.faults.has("configChanges"))
      this.#fail("a prediction in another format");
    const prediction = decodePrediction(format, payload);
    const { stream, boot, nonce, count, sequences, times, outputs } = prediction;
    const id = `${stream}/${boot}/${nonce}/${prediction.firstSequence}`;
    const where = `${topic} ${connection}`;
    const O = outputs.length / count;
    const all = Array.from(sequences, (sequence, i) => {
      const named = this.reference.owed.get(owedKey(stream, boot, nonce, sequence)) ?? [];
      const output = outputs.subarray(i * O, (i + 1) * O);
      const alike = named.filter(({ time, outputs: should }) => time === times[i] && sameNumbers(output, should));
      // Of two that nobody can tell apart it is the one that may come now.
      const due = alike.filter(({ place, operation }) => {
        const isInTurn = isLatest || place <= (this.#sentUpTo.get(stream) ?? 0) + i;
        const known = this.#bytes.get(`${id} of ${operation}`);
        const isItself = known === undefined || sameBytes(known, payload);
        return isInTurn && isItself && !this.#sentOn.has(`${where} ${id} of ${operation}`);
      });
      const owed = due.find(({ isPublished }) => !isPublished) ?? due[0] ?? alike[0] ?? named.at(-1);
      if (owed === undefined) this.#fail(`a prediction for ${id}, reading ${sequence}, which was not accepted`);
      else if (shortVersion(owed.version) !== prediction.version) this.#fail(`${id}: it names another model than stepped it`);
      else if (owed.time !== times[i]) this.#fail(`${id}, reading ${sequence}: its time is ${times[i]}, not ${owed.time}`);
      else if (!sameNumbers(output, owed.outputs)) this.#fail(`${id}: wrong outputs`);
      return owed;
    });
    this.#repetition(`${id} of ${all[0]?.operation}`, payload, where);
    for (const owed of all) {
      if (owed === undefined || isLatest) continue;
      this.reference.tell(owed.operation);
      owed.isSent = true;
      const upTo = this.#sentUpTo.get(stream) ?? 0;
      if (owed.place > upTo) this.#fail(`${id} is published before the one before it`);
      this.#sentUpTo.set(stream, Math.max(upTo, owed.place + 1));
    }
    return () => {
      for (const owed of all) if (owed !== undefined) owed.isPublished = true;
    };
  }

  /** Sent again it has the same bytes, and on each connection it is sent once. */
  #repetition(id: string, payload: Uint8Array, where: string): void {
    const known = this.#bytes.get(id);
    if (known !== undefined && !sameBytes(known, payload)) this.#fail(`${id} is repeated with other bytes`);
    this.#bytes.set(id, payload);
    const sent = `${where} ${id}`;
    if (this.#sentOn.has(sent)) this.#fail(`${id} is published twice on one connection`);
    this.#sentOn.add(sent);
  }

  /** Nothing is left to be published. */
  get isAllPublished(): boolean {
    for (const owed of this.reference.outputs()) if (!owed.isPublished) return false;
    return true;
  }

  /** What should have been answered over MQTT, of these transactions, and was not. */
  unanswered(transactions: readonly string[]): string | undefined {
    // The answer to a repetition may be lost, though not the command.
    if (this.#rotten) return undefined;
    return transactions.find((transaction) => this.reference.transactions.has(transaction) && !this.#responses.has(transaction));
  }

  /** In a moment of rest: every stream is as it should be, and the counters of this life add up. */
  atRest(fold: Fold, metrics: Metrics, { refused: refusedPublishes, closedOverCount }: SimBroker): void {
    for (const [group, is] of modelsIn(fold).entries()) {
      if (!this.reference.isInForce(group, is)) this.#fail(`group ${group} is on ${JSON.stringify(is)}`);
    }
    for (const [key, stream] of this.reference.streams) {
      const ref = fold.find(key);
      const difference = ref === undefined ? "it is absent" : differenceOf(ref, stream);
      if (difference !== undefined) this.#fail(`${key}: ${difference}`);
    }
    if (fold.streamCount !== this.reference.streams.size) this.#fail(`there are ${fold.streamCount} streams`);
    const counters = metrics.snapshot();
    const expect = (name: string, should: number): void => {
      const is = counters[name] ?? 0;
      if (is !== should) this.#fail(`${name} is ${is}, not ${should}`);
    };
    expect("readings_accepted", this.reference.accepted);
    expect('publish_refused{reason="quota_exceeded"}', refusedPublishes);
    const givenUp = counters['publish_refused{reason="closed_on_publish"}'] ?? 0;
    if (givenUp > closedOverCount)
      this.#fail(`${givenUp} messages are given up, and the broker would not have ${closedOverCount}`);
    let refused = 0;
    for (const [name, value] of Object.entries(counters)) if (name.startsWith("readings_refused{")) refused += value;
    for (const [reason, count] of this.reference.refused) expect(`readings_refused{reason="${reason}"}`, count);
    expect("readings_kept", this.reference.kept);
    expect("readings_received", this.reference.accepted + this.reference.kept + refused + this.heldMore);
  }

  /** Readings held now, less those held when the life began: neither accepted nor refused. */
  heldMore = 0;
}
