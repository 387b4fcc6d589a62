import t from "tap";
import { createRandom } from "../../src/base/random.ts";
import { Adwin, PageHinkley } from "../../src/learn/drift.ts";

/** Squared standard normal errors, `factor` times as large from `at` on; where the detector speaks first, -1 where it does not. */
function firstAlarm(detector: { add(error: number): boolean }, seed: number, count: number, at = Infinity, factor = 1): number {
  const random = createRandom(seed);
  for (let i = 0; i < count; i++) {
    const error = random.normal() ** 2 * (i >= at ? factor : 1);
    if (detector.add(error)) return i;
  }
  return -1;
}

for (const [name, create] of [
  ["Page-Hinkley", () => new PageHinkley()],
  ["ADWIN", () => new Adwin()],
] as const) {
  t.test(`${name} tells that errors have grown, soon after they have`, async (t) => {
    for (let seed = 1; seed <= 20; seed++) {
      const doubled = firstAlarm(create(), seed, 20_000, 10_000, 2);
      t.ok(doubled >= 10_000 && doubled < 11_000, `twice as large: after ${doubled - 10_000}`);
    }
  });

  t.test(`${name} says nothing where errors stay as they are`, async (t) => {
    let spoken = 0;
    for (let seed = 1; seed <= 20; seed++) if (firstAlarm(create(), seed, 20_000) >= 0) spoken++;
    t.ok(spoken <= 1, `${spoken} of 20 series`);
  });
}

t.test(
  "ADWIN says nothing where errors have become smaller, forgets what they were, and remembers a bounded amount",
  async (t) => {
    const adwin = new Adwin();
    t.equal(firstAlarm(adwin, 3, 20_000, 10_000, 0.2), -1);
    t.ok(adwin.width <= 10_064, `${adwin.width} errors in the window`);
    const random = createRandom(4);
    let spoke = -1;
    for (let i = 0; i < 2000 && spoke < 0; i++) if (adwin.add(random.normal() ** 2)) spoke = i;
    t.ok(spoke >= 0 && spoke < 500, "and then what was normal before is a rise");
  },
);
