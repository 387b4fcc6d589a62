// That false alarms keep to their budget, on a tenth of the streams of `npm run score-budget`.
import { test } from "tap";
import { signalKinds } from "../../firmware-sim/signals.ts";
import { countAlarms, sumOf, WEEK_READINGS } from "./budget.ts";

const WEEKS = 8;
const SEEDS = [1, 2];

void test("streams without a fault raise about as many alarms as the budget allows, whatever they measure", async (t) => {
  for (const signal of signalKinds) {
    const counts = SEEDS.map((seed) => sumOf(countAlarms(signal, seed, WEEKS * WEEK_READINGS, false)));
    const total = counts.reduce((sum, count) => sum + count, 0);
    t.ok(
      total >= 0.5 * WEEKS * SEEDS.length && total <= 2 * WEEKS * SEEDS.length,
      `${signal}: ${total} alarms, ${counts.join(", ")}`,
    );
    t.ok(Math.max(...counts) <= 5 * WEEKS);
  }
});
