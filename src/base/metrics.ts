// Counters and gauges by name, in memory. A counter may be split by one label whose values come from a fixed set in the code, never
// from a payload, so the number of series is bounded.

export class Counter {
  #value = 0;

  add(count = 1): void {
    this.#value += count;
  }

  get value(): number {
    return this.#value;
  }
}

export class Gauge {
  #value = 0;
  #highest = 0;

  set(value: number): void {
    this.#value = value;
    if (value > this.#highest) this.#highest = value;
  }

  get value(): number {
    return this.#value;
  }

  /** The high-water mark since the start. */
  get highest(): number {
    return this.#highest;
  }
}

export type MetricsSnapshot = Record<string, number>;

export class Metrics {
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();

  /** The counter of that name, and of that reason where one is given. */
  counter(name: string, reason?: string): Counter {
    const key = reason === undefined ? name : `${name}{reason="${reason}"}`;
    let counter = this.#counters.get(key);
    if (counter === undefined) this.#counters.set(key, (counter = new Counter()));
    return counter;
  }

  gauge(name: string): Gauge {
    let gauge = this.#gauges.get(name);
    if (gauge === undefined) this.#gauges.set(name, (gauge = new Gauge()));
    return gauge;
  }

  /** Every value by series name; a gauge's high-water mark follows under `<name>_highest`. */
  snapshot(): MetricsSnapshot {
    const values: MetricsSnapshot = {};
    for (const [name, counter] of this.#counters) values[name] = counter.value;
    for (const [name, gauge] of this.#gauges) {
      values[name] = gauge.value;
      values[`${name}_highest`] = gauge.highest;
    }
    return values;
  }
}
