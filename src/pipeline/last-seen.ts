// When each stream of a group was last heard of, on the monotonic clock of this process: a wall clock that is set must not look like
// silence. Before a stream's first reading in this process its silence counts from the start.
import { grown } from "../base/grown.ts";

export class LastSeen {
  readonly #startMs: number;
  #atMs = new Float64Array(0);

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  atMs(row: number): number {
    return this.#atMs[row] ?? this.#startMs;
  }

  note(row: number, nowMs: number): void {
    const before = this.#atMs.length;
    if (row >= before) {
      this.#atMs = grown(this.#atMs, new Float64Array(Math.max(row + 1, 2 * before, 16)));
      this.#atMs.fill(this.#startMs, before);
    }
    this.#atMs[row] = nowMs;
  }
}
