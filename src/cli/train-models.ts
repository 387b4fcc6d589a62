// `npm run train:models`: makes the models that ship with the package, to the byte. A fleet of simulated devices to learn from, another to
// choose the best epoch on, and the demo's own fleet, which neither has seen, to measure with.
import { chmod } from "node:fs/promises";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { trainOnTable } from "../learn/train-on-table.ts";
import { saveTraining, trainingPaths } from "../learn/training-files.ts";
import { defaultTrainingSettings } from "../learn/training-settings.ts";
import type { TrainingSettings } from "../learn/training-settings.ts";
import type { ReadingTable } from "../message/reading-table.ts";
import { generateRows } from "../../firmware-sim/generate-rows.ts";
import { DAY_STEPS } from "../../firmware-sim/signals.ts";
import { failWith } from "./fail.ts";
import { shippedModelPath, shippedModelSignal } from "./shipped-model.ts";
import { formatScores } from "./train.ts";
import { TrainingLines } from "./training-lines.ts";

/** Seeds and sizes. The last is the demo's fleet. */
const FLEETS = [
  { name: "training", seed: 101, devices: 48 },
  { name: "validation", seed: 102, devices: 16 },
  { name: "demo", seed: 1, devices: 20 },
] as const;
/** Between the starts of two fleets, so that a split by time parts them. */
const FLEET_INTERVAL_MS = 30 * 24 * 3600 * 1000;
const START_TIME_MS = Date.UTC(2025, 0, 1);
const HIDDEN = 24;
/** The one whose bits are the same on every machine with WebAssembly SIMD. */
const KERNEL = "plain";
const TARGET = "vibration";

function fleetRows(): { readonly table: ReadingTable; readonly units: readonly string[] } {
  const fleets = FLEETS.map(({ name, seed, devices }, index) => {
    const startTimeMs = START_TIME_MS + index * FLEET_INTERVAL_MS;
    const rows = generateRows({ signal: shippedModelSignal, seed, devices, steps: DAY_STEPS, startTimeMs });
    return { ...rows, streams: rows.streams.map((stream) => ({ ...stream, key: `${name}/${stream.key}` })) };
  });
  const { features, units } = fleets[0]!;
  return { table: { features, streams: fleets.flatMap(({ streams }) => streams) }, units };
}

async function trainShippedModel(): Promise<void> {
  const { table, units } = fleetRows();
  const total = FLEETS.reduce((sum, { devices }) => sum + devices, 0);
  const [train, validation, test] = FLEETS.map(({ devices }) => devices / total);
  const paths = trainingPaths(shippedModelPath);
  const settings: TrainingSettings = { ...defaultTrainingSettings, hidden: [HIDDEN], kernel: KERNEL };
  const lines = new TrainingLines(process.stderr, systemClock, settings.epochsMax);
  const outcome = await trainOnTable({
    table,
    name: paths.name,
    source: `firmware-sim, signal ${shippedModelSignal}, fleets of seed ${FLEETS.map(({ seed }) => seed).join(", ")}`,
    units,
    targets: [TARGET],
    horizon: 1,
    split: { train: train!, validation: validation!, test: test! },
    settings,
    clock: systemClock,
    onProgress: (progress) => lines.show(progress),
  });
  lines.close();
  const files = await saveTraining(systemDisk, paths, outcome, "npm run train:models");
  for (const path of files) await chmod(path, 0o644);
  process.stdout.write(`${formatScores(outcome)}\nwrote ${files.join(", ")}\nversion ${outcome.model.version}\n`);
}

try {
  await trainShippedModel();
} catch (thrown) {
  failWith(thrown);
}
