// A quantity that jumps between levels at random moments, as loads and setpoints do, and what follows it with a lag. Both are functions
// of the step alone.
import { bitsAt, uniformAt } from "./noise.ts";

/** Segments before the present one that a lagging value remembers; what lies further back has faded by e^-10 at the least. */
const MEMORY_SEGMENTS = 16;

export class Levels {
  readonly #seed: number;
  readonly #levels: readonly number[];
  readonly #slotSteps: number;

  /** A jump about every `slotSteps` steps, each to another of `levels`. */
  constructor(seed: number, levels: readonly number[], slotSteps: number) {
    this.#seed = seed;
    this.#levels = levels;
    this.#slotSteps = slotSteps;
  }

  /** The segment that a step lies in. */
  segmentOf(step: number): number {
    const slot = Math.floor(step / this.#slotSteps);
    return step < this.startOf(slot) ? slot - 1 : slot;
  }

  /** The first step of a segment: somewhere in the first half of its slot, so that no segment is shorter than half a slot. */
  startOf(segment: number): number {
    return segment * this.#slotSteps + Math.floor((uniformAt(this.#seed, segment) * this.#slotSteps) / 2);
  }

  levelOf(segment: number): number {
    const count = this.#levels.length;
    const pick = bitsAt(this.#seed + 1, segment) % count;
    // Segments that would repeat the level before them take the next one; even and odd are told apart so that the rule needs no history.
    if (segment % 2 === 0) return this.#levels[pick]!;
    const before = bitsAt(this.#seed + 1, segment - 1) % count;
    const after = bitsAt(this.#seed + 1, segment + 1) % count;
    let free = pick;
    for (let i = 0; i < count && (free === before || free === after); i++) free = (free + 1) % count;
    return this.#levels[free]!;
  }

  at(step: number): number {
    return this.levelOf(this.segmentOf(step));
  }
}

/** Follows levels as a first-order system does: dy/dt = (level - y) / tau. */
export class Lag {
  readonly #levels: Levels;
  readonly #tauSteps: number;
  #segment = Number.NaN;
  #startValue = 0;
  #startStep = 0;
  #level = 0;

  constructor(levels: Levels, tauSteps: number) {
    this.#levels = levels;
    this.#tauSteps = tauSteps;
  }

  at(step: number): number {
    const segment = this.#levels.segmentOf(step);
    if (segment !== this.#segment) this.#enter(segment);
    return this.#level + (this.#startValue - this.#level) * Math.exp((this.#startStep - step) / this.#tauSteps);
  }

  /** The value with which a segment begins, from the segments before it. */
  #enter(segment: number): void {
    const levels = this.#levels;
    let value = levels.levelOf(segment - MEMORY_SEGMENTS);
    for (let k = segment - MEMORY_SEGMENTS; k < segment; k++) {
      const level = levels.levelOf(k);
      value = level + (value - level) * Math.exp((levels.startOf(k) - levels.startOf(k + 1)) / this.#tauSteps);
    }
    this.#segment = segment;
    this.#startValue = value;
    this.#startStep = levels.startOf(segment);
    this.#level = levels.levelOf(segment);
  }
}
