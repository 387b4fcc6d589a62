import t from "tap";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { faultsOf, runKills } from "./kill-run.ts";

t.test(
  "20 kills under load: nothing lost, nothing stepped twice, a reset stays a reset",
  { skip: mosquittoMissing(), timeout: 180_000 },
  async (t) => {
    const report = await runKills({ rounds: 20, devices: 25, seed: 1, write: (line) => t.comment(line) });
    t.comment(JSON.stringify(report));
    t.ok(report.readings > 5000, "there was load");
    t.ok(report.commands > 50, "there were commands");
    t.equal(faultsOf(report), 0, JSON.stringify(report));
  },
);
