// Counters, gauges and histograms of durations by name, in memory. A counter may be split by one label whose values come from a fixed set
// in the code, never from a payload, so the number of series is bounded.

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

const BUCKETS = 19;
const FIRST_BOUND_MS = 0.25;

/** Upper bounds of a histogram's buckets, each twice the one before: 0.25 ms to 65.5 s. What is longer goes into one more bucket. */
export const bucketBoundsMs: readonly number[] = Array.from({ length: BUCKETS }, (_, i) => FIRST_BOUND_MS * 2 ** i);

/** How long something took, by buckets: its percentiles are known to a factor of two, and better where they lie within a bucket. */
export class Histogram {
  /** One more than there are bounds. */
  readonly counts = new Float64Array(BUCKETS + 1);
  #sumMs = 0;
  #count = 0;

  observe(ms: number): void {
    const bucket = Math.min(BUCKETS, Math.max(0, Math.ceil(Math.log2(ms / FIRST_BOUND_MS))));
    this.counts[bucket]!++;
    this.#sumMs += ms;
    this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  get sumMs(): number {
    return this.#sumMs;
  }

  /** In milliseconds, 0 where nothing was observed; `q` from 0 to 1. */
  quantileMs(q: number): number {
    return quantileOfBuckets(this.counts, q);
  }
}

/** The `q` quantile in milliseconds of what `counts`, one more than `bucketBoundsMs`, say; interpolated within its bucket, 0 where they are empty. */
export function quantileOfBuckets(counts: ArrayLike<number>, q: number): number {
  let all = 0;
  for (let i = 0; i < counts.length; i++) all += counts[i]!;
  if (all === 0) return 0;
  let below = 0;
  for (let i = 0; i < BUCKETS; i++) {
    const here = counts[i]!;
    if (here > 0 && below + here >= q * all) {
      const from = i === 0 ? 0 : bucketBoundsMs[i - 1]!;
      return from + ((q * all - below) / here) * (bucketBoundsMs[i]! - from);
    }
    below += here;
  }
  return bucketBoundsMs[BUCKETS - 1]!;
}

/** One thing counted, by its name and, where it is split, its reason. */
export interface Series<T> {
  readonly name: string;
  readonly reason: string | undefined;
  readonly metric: T;
}

/** Every counter and gauge by its name, refusals as `name{reason="..."}`, and of histograms the count and quantiles. */
export type MetricsSnapshot = Record<string, number>;

export class Metrics {
  readonly #counters = new Map<string, Series<Counter>>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();

  /** The counter of that name, and of that reason where one is given. */
  counter(name: string, reason?: string): Counter {
    const key = reason === undefined ? name : `${name}{reason="${reason}"}`;
    let series = this.#counters.get(key);
    if (series === undefined) this.#counters.set(key, (series = { name, reason, metric: new Counter() }));
    return series.metric;
  }

  gauge(name: string): Gauge {
    let gauge = this.#gauges.get(name);
    if (gauge === undefined) this.#gauges.set(name, (gauge = new Gauge()));
    return gauge;
  }

  histogram(name: string): Histogram {
    let histogram = this.#histograms.get(name);
    if (histogram === undefined) this.#histograms.set(name, (histogram = new Histogram()));
    return histogram;
  }

  counters(): IterableIterator<Series<Counter>> {
    return this.#counters.values();
  }

  gauges(): IterableIterator<[string, Gauge]> {
    return this.#gauges.entries();
  }

  histograms(): IterableIterator<[string, Histogram]> {
    return this.#histograms.entries();
  }

  /**
   * Every value by series name; a gauge's high-water mark follows under `<name>_highest`, of a histogram there are the count and two
   * quantiles, `<name>_count`, `<name>_ms_p50` and `<name>_ms_p99`.
   */
  snapshot(): MetricsSnapshot {
    const values: MetricsSnapshot = {};
    for (const [key, { metric }] of this.#counters) values[key] = metric.value;
    for (const [name, gauge] of this.#gauges) {
      values[name] = gauge.value;
      values[`${name}_highest`] = gauge.highest;
    }
    for (const [name, histogram] of this.#histograms) {
      values[`${name}_count`] = histogram.count;
      values[`${name}_ms_p50`] = histogram.quantileMs(0.5);
      values[`${name}_ms_p99`] = histogram.quantileMs(0.99);
    }
    return values;
  }
}
