// What a fine-tune costs those who wait for predictions: npm run bench:learn -- [--json] [--rounds 3] [--seconds 8] [--rate 1000]
// [--folder /tmp]. One runtime under a steady load, in turns with a fine-tune under way and without one; latencies are from the write of
// a reading to the arrival of its prediction, through mosquitto, with the journal synced for each. The fine-tune has a quarter of one core.
import { cpus, tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { randomModel } from "../test/support/random-model.ts";
import { Box } from "./e2e/contenders.ts";
import type { RunningRuntime } from "./e2e/contenders.ts";
import type { Report } from "./e2e/load.ts";
import { median } from "./median.ts";

const HIDDEN = 32;
const FEATURES = 8;
const STREAMS = 100;
const WARM_MS = 2000;
/** Readings there must be before there is something to learn from. */
const FIRST_SECONDS = 20;

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "8" },
    rate: { type: "string", default: "1000" },
    folder: { type: "string", default: tmpdir() },
  },
});
const measureMs = 1000 * Number(values.seconds);

async function load(box: Box, runtime: RunningRuntime, ms: number): Promise<Report> {
  const pace = { perSecond: Number(values.rate) };
  return box.load(
    { streams: STREAMS, readings: 1, predictions: runtime.predictions, pace, warmMs: WARM_MS, measureMs: ms },
    runtime,
  );
}

function cpuShare({ usage, seconds }: Report): number {
  const [before, after] = usage["contender"]!;
  return (after.cpuMs - before.cpuMs) / (1000 * seconds);
}

const model = randomModel({ features: FEATURES, hidden: [HIDDEN], cells: ["gru"], seed: 1 });
const box = await Box.open({ parent: values.folder, model, profileFolder: undefined });
const rows: { readonly idle: Report; readonly tuning: Report }[] = [];
try {
  for (let round = 0; round < Number(values.rounds); round++) {
    await box.renewBroker();
    const runtime = await box.runtime(box.newState());
    await load(box, runtime, 1000 * FIRST_SECONDS);
    const idle = await load(box, runtime, measureMs);
    await runtime.tune();
    const tuning = await load(box, runtime, measureMs);
    rows.push({ idle, tuning });
    await runtime.stop();
    const decided = runtime
      .log()
      .split("\n")
      .find((line) => line.includes('"msg":"learning"'));
    console.error(
      `round ${round + 1}: ${decided === undefined ? "with a fine-tune all along" : `it ended within that time: ${decided}`}`,
    );
  }
} finally {
  await box.close();
}
const percentile = (name: "p50" | "p99", of: "idle" | "tuning"): number => median(rows.map((row) => row[of].latencyMs[name]));
const report = {
  processor: cpus()[0]!.model,
  cores: cpus().length,
  node: process.version,
  rate: Number(values.rate),
  idle: { p50: percentile("p50", "idle"), p99: percentile("p99", "idle"), cpu: median(rows.map(({ idle }) => cpuShare(idle))) },
  tuning: {
    p50: percentile("p50", "tuning"),
    p99: percentile("p99", "tuning"),
    cpu: median(rows.map(({ tuning }) => cpuShare(tuning))),
  },
  ratioP99: median(rows.map(({ idle, tuning }) => tuning.latencyMs.p99 / idle.latencyMs.p99)),
};
if (values.json) console.log(JSON.stringify(report));
else {
  const line = (name: string, { p50, p99, cpu }: typeof report.idle): string =>
    `${name.padEnd(24)}${p50.toFixed(2).padStart(8)} ms ${p99.toFixed(2).padStart(8)} ms ${(100 * cpu).toFixed(0).padStart(6)} %`;
  console.log(`${report.rate} readings/s, ${STREAMS} streams, GRU ${HIDDEN}, on ${report.cores} cores of ${report.processor}`);
  console.log(`${"".padEnd(24)}${"p50".padStart(11)} ${"p99".padStart(11)}   of a core`);
  console.log(line("idle", report.idle));
  console.log(line("while a fine-tune runs", report.tuning));
  console.log(`p99: ${report.ratioP99.toFixed(2)} times as long`);
}
