// Watches whatever measures something on a broker: topics are discovered from their first messages, and a runtime whose streams learn by
// themselves runs on those that are known. When more are known it is started anew, which takes moments: the broker keeps its session.
import type { Clock, Timer } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { FeatureDiscovery, measuringFields } from "../message/feature-discovery.ts";
import type { DiscoveredTopic } from "../message/feature-discovery.ts";
import { TOPIC_ROOT } from "../message/topics.ts";
import type { InboundPacket, PacketPort } from "../mqtt/packet-port.ts";
import { RecentMap } from "../pipeline/recent-map.ts";
import type { Config } from "./config-schema.ts";
import { loadTopics, saveTopics, WATCH_NODE, watchConfig } from "./watch-config.ts";
import type { WatchSettings } from "./watch-config.ts";

/** What a watch has to tell. */
export type WatchNews =
  | { readonly what: "found"; readonly topic: string; readonly features: readonly string[] }
  | { readonly what: "new field"; readonly topic: string; readonly field: string }
  | { readonly what: "alarm"; readonly alarm: unknown };

/** What of a runtime a watch uses. */
export interface Watching {
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

export interface WatchOptions {
  readonly settings: WatchSettings;
  /** MQTT filters. */
  readonly filters: readonly string[];
  /** A connection of its own, for discovery and alarms. */
  readonly port: PacketPort;
  readonly startRuntime: (config: Config) => Promise<Watching>;
  readonly tell: (news: WatchNews) => void;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
}

/** Between a discovery and the start with it: others may follow. */
const SETTLE_MS = 5000;
const ALARMS = `${TOPIC_ROOT}/${WATCH_NODE}/alarm/`;

export class Watch {
  readonly #options: WatchOptions;
  readonly #discovery = new FeatureDiscovery();
  readonly #topics: Map<string, DiscoveredTopic>;
  /** Fields that came too late, told once each. */
  readonly #late = new Set<string>();
  readonly #told = new RecentMap<string, true>(limits.transactionsMax);
  #runtime: Watching | undefined;
  #settling: Timer | undefined;
  #work: Promise<void> = Promise.resolve();
  #stopped = false;
  #fail: (thrown: unknown) => void = () => {};
  /** Rejects when it cannot go on. */
  readonly failed: Promise<never>;

  private constructor(options: WatchOptions, topics: readonly DiscoveredTopic[]) {
    this.#options = options;
    this.#topics = new Map(topics.map((topic) => [topic.topic, topic]));
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
  }

  /** Goes on with what earlier runs have discovered. Throws what `startRuntime` throws, and `state_damaged`. */
  static async start(options: WatchOptions): Promise<Watch> {
    const { disk, settings } = options;
    await disk.makeDirectory(settings.state);
    const watch = new Watch(options, await loadTopics(disk, settings.state));
    await watch.#restart();
    watch.#listen();
    return watch;
  }

  /** The topics that measure something. */
  get topics(): readonly DiscoveredTopic[] {
    return [...this.#topics.values()].filter(({ fields }) => fields.length > 0);
  }

  #listen(): void {
    const { port, filters } = this.#options;
    const subscriptions = [...filters.map((filter) => ({ filter, qos: 0 as const })), { filter: `${ALARMS}+`, qos: 1 as const }];
    port.open({
      up: () => {
        port.subscribe(subscriptions.map((one) => ({ ...one, retained: false }))).catch(this.#fail);
      },
      down: () => {},
      refused: (reason) => this.#fail(new HiddenstateError("broker_refused", `cannot use the broker: ${reason}`)),
      packet: (packet) => {
        this.#take(packet);
        if (packet.qos > 0) port.acknowledge(packet.packetId);
      },
    });
  }

  #take({ topic, payload, retain }: InboundPacket): void {
    const { clock, tell } = this.#options;
    // What the broker remembers says nothing of how often it comes, and may be old.
    if (retain) return;
    if (topic.startsWith(ALARMS)) {
      if (payload.length > 0) this.#tellOfAlarm(JSON.parse(Buffer.from(payload).toString()) as { readonly id: string });
      return;
    }
    if (topic.startsWith(`${TOPIC_ROOT}/`) || topic.startsWith("$")) return;
    const known = this.#topics.get(topic);
    if (known !== undefined) return this.#lookForNew(known, payload);
    const found = this.#discovery.see(topic, payload, clock.monotonicMs(), clock.wallMs());
    if (found === undefined || this.#topics.size >= limits.streamsMax) return;
    this.#topics.set(topic, found);
    if (found.fields.length > 0) tell({ what: "found", topic, features: found.fields.map(({ path }) => path) });
    this.#settling ??= clock.after(SETTLE_MS, () => {
      this.#settling = undefined;
      this.#work = this.#work.then(() => this.#keepAndRestart()).catch(this.#fail);
    });
  }

  /** A message that is repeated after a crash tells nothing new. */
  #tellOfAlarm(alarm: { readonly id: string }): void {
    if (this.#told.get(alarm.id) !== undefined) return;
    this.#told.set(alarm.id, true);
    this.#options.tell({ what: "alarm", alarm });
  }

  #lookForNew({ topic, fields }: DiscoveredTopic, payload: Uint8Array): void {
    if (this.#late.size >= limits.streamsMax) return;
    for (const field of measuringFields(payload)?.keys() ?? []) {
      const name = `${topic}\n${field}`;
      if (fields.some(({ path }) => path === field) || this.#late.has(name)) continue;
      this.#late.add(name);
      this.#options.tell({ what: "new field", topic, field });
    }
  }

  async #keepAndRestart(): Promise<void> {
    const { disk, settings } = this.#options;
    await saveTopics(disk, settings.state, [...this.#topics.values()]);
    if (!this.#stopped) await this.#restart();
  }

  async #restart(): Promise<void> {
    const { settings, startRuntime } = this.#options;
    const config = watchConfig(settings, [...this.#topics.values()]);
    if (config === undefined) return;
    await this.#runtime?.stop();
    this.#runtime = await startRuntime(config);
    this.#runtime.failed.catch(this.#fail);
  }

  /** Forgets a topic, so that it is discovered anew; what its stream has learned stays with its old group. Before `start`. */
  static async forget(disk: Disk, directory: string, topic: string): Promise<void> {
    const topics = await loadTopics(disk, directory);
    const left = topics.filter((one) => one.topic !== topic);
    if (left.length === topics.length) {
      throw new HiddenstateError("bad_argument", `cannot forget "${topic}": no topic of that name has been discovered`);
    }
    await saveTopics(disk, directory, left);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#settling?.cancel();
    await this.#options.port.close();
    await this.#work;
    await this.#runtime?.stop();
  }
}
