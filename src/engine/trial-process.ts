// A process that measures both engines on one model file and prints the figures: node trial-process.js FILE BATCHES, as [1,64]. It gives
// way to everything else on the box.
import { setPriority } from "node:os";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { reasonOf } from "../base/errors.ts";
import { loadModel } from "../onnx/load-model.ts";
import { tryEngines } from "./engine-trial.ts";
import { openEngine } from "./open-engine.ts";

const LOWEST_PRIORITY = 19;

async function main(file: string, batches: readonly number[]): Promise<void> {
  setPriority(LOWEST_PRIORITY);
  const model = await loadModel(systemDisk, file);
  const engines = {
    native: await openEngine(model, { engine: "native" }),
    onnx: await openEngine(model, { engine: "onnx" }),
  };
  process.stdout.write(JSON.stringify(await tryEngines(systemClock, engines, batches)));
}

try {
  await main(process.argv[2]!, JSON.parse(process.argv[3]!) as number[]);
} catch (thrown) {
  process.stderr.write(reasonOf(thrown));
  process.exitCode = 1;
}
