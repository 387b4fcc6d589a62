// Puts a model where a node fetches it: its chunks and then its manifest, retained on the broker; takes both away again; and hears what the node
// says of it.
import { sleep } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import { randomName } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import { updateChunkTopic, updateReportTopic, updateTopic } from "../message/topics.ts";
import { chunksOf, hashOf } from "../message/update-manifest.ts";
import { decodeReport } from "../message/update-report.ts";
import type { UpdateReport } from "../message/update-report.ts";
import type { Model } from "../model/model.ts";
import { parseBrokerUrl } from "../mqtt/broker-address.ts";
import { PublishRefused } from "../mqtt/packet-port.ts";
import type { InboundPacket, PacketPort } from "../mqtt/packet-port.ts";
import type { Config } from "../runtime/config-schema.ts";
import { brokerPort } from "./broker-port.ts";
import { warningLog } from "./warning-log.ts";

export interface PublisherOptions {
  /** Its broker, and as whom. */
  readonly config: Config;
  readonly node: string;
  readonly group: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
}

const CONNECT_MS_MAX = 10_000;
const LOOK_MS = 20;
const QUIET_MS = 1500;
/** Chunks under way at the same time. */
const WINDOW = 8;
const TRIES_MAX = 5;
const NOTHING = new Uint8Array(0);

export class ModelPublisher {
  readonly #options: PublisherOptions;
  readonly #port: PacketPort;
  readonly #name: string;
  #isUp = false;
  #refusal: string | undefined;
  /** By topic, the hash of what is retained there; of this group's update. */
  readonly #retained = new Map<string, string>();
  #report: UpdateReport | undefined;

  private constructor(options: PublisherOptions, port: PacketPort) {
    this.#options = options;
    this.#port = port;
    this.#name = parseBrokerUrl(options.config.mqtt.url).display;
  }

  /** Connected. Throws `unavailable` or `broker_refused`. */
  static async open(options: PublisherOptions): Promise<ModelPublisher> {
    const { config, disk, clock, random } = options;
    const warnings: string[] = [];
    const port = await brokerPort(config, {
      disk,
      clientId: `hiddenstate-publish-${randomName(random).slice(0, 12)}`,
      clock,
      random,
      log: warningLog(warnings),
    });
    const publisher = new ModelPublisher(options, port);
    publisher.#start();
    await publisher.#standing(warnings).catch(async (thrown: unknown) => {
      await port.close();
      throw thrown;
    });
    return publisher;
  }

  #start(): void {
    const { node, group } = this.#options;
    this.#port.open({
      up: () => {
        this.#isUp = true;
        const filter = updateReportTopic(node, group);
        // Where the broker does not let us read there, nothing is heard.
        this.#port.subscribe([{ filter, qos: 1, retained: true }]).catch(() => {});
      },
      down: () => (this.#isUp = false),
      refused: (reason) => (this.#refusal = reason),
      packet: (packet) => this.#packet(packet),
    });
  }

  async #standing(warnings: readonly string[] = []): Promise<void> {
    const { clock } = this.#options;
    const giveUpAt = clock.monotonicMs() + CONNECT_MS_MAX;
    while (!this.#isUp) {
      if (this.#refusal !== undefined) throw new HiddenstateError("broker_refused", this.#refusal);
      if (clock.monotonicMs() > giveUpAt) {
        throw new HiddenstateError("unavailable", `cannot reach ${this.#name}: ${warnings.at(-1) ?? "it does not answer"}`);
      }
      await sleep(clock, LOOK_MS);
    }
  }

  #packet({ topic, payload, packetId, qos }: InboundPacket): void {
    if (qos === 1) this.#port.acknowledge(packetId);
    const { node, group } = this.#options;
    if (topic !== updateReportTopic(node, group)) {
      if (payload.length > 0) this.#retained.set(topic, hashOf(payload));
      return;
    }
    try {
      this.#report = payload.length === 0 ? undefined : decodeReport(payload);
    } catch (thrown) {
      // A node of another release, or somebody else: not an answer to us.
      if (!(thrown instanceof HiddenstateError)) throw thrown;
    }
  }

  /** Throws `PublishRefused`, or `unavailable` where the broker goes away again and again. */
  async #put(topic: string, payload: Uint8Array): Promise<void> {
    for (let tries = 1; ; tries++) {
      await this.#standing();
      try {
        return await new Promise((confirmed, failed) => {
          this.#port.publish({ topic, payload, qos: 1, retain: true }, (error) =>
            error === undefined ? confirmed() : failed(error),
          );
        });
      } catch (thrown) {
        if (thrown instanceof PublishRefused || tries === TRIES_MAX) throw thrown;
      }
    }
  }

  async #putAll(messages: readonly { topic: string; payload: Uint8Array }[], done: (count: number) => void): Promise<void> {
    for (let from = 0; from < messages.length; from += WINDOW) {
      const some = messages.slice(from, from + WINDOW);
      await Promise.all(some.map(({ topic, payload }) => this.#put(topic, payload)));
      done(from + some.length);
    }
  }

  /** By topic, the hashes of the chunks that the broker has of this group's models; a part of them where it will not send all at once. */
  async #chunksThere(): Promise<ReadonlyMap<string, string>> {
    const { node, group, clock } = this.#options;
    const filter = `${updateTopic(node, group)}/+/+`;
    this.#retained.clear();
    await this.#port.subscribe([{ filter, qos: 1, retained: true }]);
    let [before, sinceMs] = [0, clock.monotonicMs()];
    while (clock.monotonicMs() - sinceMs < QUIET_MS) {
      if (this.#retained.size > before) [before, sinceMs] = [this.#retained.size, clock.monotonicMs()];
      await sleep(clock, LOOK_MS);
    }
    this.#port.unsubscribe([filter]);
    return new Map(this.#retained);
  }

  /**
   * Chunks that the broker has already are not sent again; those of other models go once the manifest names this one. `sent` is told how many
   * chunks are there.
   */
  async publish({ bytes, version }: Model, manifest: Uint8Array, sent: (count: number, of: number) => void): Promise<void> {
    const { node, group } = this.#options;
    const there = await this.#chunksThere();
    const chunks = chunksOf(bytes).map((payload, index) => ({ topic: updateChunkTopic(node, group, version, index), payload }));
    const absent = chunks.filter(({ topic, payload }) => there.get(topic) !== hashOf(payload));
    await this.#putAll(absent, (count) => sent(chunks.length - absent.length + count, chunks.length));
    await this.#put(updateTopic(node, group), manifest);
    const own = new Set(chunks.map(({ topic }) => topic));
    await this.#clear([...there.keys()].filter((topic) => !own.has(topic)));
  }

  #clear(topics: readonly string[]): Promise<void> {
    return this.#putAll(
      topics.map((topic) => ({ topic, payload: NOTHING })),
      () => {},
    );
  }

  /** Takes manifest and chunks away; returns how many chunks there were. Throws `broker_refused` where the broker keeps them. */
  async remove(): Promise<number> {
    const { node, group } = this.#options;
    await this.#put(updateTopic(node, group), NOTHING);
    const removed = new Set<string>();
    for (;;) {
      const topics = [...(await this.#chunksThere()).keys()];
      if (topics.length === 0) return removed.size;
      // A broker before MQTT 5 has no word for a message that it will not have.
      if (topics.every((topic) => removed.has(topic))) {
        throw new HiddenstateError(
          "broker_refused",
          `cannot take back ${topics[0]}: ${this.#name} keeps it; check its access list`,
        );
      }
      await this.#clear(topics);
      for (const topic of topics) removed.add(topic);
    }
  }

  /** Hears what the node says of a manifest until that has come to an end; undefined where it does not within `ms`. */
  async outcome(digest: string, ms: number, heard: (report: UpdateReport) => void): Promise<UpdateReport | undefined> {
    const { clock } = this.#options;
    const giveUpAt = clock.monotonicMs() + ms;
    let last: UpdateReport | undefined;
    while (clock.monotonicMs() < giveUpAt) {
      const report = this.#report;
      if (report !== undefined && report !== last && report.manifest === digest) {
        last = report;
        heard(report);
        if (report.outcome === "in force" || report.outcome === "refused") return report;
      }
      await sleep(clock, LOOK_MS);
    }
    return undefined;
  }

  close(): Promise<void> {
    return this.#port.close();
  }
}
