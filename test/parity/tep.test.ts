// The process with known faults, where it is at hand.
import { test } from "tap";
import { sharedData } from "../support/shared-data.ts";
import { runProcess } from "./tep.ts";

const folder = sharedData("sensors", "tep");
const skip = folder === undefined && "../shared/data/sensors/tep is not here; its files may not be copied";

void test("faults of a process are found within 40 rows, in their columns, and none before", { skip }, async (t) => {
  const verdicts = await runProcess(folder!);
  t.equal(verdicts.length, 8);
  for (const { name, passed, alarms } of verdicts) {
    t.ok(passed, `${name}: alarms at rows ${alarms.map(({ row }) => row).join(", ")}`);
  }
});
