// Trains a small GRU on a table of readings, shows what it is worth beside "as before", and writes it as an ONNX file.
//
//   node train-and-export.mjs [tank.onnx]
import { writeFile } from "node:fs/promises";
import { createRandom, EngineStream, openEngine, SequenceModel, tensor, trainOnTable } from "hiddenstate";

const [file = "tank.onnx"] = process.argv.slice(2);

// One stream: a tank that fills, and a pump that empties it from 80 cm down to 20 cm. Whether the pump runs is not measured: it has to be
// remembered. parseCsv makes such a table of a file.
const count = 3000;
const features = ["inflow", "level"];
const times = Float64Array.from({ length: count }, (_, row) => Date.UTC(2026, 0, 1) + row * 60_000);
const values = new Float32Array(count * features.length);
const random = createRandom(1);
let level = 50;
let pumping = false;
for (let row = 0; row < count; row++) {
  const inflow = 3 + Math.sin((2 * Math.PI * row) / 200) + 0.2 * random.normal();
  if (level > 80) pumping = true;
  if (level < 20) pumping = false;
  level += inflow - (pumping ? 8 : 0);
  values.set([inflow, level], row * features.length);
}

const { model, scores } = await trainOnTable({
  table: { features, streams: [{ key: "tank-1", count, times, values }] },
  name: "tank",
  units: ["l/min", "cm"],
  targets: ["level"],
  horizon: 5,
  settings: { cell: "gru", hidden: [16], epochsMax: 30, seed: 1 },
});
for (const { forecaster, outputs } of scores) {
  console.log(`${forecaster}: RMSE ${outputs[0].rmse.toPrecision(3)} cm, five minutes ahead, on rows it has not seen`);
}

await writeFile(file, model.bytes);
console.log(`wrote ${file}: ${model.bytes.length} bytes, version ${model.version.slice(0, 16)}`);

// The same network twice: all rows in one call of the trainable model, and one reading at a time by an engine.
const T = 100;
const rows = values.subarray(0, T * features.length);
const together = new SequenceModel(model.spec, model.weights).predict(tensor(rows, [1, T, features.length])); // (N, T, O)
const engine = await openEngine(model);
const stream = new EngineStream(engine);
let difference = 0;
for (let t = 0; t < T; t++) {
  const [forecast] = await stream.step(rows.subarray(t * features.length, (t + 1) * features.length));
  difference = Math.max(difference, Math.abs(forecast - together.data[t]));
}
console.log(
  `one reading at a time on ${engine.name} (${engine.kernel}) or ${T} in one call: at most ${difference.toExponential(1)} cm apart`,
);
stream.close();
await engine.close();
