// What the runtime should have made of everything that reached it, in the order in which it did: a log of operations, the streams after
// each of them, and the outputs they owe. After a crash the runtime has a beginning of that log; which one is found out here, and
// that it is long enough.
import { isDeepStrictEqual } from "node:util";
import type { Delivery } from "../../src/message/delivery.ts";
import { hasRateLimits } from "./fault-plan.ts";
import type { GroupPlan, Plan } from "./fault-plan.ts";
import { ReferenceSession } from "./reference-session.ts";
import type { SessionMoment } from "./reference-session.ts";
import { ReferenceStream } from "./reference-stream.ts";
import type { ArrivedReading, Stepped } from "./reference-stream.ts";
import type { SimCommand, SimMessage, SimReadings } from "./sim-message.ts";
import { simModels } from "./sim-models.ts";
import type { SimModel } from "./sim-models.ts";

const YEAR_2020_MS = Date.UTC(2020, 0, 1);
const DAY_MS = 86_400_000;

export interface Owed extends Stepped {
  readonly stream: string;
  readonly operation: number;
  /** The place in the order of its stream's outputs. */
  readonly place: number;
  isSent: boolean;
  isPublished: boolean;
}

interface Moment {
  /** After this operation the stream was so. */
  readonly operation: number;
  readonly stream: ReferenceStream | undefined;
}

/** A group's models from an operation on, as variants. */
interface ModelsOfGroup {
  readonly operation: number;
  readonly variant: number;
  readonly configured: number;
  readonly before: readonly number[];
}

/** What is in force and was before, of a group of recovered settings. */
export type ModelsInForce = Omit<ModelsOfGroup, "operation">;

const BEFORE_MAX = 4;

function another({ variant, configured, before }: ModelsInForce, to: number): ModelsInForce {
  return { variant: to, configured, before: [...before.filter((one) => one !== to), variant].slice(-BEFORE_MAX) };
}

export function owedKey(stream: string, boot: number, nonce: number, sequence: number): string {
  return `${stream}/${boot}/${nonce}/${sequence}`;
}

/** A reading without identity that is no step: it lacks what nothing stands in for, or does not bring what is stepped on. */
function isOnlyKept({ reading: { missing } }: ArrivedReading, lacks: boolean, plan: GroupPlan): boolean {
  if (plan.holdMs === undefined || plan.missing === "refuse" || missing === undefined) return false;
  const steps = !plan.stepsOnLast || missing.at(-1) === 0;
  return missing.some((flag) => flag === 0) && (lacks || !steps);
}

export class Reference {
  #groups: readonly GroupPlan[];
  readonly #plan: Plan;
  /** Of the process, in virtual time. */
  startedAtMs = 0;
  readyAtMs = 0;
  #operations = 0;
  /** Since the last event ended. */
  #isChanged = false;
  readonly streams = new Map<string, ReferenceStream>();
  readonly #moments = new Map<string, Moment[]>();
  /** Of commands that had an effect. */
  readonly transactions = new Map<string, number>();
  readonly #session = new ReferenceSession();
  /** By `owedKey`: more than one where a name was given to another stream, which may begin anew. */
  readonly owed = new Map<string, Owed[]>();
  readonly #forgotten: { readonly operation: number; readonly position: number }[] = [];
  /** Names that a stream no longer has. */
  readonly leftNames = new Set<string>();
  readonly #places = new Map<string, number>();
  /** Every operation up to it may be relied upon: something has been told of it. */
  #told = -1;
  /** By group, the latest last. */
  #models: ModelsOfGroup[][] = [];
  accepted = 0;
  kept = 0;
  readonly refused = new Map<string, number>();

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#groups = plan.groups;
  }

  get operations(): number {
    return this.#operations;
  }

  /** A process begins, with its config and counters. `isNew`: the state directory is empty. */
  begin(groups: readonly GroupPlan[], startedAtMs: number, isNew: boolean): void {
    this.#groups = groups;
    this.startedAtMs = startedAtMs;
    this.accepted = 0;
    this.kept = 0;
    this.refused.clear();
    if (isNew) {
      this.#models = groups.map(({ model }) => [{ operation: -1, variant: model, configured: model, before: [] }]);
      return;
    }
    for (const [group, { model }] of groups.entries()) {
      const present = this.modelsOf(group);
      if (present.configured === model) continue;
      this.#switch(group, { ...(present.variant === model ? present : another(present, model)), configured: model });
    }
  }

  modelsOf(group: number): ModelsInForce {
    return this.#models[group]!.at(-1)!;
  }

  /** Whether a group's models, at an operation, are these. */
  isInForce(group: number, is: ModelsInForce, last = Infinity): boolean {
    const { variant, configured, before } = this.#models[group]!.findLast(({ operation }) => operation <= last)!;
    return isDeepStrictEqual(is, { variant, configured, before });
  }

  #modelOf(group: number): SimModel {
    return simModels[group]![this.modelsOf(group).variant]!;
  }

  /** A model comes into force by command. Returns the operation. */
  promote(group: number, variant: number): number {
    const present = this.modelsOf(group);
    return this.#switch(group, present.variant === variant ? present : another(present, variant));
  }

  /** The one before does. */
  rollback(group: number): number {
    const { configured, before } = this.modelsOf(group);
    return this.#switch(group, { variant: before.at(-1)!, configured, before: before.slice(0, -1) });
  }

  #switch(group: number, models: ModelsInForce): number {
    const isOther = models.variant !== this.modelsOf(group).variant;
    this.#models[group]!.push({ ...models, operation: this.#operations });
    for (const [key, stream] of this.streams) {
      if (!isOther || stream.group !== group) continue;
      stream.switchTo(this.#modelOf(group), this.#groups[group]!.switch);
      this.#remember(key);
    }
    return this.#operations++;
  }

  /** The world has been told of an operation: an ack, an answer, an output. */
  tell(operation: number): void {
    this.#told = Math.max(this.#told, operation);
  }

  /** Returns the operation. */
  deliver(message: SimMessage, delivery: Delivery, nowMs: number): number {
    const { meaning, flaw } = message;
    if (flaw === undefined && meaning.kind === "readings") this.#readings(message.id, meaning, delivery, nowMs);
    if (flaw === undefined && meaning.kind === "command") this.#command(meaning);
    return this.#operations++;
  }

  /** The intake is about to ask for a connection. Returns the operation that must last once it has; undefined where nothing is remembered. */
  connecting(): number | undefined {
    if (this.#session.inDoubt) this.#session.forget(this.#operations++);
    if (this.#session.isEmpty) return undefined;
    this.#session.doubt(this.#operations);
    return this.#operations++;
  }

  answered(present: boolean): void {
    if (!present && !this.#session.isEmpty) this.#session.forget(this.#operations++);
    if (present && this.#session.inDoubt) this.#session.believe(this.#operations++);
  }

  command(command: SimCommand): number {
    this.#command(command);
    return this.#operations++;
  }

  #command({ command, stream: key, transaction, state, to }: SimCommand): void {
    const stream = this.streams.get(key);
    if (stream === undefined || this.transactions.has(transaction)) return;
    if (to !== undefined && this.streams.has(to)) return;
    if (command === "set" && !stream.hasShapesOf(state!)) return;
    this.transactions.set(transaction, this.#operations);
    if (to === undefined) {
      stream.become(command === "set" ? state : undefined);
    } else {
      this.#leave(key);
      this.streams.set(to, stream);
    }
    this.#remember(to ?? key);
  }

  #leave(key: string): void {
    this.streams.delete(key);
    this.leftNames.add(key);
    this.#remember(key);
  }

  /** The runtime has forgotten a stream, by an event of this journal position or a later one. */
  forget(key: string, position: number): void {
    this.#leave(key);
    this.#forgotten.push({ operation: this.#operations++, position });
  }

  #refuse(reason: string, count = 1): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + count);
  }

  #readings(id: number, message: SimReadings, delivery: Delivery, nowMs: number): void {
    const { readings, stream: key, identity } = message;
    if (identity === undefined && this.#session.has(id)) return this.#refuse("duplicate", readings.length);
    const isNew = !this.streams.has(key);
    if (isNew && this.streams.size >= this.#plan.streamsMax) return this.#refuse("cardinality", readings.length);
    const { receivedAt, clockSynced } = delivery;
    const weakId = identity === undefined && delivery.qos === 1 ? id : undefined;
    const deviceTime = readings.every(({ time }) => time >= YEAR_2020_MS && time <= receivedAt + DAY_MS);
    const known = this.streams.get(key);
    if (known !== undefined) this.#releaseDue(key, known);
    for (const reading of readings) {
      const time = deviceTime ? Math.round(reading.time) : receivedAt;
      const { boot, nonce } = identity ?? { boot: 0, nonce: 0 };
      this.#reading(weakId, message, { boot, nonce, reading, time, deviceTime, clockSynced, receivedAt }, nowMs);
    }
    this.#endEvent(key);
  }

  #reading(weakId: number | undefined, message: SimReadings, arrived: ArrivedReading, nowMs: number): void {
    const { stream: key, group, identity } = message;
    const plan = this.#groups[group]!;
    const known = this.streams.get(key);
    const verdict = known === undefined || identity === undefined ? "accepted" : known.judge(arrived, nowMs);
    if (verdict !== "accepted" && verdict !== "gap") return this.#refuse(verdict);
    if (!arrived.reading.values.every((value, d) => arrived.reading.missing?.[d] === 1 || Number.isFinite(value))) {
      return this.#refuse("nonfinite");
    }
    const lacks = (known ?? new ReferenceStream(group, this.#modelOf(group))).cannotFill(arrived.reading, arrived.time, plan);
    const isKept = identity === undefined && isOnlyKept(arrived, lacks, plan);
    if (lacks && !isKept) return this.#refuse("missing");
    const stream = known ?? this.#add(key, group);
    if (hasRateLimits(this.#plan) && !stream.takes(nowMs - this.startedAtMs, plan.rate)) return this.#refuse("rate");
    stream.seenMs = nowMs;
    stream.heardMs = nowMs;
    if (isKept) {
      this.#endEvent(key);
      stream.keep(arrived);
      this.kept++;
      this.#isChanged = true;
      return this.#endEvent(key);
    }
    if (verdict === "gap" && plan.reorder !== undefined) {
      this.#endEvent(key);
      stream.hold(arrived, nowMs);
      this.#isChanged = true;
      this.#endEvent(key);
    } else {
      if (stream.steps > 0 && identity !== undefined && arrived.boot !== stream.boot) this.#releaseAll(key, stream);
      if (weakId !== undefined) this.#session.add(weakId, this.#operations);
      this.#accept(key, stream, arrived, identity !== undefined);
    }
    this.#releaseDue(key, stream);
  }

  #add(key: string, group: number): ReferenceStream {
    const stream = new ReferenceStream(group, this.#modelOf(group));
    this.streams.set(key, stream);
    this.#isChanged = true;
    this.#endEvent(key);
    return stream;
  }

  /**
   * What happened to a stream so far is one event of the journal, and a crash can leave what follows undone: a message may come to several
   * operations.
   */
  #endEvent(key: string): void {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    this.#remember(key);
    this.#operations++;
  }

  #accept(key: string, stream: ReferenceStream, arrived: ArrivedReading, counted: boolean, isReleased = false): void {
    const stepped = stream.accept(arrived, counted, this.#groups[stream.group]!, isReleased);
    this.accepted++;
    this.#isChanged = true;
    const place = this.#places.get(key) ?? 0;
    this.#places.set(key, place + 1);
    const owed = { ...stepped, stream: key, operation: this.#operations, place, isSent: false, isPublished: false };
    const id = owedKey(key, stepped.boot, stepped.nonce, stepped.sequence);
    this.owed.set(id, [...(this.owed.get(id) ?? []), owed]);
  }

  /** All outputs. */
  *outputs(): Generator<Owed> {
    for (const alike of this.owed.values()) yield* alike;
  }

  /** Releases held readings whose turn has come, or that are too many. */
  #releaseDue(key: string, stream: ReferenceStream): void {
    const bound = this.#groups[stream.group]!.reorder?.readings ?? 0;
    while (stream.held.length > 0) {
      if (stream.held[0]!.reading.sequence !== stream.sequence + 1 && stream.held.length <= bound) return;
      this.#releaseRun(key, stream);
    }
  }

  #releaseAll(key: string, stream: ReferenceStream): void {
    while (stream.held.length > 0) this.#releaseRun(key, stream);
  }

  /** What follows each other goes on as if it had come together: with the last one's arrival, and trusted where all are. */
  #releaseRun(key: string, stream: ReferenceStream): void {
    this.#endEvent(key);
    const run = stream.takeRun();
    const deviceTime = run.every((held) => held.deviceTime);
    const clockSynced = run.every((held) => held.clockSynced);
    const { receivedAt } = run.at(-1)!;
    for (const held of run) this.#accept(key, stream, { ...held, deviceTime, clockSynced, receivedAt }, true, true);
    this.#endEvent(key);
  }

  /** When the first held reading of a stream will have waited too long; Infinity where nothing is held. */
  overdueAtMs(key: string): number {
    const stream = this.streams.get(key);
    if (stream === undefined || stream.held.length === 0) return Infinity;
    const withinMs = this.#groups[stream.group]!.reorder?.withinMs ?? 0;
    return Math.min(...stream.held.map(({ sinceMs }) => sinceMs)) + withinMs;
  }

  /** Time is up for what a stream holds. */
  releaseOverdue(key: string): void {
    this.#releaseAll(key, this.streams.get(key)!);
  }

  #remember(key: string): void {
    const moments = this.#moments.get(key) ?? [];
    this.#moments.set(key, moments);
    moments.push({ operation: this.#operations, stream: this.streams.get(key)?.copy() });
  }

  /**
   * The last operation of the beginning of the log that `matches` says was recovered: the latest there is; undefined where it is none.
   * `matches`: whether a stream was recovered as it was then; `isDone`: whether a command was, which need not show; `isSession`: whether
   * the packet ids were. `position`: where the journal ends. `inForce`: the models, by group.
   */
  find(
    matches: (key: string, stream: ReferenceStream | undefined) => boolean,
    isDone: (transaction: string) => boolean,
    isSession: (moment: SessionMoment) => boolean,
    position: number,
    inForce: readonly ModelsInForce[],
  ): number | undefined {
    const known = new Map<Moment, boolean>();
    const absent = new Map<string, boolean>();
    const fits = (key: string, moment: Moment | undefined): boolean => {
      let is = moment === undefined ? absent.get(key) : known.get(moment);
      if (is !== undefined) return is;
      is = matches(key, moment?.stream);
      if (moment === undefined) absent.set(key, is);
      else known.set(moment, is);
      return is;
    };
    // Without a stream that came and went things look as they did before it came.
    const later = this.#forgotten.find((event) => event.position >= position);
    for (let last = Math.min(this.#operations, later?.operation ?? Infinity) - 1; last >= -1; last--) {
      const all = Array.from(this.#moments).every(([key, moments]) =>
        fits(
          key,
          moments.findLast(({ operation }) => operation <= last),
        ),
      );
      const commands = Array.from(this.transactions).every(
        ([transaction, operation]) => operation <= last === isDone(transaction),
      );
      const models = inForce.every((recovered, group) => this.isInForce(group, recovered, last));
      if (all && commands && models && isSession(this.#session.at(last))) return last;
    }
    return undefined;
  }

  /** The last operation that may not be lost. */
  get told(): number {
    return this.#told;
  }

  /** A process takes messages from now on: the silence of streams counts from here. */
  ready(nowMs: number): void {
    this.readyAtMs = nowMs;
    for (const stream of this.streams.values()) stream.seenMs = nowMs;
  }

  /** Forgets what came after an operation. What is held waits anew since the start of the process. */
  rollBack(last: number, startedAtMs: number): void {
    this.#operations = last + 1;
    this.#models = this.#models.map((models) => models.filter(({ operation }) => operation <= last));
    this.#told = Math.min(this.#told, last);
    this.streams.clear();
    for (const [key, moments] of this.#moments) {
      while (moments.length > 0 && moments.at(-1)!.operation > last) moments.pop();
      const stream = moments.at(-1)?.stream?.copy();
      if (stream === undefined) continue;
      stream.held = stream.held.map((held) => ({ ...held, sinceMs: startedAtMs }));
      this.streams.set(key, stream);
    }
    for (const [transaction, operation] of this.transactions) if (operation > last) this.transactions.delete(transaction);
    this.#session.rollBack(last);
    while (this.#forgotten.length > 0 && this.#forgotten.at(-1)!.operation > last) this.#forgotten.pop();
    this.#places.clear();
    for (const [key, alike] of this.owed) {
      const left = alike.filter(({ operation }) => operation <= last);
      if (left.length === 0) this.owed.delete(key);
      else this.owed.set(key, left);
      for (const { stream, place } of left) this.#places.set(stream, Math.max(this.#places.get(stream) ?? 0, place + 1));
    }
  }
}
