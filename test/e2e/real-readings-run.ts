// Real readings all the way: a model trained on the first 60 % of a recorded series, the rest replayed by a simulated device through
// mosquitto to a runtime that is killed in the middle, and every prediction held against an offline walk of the same rows.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import mqtt from "mqtt";
import { systemClock } from "../../src/base/clock.ts";
import { systemDisk } from "../../src/base/disk.ts";
import { outputScales, worstDifference } from "../../src/engine/parity.ts";
import { Autoregression, Persistence } from "../../src/learn/baselines.ts";
import { evaluate, forecastWalk } from "../../src/learn/evaluate.ts";
import type { Forecaster } from "../../src/learn/forecaster.ts";
import { ModelForecaster } from "../../src/learn/model-forecaster.ts";
import { buildSeries } from "../../src/learn/series.ts";
import type { Series } from "../../src/learn/series.ts";
import { parseCsv } from "../../src/message/csv-table.ts";
import { decodePrediction } from "../../src/message/prediction.ts";
import { sliceStream } from "../../src/message/reading-table.ts";
import { loadModel } from "../../src/onnx/load-model.ts";
import { startCli } from "../support/cli.ts";
import type { Running } from "../support/cli.ts";
import { startMosquitto } from "../support/mosquitto.ts";

export const SERIES = "nab/data/realKnownCause/machine_temperature_system_failure.csv";
const TRAINED_PART = 0.6;
const WAIT_MS_MAX = 60_000;

export interface RealReadingsReport {
  readonly rows: number;
  readonly predictions: number;
  readonly restartedAfter: number;
  /** The worst |streamed - offline| by the parity measure. */
  readonly worstDifference: number;
  /** On the rows that no training saw, horizon 1. */
  readonly rmse: { readonly model: number; readonly persistence: number; readonly autoregression6: number };
}

const LAYOUT = { features: 1, targets: [0], horizon: 1 };

/** The root mean squared error of what the runtime streamed, against the next reading. */
function rmseOf(streamed: Float32Array, { targets, count }: Series): number {
  let sum = 0;
  for (let row = 0; row + 1 < count; row++) sum += (streamed[row]! - targets[row]!) ** 2;
  return Math.sqrt(sum / (count - 1));
}

class Stream {
  readonly #predictions: Map<number, number>;
  readonly #config: string;
  #runtime: Running | undefined;

  constructor(config: string, predictions: Map<number, number>) {
    this.#config = config;
    this.#predictions = predictions;
  }

  async start(): Promise<void> {
    this.#runtime = startCli(["run", this.#config]);
    await this.#runtime.printed("taking readings");
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#runtime?.child.kill(signal);
    await this.#runtime?.ended;
  }

  async until(count: number): Promise<void> {
    const deadline = Date.now() + WAIT_MS_MAX;
    while (this.#predictions.size < count && Date.now() < deadline) await sleep(5);
  }
}

/** Trains with the command's defaults; prints its table through `write`. */
async function train(csv: string, out: string, write: (text: string) => void): Promise<void> {
  const args = [
    "train",
    csv,
    "--time",
    "timestamp",
    "--features",
    "value",
    "--target",
    "value",
    "--split",
    "0.5,0.1,0.4",
    "--out",
    out,
  ];
  const { code, stdout, stderr } = await startCli(args).ended;
  write(stdout);
  if (code !== 0) throw new Error(`training ended with ${code}: ${stderr}`);
}

interface Streamed {
  readonly predictions: Map<number, number>;
  readonly restartedAfter: number;
}

async function streamRows(csv: string, model: string, rows: number, folder: string): Promise<Streamed> {
  const broker = await startMosquitto({ config: ["max_queued_messages 0"] });
  const client = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
  const predictions = new Map<number, number>();
  const config = join(folder, "config.yaml");
  writeFileSync(
    config,
    `node: real\nstate: state\nmqtt: { url: "${broker.url}" }\ngroups:\n` +
      `  - { name: machines, topic: "sensors/{device}/readings", codec: protobuf, model: ${model}, predictions: { format: protobuf } }\n`,
  );
  const stream = new Stream(config, predictions);
  try {
    client.on("message", (_topic, payload) => {
      const { count, sequences, outputs } = decodePrediction("protobuf", payload);
      for (let i = 0; i < count; i++) predictions.set(sequences[i]!, outputs[i]!);
    });
    await client.subscribeAsync("hiddenstate/real/prediction/+", { qos: 1 });
    await stream.start();
    const replay = ["--replay", csv, "--time", "timestamp", "--features", "value", "--from-fraction", String(TRAINED_PART)];
    const simulated = startCli(["simulate", "--url", broker.url, ...replay, "--speed", "1000000x"]);
    await stream.until(rows / 2);
    await stream.end("SIGKILL");
    const restartedAfter = predictions.size;
    await stream.start();
    await simulated.ended;
    await stream.until(rows);
    await stream.end("SIGTERM");
    return { predictions, restartedAfter };
  } finally {
    await stream.end("SIGKILL");
    await client.endAsync(true);
    await broker.close();
  }
}

/** Runs the whole on `csv`. */
export async function runRealReadings(csv: string, write: (text: string) => void): Promise<RealReadingsReport> {
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-real-"));
  try {
    const out = join(folder, "machine.onnx");
    await train(csv, out, write);
    const table = parseCsv(readFileSync(csv, "utf8"), { origin: csv, timeColumn: "timestamp", features: ["value"] });
    const whole = table.streams[0]!;
    const first = Math.floor(whole.count * TRAINED_PART);
    const past = buildSeries(sliceStream(whole, 0, first), LAYOUT);
    const series = buildSeries(sliceStream(whole, first, whole.count), LAYOUT);
    const rows = series.count;
    const walk = { series, past };
    const model = await loadModel(systemDisk, out);
    const offline = forecastWalk(new ModelForecaster(model), walk, 1);
    const { predictions, restartedAfter } = await streamRows(csv, out, rows, folder);
    const streamed = Float32Array.from({ length: rows }, (_, row) => predictions.get(row) ?? Number.NaN);
    const scales = outputScales(model.spec);
    const score = async (forecaster: Forecaster): Promise<number> =>
      (await evaluate(forecaster, [walk], 1, systemClock)).outputs[0]!.rmse;
    return {
      rows,
      predictions: predictions.size,
      restartedAfter,
      worstDifference: worstDifference(streamed, 0, offline, 0, rows, scales),
      rmse: {
        model: rmseOf(streamed, series),
        persistence: await score(new Persistence(LAYOUT)),
        autoregression6: await score(new Autoregression(LAYOUT, 6, [past])),
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
