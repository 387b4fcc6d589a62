// Readings at a steady rate through a broker into a runtime for minutes, and whether what it takes up stays where it is: a line is
// fitted to each quantity once the first part is over.
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import mqtt from "mqtt";
import { createRandom } from "../../src/base/random.ts";
import { payloadCodec } from "../../src/message/codecs.ts";
import { startMosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";
import type { SoakSample } from "./soak-runtime.ts";

export interface SoakOptions {
  readonly minutes: number;
  /** Messages of one reading a second, over all devices. */
  readonly rate: number;
  readonly streams: number;
  readonly write?: (line: string) => void;
}

export interface Trend {
  readonly mean: number;
  readonly slopePerHour: number;
  /** What the fitted line rises by over the time it is fitted to. */
  readonly growth: number;
  /** Standard deviation around the line. */
  readonly noise: number;
}

export interface SoakReport {
  readonly published: number;
  readonly accepted: number;
  readonly predictions: number;
  /** Messages a second that were really published. */
  readonly rate: number;
  readonly samples: number;
  readonly heap: Trend;
  readonly rss: Trend;
  readonly descriptors: Trend;
  /** The worst of all samples. */
  readonly loopMsP99: number;
}

const WARM_UP = 0.3;
const TICK_MS = 20;
const PENDING_MAX = 2000;

/** Least squares of y over seconds. */
export function trendOf(points: readonly (readonly [seconds: number, y: number])[]): Trend {
  const n = points.length;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const mean = points.reduce((sum, [, y]) => sum + y, 0) / n;
  const xx = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const xy = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - mean), 0);
  const slope = xx === 0 ? 0 : xy / xx;
  const noise = Math.sqrt(points.reduce((sum, [x, y]) => sum + (y - mean - slope * (x - meanX)) ** 2, 0) / n);
  return { mean, slopePerHour: slope * 3600, growth: slope * (points.at(-1)![0] - points[0]![0]), noise };
}

/** Publishes at the rate, as far as the broker keeps up; returns how many. */
async function publishFor(url: string, options: SoakOptions): Promise<{ published: number; seconds: number }> {
  const client = await mqtt.connectAsync(url, { protocolVersion: 5, clientId: "soak-load" });
  const random = createRandom(1);
  const sequences = new Float64Array(options.streams);
  const codec = payloadCodec("protobuf");
  const names = ["feature0", "feature1"];
  let [published, pending] = [0, 0];
  const startedAt = performance.now();
  const elapsed = (): number => (performance.now() - startedAt) / 1000;
  while (elapsed() < options.minutes * 60) {
    while (published < elapsed() * options.rate && pending < PENDING_MAX) {
      const device = published % options.streams;
      const readings = {
        part: undefined,
        identity: { boot: 1, nonce: 7 },
        count: 1,
        sequences: Float64Array.of(sequences[device]!++),
        times: Float64Array.of(Number.NaN),
        values: Float32Array.of(101_325 + random.normal(), random.normal()),
        missing: undefined,
      };
      published++;
      pending++;
      client.publish(`soak/d${device}/r`, Buffer.from(codec.encode(readings, names)), { qos: 1 }, () => pending--);
    }
    await sleep(TICK_MS);
  }
  await until("the broker has confirmed all", () => pending === 0, 60_000);
  const seconds = elapsed();
  await client.endAsync();
  return { published, seconds };
}

export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const { write = () => {} } = options;
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-soak-"));
  const broker = await startMosquitto({ config: ["max_inflight_messages 1000"] });
  const config = join(folder, "config.yaml");
  writeFileSync(join(folder, "model.onnx"), randomModel({ features: 2, hidden: [32], seed: 1 }).bytes);
  writeFileSync(
    config,
    `node: soak\nstate: state\nlog: warn\nmqtt: { url: "${broker.url}" }\ngroups:\n` +
      `  - { name: g, topic: "soak/{device}/r", codec: protobuf, model: model.onnx, engine: native, predictions: { format: protobuf } }\n`,
  );
  const script = resolve(dirname(fileURLToPath(import.meta.url)), "soak-runtime.js");
  const child = fork(script, [config], { execArgv: ["--expose-gc"] });
  const samples: SoakSample[] = [];
  const listener = await mqtt.connectAsync(broker.url, { protocolVersion: 5, clientId: "soak-listener" });
  let predictions = 0;
  listener.on("message", () => predictions++);
  try {
    await listener.subscribeAsync("hiddenstate/soak/prediction/+", { qos: 1 });
    await once(child, "message");
    child.on("message", (sample: SoakSample) => {
      samples.push(sample);
      const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
      write(
        `${sample.seconds.toFixed(0)} s: heap ${mib(sample.heapBytes)} MiB, RSS ${mib(sample.rssBytes)} MiB, ` +
          `${sample.descriptors} descriptors, loop p99 ${sample.loopMsP99.toFixed(0)} ms, ${sample.accepted} readings`,
      );
    });
    const { published, seconds } = await publishFor(broker.url, options);
    const measured = samples.length;
    await until("all predictions are there", () => predictions >= published, 60_000);
    await until("the last sample", () => samples.length > measured && samples.at(-1)!.accepted >= published, 60_000);
    const ended = once(child, "exit");
    child.send("stop");
    await ended;
    const steady = samples.slice(Math.floor(measured * WARM_UP), measured);
    const trend = (of: (sample: SoakSample) => number): Trend => trendOf(steady.map((sample) => [sample.seconds, of(sample)]));
    return {
      published,
      accepted: samples.at(-1)!.accepted,
      predictions,
      rate: published / seconds,
      samples: steady.length,
      heap: trend(({ heapBytes }) => heapBytes),
      rss: trend(({ rssBytes }) => rssBytes),
      descriptors: trend(({ descriptors }) => descriptors),
      loopMsP99: Math.max(...steady.map(({ loopMsP99 }) => loopMsP99)),
    };
  } finally {
    child.kill("SIGKILL");
    await listener.endAsync(true);
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
