// How far apart a stream's readings usually are: the median of its last 15 intervals, of journalled times only.
import type { RowLayout } from "./row-layout.ts";

const INTERVALS = 15;
/** Until a stream has shown one, and where its times stand still. */
const INTERVAL_MS_ASSUMED = 60_000;
export const WEEK_MS = 7 * 24 * 3_600_000;

export class Interval {
  readonly #at: number;
  readonly #sorted = new Float64Array(INTERVALS);

  /** The last time, how many intervals came, and the last of them. */
  constructor(layout: RowLayout) {
    this.#at = layout.take(2 + INTERVALS);
  }

  begin(row: Float64Array): void {
    row.fill(0, this.#at, this.#at + 2 + INTERVALS);
    row[this.#at] = Number.NaN;
  }

  /** Takes in the time of a reading. One that does not go on, or over a week at once, is no interval. */
  add(row: Float64Array, time: number): void {
    const at = this.#at;
    if (!Number.isFinite(time)) return;
    const interval = time - row[at]!;
    row[at] = time;
    if (!(interval > 0 && interval <= WEEK_MS)) return;
    row[at + 2 + (row[at + 1]! % INTERVALS)] = interval;
    row[at + 1]!++;
  }

  /** In ms. */
  median(row: Float64Array): number {
    const count = Math.min(row[this.#at + 1]!, INTERVALS);
    if (count === 0) return INTERVAL_MS_ASSUMED;
    const first = this.#at + 2;
    const sorted = this.#sorted;
    // Insertion: no array is made, and fifteen are few.
    for (let i = 0; i < count; i++) {
      let place = i;
      const value = row[first + i]!;
      while (place > 0 && sorted[place - 1]! > value) sorted[place] = sorted[--place]!;
      sorted[place] = value;
    }
    return sorted[count >> 1]!;
  }
}
