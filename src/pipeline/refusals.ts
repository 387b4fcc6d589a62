// Everything that was not accepted: counted by reason, and where a payload is at fault sent to the dead-letter topic, so that nothing
// vanishes. Dead letters are events of the journal, at a bounded rate; past it they are still counted.
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Delivery } from "../message/delivery.ts";
import type { PayloadReason } from "../message/payload-error.ts";
import { deadLetterTopic } from "../message/topics.ts";
import type { Ledger } from "./ledger.ts";

/** Of a whole message. `retained`: the broker's memory, not a reading. `poison`: it brought a mistake of ours to light. */
export type MessageReason = PayloadReason | "unknown_topic" | "bad_command" | "retained" | "poison";

/**
 * Of a single reading. `bad_key`: the payload names a part that makes no stream key. `foreign_stream`: the key belongs to a stream of
 * another group. `identity_missing`: the stream's other readings carry boot and sequence. `missing`: a value is missing and nothing stands
 * in for it. `cardinality`: the bound of streams is reached. `rate`: the stream sends more than its group allows.
 */
export type ReadingReason =
  | "duplicate"
  | "stale_boot"
  | "boot_conflict"
  | "identity_missing"
  | "nonfinite"
  | "range"
  | "missing"
  | "bad_key"
  | "foreign_stream"
  | "cardinality"
  | "rate";

/** Reasons that are nobody's fault, or that a flood would only make worse by answering. */
const UNANSWERED: ReadonlySet<string> = new Set<MessageReason | ReadingReason>([
  "retained",
  "duplicate",
  "stale_boot",
  "cardinality",
  "rate",
]);

const encoder = new TextEncoder();

export class Refusals {
  readonly #ledger: Ledger;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #topic: string;
  #allowance: number = limits.deadLettersBurstMax;
  #allowanceAtMs: number;

  constructor(node: string, ledger: Ledger, metrics: Metrics, clock: Clock) {
    this.#topic = deadLetterTopic(node);
    this.#ledger = ledger;
    this.#metrics = metrics;
    this.#clock = clock;
    this.#allowanceAtMs = clock.monotonicMs();
  }

  message(delivery: Delivery, reason: MessageReason, detail: string): void {
    this.#metrics.counter("messages_refused", reason).add();
    this.#deadLetter(delivery, reason, detail, {});
  }

  /** Readings of a message refused for one reason; `detail` describes the first of them. */
  readings(delivery: Delivery, reason: ReadingReason, count: number, stream: string, detail: string): void {
    this.#metrics.counter("readings_refused", reason).add(count);
    this.#deadLetter(delivery, reason, detail, { stream, readings: count });
  }

  #deadLetter(
    delivery: Delivery,
    reason: MessageReason | ReadingReason,
    detail: string,
    about: Readonly<Record<string, unknown>>,
  ): void {
    if (UNANSWERED.has(reason)) return;
    if (!this.#takeAllowance()) {
      this.#metrics.counter("dead_letters_suppressed").add();
      return;
    }
    this.#metrics.counter("dead_letters").add();
    const { topic, payload, payloadBytes = payload.length, receivedAt } = delivery;
    const kept = payload.subarray(0, limits.deadLetterPayloadBytesMax);
    const letter = {
      reason,
      detail,
      ...about,
      topic,
      receivedAt,
      payloadBytes,
      payload: Buffer.from(kept.buffer, kept.byteOffset, kept.length).toString("base64"),
    };
    this.#ledger.push({ kind: "notice", topic: this.#topic, payload: encoder.encode(JSON.stringify(letter)) });
  }

  /** A token bucket on the monotonic clock. */
  #takeAllowance(): boolean {
    const now = this.#clock.monotonicMs();
    const earned = ((now - this.#allowanceAtMs) / 1000) * limits.deadLettersPerSecondMax;
    this.#allowance = Math.min(limits.deadLettersBurstMax, this.#allowance + earned);
    this.#allowanceAtMs = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }
}
