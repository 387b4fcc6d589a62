// Forgets streams that have been silent for too long. Silence is measured by the wall clock, so it says nothing while that clock is not
// set; and where it has been set, a stream's silence counts from then on: the times before were of another clock.
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Fold } from "./fold.ts";
import type { Ledger } from "./ledger.ts";

export interface ExpiryOptions {
  readonly fold: Fold;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Streams without a reading for this long are removed. */
  readonly streamExpiryMs: number;
  /** How often that is looked after; as in `limits` where absent. */
  readonly streamExpiryCheckMs?: number;
  /** From what difference on the wall clock has been set; as in `limits` where absent. */
  readonly clockJumpMs?: number;
}

export class Expiry {
  readonly #options: ExpiryOptions;
  readonly #checkMs: number;
  readonly #jumpMs: number;
  #lookedAtMs: number;
  #lookedAtWallMs: number;
  /** When the wall clock was last seen to have been set, on itself. */
  #setAtWallMs = -Infinity;

  constructor(options: ExpiryOptions) {
    this.#options = options;
    this.#checkMs = options.streamExpiryCheckMs ?? limits.streamExpiryCheckMs;
    this.#jumpMs = options.clockJumpMs ?? limits.clockJumpMs;
    this.#lookedAtMs = options.clock.monotonicMs();
    this.#lookedAtWallMs = options.clock.wallMs();
  }

  get isDue(): boolean {
    return this.#options.clock.monotonicMs() >= this.#lookedAtMs + this.#checkMs;
  }

  /** As late again. */
  get isOverdue(): boolean {
    return this.#options.clock.monotonicMs() >= this.#lookedAtMs + 2 * this.#checkMs;
  }

  /** Removes what is due, each as an event. Nothing may be staged. */
  run(): void {
    const { fold, ledger, clock, metrics, streamExpiryMs } = this.#options;
    this.#look();
    if (!clock.isSynced()) return;
    const before = clock.wallMs() - streamExpiryMs;
    if (this.#setAtWallMs >= before) return;
    const expired = Array.from(fold.streams()).filter(
      // What is held has been acked: it is released before long, and counts as heard of.
      ([, { group, row }]) => group.columns.receivedAt[row]! < before && group.held.of(row).length === 0,
    );
    for (const [key, { group, row }] of expired) {
      fold.removeStream(group, row);
      ledger.push({ kind: "streamRemoved", group: group.index, row, key });
      metrics.counter("streams_expired").add();
    }
  }

  /** Notices whether the wall clock has gone another way than the monotonic one since the last look. */
  #look(): void {
    const { clock } = this.#options;
    const [wallMs, monotonicMs] = [clock.wallMs(), clock.monotonicMs()];
    const jumpMs = wallMs - this.#lookedAtWallMs - (monotonicMs - this.#lookedAtMs);
    this.#lookedAtWallMs = wallMs;
    this.#lookedAtMs = monotonicMs;
    if (Math.abs(jumpMs) >= this.#jumpMs) this.#setAtWallMs = wallMs;
  }
}
