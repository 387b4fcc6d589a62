import { readFileSync } from "node:fs";
import t from "tap";
import { faultClasses, planOf } from "./fault-plan.ts";
import { mutants, mutated } from "./mutant-list.ts";
import { sweepSeeds } from "./seed-sweep.ts";
import { replayCommand } from "./shrink.ts";

t.test("200 seeds of faults: states, outputs, acks and counters are right, and a seed is the same run every time", async (t) => {
  const { seeds, readings, crashes, twice, failed } = await sweepSeeds(1, 200);
  if (failed !== undefined) t.fail(`${failed.failure}; ${replayCommand(failed.seed, [])}`);
  t.equal(seeds, 200);
  t.equal(twice, 2);
  t.ok(readings > 10_000 && crashes > 300, `${readings} readings, ${crashes} crashes`);
});

t.test("each class of faults is on in some seeds and off in others, and a class can be left off by itself", async (t) => {
  const plans = Array.from({ length: 200 }, (_, seed) => planOf(seed));
  for (const name of faultClasses) {
    const on = plans.filter(({ faults }) => faults.has(name)).length;
    t.ok(on > 20 && on < 180, `${name} is on in ${on} of 200`);
  }
  const { faults, ...knobs } = planOf(1);
  const { faults: fewer, ...sameKnobs } = planOf(1, new Set(["slowDisk"]));
  t.strictSame(sameKnobs, knobs);
  t.strictSame(
    [...faults].filter((name) => name !== "slowDisk"),
    [...fewer],
  );
});

t.test("every mutant's text stands in the compiled files, once", (t) => {
  for (const mutant of mutants) {
    const text = readFileSync(new URL(`../../src/${mutant.file}`, import.meta.url), "utf8");
    t.not(mutated(text, mutant), text, mutant.name);
  }
  t.end();
});
