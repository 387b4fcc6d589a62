// The way of a reading through the whole runtime, without a broker: judged, stepped, journalled on the real disk, acked. Measured with as
// many under way as a broker may send, which is what this box can carry, and one by one, which is how long a reading takes.
import type { Clock } from "../base/clock.ts";
import { sleep } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { limits } from "../base/limits.ts";
import { silentLog } from "../base/log.ts";
import { createRandom } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import type { Config } from "../runtime/config-schema.ts";
import { configSchema } from "../runtime/config-schema.ts";
import type { ConfiguredGroup } from "../runtime/groups.ts";
import { createRuntime } from "../runtime/runtime.ts";
import { LoopIntake, LoopSink } from "./loop-ports.ts";
import type { LoopMessage } from "./loop-ports.ts";
import { quantile, spreadOf } from "./spread.ts";
import type { Spread } from "./spread.ts";

export interface WayFigures {
  readonly streams: number;
  readonly durability: string;
  /** Readings a second, one a message, with `underWay` of them unacked. */
  readonly readingsPerSecond: Spread;
  readonly underWay: number;
  /** Milliseconds from a reading's arrival to its ack, one reading at a time. */
  readonly aloneMsP50: Spread;
  readonly aloneMsP99: Spread;
}

export interface WayOptions {
  readonly config: Config;
  readonly groups: readonly ConfiguredGroup[];
  /** An empty one on the disk in question. */
  readonly folder: string;
  readonly streams: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly disk: Disk;
  readonly clock: Clock;
}

const WARM_UP_MS = 500;
const PAYLOADS = 64;

/** The config's own groups as they are stepped and scored, on topics and in a format of the benchmark's. */
function benchConfig({ config, groups, folder }: WayOptions): Config {
  const { mode, linger } = config.durability;
  const parsed = configSchema.parse({
    node: "bench",
    state: folder,
    log: "silent",
    mqtt: { url: "mqtt://127.0.0.1" },
    bridge: false,
    groups: groups.map(({ config: { name }, messages: { features } }, index) => {
      return { name, topic: `bench/${index}/{stream}`, codec: "json", features: [...features] };
    }),
  });
  return {
    ...parsed,
    durability: { ...parsed.durability, mode, ...(linger === undefined ? {} : { linger }) },
    streams: config.streams,
    groups: parsed.groups.map((group, index) => {
      const { model, engine, kernel, horizons, score } = groups[index]!.config;
      const own = { model, engine, kernel, horizons, score };
      return Object.assign(group, Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)));
    }),
  };
}

/** Messages of a group whose values lie where the model was trained. */
function payloadsOf({ model, messages }: ConfiguredGroup, random: Random): Uint8Array[] {
  const { xMean, xScale } = model.weights;
  return Array.from({ length: PAYLOADS }, () => {
    const values = messages.features.map((name, d) => [name, xMean.data[d]! + xScale.data[d]! * random.normal()]);
    return Buffer.from(JSON.stringify(Object.fromEntries(values)));
  });
}

/** One message after the other, each of the next stream; the groups take turns. */
function messagesOf({ groups, streams }: WayOptions): () => LoopMessage {
  const random = createRandom(1);
  const payloads = groups.map((group) => payloadsOf(group, random));
  const topics = Array.from({ length: streams }, (_, i) => `bench/${i % groups.length}/s${i}`);
  let at = 0;
  return () => {
    const stream = at++ % streams;
    const own = payloads[stream % groups.length]!;
    return { topic: topics[stream]!, payload: own[at % PAYLOADS]! };
  };
}

interface Measured {
  readonly perSecond: number;
  readonly alone: readonly number[];
}

async function measure(intake: LoopIntake, clock: Clock, seconds: number): Promise<Measured> {
  intake.begin(limits.unsettledMessagesMax);
  await sleep(clock, WARM_UP_MS);
  intake.begin(limits.unsettledMessagesMax);
  const from = clock.monotonicMs();
  await sleep(clock, seconds * 1000);
  const perSecond = (1000 * intake.acked) / (clock.monotonicMs() - from);
  await intake.settle();
  intake.begin(1);
  await sleep(clock, seconds * 1000);
  await intake.settle();
  return { perSecond, alone: intake.latencies.toSorted((a, b) => a - b) };
}

/** Throws what a start of the runtime does, and `disk_failed`. */
export async function benchWay(options: WayOptions): Promise<WayFigures> {
  const { config, clock, disk, rounds, seconds, streams } = options;
  const window = limits.unsettledMessagesMax;
  const intake = new LoopIntake(clock, window, messagesOf(options));
  const ports = { intake, sink: new LoopSink(clock, limits.publishWindowMax) };
  const runtime = await createRuntime(benchConfig(options), { log: silentLog, disk, clock, ports });
  try {
    await runtime.connected;
    const measured: Measured[] = [];
    for (let round = 0; round < rounds; round++) {
      measured.push(await Promise.race([measure(intake, clock, seconds), runtime.failed]));
    }
    return {
      streams,
      durability: config.durability.mode,
      readingsPerSecond: spreadOf(measured.map(({ perSecond }) => perSecond)),
      underWay: window,
      aloneMsP50: spreadOf(measured.map(({ alone }) => quantile(alone, 0.5))),
      aloneMsP99: spreadOf(measured.map(({ alone }) => quantile(alone, 0.99))),
    };
  } finally {
    await runtime.stop();
  }
}
