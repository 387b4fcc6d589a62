// The whole runtime in this process: a broker of its own, simulated devices that publish to it, and each prediction as it is made. Run it
// twice: the streams go on where they were.
//
//   node embed-the-runtime.mjs [state-directory] [seconds]
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createRuntime, defineConfig, startEmbeddedBroker } from "hiddenstate";

const [state = "state", seconds = "3"] = process.argv.slice(2);

const broker = await startEmbeddedBroker();
const config = defineConfig({
  node: "example",
  state,
  log: "error",
  mqtt: { url: broker.url },
  groups: [
    {
      name: "machines",
      topic: "sensors/{device}/readings",
      codec: "json",
      model: fileURLToPath(import.meta.resolve("hiddenstate/models/bearing.onnx")),
      score: { budget: "1/week" },
    },
  ],
});
const runtime = await createRuntime(config);
for (const { stream, steps } of runtime.control.listStreams()) console.log(`${stream} goes on at step ${steps}`);

let predictions = 0;
const newest = new Map();
runtime.onPrediction(({ stream, outputs, outputNames, count }) => {
  predictions += count;
  newest.set(stream, outputNames.map((name, o) => `${name} ${outputs[o].toPrecision(4)}`).join(", "));
});
runtime.onAlarm(({ stream, open, score }) => console.log(`${open ? "ALARM" : "over"}: ${stream}, score ${score}`));
await Promise.race([runtime.connected, runtime.failed]);

// Devices are other programs: these are simulated, by the command line of the same package.
const main = fileURLToPath(new URL("build/src/cli/main.js", import.meta.resolve("hiddenstate/package.json")));
const options = ["--url", broker.url, "--devices", "3", "--rate", "20", "--signal", "vibration", "--codec", "json"];
const devices = spawn(process.execPath, [main, "simulate", ...options, "--seconds", seconds, "--json"], {
  stdio: ["ignore", "ignore", "inherit"],
});
await Promise.race([once(devices, "exit"), runtime.failed]);

for (const [stream, text] of [...newest].toSorted(([a], [b]) => a.localeCompare(b))) console.log(`${stream}: ${text}`);
const { facts } = await runtime.getState("device-001");
await runtime.resetState("device-002");
await runtime.stop();
await broker.close();
console.log(
  `${runtime.status().metrics.readings_accepted} readings, ${predictions} predictions; device-001 is at step ${facts.steps}`,
);
