// A token bucket for each stream of a group: so many readings a second, and so many at once. It judges only what comes in; nothing of it
// is durable, and every bucket is full after a start.
import { grown } from "../base/grown.ts";

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export class RateLimit {
  readonly #rate: Rate;
  #tokens = new Float64Array(0);
  #atMs = new Float64Array(0);

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** A stream takes a row: another one may have had it before. */
  begin(row: number, nowMs: number): void {
    if (row >= this.#tokens.length) return;
    this.#tokens[row] = this.#rate.burst;
    this.#atMs[row] = nowMs;
  }

  /** Whether a stream may bring one more reading now. */
  takes(row: number, nowMs: number): boolean {
    if (row >= this.#tokens.length) this.#grow(row + 1, nowMs);
    const earned = ((nowMs - this.#atMs[row]!) / 1000) * this.#rate.perSecond;
    const tokens = Math.min(this.#rate.burst, this.#tokens[row]! + earned);
    this.#atMs[row] = nowMs;
    this.#tokens[row] = tokens < 1 ? tokens : tokens - 1;
    return tokens >= 1;
  }

  #grow(rows: number, nowMs: number): void {
    const before = this.#tokens.length;
    const capacity = Math.max(rows, 2 * before, 16);
    this.#tokens = grown(this.#tokens, new Float64Array(capacity));
    this.#atMs = grown(this.#atMs, new Float64Array(capacity));
    this.#tokens.fill(this.#rate.burst, before);
    this.#atMs.fill(nowMs, before);
  }
}
