// `hiddenstate demo`: everything in one process on loopback: a broker, simulated devices, the runtime with the shipped model, and a table of
// what it predicts. Only the state directory outlives it.
import { Command } from "commander";
import { resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { limits } from "../base/limits.ts";
import { createLog } from "../base/log.ts";
import { createSystemRandom } from "../base/random.ts";
import { parseBrokerUrl } from "../mqtt/broker-address.ts";
import { startEmbeddedBroker } from "../mqtt/embedded-broker.ts";
import type { EmbeddedBroker } from "../mqtt/embedded-broker.ts";
import { loadModel } from "../onnx/load-model.ts";
import { openDeviceMemory } from "../../firmware-sim/device-memory.ts";
import { createFleet } from "../../firmware-sim/fleet.ts";
import type { Fleet } from "../../firmware-sim/fleet.ts";
import { Publisher } from "../../firmware-sim/publisher.ts";
import { configSchema } from "../runtime/config-schema.ts";
import { startWithDashboard } from "../dashboard/start-with-dashboard.ts";
import type { Dashboard } from "../dashboard/dashboard.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { numberIn } from "./option-values.ts";
import { LiveTable } from "./live-table.ts";
import { PredictionWatch } from "./prediction-watch.ts";
import { shippedModelPath, shippedModelSignal } from "./shipped-model.ts";
import { stopSignal } from "./stop-signal.ts";

interface DemoOptions {
  readonly state: string;
  readonly seconds?: number;
  readonly json?: true;
  readonly devices: number;
  readonly rate: number;
}

/** What `--json` prints. */
interface DemoSummary {
  readonly seconds: number;
  readonly streams: number;
  /** Streams that went on where an earlier run had left them. */
  readonly resumedStreams: number;
  readonly readings: number;
  readonly predictions: number;
  /** Published by a device and never stepped. */
  readonly readingsLost: number;
}

const NODE = "demo";
const TOPIC = "sensors/{device}/readings";
const SEED = 1;
const FRAMES_PER_SECOND = 5;
/** At the end, what is on its way is waited for as long as some of it arrives this often. */
const ARRIVAL_MS_MAX = 2000;
const LOOK_EVERY_MS = 20;

class Demo {
  readonly #options: DemoOptions;
  readonly #clock: Clock = systemClock;
  readonly #broker: EmbeddedBroker;
  readonly #runtime: Runtime;
  readonly #dashboard: Dashboard;
  readonly #watch: PredictionWatch;
  readonly #fleet: Fleet;
  readonly #publisher: Publisher;
  /** Steps by stream, as the state directory had them. */
  readonly #before: ReadonlyMap<string, number>;
  readonly #valueName: string;
  readonly #unit: string;

  private constructor(
    options: DemoOptions,
    parts: {
      broker: EmbeddedBroker;
      runtime: Runtime;
      dashboard: Dashboard;
      watch: PredictionWatch;
      fleet: Fleet;
      publisher: Publisher;
      target: { name: string; unit: string };
    },
  ) {
    this.#options = options;
    this.#broker = parts.broker;
    this.#runtime = parts.runtime;
    this.#dashboard = parts.dashboard;
    this.#watch = parts.watch;
    this.#fleet = parts.fleet;
    this.#publisher = parts.publisher;
    this.#before = new Map(parts.runtime.control.listStreams().map(({ stream, steps }) => [stream, steps]));
    this.#valueName = parts.target.name;
    this.#unit = parts.target.unit;
  }

  static async open(options: DemoOptions): Promise<Demo> {
    const [clock, random, log] = [systemClock, createSystemRandom(), createLog("error")];
    const state = resolve(options.state);
    const { spec } = await loadModel(systemDisk, shippedModelPath);
    const broker = await startEmbeddedBroker();
    const { runtime, dashboard } = await startWithDashboard(
      configSchema.parse({
        node: NODE,
        state,
        log: "warn",
        mqtt: { url: broker.url },
        dashboard: { commands: true },
        groups: [
          {
            name: "machines",
            topic: TOPIC,
            codec: "protobuf",
            model: shippedModelPath,
            predictions: { format: "protobuf" },
          },
        ],
      }),
      { clock, random, log },
      { anyPort: true },
    );
    await Promise.race([runtime.connected, runtime.failed]);
    const watch = new PredictionWatch({ url: broker.url, node: NODE, topic: TOPIC, spec, clock, random, log });
    await watch.start();
    const publisher = new Publisher({ broker: parseBrokerUrl(broker.url), clock, random });
    const fleet = createFleet({
      devices: options.devices,
      rate: options.rate,
      seed: SEED,
      signal: shippedModelSignal,
      topic: TOPIC,
      clock,
      memory: await openDeviceMemory(systemDisk, `${state}/devices`, clock),
      nonces: random,
      publish: (message) => publisher.offer(message),
    });
    const { feature } = spec.outputs[0]!;
    const target = spec.features.find(({ name }) => name === feature)!;
    return new Demo(options, { broker, runtime, dashboard: dashboard!, watch, fleet, publisher, target });
  }

  /** What the state directory remembered, in words. */
  get #greeting(): string {
    if (this.#before.size === 0) return `new streams; the state is kept in ${this.#options.state}`;
    const furthest = Math.max(...this.#before.values());
    return `resumed ${this.#before.size} streams at step ${furthest}, from ${this.#options.state}`;
  }

  /** Until its time is up or it is stopped. */
  async run(stopped: Promise<unknown>): Promise<DemoSummary> {
    const { seconds, json } = this.#options;
    const startedAtMs = this.#clock.monotonicMs();
    const timeUp =
      seconds === undefined ? stopped : new Promise<string>((end) => void this.#clock.after(seconds * 1000, () => end("time")));
    this.#publisher.open();
    await this.#publisher.whenUp();
    await this.#fleet.start();
    const stopDrawing = json === true ? () => {} : this.#show();
    await Promise.race([stopped, timeUp, this.#runtime.failed, this.#fleet.failure]);
    stopDrawing();
    this.#fleet.stop();
    // The broker ends with this process, and with it what it has confirmed and not yet handed on.
    await this.#arrived(() => this.#accepted, this.#fleet.counts.readings);
    await this.#publisher.close();
    await this.#dashboard.close();
    await this.#runtime.stop();
    await this.#arrived(() => this.#watch.predictions, this.#accepted);
    await this.#watch.close();
    await this.#broker.close();
    return this.#summary((this.#clock.monotonicMs() - startedAtMs) / 1000);
  }

  get #accepted(): number {
    return this.#runtime.status().metrics["readings_accepted"] ?? 0;
  }

  /** Resolves once a count has come to `all`, or comes no nearer. */
  async #arrived(count: () => number, all: number): Promise<void> {
    let [before, sinceMs] = [-1, 0];
    for (let now = count(); now < all; now = count()) {
      const nowMs = this.#clock.monotonicMs();
      if (now > before) [before, sinceMs] = [now, nowMs];
      else if (nowMs - sinceMs > ARRIVAL_MS_MAX) return;
      await new Promise<void>((look) => void this.#clock.after(LOOK_EVERY_MS, look));
    }
  }

  #summary(seconds: number): DemoSummary {
    const readings = this.#accepted;
    return {
      seconds: Number(seconds.toFixed(1)),
      streams: this.#runtime.status().streams,
      resumedStreams: this.#before.size,
      readings,
      predictions: this.#watch.predictions,
      readingsLost: this.#fleet.counts.readings - readings,
    };
  }

  /** Shows what happens until the returned function is called. */
  #show(): () => void {
    if (!process.stdout.isTTY) {
      process.stdout.write(`${this.#greeting}\nwatch it at ${this.#dashboard.url}\n`);
      return this.#repeat(1000, () => {
        const { metrics, streams } = this.#runtime.status();
        process.stdout.write(
          `${streams} streams, ${metrics["readings_accepted"] ?? 0} readings, ${this.#watch.predictions} predictions\n`,
        );
      });
    }
    const table = new LiveTable(process.stdout);
    return this.#repeat(1000 / FRAMES_PER_SECOND, () => {
      table.draw(this.#watch.rows(this.#before), {
        header: [
          `hiddenstate demo: ${this.#options.devices} simulated machines; watch them at ${this.#dashboard.url}`,
          this.#greeting,
        ],
        valueName: this.#valueName,
        unit: this.#unit,
        footer: "Ctrl-C stops; the next start goes on from here, also after kill -9",
      });
    });
  }

  #repeat(everyMs: number, run: () => void): () => void {
    const next = (): Timer =>
      this.#clock.after(everyMs, () => {
        run();
        timer = next();
      });
    let timer = next();
    return () => timer.cancel();
  }
}

function summaryText(summary: DemoSummary): string {
  const { seconds, streams, readings, predictions, readingsLost } = summary;
  return `${readings} readings of ${streams} streams and ${predictions} predictions in ${seconds} s; readings lost: ${readingsLost}`;
}

export function demoCommand(): Command {
  return new Command("demo")
    .description("run everything on this machine: a broker, simulated devices, the shipped model, a live table of predictions")
    .option("-s, --state <directory>", "where the streams' state is kept", ".hiddenstate")
    .option("--seconds <count>", "stop by itself after this long", numberIn(0.1, 1e9, false))
    .option("--devices <count>", "simulated devices", numberIn(1, limits.streamsMax, true), 20)
    .option("--rate <count>", "readings a second of each device", numberIn(0.001, 10_000, false), 5)
    .option("--json", "print one JSON summary at the end, and nothing else")
    .action(async (options: DemoOptions) => {
      const stopped = stopSignal();
      const summary = await (await Demo.open(options)).run(stopped);
      process.stdout.write(`${options.json === true ? JSON.stringify(summary) : summaryText(summary)}\n`);
      process.exit(0);
    });
}
