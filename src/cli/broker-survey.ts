// Looks round on a broker for a few seconds: which topics measure something, and which kind of device publishes them. What the broker
// has retained counts too, since a device may be silent for longer than anybody wants to wait.
import type { Clock } from "../base/clock.ts";
import { sleep } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import { FeatureDiscovery, measuringFields } from "../message/feature-discovery.ts";
import type { DiscoveredTopic } from "../message/feature-discovery.ts";
import { parseFieldPath } from "../message/field-path.ts";
import { PayloadError } from "../message/payload-error.ts";
import { presetNames, presets } from "../message/presets.ts";
import { SparkplugNodes } from "../message/sparkplug.ts";
import { parseTopicPattern } from "../message/topic-pattern.ts";
import { TOPIC_ROOT } from "../message/topics.ts";
import type { InboundPacket } from "../mqtt/packet-port.ts";
import type { Config } from "../runtime/config-schema.ts";
import type { Surroundings } from "../runtime/surroundings.ts";
import { BrokerVisitor } from "./broker-visitor.ts";
import { sourcesOf } from "./reading-source.ts";
import type { ReadingSource, SeenTopic } from "./reading-source.ts";

const known = presetNames.flatMap((preset) =>
  presets[preset].topics.map(({ pattern, rules, format, root }) => ({
    preset,
    pattern,
    format,
    root: root === undefined ? undefined : parseFieldPath(root),
    topics: parseTopicPattern(pattern, undefined, rules),
  })),
);
type Known = (typeof known)[number];

/** As many as of a message that has them all, and as a network of its own can learn. */
const FEATURES_MAX = 64;
/** The runtime's own topics, the broker's, and what is announced to Home Assistant. */
const NO_READINGS = [`${TOPIC_ROOT}/`, "$", "homeassistant/"];

/** The pattern of one device: its captures but for the feature filled in. */
function ofOneDevice(pattern: string, topic: string): string {
  if (pattern.endsWith("#")) return topic;
  const levels = topic.split("/");
  return pattern
    .split("/")
    .map((level, index) => (level.startsWith("{") && level !== "{feature}" ? levels[index] : level))
    .join("/");
}

export class BrokerSurvey {
  readonly #clock: Clock;
  readonly #discovery = new FeatureDiscovery();
  readonly #sparkplug = new SparkplugNodes();
  readonly #discovered: DiscoveredTopic[] = [];
  /** By the pattern of one device, where a message carries some of its features: their names. */
  readonly #named = new Map<string, { readonly read: Known; readonly features: Set<string> }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take({ topic, payload }: Pick<InboundPacket, "topic" | "payload">): void {
    if (NO_READINGS.some((start) => topic.startsWith(start))) return;
    const read = known.find(({ topics }) => topics.match(topic) !== undefined);
    if (read === undefined && known.some(({ topics }) => topics.leavesOut(topic))) return;
    const feature = read?.topics.featureOf(topic);
    if (read?.format === "sparkplug") this.#name(read, topic, this.#metrics(topic, payload));
    else if (read !== undefined && feature !== undefined) {
      if (measuringFields(payload)?.has("$") === true) this.#name(read, topic, [feature]);
    } else {
      const found = this.#discovery.see(topic, payload, this.#clock.monotonicMs(), this.#clock.wallMs(), read?.root);
      if (found !== undefined && this.#discovered.length < limits.streamsMax) this.#discovered.push(found);
    }
  }

  #metrics(topic: string, payload: Uint8Array): string[] {
    try {
      const samples = this.#sparkplug.read(payload, { topic }, this.#clock.wallMs());
      return samples.filter(({ value }) => typeof value === "number" || typeof value === "bigint").map(({ name }) => name);
    } catch (thrown) {
      if (thrown instanceof PayloadError) return [];
      throw thrown;
    }
  }

  #name(read: Known, topic: string, features: readonly string[]): void {
    const own = ofOneDevice(read.pattern, topic);
    const device = this.#named.get(own) ?? { read, features: new Set<string>() };
    for (const feature of features) if (device.features.size < FEATURES_MAX) device.features.add(feature);
    if (this.#named.size < limits.streamsMax) this.#named.set(own, device);
  }

  /** What has been seen until now. */
  sources(): ReadingSource[] {
    const discovered = new Map([...this.#discovered, ...this.#discovery.conclude()].map((topic) => [topic.topic, topic]));
    const whole = Array.from(discovered.values(), (topic): SeenTopic => {
      return { ...topic, read: known.find(({ topics }) => topics.match(topic.topic) !== undefined) };
    });
    const named = Array.from(this.#named, ([topic, { read, features }]): SeenTopic => {
      const fields = [...features].toSorted().map((path) => ({ path, isCounter: false }));
      return { topic, fields, time: undefined, read };
    });
    return sourcesOf(
      [...whole, ...named].map((topic) => ({
        ...topic,
        read: topic.read && { preset: topic.read.preset, pattern: topic.read.pattern },
      })),
    );
  }
}

/** Throws `unavailable` or `broker_refused` where the broker does not let us in, and what reading the credentials does. */
export async function surveyBroker(
  connection: Config,
  forMs: number,
  around: Pick<Surroundings, "disk" | "clock" | "random">,
): Promise<ReadingSource[]> {
  const survey = new BrokerSurvey(around.clock);
  const take = survey.take.bind(survey);
  const visitor = await BrokerVisitor.open({ ...around, config: connection, role: "init", sessionExpirySeconds: 0, take });
  try {
    await visitor.session();
    await visitor.subscribe({ filter: "#", qos: 0, retained: true });
    await sleep(around.clock, forMs);
    return survey.sources();
  } finally {
    await visitor.close();
  }
}
