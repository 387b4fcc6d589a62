// `npm run test:switch-kill -- --rounds N [--devices N] [--seed N]`: kill -9 at every step of a switch of models, under load.
import { parseArgs } from "node:util";
import { runSwitchKills, switchFaultsOf } from "./switch-kill-run.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    devices: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
  },
});
const report = await runSwitchKills({
  rounds: Number(values.rounds),
  devices: Number(values.devices),
  seed: Number(values.seed),
  write: (line) => console.log(line),
});
console.log(JSON.stringify(report, undefined, 2));
const faults = switchFaultsOf(report);
console.log(faults === 0 ? "passed: the old model or the new one, and every bit as it gives it" : `failed: ${faults} faults`);
process.exit(faults === 0 ? 0 : 1);
