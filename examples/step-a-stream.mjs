// Steps one stream by hand and keeps its hidden state in a file, so that the next run goes on where this one ended.
//
//   node step-a-stream.mjs [state.json] [steps] [--reset]
import { readFile, rename, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { EngineStream, loadModel, openEngine, systemDisk } from "hiddenstate";

const [file = "stream.json", steps = "5"] = process.argv.slice(2).filter((word) => !word.startsWith("--"));

// The model that comes with the package: vibration of a bearing, one reading ahead.
const model = await loadModel(systemDisk, fileURLToPath(import.meta.resolve("hiddenstate/models/bearing.onnx")));
const engine = await openEngine(model);
const stream = new EngineStream(engine);
console.log(`reads ${model.spec.features.map(({ name, unit }) => `${name} in ${unit}`).join(", ")}`);

let step = 0;
try {
  const kept = JSON.parse(await readFile(file, "utf8"));
  stream.setState(kept.state);
  step = kept.step;
  console.log(`goes on at step ${step}`);
} catch (thrown) {
  if (thrown.code !== "ENOENT") throw thrown;
  console.log("begins in the model's initial state");
}
if (process.argv.includes("--reset")) {
  stream.resetState();
  console.log("the state is the initial one again");
}

for (const end = step + Number(steps); step < end; step++) {
  const reading = [1 + 0.5 * Math.sin(step / 3), 12 + Math.sin(step / 20), 45 + 3 * Math.sin(step / 50)];
  const outputs = await stream.step(reading);
  console.log(`step ${step}: ${model.spec.outputs.map(({ name }, o) => `${name} ${outputs[o].toPrecision(6)}`).join(", ")}`);
}

// Written aside and renamed, so that a crash leaves the old file or the new one. A runtime does this for every reading, durably.
const state = Object.fromEntries(Object.entries(stream.getState()).map(([name, tensor]) => [name, Array.from(tensor)]));
await writeFile(`${file}.new`, JSON.stringify({ step, state }));
await rename(`${file}.new`, file);
stream.close();
await engine.close();
