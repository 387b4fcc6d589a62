// `npm run test:kill -- --rounds N [--devices N] [--seed N] [--stop-seconds N]`: under load, N times kill -9 of the runtime, of its broker,
// of both, or a stop of up to 30 s.
import { parseArgs } from "node:util";
import { faultsOf, runKills } from "./kill-run.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    devices: { type: "string", default: "25" },
    seed: { type: "string", default: "1" },
    "stop-seconds": { type: "string", default: "30" },
  },
});
const report = await runKills({
  rounds: Number(values.rounds),
  devices: Number(values.devices),
  seed: Number(values.seed),
  stopMsMax: 1000 * Number(values["stop-seconds"]),
  write: (line) => console.log(line),
});
console.log(JSON.stringify(report, undefined, 2));
const faults = faultsOf(report);
console.log(
  faults === 0 ? "passed: nothing lost, nothing doubled, every bit as in an uninterrupted run" : `failed: ${faults} faults`,
);
process.exit(faults === 0 ? 0 : 1);
