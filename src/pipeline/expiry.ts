// Forgets streams that have been silent for too long. Silence is measured by the wall clock, so it says nothing while that clock is not
// set, or has just been.
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
}

export class Expiry {
  readonly #options: ExpiryOptions;
  #lookedAtMs: number;
  #lookedAtWallMs: number;

  constructor(options: ExpiryOptions) {
    this.#options = options;
    this.#lookedAtMs = options.clock.monotonicMs();
    this.#lookedAtWallMs = options.clock.wallMs();
  }

  get isDue(): boolean {
    return this.#options.clock.monotonicMs() >= this.#lookedAtMs + limits.streamExpiryCheckMs;
  }

  /** Removes what is due, each as an event. */
  async run(): Promise<void> {
    const { fold, ledger, clock, metrics, streamExpiryMs } = this.#options;
    if (!this.#clockWasSteady() || !clock.isSynced()) return;
    const before = clock.wallMs() - streamExpiryMs;
    const expired = Array.from(fold.streams()).filter(([, { group, row }]) => group.columns.receivedAt[row]! < before);
    for (const [key, { group, row }] of expired) {
      await ledger.flush();
      const event = { kind: "streamRemoved", group: group.index, row, key } as const;
      await fold.apply(event);
      ledger.push(event);
      metrics.counter("streams_expired").add();
    }
  }

  /** Whether the wall clock has gone like the monotonic one since the last look. */
  #clockWasSteady(): boolean {
    const { clock } = this.#options;
    const [wallMs, monotonicMs] = [clock.wallMs(), clock.monotonicMs()];
    const jumpMs = wallMs - this.#lookedAtWallMs - (monotonicMs - this.#lookedAtMs);
    this.#lookedAtWallMs = wallMs;
    this.#lookedAtMs = monotonicMs;
    return Math.abs(jumpMs) < limits.clockJumpMs;
  }
}
