// Whether the deviations of a model that is rolled forward are honest: how many readings lie where a trained network's forecasts said.
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { createRandom } from "../../src/base/random.ts";
import { openEngine } from "../../src/engine/open-engine.ts";
import { trainOnTable } from "../../src/learn/train-on-table.ts";
import { defaultTrainingSettings } from "../../src/learn/training-settings.ts";
import type { Model } from "../../src/model/model.ts";
import { rolledModel } from "../../src/model/rolled-model.ts";

const HORIZONS = [1, 12, 48];
/** Of a normal distribution 95 % lie within so many deviations. */
const DEVIATIONS = 1.96;
const PHI = 0.97;

/** What remembers 0.97 of itself from reading to reading: 48 ahead little of it is known, and much of it can happen on the way. */
function wander(seed: number, count: number): Float32Array {
  const random = createRandom(seed);
  let value = 0;
  return Float32Array.from({ length: count }, () => 20 + (value = PHI * value + random.normal()));
}

async function train(head: "gaussian" | "regression"): Promise<Model> {
  const count = 3000;
  const { model } = await trainOnTable({
    table: {
      features: ["x"],
      streams: [{ key: "", count, times: Float64Array.from({ length: count }, (_, i) => 60_000 * i), values: wander(1, count) }],
    },
    name: "wander",
    source: "test",
    targets: ["x"],
    horizon: 1,
    split: { train: 0.6, validation: 0.2, test: 0.2 },
    settings: { ...defaultTrainingSettings, hidden: [8], head, epochsMax: 30 },
    clock: systemClock,
  });
  return model;
}

for (const head of ["gaussian", "regression"] as const) {
  t.test(`about 95 % of the readings lie within 1.96 deviations at every horizon: ${head}`, { timeout: 120_000 }, async (t) => {
    const file = await train(head);
    const engine = await openEngine(rolledModel(file, HORIZONS), { engine: "native" });
    const T = 6000;
    const x = wander(2, T);
    const O = 2 * HORIZONS.length;
    const y = new Float32Array(T * O);
    await engine.step({ slots: Int32Array.of(engine.allocate()), count: 1, steps: T, x, y });
    for (const [h, horizon] of HORIZONS.entries()) {
      let [within, withinFirst, count] = [0, 0, 0];
      for (let step = 0; step + horizon < T; step++, count++) {
        const error = Math.abs(x[step + horizon]! - y[step * O + h]!);
        if (error <= DEVIATIONS * y[step * O + HORIZONS.length + h]!) within++;
        if (error <= DEVIATIONS * y[step * O + HORIZONS.length]!) withinFirst++;
      }
      const share = within / count;
      t.ok(share > 0.92 && share < 0.975, `${horizon} ahead: ${share}`);
      t.comment(`${horizon} ahead: ${share}; by the deviation of the next reading ${withinFirst / count}`);
      if (horizon > 1) t.ok(withinFirst / count < 0.75, "what is said of the next reading would not do");
    }
    await engine.close();
  });
}
