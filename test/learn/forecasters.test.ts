// The simple rules on series whose answers are known, the model's walk against the network itself, and how errors are counted.
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { createRandom } from "../../src/base/random.ts";
import { tensor } from "../../src/kernels/tensor.ts";
import { Autoregression, Persistence, SeasonalNaive } from "../../src/learn/baselines.ts";
import type { RowLayout } from "../../src/learn/baselines.ts";
import { evaluate, forecastWalk } from "../../src/learn/evaluate.ts";
import { LeastSquares } from "../../src/learn/least-squares.ts";
import { ModelForecaster } from "../../src/learn/model-forecaster.ts";
import { buildSeries } from "../../src/learn/series.ts";
import type { Series } from "../../src/learn/series.ts";
import { SequenceModel } from "../../src/model/sequence-model.ts";
import { randomModel } from "../support/random-model.ts";

const NONE = Number.NaN;
const single: RowLayout = { features: 1, targets: [0], horizon: 1 };

function seriesOf(values: readonly number[], layout = single): Series {
  const count = values.length / layout.features;
  const times = Float64Array.from({ length: count }, (_, row) => row * 60_000);
  return buildSeries({ key: "", count, times, values: Float32Array.from(values) }, layout);
}

void t.test("persistence says what is, of each output's own feature", async (t) => {
  const layout: RowLayout = { features: 2, targets: [1, 0], horizon: 1 };
  const series = seriesOf([1, 10, 2, NONE, 4, 30], layout);
  t.same([...forecastWalk(new Persistence(layout), { series, past: undefined }, 2)], [10, 1, 10, 2, 30, 4]);
  const score = await evaluate(new Persistence(layout), [{ series, past: undefined }], 2, systemClock);
  t.same(score, {
    forecaster: "persistence",
    outputs: [
      { rmse: 20, mae: 20, count: 1 },
      { rmse: Math.sqrt((1 + 4) / 2), mae: 1.5, count: 2 },
    ],
  });
});

void t.test("coverage is the share of targets in the interval of the forecast that was made of them", async (t) => {
  const sure = {
    name: "sure",
    deviations: new Float64Array(1),
    begin: (): void => {},
    forecast: (row: number, into: Float64Array): void => {
      into[0] = 0;
      sure.deviations[0] = row === 3 ? 2 : 1;
    },
  };
  // Targets 1.64 in, -1.65 out, 0.5 in, and 3.28 in twice the interval.
  const walk = { series: seriesOf([0, 1.64, -1.65, 0.5, 3.28]), past: undefined };
  const { count, coverage } = (await evaluate(sure, [walk], 1, systemClock)).outputs[0]!;
  t.same([count, coverage], [4, 3 / 4]);
});

void t.test("seasonal-naive says what was whole periods before the target, and what is where that is not known", async (t) => {
  const past = seriesOf([1, 2, 3, 4]);
  const series = seriesOf([5, 6, 7, 8, 9]);
  const forecasts = (horizon: number, period: number, withPast = true): number[] => {
    const rule = new SeasonalNaive({ ...single, horizon }, period);
    return [...forecastWalk(rule, { series, past: withPast ? past : undefined }, 1)];
  };
  t.same(forecasts(1, 4), [2, 3, 4, 5, 6]);
  t.same(forecasts(1, 4, false), [5, 6, 7, 5, 6], "the first three have no season behind them");
  t.same(forecasts(3, 2), [4, 5, 6, 7, 8], "three rows on lies one row before, two periods earlier");
  t.same(forecasts(2, 2), [5, 6, 7, 8, 9]);
  t.equal(new SeasonalNaive(single, 288).name, "seasonal-naive (288)");
});

/** x_t = 20 + sum of weights by the deviations before + noise. */
function autoregressive(weights: readonly number[], noise: number, count: number, seed: number): number[] {
  const random = createRandom(seed);
  const deviations: number[] = [];
  for (let row = 0; row < count; row++) {
    const pulled = weights.reduce((sum, weight, k) => sum + weight * (deviations[row - 1 - k] ?? 0), 0);
    deviations.push(pulled + noise * random.normal());
  }
  return deviations.map((deviation) => 20 + deviation);
}

void t.test("an autoregression of order 6 finds the process that made its rows", async (t) => {
  const weights = [0.6, -0.3, 0.2, 0, 0, 0.25];
  const train = [autoregressive(weights, 0.5, 20_000, 1), autoregressive(weights, 0.5, 20_000, 2)].map((one) => seriesOf(one));
  const rule = new Autoregression(single, 6, train);
  // What it says after an impulse are the weights themselves, one after the other.
  const impulse = seriesOf([20, 20, 20, 20, 20, 20, 21, 20, 20, 20, 20, 20, 20]);
  const said = [...forecastWalk(rule, { series: impulse, past: undefined }, 1)].slice(6, 12);
  for (const [k, weight] of weights.entries()) {
    t.ok(Math.abs(said[k]! - 20 - weight) < 0.02, `weight ${k + 1} is ${(said[k]! - 20).toFixed(4)}, not ${weight}`);
  }
  const test = seriesOf(autoregressive(weights, 0.5, 5000, 3));
  const { rmse } = (await evaluate(rule, [{ series: test, past: undefined }], 1, systemClock)).outputs[0]!;
  t.ok(Math.abs(rmse - 0.5) < 0.02, `its error is the noise's: ${rmse}`);
});

void t.test("an autoregression begins with the rows before its walk, or with its first row repeated", async (t) => {
  const rows = Array.from({ length: 200 }, (_, row) => Math.sin(row / 3) * 5 + 40);
  const rule = new Autoregression(single, 6, [seriesOf(rows)]);
  const whole = forecastWalk(rule, { series: seriesOf(rows), past: undefined }, 1);
  const later = forecastWalk(rule, { series: seriesOf(rows.slice(100)), past: seriesOf(rows.slice(0, 100)) }, 1);
  t.same([...later], [...whole].slice(100));
  const blind = forecastWalk(rule, { series: seriesOf(rows.slice(100)), past: undefined }, 1);
  t.not(blind[0], whole[100]);
  t.same([...blind].slice(5), [...whole].slice(105));
});

void t.test("an autoregression can be fitted where no row has all its lags, and where rows never vary", async (t) => {
  const gappy = seriesOf([NONE, 1, 2, 1, 2, 1]);
  const rule = new Autoregression(single, 6, [gappy]);
  const said = forecastWalk(rule, { series: seriesOf([1, 2]), past: undefined }, 1);
  t.ok(said.every(Number.isFinite), String(said));
  const flat = new Autoregression(single, 6, [seriesOf(Array<number>(30).fill(7))]);
  t.ok(Math.abs(forecastWalk(flat, { series: seriesOf([7, 7]), past: undefined }, 1)[1]! - 7) < 1e-6);
});

void t.test("least squares finds exact weights, and shares them between inputs that repeat each other", async (t) => {
  const exact = new LeastSquares(3);
  const random = createRandom(7);
  for (let row = 0; row < 50; row++) {
    const x = Float64Array.of(random.normal(), random.normal(), 1);
    exact.add(x, 2 * x[0]! - 3 * x[1]! + 0.5);
  }
  for (const [index, weight] of [2, -3, 0.5].entries()) {
    const found = exact.solve(1e-12)[index]!;
    t.ok(Math.abs(found - weight) < 1e-9, `${found} is ${weight}`);
  }
  const twice = new LeastSquares(2);
  for (let row = 0; row < 50; row++) {
    const x = random.normal();
    twice.add(Float64Array.of(x, x), 3 * x);
  }
  const [a, b] = twice.solve(1e-8);
  t.ok(Math.abs(a! - 1.5) < 1e-4 && Math.abs(b! - 1.5) < 1e-4, `${a} and ${b}`);
});

void t.test(
  "a model's walk gives the bits of the network run over the whole series at once, afresh for each stream",
  async (t) => {
    const model = randomModel({ features: 2, outputs: 1, hidden: [6, 4], residual: true });
    const layout: RowLayout = { features: 2, targets: [1], horizon: 1 };
    const random = createRandom(3);
    const values = Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? 101_325 + 5 * random.normal() : 10 * random.normal()));
    const series = seriesOf(values, layout);
    const network = new SequenceModel(model.spec, model.weights, { kernel: "scalar" });
    const wanted = [...network.predict(tensor(series.inputs, [1, 200, 2])).data];
    const forecaster = new ModelForecaster(model);
    t.same([...forecastWalk(forecaster, { series, past: undefined }, 1)], wanted);
    t.same([...forecastWalk(forecaster, { series, past: series }, 1)], wanted, "from a blank state, whatever lies before");
  },
);

void t.test("rows that the runtime would refuse are neither stepped nor counted", async (t) => {
  const model = randomModel({ features: 1, outputs: 1, hidden: [5] });
  const rows = [NONE, NONE, 3, 4, 5, 4];
  const series = seriesOf(rows);
  const said = forecastWalk(new ModelForecaster(model), { series, past: undefined }, 1);
  const clean = forecastWalk(new ModelForecaster(model), { series: seriesOf(rows.slice(2)), past: undefined }, 1);
  t.same([...said], [NONE, NONE, ...clean]);
  const { count } = (await evaluate(new Persistence(single), [{ series, past: undefined }], 1, systemClock)).outputs[0]!;
  t.equal(count, 3);
  const none = await evaluate(new Persistence(single), [{ series: seriesOf([1]), past: undefined }], 1, systemClock);
  t.same(none.outputs, [{ rmse: NONE, mae: NONE, count: 0 }]);
});
