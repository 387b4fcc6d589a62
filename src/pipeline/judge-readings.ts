// Judges the readings of one message one by one, in order. Accepted readings are staged and become an event, those that come before their
// turn are held, and what is refused has a reason. A refused reading does not move the stream's sequence: the next one is a gap of one,
// live and in a replay.
import type { Clock } from "../base/clock.ts";
import { crc32c } from "../base/crc32c.ts";
import { limits } from "../base/limits.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Delivery } from "../message/delivery.ts";
import { isAccepted, judgeSequence } from "../message/identity.ts";
import type { SequenceJudgement } from "../message/identity.ts";
import type { Readings } from "../message/reading.ts";
import { AcceptedReadings } from "./accepted-readings.ts";
import type { Arrived } from "./accepted-readings.ts";
import type { Fold, StreamRef } from "./fold.ts";
import { LastSeen } from "./last-seen.ts";
import type { Ledger } from "./ledger.ts";
import type { ReadingReason } from "./refusals.ts";
import type { Reorder } from "./reorder.ts";
import type { Entry } from "./routes.ts";

const YEAR_2020_MS = Date.UTC(2020, 0, 1);
const DAY_MS = 24 * 3600 * 1000;
const encoder = new TextEncoder();

/** How many readings of a message were refused for a reason, and what was wrong with the first of them. */
export class RefusedReadings {
  readonly #byReason = new Map<ReadingReason, { count: number; readonly detail: string }>();

  add(reason: ReadingReason, detail: () => string, count = 1): void {
    const known = this.#byReason.get(reason);
    if (known === undefined) this.#byReason.set(reason, { count, detail: detail() });
    else known.count += count;
  }

  entries(): IterableIterator<[ReadingReason, { readonly count: number; readonly detail: string }]> {
    return this.#byReason.entries();
  }
}

interface Fault {
  readonly reason: ReadingReason;
  readonly detail: () => string;
}

// Made here and not where a reading is judged: a closure there would have its variables allocated for every value of every good reading.
function nonfinite(feature: string, value: number): Fault {
  return { reason: "nonfinite", detail: () => `"${feature}" is ${value}` };
}

function outOfRange(feature: string, value: number): Fault {
  return { reason: "range", detail: () => `"${feature}" is ${value}, outside what the config allows` };
}

function outOfSequence(reason: ReadingReason, boot: number, sequence: number): Fault {
  return { reason, detail: () => `boot ${boot}, sequence ${sequence}` };
}

function nothingInstead(feature: string): Fault {
  return { reason: "missing", detail: () => `"${feature}" is missing and there is nothing to put in its place` };
}

const overRate = (): string => "the stream sends more than its group allows";

/** Readings of one stream out of a message: the `index`th such run in it. */
export interface Batch {
  readonly delivery: Delivery;
  readonly entry: Entry;
  readonly key: string;
  readonly readings: Readings;
  readonly index: number;
}

/** What tells a message from another of the same packet id, and the runs in it from one another. */
export function contentHash({ delivery, index }: Batch): number {
  return crc32c(delivery.payload, crc32c(encoder.encode(delivery.topic), index));
}

function arrivedOf({ delivery, readings }: Batch): Arrived {
  const { receivedAt, clockSynced } = delivery;
  const arrived = { readings, receivedAt, clockSynced, fromHeld: false };
  let [plausible, whole] = [true, true];
  for (const time of readings.times) {
    if (!(time >= YEAR_2020_MS && time <= receivedAt + DAY_MS)) plausible = false;
    if (!Number.isInteger(time)) whole = false;
  }
  if (!plausible) return { ...arrived, times: new Float64Array(readings.count).fill(receivedAt), deviceTimes: false };
  return { ...arrived, times: whole ? readings.times : readings.times.map(Math.round), deviceTimes: true };
}

export interface JudgeOptions {
  readonly fold: Fold;
  readonly ledger: Ledger;
  readonly reorder: Reorder;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** A lower boot is believed after this; as in `limits` where absent. */
  readonly bootSilenceMs?: number | undefined;
}

export class JudgeReadings {
  readonly #fold: Fold;
  readonly #ledger: Ledger;
  readonly #reorder: Reorder;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  /** What is compared, filled for each reading: objects made anew would be most of the garbage. */
  readonly #last = { boot: 0, nonce: 0, sequence: 0, seenMs: 0 };
  readonly #next = { boot: 0, nonce: 0, sequence: 0, seenMs: 0 };
  /** By group. */
  readonly #lastSeen: LastSeen[] = [];
  readonly #startMs: number;
  readonly #bootSilenceMs: number | undefined;

  constructor(options: JudgeOptions) {
    this.#fold = options.fold;
    this.#ledger = options.ledger;
    this.#reorder = options.reorder;
    this.#metrics = options.metrics;
    this.#clock = options.clock;
    this.#bootSilenceMs = options.bootSilenceMs;
    this.#startMs = options.clock.monotonicMs();
  }

  judge(batch: Batch, refused: RefusedReadings): void {
    const { entry, readings } = batch;
    const arrived = arrivedOf(batch);
    let ref = this.#fold.find(batch.key);
    // Under another config fewer may be held than are.
    if (ref !== undefined) this.#reorder.release(ref, entry.reorder);
    let accepted: AcceptedReadings | undefined;
    const close = (): void => {
      if (accepted !== undefined) this.#push(accepted, batch);
      accepted = undefined;
    };
    for (let i = 0; i < readings.count; i++) {
      if (ref !== undefined && this.#reorder.isDue(ref)) {
        close();
        this.#reorder.release(ref, entry.reorder);
      }
      const verdict = this.#verdict(ref, batch, i);
      const own = this.#fault(batch, i, verdict);
      const fault = own ?? this.#missingFault(ref, batch, i, arrived.times[i]!);
      const isKept = own === undefined && this.#isKept(batch, i, fault !== undefined);
      if (fault !== undefined && !isKept) {
        refused.add(fault.reason, fault.detail);
        continue;
      }
      // Not before: whatever is refused must not count against the bound of streams.
      ref ??= this.#addStream(entry, batch.key);
      if (entry.rate?.takes(ref.row, this.#clock.monotonicMs()) === false) {
        refused.add("rate", overRate);
        continue;
      }
      this.#lastSeenOf(ref.group.index).note(ref.row, this.#clock.monotonicMs());
      if (isKept) {
        close();
        this.#keep(ref, arrived, i);
        continue;
      }
      if (verdict?.verdict === "gap" && entry.reorder !== undefined) {
        close();
        this.#reorder.hold(ref, arrived, i);
        this.#reorder.release(ref, entry.reorder);
        continue;
      }
      if (verdict?.verdict === "new_boot" || verdict?.verdict === "boot_reset") this.#reorder.releaseAll(ref);
      accepted ??= new AcceptedReadings(this.#fold, ref, arrived);
      const missed = verdict?.missed ?? 0;
      if (missed > 0) this.#metrics.counter("readings_missed").add(missed);
      if (accepted.add(i, missed)) this.#metrics.counter("time_backwards").add();
    }
    close();
    if (ref !== undefined) this.#reorder.release(ref, entry.reorder);
  }

  #push(accepted: AcceptedReadings, batch: Batch): void {
    const { delivery, readings } = batch;
    this.#metrics.counter("readings_accepted").add(accepted.count);
    const isWeak = readings.identity === undefined && delivery.qos === 1;
    const weakDelivery = isWeak ? { packetId: delivery.packetId, contentHash: contentHash(batch) } : undefined;
    if (weakDelivery) this.#fold.rememberWeakDelivery(weakDelivery.packetId, weakDelivery.contentHash);
    this.#ledger.push(accepted.event(weakDelivery), accepted.firstStaged);
  }

  /** Undefined where the readings carry no identity: each is the next. */
  #verdict(ref: StreamRef | undefined, { readings }: Batch, i: number): SequenceJudgement | undefined {
    const { identity } = readings;
    if (identity === undefined) return undefined;
    const [last, next] = [this.#last, this.#next];
    next.boot = identity.boot;
    next.nonce = identity.nonce;
    next.sequence = readings.sequences[i]!;
    next.seenMs = this.#clock.monotonicMs();
    if (ref === undefined || ref.group.columns.steps[ref.row] === 0) return judgeSequence(undefined, next);
    const { group, row } = ref;
    last.boot = group.columns.boot[row]!;
    last.nonce = group.columns.nonce[row]!;
    last.sequence = group.columns.sequence[row]!;
    last.seenMs = this.#lastSeenOf(group.index).atMs(row);
    const judged = judgeSequence(last, next, this.#bootSilenceMs);
    const isHeld = judged.verdict === "gap" && group.held.has(row, next.sequence);
    return isHeld ? { verdict: "duplicate", missed: 0 } : judged;
  }

  #lastSeenOf(group: number): LastSeen {
    return (this.#lastSeen[group] ??= new LastSeen(this.#startMs));
  }

  /** What is wrong with a reading by itself, or by its place in the sequence. */
  #fault({ entry, readings }: Batch, i: number, verdict: SequenceJudgement | undefined): Fault | undefined {
    if (verdict !== undefined && !isAccepted(verdict.verdict)) {
      return outOfSequence(verdict.verdict as ReadingReason, readings.identity!.boot, readings.sequences[i]!);
    }
    const D = entry.features.length;
    for (let d = 0; d < D; d++) {
      if (readings.missing !== undefined && readings.missing[i * D + d] === 1) continue;
      const value = readings.values[i * D + d]!;
      if (!Number.isFinite(value)) return nonfinite(entry.features[d]!, value);
      if (value < entry.min[d]! || value > entry.max[d]! || Math.abs(value) > limits.featureMagnitudeMax) {
        return outOfRange(entry.features[d]!, value);
      }
    }
    return undefined;
  }

  /** Whether the stream, which need not be there yet, has nothing to put in the place of a missing value. */
  #missingFault(ref: StreamRef | undefined, { entry, readings }: Batch, i: number, time: number): Fault | undefined {
    if (readings.missing === undefined) return undefined;
    const group = this.#fold.groups[entry.group]!;
    const unfillable = group.unfillable(ref?.row, readings.missing, i * entry.features.length, time);
    return unfillable < 0 ? undefined : nothingInstead(entry.features[unfillable]!);
  }

  /** Whether a reading without identity is only kept: it lacks what nothing stands in for, or brings nothing that is stepped on. */
  #isKept({ entry, readings }: Batch, i: number, lacks: boolean): boolean {
    if (readings.missing === undefined || readings.identity !== undefined) return false;
    const { holdMs, missing: policies } = this.#fold.groups[entry.group]!.settings;
    if (holdMs === undefined) return false;
    const D = entry.features.length;
    let brings = false;
    let steps = entry.stepOn === undefined;
    for (let d = 0; d < D; d++) {
      const isMissing = readings.missing[i * D + d] === 1;
      if (isMissing && policies[d] === "refuse") return false;
      brings ||= !isMissing;
      steps ||= !isMissing && entry.stepOn![d]!;
    }
    return brings && (lacks || !steps);
  }

  #keep({ group, row }: StreamRef, { readings, receivedAt, times }: Arrived, i: number): void {
    const [from, to] = [i * group.features, (i + 1) * group.features];
    const [values, missing] = [readings.values.slice(from, to), readings.missing!.slice(from, to)];
    const event = { kind: "kept", group: group.index, row, receivedAt, time: times[i]!, values, missing } as const;
    this.#fold.applyKept(event);
    this.#ledger.push(event);
    this.#metrics.counter("readings_kept").add();
  }

  #addStream(entry: Entry, key: string): StreamRef {
    const group = this.#fold.groups[entry.group]!;
    const event = { kind: "streamAdded", group: entry.group, row: group.columns.nextRow, key } as const;
    this.#ledger.push(event);
    entry.rate?.begin(event.row, this.#clock.monotonicMs());
    return this.#fold.addStream(event.group, event.row, key);
  }
}
