import t from "tap";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { faultKinds, faultsOf, runKills } from "./kill-run.ts";

t.setTimeout(240_000);

t.test(
  "30 rounds of kills and stops under load: nothing lost, nothing stepped twice, a reset stays a reset",
  { skip: mosquittoMissing(), timeout: 240_000 },
  async (t) => {
    const report = await runKills({ rounds: 30, devices: 25, seed: 1, stopMsMax: 2000, write: (line) => t.comment(line) });
    t.comment(JSON.stringify(report));
    t.ok(report.readings > 5000, "there was load");
    t.ok(report.commands > 50, "there were commands");
    for (const kind of faultKinds) t.ok(report.rounds[kind] > 0, kind);
    t.equal(faultsOf(report), 0, JSON.stringify(report));
  },
);
