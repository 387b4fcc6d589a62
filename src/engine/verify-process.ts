// A process that holds the native engine against onnxruntime on one model file and prints the parity report: node verify-process.js FILE.
// Of a model that only onnxruntime takes there is nothing to compare: it prints null. It gives way to everything else on the box.
import { setPriority } from "node:os";
import { systemDisk } from "../base/disk.ts";
import { reasonOf } from "../base/errors.ts";
import { nativeProblem } from "../model/native-problem.ts";
import { loadModel } from "../onnx/load-model.ts";
import { compareEngines } from "./compare-engines.ts";
import { openEngine } from "./open-engine.ts";

const LOWEST_PRIORITY = 19;

async function main(file: string): Promise<void> {
  setPriority(LOWEST_PRIORITY);
  const model = await loadModel(systemDisk, file);
  const onnx = await openEngine(model, { engine: "onnx" });
  const isOnnxOnly = nativeProblem(model.spec) !== undefined;
  const report = isOnnxOnly ? null : await compareEngines(model, await openEngine(model, { engine: "native" }), onnx);
  process.stdout.write(JSON.stringify(report));
}

try {
  await main(process.argv[2]!);
} catch (thrown) {
  process.stderr.write(reasonOf(thrown));
  process.exitCode = 1;
}
