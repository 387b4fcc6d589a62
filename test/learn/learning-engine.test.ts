import t from "tap";
import { createRandom } from "../../src/base/random.ts";
import type { StateTensors } from "../../src/engine/engine.ts";
import { createStateTensors, sharedStateOf } from "../../src/engine/engine.ts";
import { LearningEngine, learningKernelOf } from "../../src/learn/learning-engine.ts";
import { startingModel } from "../../src/learn/starting-model.ts";

const model = startingModel({ name: "hall", features: ["temperature", "humidity"], horizons: [6, 24] });
const D = 2;
const O = 8;
const MINUTE_MS = 60_000;

/** Readings of a stream with a daily course, `(count, D)`. */
function readings(seed: number, count: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: count * D }, (_, i) => {
    const row = Math.floor(i / D);
    return (i % D === 0 ? 20 : 50) + 5 * Math.sin(row / 20 + seed) + 0.1 * random.normal();
  });
}

function timesFrom(row: number, count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => 1_764_000_000_000 + (row + i) * MINUTE_MS);
}

/** Steps one slot along rows `from` to `to`; its outputs. */
function walk(engine: LearningEngine, slot: number, x: Float32Array, from: number, to: number, chunk = 1): Float32Array {
  const y = new Float32Array((to - from) * O);
  for (let row = from; row < to; row += chunk) {
    const steps = Math.min(chunk, to - row);
    const part = new Float32Array(steps * O);
    const slots = Int32Array.of(slot);
    engine.step({ slots, count: 1, steps, x: x.subarray(row * D, (row + steps) * D), y: part, times: timesFrom(row, steps) });
    y.set(part, (row - from) * O);
  }
  return y;
}

function stateOf(engine: LearningEngine, slot: number): StateTensors {
  const state = createStateTensors(engine.spec.states);
  engine.read(slot, state);
  return state;
}

t.test("a stream learns its own course: silent at first, then better than the last value", async (t) => {
  const engine = new LearningEngine(model, undefined);
  const slot = engine.allocate();
  const x = readings(1, 2000);
  t.ok(walk(engine, slot, x, 0, 99).every(Number.isNaN), "nothing is said of the first readings");
  t.match(engine.warmUp(slot), { readings: 99, readingsNeeded: 500, warm: false });
  const y = walk(engine, slot, x, 99, 2000);
  t.ok(y.every(Number.isFinite));
  const { warm, loss, persistenceLoss } = engine.warmUp(slot);
  t.ok(warm && loss < 0.8 * persistenceLoss, `loss ${loss}, of the last value ${persistenceLoss}`);
});

t.test("a stream's bits do not depend on chunks, neighbours or slots, nor on a state being taken out and put back", async (t) => {
  const x = readings(1, 700);
  const [alone, beside] = [new LearningEngine(model, undefined), new LearningEngine(model, undefined)];
  const expected = walk(alone, alone.allocate(), x, 0, 700);
  const noisy = beside.allocate();
  let slot = beside.allocate();
  const got = new Float32Array(700 * O);
  for (let row = 0; row < 700; row += 7) {
    const nan = new Float32Array(7 * D).fill(Number.NaN);
    walk(beside, noisy, nan, 0, 7, 7);
    got.set(walk(beside, slot, x, row, row + 7, 7), row * O);
    if (row % 140 !== 0) continue;
    const moved = beside.allocate();
    beside.write(moved, stateOf(beside, slot));
    beside.release(slot);
    slot = beside.allocate();
    beside.copy(moved, slot);
    beside.release(moved);
  }
  t.same(got, expected);
  t.strictSame(stateOf(beside, slot), stateOf(alone, 0), "what was learned is the same to the bit");
});

t.test("the state of a stream with a short past is numbers and nothing else, so that it can be set", async (t) => {
  for (const scope of ["stream", "group"] as const) {
    const group = startingModel({ name: "hall", features: ["temperature", "humidity"], horizons: [6, 24], scope });
    const engine = new LearningEngine(group, undefined);
    const slot = engine.allocate();
    for (const [from, to] of [
      [0, 1],
      [1, 90],
      [90, 110],
    ] as const) {
      walk(engine, slot, readings(1, 110), from, to);
      const state = Object.values(stateOf(engine, slot));
      t.ok(
        state.every((values) => values.every(Number.isFinite)),
        `${scope}, ${to} readings`,
      );
    }
  }
});

t.test("a slot that is given again knows nothing of the stream before", async (t) => {
  const engine = new LearningEngine(model, undefined);
  const blank = stateOf(engine, engine.allocate());
  const slot = engine.allocate();
  walk(engine, slot, readings(2, 300), 0, 300);
  engine.release(slot);
  t.equal(engine.allocate(), slot);
  t.strictSame(stateOf(engine, slot), blank);
});

t.test("a state that is not a learner's is refused, and nothing has changed", async (t) => {
  const engine = new LearningEngine(model, undefined);
  const slot = engine.allocate();
  walk(engine, slot, readings(1, 150), 0, 150);
  const before = stateOf(engine, slot);
  const { window: _, ...without } = before;
  for (const state of [without, { ...before, mean: new Float32Array(2) }, { ...before, more: new Float32Array(1) }]) {
    t.throws(() => engine.write(slot, state), { code: "bad_state" });
  }
  t.strictSame(stateOf(engine, slot), before);
});

t.test("streams that learn together: their part goes out and in like a state, apart from what is each one's", async (t) => {
  const group = startingModel({ name: "hall", features: ["temperature", "humidity"], horizons: [6, 24], scope: "group" });
  t.not(group.version, model.version);
  const [engine, other] = [new LearningEngine(group, undefined), new LearningEngine(group, undefined)];
  const [one, two] = [engine.allocate(), engine.allocate()];
  for (let row = 0; row < 400; row += 10) {
    walk(engine, one, readings(1, 400), row, row + 10, 10);
    walk(engine, two, readings(2, 400), row, row + 10, 10);
  }
  t.match(engine.shared!.warmUp(), { readings: 800, readingsNeeded: 500 });
  const shared = sharedStateOf(engine)!;
  const own = stateOf(engine, one);
  t.ok(shared["weights"] && own["mean"]);
  t.strictSame([own["weights"], shared["mean"]], [undefined, undefined]);
  other.shared!.write(shared);
  const [second, first] = [other.allocate(), other.allocate()];
  other.write(first, stateOf(engine, one));
  other.write(second, stateOf(engine, two));
  const further = readings(1, 500);
  t.same(walk(other, first, further, 400, 500), walk(engine, one, further, 400, 500));
  t.strictSame(sharedStateOf(other), sharedStateOf(engine));
  const { pieces: _, ...without } = shared;
  for (const state of [without, { ...shared, owners: new Float32Array(3) }]) {
    t.throws(() => other.shared!.write(state), { code: "bad_state" });
  }
  t.strictSame(sharedStateOf(other), sharedStateOf(engine));
  t.equal(sharedStateOf(new LearningEngine(model, undefined)), undefined);
});

t.test(
  "the starting model's version follows from features and horizons, and its kernel's name leads back to the kernel",
  async (t) => {
    const same = startingModel({ name: "hall", features: ["temperature", "humidity"], horizons: [6, 24] });
    const other = startingModel({ name: "hall", features: ["temperature", "humidity"] });
    t.equal(same.version, model.version);
    t.not(other.version, model.version);
    for (const kernel of ["plain", "scalar"] as const)
      t.equal(learningKernelOf(new LearningEngine(model, kernel).kernel), kernel);
    t.equal(learningKernelOf("plain-1"), undefined);
    t.throws(() => startingModel({ name: "hall", features: Array.from({ length: 200 }, (_, i) => `f${i}`) }), {
      code: "bad_argument",
      message: /200 features at 1 horizons make 400 outputs, 2 to 256 are allowed/,
    });
  },
);
