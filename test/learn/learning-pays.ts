// node build/test/learn/learning-pays.js DATA [--json]: what fine-tuning is worth on the simulator's series and on recorded ones.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { generateRows } from "../../firmware-sim/generate-rows.ts";
import type { SignalKind } from "../../firmware-sim/signals.ts";
import { parseCsv } from "../../src/message/csv-table.ts";
import type { ReadingTable } from "../../src/message/reading-table.ts";
import { runLearning } from "./learning-run.ts";
import type { LearningRun } from "./learning-run.ts";

/** The columns that have values all the year round. */
const AIR = ["PT08_S1_CO", "C6H6_GT", "PT08_S2_NMHC", "PT08_S3_NOx", "PT08_S4_NO2", "PT08_S5_O3", "T", "RH", "AH"];

function airQuality(data: string): ReadingTable {
  const path = join(data, "sensors/airquality/AirQualityUCI.csv");
  return parseCsv(readFileSync(path, "utf8"), { origin: path, timeColumn: "Date,Time", features: AIR, missing: ["-200"] });
}

function simulated(signal: SignalKind, steps: number): ReadingTable {
  return generateRows({ signal, seed: 5, devices: 2, steps });
}

const [data = "../shared/data", ...flags] = process.argv.slice(2);
const results: Record<string, LearningRun> = {};
for (const signal of ["drift", "daily", "vibration", "steps", "mixed"] as const) {
  const table = simulated(signal, 12_000);
  results[signal] = await runLearning({ table, targets: [table.features[0]!] });
}
results["airquality"] = await runLearning({ table: airQuality(data), targets: ["C6H6_GT"] });
if (flags.includes("--json")) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  for (const [name, { frozen, learning, swaps, decisions }] of Object.entries(results)) {
    const gain = (100 * (1 - learning / frozen)).toFixed(1);
    process.stdout.write(
      `${name.padEnd(12)} frozen ${frozen.toFixed(4)}  learning ${learning.toFixed(4)}  ${gain} %  ${swaps} swaps\n`,
    );
    for (const decision of decisions) process.stdout.write(`  ${JSON.stringify(decision)}\n`);
  }
}
