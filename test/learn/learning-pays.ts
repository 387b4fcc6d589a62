// node build/test/learn/learning-pays.js DATA [--json]: what fine-tuning is worth on the simulator's series and on recorded ones.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { generateRows } from "../../firmware-sim/generate-rows.ts";
import { signalKinds } from "../../firmware-sim/signals.ts";
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

interface Series {
  readonly name: string;
  readonly table: () => ReadingTable;
  readonly target: string;
}

const SEEDS = [1, 2, 3, 4];
const STEPS = 9000;

const [data = "../shared/data", ...flags] = process.argv.slice(2);
const simulated = signalKinds.flatMap((signal) =>
  SEEDS.map((seed): Series => {
    const table = generateRows({ signal, seed, devices: 1, steps: STEPS });
    return { name: signal, table: () => table, target: table.features[0]! };
  }),
);
const recorded = ["C6H6_GT", "T", "RH", "PT08_S5_O3"].map((target): Series => {
  return { name: `airquality ${target}`, table: () => airQuality(data), target };
});
const results: (LearningRun & { readonly name: string })[] = [];
for (const { name, table, target } of [...simulated, ...recorded]) {
  results.push({ name, ...(await runLearning({ table: table(), targets: [target] })) });
}
if (flags.includes("--json")) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  process.stdout.write(
    "RMSE of the next reading, learning against as it is, one number a series; and how often the model was switched\n",
  );
  for (const name of new Set(results.map((one) => one.name))) {
    const runs = results.filter((one) => one.name === name);
    const gains = runs.map(({ frozen, learning }) => `${(100 * (learning / frozen - 1)).toFixed(1)} %`.padStart(8));
    process.stdout.write(`${name.padEnd(24)}${gains.join("").padEnd(36)}${runs.map(({ swaps }) => swaps).join(", ")}\n`);
  }
}
