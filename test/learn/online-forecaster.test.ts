// The online forecaster on made streams: it learns what repeats, says so, gives the same bits again, and one object serves many streams.
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import { cosineOfTurns, sineOfTurns } from "../../src/kernels/sine.ts";
import { OnlineForecaster } from "../../src/learn/online-forecaster.ts";
import { seasonNames, writeSeason } from "../../src/learn/season.ts";
import { SequenceModel } from "../../src/model/sequence-model.ts";
import { decodeModel } from "../../src/onnx/decode-model.ts";
import { encodeModel } from "../../src/onnx/encode-model.ts";

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 5);
const settings = { name: "learner", features: ["a"], seed: 7 };

/** A course of 40 readings, with noise. */
function wave(count: number, seed: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: count }, (_, i) => 100 + 10 * Math.sin((2 * Math.PI * i) / 40) + random.normal());
}

function follow(forecaster: OnlineForecaster, slot: number, xs: Float32Array, from = 0): Float32Array {
  const ys = new Float32Array(xs.length * forecaster.outputs);
  xs.forEach((_, i) => {
    forecaster.step(slot, xs, i, START + (from + i) * MINUTE, ys, i * forecaster.outputs);
  });
  return ys;
}

void test("it learns a course that repeats, beats persistence, and then calls itself warm", async (t) => {
  const forecaster = new OnlineForecaster(settings);
  const slot = forecaster.allocate();
  const xs = wave(3000, 1);
  const early = follow(forecaster, slot, xs.subarray(0, 99));
  t.ok(early.every(Number.isNaN), "no forecast before reading 100");
  t.match(forecaster.warmUp(slot), { readings: 99, readingsNeeded: 500, loss: 0, warm: false });
  const ys = follow(forecaster, slot, xs.subarray(99), 99);
  const { warm, readings, loss, persistenceLoss } = forecaster.warmUp(slot);
  t.equal(readings, 3000);
  t.ok(warm);
  t.ok(loss < 0.25 * persistenceLoss, `${loss} of ${persistenceLoss}`);
  const K = forecaster.horizons.length;
  t.same(forecaster.horizons, [1, 12, 48]);
  let [squares, inside, count] = [0, 0, 0];
  for (let row = 2000; row < 2900; row++) {
    const at = (row - 99) * forecaster.outputs;
    for (let k = 0; k < K; k++) {
      const error = xs[row + forecaster.horizons[k]!]! - ys[at + k]!;
      squares += error * error;
      if (Math.abs(error) < 1.645 * ys[at + K + k]!) inside++;
      count++;
    }
  }
  t.ok(Math.sqrt(squares / count) < 3, `an error of ${Math.sqrt(squares / count)} where noise alone has 1 and the course 7`);
  t.ok(inside / count > 0.8 && inside / count < 0.99, `${inside / count} within the 90 % interval`);
});

void test("a stream's readings give the same bits again, alone or among others, and from a copy of its tensors", async (t) => {
  const [one, two] = [wave(700, 2), wave(700, 3)];
  const forecaster = new OnlineForecaster(settings);
  const alone = follow(forecaster, forecaster.allocate(), one);
  const shared = new OnlineForecaster(settings);
  const slots = [shared.allocate(), shared.allocate()];
  const mixed = new Float32Array(alone.length);
  const other = new Float32Array(shared.outputs);
  one.forEach((_, i) => {
    shared.step(slots[0]!, one, i, START + i * MINUTE, mixed, i * shared.outputs);
    shared.step(slots[1]!, two, i, START + i * MINUTE, other, 0);
  });
  t.same(mixed, alone);
  const first = new OnlineForecaster(settings);
  const slot = first.allocate();
  follow(first, slot, one.subarray(0, 333));
  const kept = first.tensors(slot).map(({ name, data }) => ({ name, data: data.slice() }));
  const second = new OnlineForecaster(settings);
  second.allocate();
  const restored = second.allocate();
  second.write(restored, kept);
  t.same(follow(second, restored, one.subarray(333), 333), alone.subarray(333 * shared.outputs));
  t.throws(() => second.write(restored, kept.slice(1)), {
    code: "bad_state",
    message: /cannot set the state of a learner: tensor 0 must be weights, \d+ values of float32; set what a learner/,
  });
  shared.release(slots[0]!);
  t.equal(shared.allocate(), slots[0], "a released slot is used again");
  t.same(follow(shared, slots[0]!, one), alone, "without a past");
});

void test("weights stay while it is told not to learn, and values that are no numbers pass by", async (t) => {
  const forecaster = new OnlineForecaster(settings);
  const slot = forecaster.allocate();
  const xs = wave(600, 4);
  follow(forecaster, slot, xs);
  const weights = (): Float32Array =>
    forecaster
      .tensors(slot)
      .find(({ name }) => name === "weights")!
      .data.slice() as Float32Array;
  const before = weights();
  const y = new Float32Array(forecaster.outputs);
  for (let i = 0; i < 50; i++) forecaster.step(slot, [1e9], 0, START, y, 0, false);
  t.same(weights(), before);
  for (const x of [Number.NaN, Infinity, -Infinity]) for (let i = 0; i < 8; i++) forecaster.step(slot, [x], 0, Number.NaN, y, 0);
  t.notSame(weights(), before);
  t.ok(y.every(Number.isFinite));
  const names = forecaster.tensors(slot).filter(({ name }) => name !== "times");
  t.ok(names.every(({ data }) => data.every(Number.isFinite)));
});

void test("its model, through a file, forecasts what it does", async (t) => {
  const forecaster = new OnlineForecaster({ ...settings, layer: { cell: "lstm", hidden: 8 } });
  const slot = forecaster.allocate();
  const xs = wave(800, 5);
  follow(forecaster, slot, xs);
  const { spec, weights } = forecaster.model(slot);
  const decoded = decodeModel(encodeModel(spec, weights), "learner");
  t.same(
    spec.features.map(({ name }) => name),
    ["a", ...seasonNames],
  );
  // From blank states over the last readings, without learning: the same steps in both.
  const rows = 60;
  const model = new SequenceModel(decoded.spec, decoded.weights);
  const readings = new Float32Array(rows * spec.features.length);
  for (let i = 0; i < rows; i++) {
    readings[i * spec.features.length] = xs[740 + i]!;
    writeSeason(START + (740 + i) * MINUTE, readings, i * spec.features.length + 1);
  }
  const ours = new Float32Array(forecaster.outputs);
  const hidden = forecaster.tensors(slot).filter(({ name }) => name.startsWith("hidden"));
  for (const { data } of hidden) data.fill(0);
  const scale = weights.yScale.data[0]!;
  const theirs = model.predict({ shape: [1, rows, spec.features.length], data: readings }).data;
  for (let i = 0; i < rows; i++) {
    forecaster.step(slot, xs, 740 + i, START + (740 + i) * MINUTE, ours, 0, false);
    // The statistics go on with each reading, by less than a thousandth.
    ours.forEach((value, o) => {
      const difference = Math.abs(value - theirs[i * forecaster.outputs + o]!);
      if (difference > 0.05 * scale) t.fail(`row ${i}, output ${o} differs by ${difference}`);
    });
  }
  t.pass("60 rows of 6 outputs");
});

void test("many features have fewer horizons, and too many outputs are refused", async (t) => {
  const features = Array.from({ length: 60 }, (_, d) => `f${d}`);
  t.same(new OnlineForecaster({ name: "wide", features, seed: 1 }).horizons, [1, 12]);
  t.throws(() => new OnlineForecaster({ name: "wide", features, horizons: [1, 2, 3], seed: 1 }), {
    code: "bad_argument",
    message:
      "cannot build a forecaster: 60 features and 3 horizons make 360 outputs, at most 256 are allowed; ask for fewer horizons",
  });
});

void test("the season is that of the day and the week, in UTC", async (t) => {
  const season = new Float32Array(seasonNames.length);
  const valueOf = (name: string): number => season[seasonNames.indexOf(name)]!;
  // Monday, 5 January 2026, 06:00; the week of 1970 began on a Thursday.
  writeSeason(Date.UTC(2026, 0, 5, 6), season, 0);
  t.equal(valueOf("day sine 1"), 1);
  t.ok(Math.abs(valueOf("day cosine 1")) < 1e-7);
  t.equal(valueOf("day cosine 2"), -1);
  t.ok(Math.abs(valueOf("week sine 1") - Math.sin((2 * Math.PI * 4.25) / 7)) < 1e-6);
  writeSeason(Number.NaN, season, 0);
  t.ok(season.every((value) => value === 0));
  const random = createRandom(1);
  for (let i = 0; i < 2000; i++) {
    const turns = 1000 * (random.next() - 0.5);
    const exact = 2 * Math.PI * (turns - Math.floor(turns));
    if (Math.abs(sineOfTurns(turns) - Math.sin(exact)) > 2e-12) t.fail(`sine of ${turns}`);
    if (Math.abs(cosineOfTurns(turns) - Math.cos(exact)) > 2e-12) t.fail(`cosine of ${turns}`);
  }
  t.same([sineOfTurns(0.25), cosineOfTurns(0.5), sineOfTurns(1e6)], [1, -1, 0]);
  t.ok(Number.isNaN(sineOfTurns(Infinity)) && Number.isNaN(cosineOfTurns(Number.NaN)));
});
