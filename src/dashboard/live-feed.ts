// What every open page is told: at once how things stand and how they were in the last quarter of an hour, then every two seconds how they
// stand now, and log lines as they come. Somebody who does not take it is cut off.
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Status } from "../runtime/status.ts";
import type { Trouble } from "./health.ts";
import type { EventClient } from "./http-server.ts";
import type { LogMemory } from "./log-memory.ts";
import { messageReasons, readingReasons } from "./reasons.ts";
import { Sampler } from "./sampler.ts";
import type { Quantiles, Sample } from "./sampler.ts";

/** What the feed is told from outside at every turn. */
export interface Standing {
  readonly status: Status;
  readonly troubles: readonly Trouble[];
  readonly freeBytes: number | undefined;
  /** Streams with an open alarm. */
  readonly alarms: number;
}

/** What does not change while the runtime runs. */
export interface Setting {
  readonly version: string;
  readonly broker: string;
  readonly durability: "strict" | "relaxed" | "volatile";
  readonly state: string;
  /** States may be changed from the page. */
  readonly commands: boolean;
}

interface Refused {
  readonly what: "message" | "reading" | "prediction";
  readonly reason: string;
  readonly count: number;
  readonly text: string;
}

export interface LiveFeedOptions {
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: LogMemory;
  readonly setting: Setting;
  readonly standing: () => Promise<Standing>;
}

const texts: Readonly<Record<string, { readonly what: Refused["what"]; readonly byReason: Readonly<Record<string, string>> }>> = {
  messages_refused: { what: "message", byReason: messageReasons },
  readings_refused: { what: "reading", byReason: readingReasons },
  publish_refused: { what: "prediction", byReason: {} },
};

function refusedOf(metrics: Metrics): Refused[] {
  const refused: Refused[] = [];
  for (const { name, reason, metric } of metrics.counters()) {
    const text = texts[name];
    if (text === undefined || reason === undefined || metric.value === 0) continue;
    const fallback = text.what === "prediction" ? "The broker would not take it; check its access list." : "";
    refused.push({ what: text.what, reason, count: metric.value, text: text.byReason[reason] ?? fallback });
  }
  return refused.toSorted((a, b) => b.count - a.count);
}

export class LiveFeed {
  readonly #options: LiveFeedOptions;
  readonly #sampler: Sampler;
  /** Since when a browser has not taken what was sent, by browser; -1 where it has. */
  readonly #clients = new Map<EventClient, number>();

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.#sampler = new Sampler(options.metrics, options.clock, (sample) => void this.#tell(sample));
    options.log.onLine((line) => this.#send("lines", [line]));
  }

  start(): void {
    this.#sampler.start();
  }

  /** Tells a browser everything, and then what comes. */
  async add(client: EventClient): Promise<void> {
    const { setting, log } = this.#options;
    client.send("setting", setting);
    client.send("history", this.#sampler.samples);
    client.send("lines", log.lines);
    this.#clients.set(client, -1);
    client.whenClosed(() => this.#clients.delete(client));
    client.send("standing", await this.#now(this.#sampler.samples.at(-1)));
  }

  async #tell(sample: Sample): Promise<void> {
    if (this.#clients.size > 0) this.#send("standing", await this.#now(sample));
  }

  async #now(sample: Sample | undefined): Promise<Record<string, unknown>> {
    const { clock, metrics, standing } = this.#options;
    const { status, troubles, freeBytes, alarms } = await standing();
    const quantiles = (name: Parameters<Sampler["latency"]>[0]): Quantiles => this.#sampler.latency(name);
    return {
      at: clock.wallMs(),
      sample,
      troubles,
      alarms,
      node: status.node,
      upSeconds: status.upSeconds,
      streams: status.streams,
      groups: status.groups,
      outbox: status.outbox,
      intakeUp: status.broker.intake,
      sinkUp: status.broker.sink,
      freeBytes: freeBytes ?? null,
      memoryBytes: process.memoryUsage.rss(),
      latency: { message: quantiles("message_latency"), disk: quantiles("journal_commit"), broker: quantiles("publish_latency") },
      counts: status.metrics,
      refused: refusedOf(metrics),
    };
  }

  #send(event: string, value: unknown): void {
    const now = this.#options.clock.monotonicMs();
    for (const [client, sinceMs] of this.#clients) {
      if (client.send(event, value)) this.#clients.set(client, -1);
      else if (sinceMs < 0) this.#clients.set(client, now);
      else if (now - sinceMs > limits.dashboardLagMsMax) client.close();
    }
  }

  stop(): void {
    this.#sampler.stop();
  }
}
