// Virtual time: whatever is to happen stands in a heap, and the next of it happens when the loop asks. Every process has its own view
// of it: a monotonic clock that starts with the process, a wall clock that may be wrong, and timers that die with it.
import type { Clock, Timer } from "../../src/base/clock.ts";

/** What a timer takes at least: what rounding takes away from a moment must not stop time. */
const TICK_MS = 1e-6;

interface Entry {
  readonly atMs: number;
  /** Breaks ties: first come, first served. */
  readonly order: number;
  /** Cleared once run or cancelled. */
  run: (() => void) | undefined;
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

export class VirtualClock {
  #nowMs = 0;
  #order = 0;
  readonly #heap: Entry[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, run: () => void): Timer {
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#up(entry);
    return {
      cancel: () => {
        entry.run = undefined;
      },
    };
  }

  /** Lets the next thing happen; false where nothing is to come. */
  step(): boolean {
    for (;;) {
      const entry = this.#pop();
      if (entry === undefined) return false;
      if (entry.run === undefined) continue;
      this.#nowMs = entry.atMs;
      const { run } = entry;
      entry.run = undefined;
      run();
      return true;
    }
  }

  #up(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

/** The wall clock of the box, which outlives processes and may be set. */
export class WallClock {
  offsetMs = Date.UTC(2026, 0, 1);
  isSynced = true;
}

/** One life of a process: what it was about to do when it ends is never done. */
export class Life implements Clock {
  readonly #time: VirtualClock;
  readonly #wall: WallClock;
  readonly #startedAtMs: number;
  #isOver = false;

  constructor(time: VirtualClock, wall: WallClock) {
    this.#time = time;
    this.#wall = wall;
    this.#startedAtMs = time.nowMs;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  end(): void {
    this.#isOver = true;
  }

  wallMs(): number {
    return Math.floor(this.#wall.offsetMs + this.#time.nowMs);
  }

  monotonicMs(): number {
    return this.#time.nowMs - this.#startedAtMs;
  }

  isSynced(): boolean {
    return this.#wall.isSynced;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#time.schedule(Math.max(delayMs, TICK_MS), () => {
      if (!this.#isOver) run();
    });
  }

  soon(run: () => void): void {
    this.#time.schedule(0, () => {
      if (!this.#isOver) run();
    });
  }
}
