// Counters as rates: how fast a value that only grows has grown since the stream's last message. What came before a restart of this
// runtime is not known: the first value of a stream gives no rate. A rate is worked out before the journal and is a value like others there.
import { limits } from "../base/limits.ts";

export class CounterRates {
  /** By stream and feature; the longest unseen goes first. */
  readonly #last = new Map<string, { value: number; time: number }>();
  readonly #countMax: number;

  constructor(countMax: number = limits.counterRatesMax) {
    this.#countMax = countMax;
  }

  /**
   * The growth a second up to `time`, milliseconds since 1970. NaN where there is nothing to compare with, where time has not moved on
   * (the message came again), and where the counter fell (it was reset).
   */
  next(name: string, value: number, time: number): number {
    const last = this.#last.get(name);
    if (last !== undefined && time <= last.time) return Number.NaN;
    this.#last.delete(name);
    this.#last.set(name, { value, time });
    if (this.#last.size > this.#countMax) this.#last.delete(this.#last.keys().next().value!);
    return last === undefined || value < last.value ? Number.NaN : ((value - last.value) * 1000) / (time - last.time);
  }
}
