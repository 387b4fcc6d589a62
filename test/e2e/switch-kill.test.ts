import t from "tap";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { runSwitchKills, switchFaultsOf, switchSteps } from "./switch-kill-run.ts";

t.setTimeout(240_000);

t.test(
  "20 kills at every step of a switch: the old model or the new one, for all streams, and every bit as it gives it",
  { skip: mosquittoMissing(), timeout: 240_000 },
  async (t) => {
    const report = await runSwitchKills({ rounds: 20, devices: 10, seed: 1, write: (line) => t.comment(line) });
    t.comment(JSON.stringify(report));
    t.ok(report.readings > 1000, "there was load");
    for (const step of switchSteps) t.ok(report.rounds[step].all > 0, step);
    t.equal(report.rounds.answered.switched, report.rounds.answered.all, "what was answered is in force");
    const switched = Object.values(report.rounds).reduce((sum, round) => sum + round.switched, 0);
    t.ok(switched < 20, "some kills came in time");
    t.equal(switchFaultsOf(report), 0, JSON.stringify(report));
  },
);
