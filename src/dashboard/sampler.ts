// Rates and latencies of the last quarter of an hour, from the counters that are there anyway: looked at every two seconds.
import type { Clock, Timer } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import { quantileOfBuckets } from "../base/metrics.ts";
import type { Metrics } from "../base/metrics.ts";

/** What is drawn, a column a quantity. */
export interface Sample {
  /** Wall clock, milliseconds since 1970. */
  readonly at: number;
  readonly readingsPerSecond: number;
  /** Messages that the broker has confirmed. */
  readonly confirmedPerSecond: number;
  readonly refusedPerSecond: number;
  /** From a message's arrival until it may be acknowledged, of the messages since the last sample; null where there was none. */
  readonly latencyMsP50: number | null;
  readonly latencyMsP99: number | null;
}

/** Of one kind of duration within the last minute. */
export interface Quantiles {
  readonly count: number;
  readonly msP50: number;
  readonly msP99: number;
}

interface Counts {
  readonly monotonicMs: number;
  readonly accepted: number;
  readonly confirmed: number;
  readonly refused: number;
  /** Buckets by histogram. */
  readonly buckets: Readonly<Record<LatencyName, Float64Array>>;
}

export const latencyNames = ["message_latency", "journal_commit", "publish_latency"] as const;
export type LatencyName = (typeof latencyNames)[number];

const MINUTE_SAMPLES = Math.round(60_000 / limits.dashboardSampleMs);

function difference(newer: Float64Array, older: Float64Array): Float64Array {
  return newer.map((count, i) => count - older[i]!);
}

export class Sampler {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #onSample: (sample: Sample) => void;
  #samples: Sample[] = [];
  /** Of the last minute, oldest first; never empty. */
  #counts: Counts[];
  #timer: Timer | undefined;

  constructor(metrics: Metrics, clock: Clock, onSample: (sample: Sample) => void) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#onSample = onSample;
    this.#counts = [this.#count()];
  }

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  start(): void {
    this.#timer = this.#clock.after(
      limits.dashboardSampleMs,
      () => {
        this.#sample();
        this.start();
      },
      { background: true },
    );
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #count(): Counts {
    const metrics = this.#metrics;
    let refused = 0;
    for (const { name, metric } of metrics.counters()) {
      if (name === "readings_refused" || name === "messages_refused") refused += metric.value;
    }
    return {
      monotonicMs: this.#clock.monotonicMs(),
      accepted: metrics.counter("readings_accepted").value,
      confirmed: metrics.counter("sink_confirmed").value,
      refused,
      buckets: {
        message_latency: metrics.histogram("message_latency").counts.slice(),
        journal_commit: metrics.histogram("journal_commit").counts.slice(),
        publish_latency: metrics.histogram("publish_latency").counts.slice(),
      },
    };
  }

  #sample(): void {
    const before = this.#counts.at(-1)!;
    const now = this.#count();
    this.#counts.push(now);
    if (this.#counts.length > MINUTE_SAMPLES + 1) this.#counts.shift();
    const seconds = (now.monotonicMs - before.monotonicMs) / 1000;
    const buckets = difference(now.buckets.message_latency, before.buckets.message_latency);
    const isNone = buckets.every((count) => count === 0);
    const sample = {
      at: this.#clock.wallMs(),
      readingsPerSecond: (now.accepted - before.accepted) / seconds,
      confirmedPerSecond: (now.confirmed - before.confirmed) / seconds,
      refusedPerSecond: (now.refused - before.refused) / seconds,
      latencyMsP50: isNone ? null : quantileOfBuckets(buckets, 0.5),
      latencyMsP99: isNone ? null : quantileOfBuckets(buckets, 0.99),
    };
    this.#samples.push(sample);
    if (this.#samples.length > limits.dashboardSamplesMax) this.#samples.shift();
    this.#onSample(sample);
  }

  /** Of the last minute, or of the time since the start. */
  latency(name: LatencyName): Quantiles {
    const buckets = difference(this.#counts.at(-1)!.buckets[name], this.#counts[0]!.buckets[name]);
    const count = buckets.reduce((sum, one) => sum + one, 0);
    return { count, msP50: quantileOfBuckets(buckets, 0.5), msP99: quantileOfBuckets(buckets, 0.99) };
  }
}
