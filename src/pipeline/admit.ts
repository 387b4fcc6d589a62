// Takes messages in: decodes them, refuses those that cannot be readings of a stream as a whole, and has the others judged reading by
// reading.
import type { Clock } from "../base/clock.ts";
import { reasonOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { limits } from "../base/limits.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Delivery } from "../message/delivery.ts";
import { decodeLayout, layoutHash } from "../message/layout.ts";
import { PayloadError } from "../message/payload-error.ts";
import type { Readings } from "../message/reading.ts";
import { partStreamKey, validateStreamKey } from "../message/stream-key.ts";
import type { Fold } from "./fold.ts";
import { contentHash, JudgeReadings, RefusedReadings } from "./judge-readings.ts";
import type { Batch } from "./judge-readings.ts";
import type { Ledger } from "./ledger.ts";
import type { ReadingReason, Refusals } from "./refusals.ts";
import { Reorder } from "./reorder.ts";
import type { ReadingsRoute, Routes } from "./routes.ts";

export interface AdmitOptions {
  readonly fold: Fold;
  readonly ledger: Ledger;
  readonly refusals: Refusals;
  readonly routes: Routes;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
  readonly streamsMax: number;
  /** A lower boot is believed after this; as in `limits` where absent. */
  readonly bootSilenceMs?: number;
}

export class Admit {
  readonly #options: AdmitOptions;
  readonly #fold: Fold;
  readonly #judge: JudgeReadings;
  readonly #reorder: Reorder;
  readonly #layoutNames = (hash: number): readonly string[] | undefined => this.#fold.layouts.get(hash)?.names;

  constructor(options: AdmitOptions) {
    const { fold, ledger, metrics, clock, bootSilenceMs } = options;
    this.#options = options;
    this.#fold = fold;
    this.#reorder = new Reorder(fold, ledger, metrics, clock);
    this.#judge = new JudgeReadings({ fold, ledger, reorder: this.#reorder, metrics, clock, bootSilenceMs });
  }

  layout(delivery: Delivery): void {
    this.#decoding(delivery, () => {
      const { names, units } = decodeLayout(delivery.payload);
      const hash = layoutHash(names);
      if (this.#fold.layouts.get(hash) !== undefined) return;
      const event = { kind: "layout", hash, names, units } as const;
      this.#fold.addLayout(event);
      this.#options.ledger.push(event);
    });
  }

  /** Returns how many readings there were, refused or not. */
  message(delivery: Delivery, route: ReadingsRoute): number {
    if (delivery.retain) {
      this.#options.refusals.message(delivery, "retained", "retained messages are no readings");
      return 0;
    }
    const { entry, key } = route;
    const decode = (): readonly Readings[] =>
      entry.codec.decode(delivery.payload, entry.features, this.#layoutNames, route, delivery.receivedAt);
    const decoded = this.#decoding(delivery, decode);
    if (decoded?.length === 0) this.passOver();
    for (const { topic, payload } of entry.codec.takeRequests?.() ?? []) {
      this.#options.metrics.counter("messages_requested").add();
      this.#options.ledger.push({ kind: "notice", topic, payload });
    }
    let count = 0;
    for (const [index, readings] of (decoded ?? []).entries()) {
      count += readings.count;
      this.#readings({ delivery, entry, key: partStreamKey(key, readings.part), readings, index });
    }
    return count;
  }

  /** Counts a message that a kind of device sends beside its readings. */
  passOver(): void {
    this.#options.metrics.counter("messages_passed_over").add();
  }

  /** Releases held readings that have waited too long. Returns in how many milliseconds the next will have. */
  releaseOverdue(): number {
    return this.#reorder.releaseOverdue((group) => this.#options.routes.entryOf(group)?.reorder);
  }

  /** Runs a decoder. What it refuses is refused with its reason; a mistake of ours must not come back with every redelivery. */
  #decoding<T>(delivery: Delivery, decode: () => T): T | undefined {
    try {
      return decode();
    } catch (thrown) {
      const { refusals, log } = this.#options;
      if (thrown instanceof PayloadError) {
        refusals.message(delivery, thrown.reason, thrown.message);
      } else {
        log.error("a message could not be decoded for a reason that is ours", {
          topic: delivery.topic,
          reason: reasonOf(thrown),
        });
        refusals.message(delivery, "poison", reasonOf(thrown));
      }
      return undefined;
    }
  }

  #readings(batch: Batch): void {
    const { delivery, key, readings } = batch;
    this.#options.metrics.counter("readings_received").add(readings.count);
    const refused = new RefusedReadings();
    const whole = this.#reasonAgainstAll(batch);
    if (whole !== undefined) refused.add(whole.reason, () => whole.detail, readings.count);
    else this.#judge.judge(batch, refused);
    for (const [reason, { count, detail }] of refused.entries())
      this.#options.refusals.readings(delivery, reason, count, key, detail);
  }

  /** A reason that holds for every reading of the batch. */
  #reasonAgainstAll(batch: Batch): { reason: ReadingReason; detail: string } | undefined {
    const { entry, key, readings } = batch;
    if (readings.part !== undefined) {
      const reason = entry.pattern.allowsParts ? validateStreamKey(key) : "below # a part could be another device";
      if (reason !== undefined) return { reason: "bad_key", detail: `the stream key "${key}" cannot be used: ${reason}` };
    }
    // Also where its stream has another name by now, or is gone.
    if (this.#isWeakRepeat(batch)) return { reason: "duplicate", detail: "sent again after a cut" };
    const ref = this.#fold.find(key);
    if (ref === undefined) return this.#reasonAgainstNew(entry.group);
    if (ref.group.index !== entry.group) {
      return { reason: "foreign_stream", detail: `the stream "${key}" belongs to the group "${ref.group.settings.name}"` };
    }
    if (readings.identity !== undefined || ref.group.columns.boot[ref.row] === 0) return undefined;
    const detail = `the stream "${key}" has sent boot and sequence before, this message has none`;
    return { reason: "identity_missing", detail };
  }

  /** Why a group can take no further stream. */
  #reasonAgainstNew(index: number): { reason: ReadingReason; detail: string } | undefined {
    const { streamsMax } = this.#options;
    if (this.#fold.streamCount >= streamsMax) return { reason: "cardinality", detail: `there are ${streamsMax} streams already` };
    const { engine, columns } = this.#fold.groups[index]!;
    const hasOwn = engine.warmUp !== undefined && engine.shared === undefined;
    if (!hasOwn || columns.count < limits.learningStreamsMax) return undefined;
    const detail = `${columns.count} streams of the group learn by themselves already; more need a model, or "scope: group"`;
    return { reason: "cardinality", detail };
  }

  /** Without identity a message is a repeat only if the broker says so and its id and content are those of one accepted in this session. */
  #isWeakRepeat(batch: Batch): boolean {
    const { delivery, readings } = batch;
    if (readings.identity !== undefined) return false;
    return delivery.qos === 1 && delivery.dup && this.#fold.isWeakRepeat(delivery.packetId, contentHash(batch));
  }
}
