// A runtime with its dashboard on a broker inside the process, for tests, and a client that publishes readings in JSON.
import { request as httpRequest } from "node:http";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import mqtt from "mqtt";
import type { MqttClient } from "mqtt";
import { systemDisk } from "../../src/base/disk.ts";
import { silentLog } from "../../src/base/log.ts";
import { startWithDashboard } from "../../src/dashboard/start-with-dashboard.ts";
import type { Started } from "../../src/dashboard/start-with-dashboard.ts";
import { startEmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import type { EmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import { configSchema } from "../../src/runtime/config-schema.ts";
import { saveLearning } from "../../src/runtime/learning-file.ts";
import type { LearningNotes } from "../../src/runtime/learning-file.ts";
import type { Surroundings } from "../../src/runtime/surroundings.ts";
import { randomModel } from "./random-model.ts";

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One request, with headers that `fetch` would not let through. */
export function ask(
  url: string,
  options: { method?: string; headers?: OutgoingHttpHeaders; body?: string } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(url, { method: options.method ?? "GET", headers: options.headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    asked.on("error", reject).end(options.body);
  });
}

export interface WorldOptions {
  readonly folder: string;
  readonly dashboard?: Readonly<Record<string, unknown>>;
  readonly surroundings?: Partial<Surroundings>;
  readonly streamsMax?: number;
  /** Of the presses, as in a config. */
  readonly score?: Readonly<Record<string, unknown>>;
  readonly range?: Readonly<Record<string, readonly [number, number]>>;
  /** Of the presses: they are fine-tuned, never by the clock. What was noted of it before the start, for the version in force. */
  readonly learning?: (version: string) => LearningNotes[string];
}

/** Two groups: `presses` on a Gaussian GRU in JSON on `s/{device}/r`, whose key may have parts, and `pumps` on a tanh RNN. */
export class DashboardWorld {
  readonly broker: EmbeddedBroker;
  readonly started: Started;
  readonly client: MqttClient;
  #brokerEnded: Promise<void> | undefined;

  private constructor(broker: EmbeddedBroker, started: Started, client: MqttClient) {
    this.broker = broker;
    this.started = started;
    this.client = client;
  }

  static async open({
    folder,
    dashboard = {},
    surroundings = {},
    streamsMax,
    range,
    score,
    learning,
  }: WorldOptions): Promise<DashboardWorld> {
    const broker = await startEmbeddedBroker();
    const gaussian = randomModel({ features: 2, hidden: [8], cells: ["gru"], head: "gaussian", residual: true, seed: 3 });
    const plain = randomModel({ features: 2, hidden: [8], seed: 4 });
    writeFileSync(join(folder, "gaussian.onnx"), gaussian.bytes);
    writeFileSync(join(folder, "plain.onnx"), plain.bytes);
    const group = { codec: "json", predictions: { latest: true } };
    const learn = learning === undefined ? undefined : { every: "never", drift: false };
    if (learning !== undefined) {
      mkdirSync(join(folder, "state"), { mode: 0o700 });
      await saveLearning(systemDisk, join(folder, "state/learning.json"), { presses: learning(gaussian.version) });
    }
    const config = configSchema.parse({
      node: "box",
      state: join(folder, "state"),
      mqtt: { url: broker.url },
      dashboard: { listen: "127.0.0.1:0", ...dashboard },
      streams: streamsMax === undefined ? {} : { max: streamsMax },
      groups: [
        {
          ...group,
          name: "presses",
          topic: "s/{device}/r",
          model: join(folder, "gaussian.onnx"),
          range: range ?? {},
          score,
          learn,
        },
        { ...group, name: "pumps", topic: "p/{device}/r", model: join(folder, "plain.onnx") },
      ],
    });
    const started = await startWithDashboard(config, { log: silentLog, ...surroundings }).catch(async (thrown: unknown) => {
      await broker.close();
      throw thrown;
    });
    await started.runtime.connected;
    return new DashboardWorld(broker, started, await mqtt.connectAsync(broker.url, { reconnectPeriod: 100 }));
  }

  get url(): string {
    return this.started.dashboard!.url;
  }

  ask(path: string, options: Parameters<typeof ask>[1] = {}): Promise<Reply> {
    return ask(`${this.url}${path}`, options);
  }

  /** A reading of a press, whatever its name. */
  async publish(device: string, sequence: number, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const reading = { boot: 1, nonce: 9, sequence, feature0: 101_320 + sequence, feature1: 10 * Math.sin(sequence / 5), ...more };
    await this.client.publishAsync(`s/${device}/r`, JSON.stringify(reading), { qos: 1 });
  }

  get accepted(): number {
    return this.started.runtime.status().metrics["readings_accepted"] ?? 0;
  }

  endBroker(): Promise<void> {
    this.#brokerEnded ??= this.broker.close();
    return this.#brokerEnded;
  }

  async close(): Promise<void> {
    await this.client.endAsync(true);
    await this.started.dashboard?.close();
    await this.started.runtime.stop();
    await this.endBroker();
  }
}
