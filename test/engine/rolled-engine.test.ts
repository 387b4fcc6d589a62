import t from "tap";
import type { Test } from "tap";
import { createStateTensors } from "../../src/engine/engine.ts";
import type { Engine, Slot, StepBatch } from "../../src/engine/engine.ts";
import { ERRORS_KEPT, ERRORS_MIN } from "../../src/engine/forecast-errors.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { openEngine } from "../../src/engine/open-engine.ts";
import { parseOutsideState } from "../../src/engine/outside-state.ts";
import { outputScales, PARITY_TOLERANCE, worstDifference } from "../../src/engine/parity.ts";
import { RolledEngine } from "../../src/engine/rolled-engine.ts";
import type { Model } from "../../src/model/model.ts";
import { rolledModel, rollProblem } from "../../src/model/rolled-model.ts";
import { needsOnnxruntime } from "../support/onnxruntime.ts";
import { randomModel } from "../support/random-model.ts";
import type { RandomModelOptions } from "../support/random-model.ts";
import { inputs, run } from "../support/step-engine.ts";

/** Every cell and both heads, one feature and several; outputs stand in another order than the features. */
const MODELS: readonly RandomModelOptions[] = [
  { seed: 1, features: 1, outputs: 1, hidden: [5] },
  { seed: 2, features: 3, outputs: 3, hidden: [9], cells: ["gru"], head: "gaussian", residual: true },
  { seed: 3, features: 2, outputs: 2, hidden: [8, 6], cells: ["lstm"], head: "gaussian" },
  { seed: 4, features: 2, outputs: 2, hidden: [7], cells: ["rnn_relu"], residual: true },
];
const HORIZONS = [1, 4, 13];

function stateOf(engine: Engine, slot: Slot): Record<string, number[]> {
  const tensors = createStateTensors(engine.spec.states);
  engine.read(slot, tensors);
  return Object.fromEntries(Object.entries(tensors).map(([name, values]) => [name, Array.from(values)]));
}

/** Stream `n` of x or y `(T, N, width)`. */
function streamOf(rows: Float32Array, n: number, count: number, width: number): Float32Array {
  return rows.filter((_, i) => Math.floor(i / width) % count === n);
}

/** Where the output that forecasts feature d stands in a model of `randomModel`. */
function placeOf({ spec }: Model, d: number): number {
  return spec.outputs.findIndex(({ feature }) => feature === spec.features[d]!.name);
}

/** The forecasts after each reading, `(T, farthest, D)`, by an engine of the file's model whose state is taken out and put back by hand. */
function rollByHand(model: Model, x: Float32Array, steps: number, farthest: number): { means: number[][][]; first: number[][] } {
  const engine = new NativeEngine(model);
  const D = model.spec.features.length;
  const [live, copy] = [engine.allocate(), engine.allocate()];
  const state = createStateTensors(model.spec.states);
  const y = new Float32Array(model.spec.outputs.length);
  const [means, first]: [number[][][], number[][]] = [[], []];
  for (let step = 0; step < steps; step++) {
    engine.step({ slots: Int32Array.of(live), count: 1, steps: 1, x: x.subarray(step * D), y });
    first.push(Array.from(y));
    engine.read(live, state);
    engine.write(copy, state);
    const path = [Array.from({ length: D }, (_, d) => y[placeOf(model, d)]!)];
    while (path.length < farthest) {
      engine.step({ slots: Int32Array.of(copy), count: 1, steps: 1, x: Float32Array.from(path.at(-1)!), y });
      path.push(Array.from({ length: D }, (_, d) => y[placeOf(model, d)]!));
    }
    means.push(path);
  }
  return { means, first };
}

/** What the deviation of a forecast is to be after each reading, by the errors of those before it: `(T)`. */
function deviationsByHand(forecasts: readonly number[], x: readonly number[], horizon: number, own: number): number[] {
  let [count, square] = [0, 0];
  return x.map((value, step) => {
    if (step >= horizon) {
      const error = (value - forecasts[step - horizon]!) ** 2;
      count++;
      const taken = count > ERRORS_MIN ? Math.min(error, 36 * square) : error;
      square += (taken - square) / Math.min(count, ERRORS_KEPT);
    }
    return count < ERRORS_MIN ? own : Math.sqrt(square);
  });
}

for (const options of MODELS) {
  const { features: D = 1, cells = ["rnn_tanh"], head = "regression" } = options;
  t.test(`forecasts and deviations are those of a roll by hand: ${cells[0]}, ${D} features, ${head}`, async (t) => {
    const file = randomModel(options);
    const model = rolledModel(file, HORIZONS);
    const engine = await openEngine(model, { engine: "native" });
    const T = ERRORS_KEPT + 100;
    const x = inputs(file, T, 1);
    const y = await run(engine, [engine.allocate()], x, T);
    const { means, first } = rollByHand(file, x, T, HORIZONS.at(-1)!);
    const [O, K] = [model.spec.outputs.length, D * HORIZONS.length];
    t.equal(O, 2 * K);
    for (const [h, horizon] of HORIZONS.entries()) {
      for (let d = 0; d < D; d++) {
        const output = h * D + d;
        t.match(model.spec.outputs[output], { name: `feature${d}+${horizon}`, feature: `feature${d}`, horizon });
        t.equal(model.spec.outputs[K + output]!.name, `feature${d}+${horizon} deviation`);
        const forecasts = means.map((path) => path[horizon - 1]![d]!);
        t.strictSame(
          forecasts.map((_, step) => y[step * O + output]!),
          forecasts,
          `${horizon} ahead, to the bit`,
        );
        const deviations = forecasts.map((_, step) => y[step * O + K + output]!);
        if (horizon === 1 && head === "gaussian") {
          t.strictSame(
            deviations,
            first.map((outputs) => outputs[D + placeOf(file, d)]!),
            "the head's own say stands",
          );
          continue;
        }
        const own = file.spec.outputs[placeOf(file, d)]!.deviation;
        const values = forecasts.map((_, step) => x[step * D + d]!);
        const expected = deviationsByHand(forecasts, values, horizon, own);
        t.equal(deviations[horizon + ERRORS_MIN - 2], Math.fround(own), "before enough errors it is that of the training");
        const worst = Math.max(...expected.map((value, step) => Math.abs(deviations[step]! / value - 1)));
        t.ok(worst < 1e-4, `deviations ${horizon} ahead are ${worst} off`);
      }
    }
    await engine.close();
  });

  t.test(`streams keep apart to the bit, in batches, alone and in pieces: ${cells[0]}, ${D} features`, async (t) => {
    const model = rolledModel(randomModel(options), HORIZONS);
    const engine = await openEngine(model, { engine: "native" });
    const O = model.spec.outputs.length;
    // More rows than are rolled together, and a number of streams that divides none of it.
    for (const [count, T] of [
      [7, 60],
      [300, 3],
    ] as const) {
      const x = inputs(model, T, count, count);
      const together = Array.from({ length: count }, () => engine.allocate());
      const y = await run(engine, together, x, T);
      for (const n of [0, 3, count - 1]) {
        const [alone, pieces] = [engine.allocate(), engine.allocate()];
        const own = streamOf(x, n, count, D);
        t.strictSame(streamOf(y, n, count, O), await run(engine, [alone], own, T));
        const ys: number[] = [];
        for (let from = 0, length = 1; from < T; from += length, length = Math.min(length + 1, T - from)) {
          ys.push(...(await run(engine, [pieces], own.subarray(from * D), length)));
        }
        t.strictSame(streamOf(y, n, count, O), Float32Array.from(ys));
        t.strictSame(stateOf(engine, alone), stateOf(engine, together[n]!));
        t.strictSame(stateOf(engine, pieces), stateOf(engine, together[n]!));
      }
      const [shuffled, xBack] = [[...together.keys()].toReversed(), Float32Array.from(x)];
      for (let row = 0; row < T * count; row++) {
        const from = (row - (row % count) + shuffled[row % count]!) * D;
        xBack.set(x.subarray(from, from + D), row * D);
      }
      const others = Array.from({ length: count }, () => engine.allocate());
      const yBack = await run(engine, others, xBack, T);
      for (const n of [0, count - 2]) t.strictSame(streamOf(yBack, count - 1 - n, count, O), streamOf(y, n, count, O));
    }
    await engine.close();
  });
}

const gru = randomModel(MODELS[1]!);
const rolled = rolledModel(gru, HORIZONS);

function open(): Promise<Engine> {
  return openEngine(rolled, { engine: "native" });
}

t.test("it is the model's engine in name, kernel and version, and the model's own state stands first", async (t) => {
  const engine = await open();
  const plain = await openEngine(gru, { engine: "native" });
  t.match(engine, { name: "native", kernel: plain.kernel, deterministic: true, version: gru.version, spec: rolled.spec });
  t.strictSame(
    rolled.spec.states.map(({ name, shape }) => [name, shape]),
    [
      ["h", [1, 1, 9]],
      ["forecasts+4", [4, 3]],
      ["errors+4", [2, 3]],
      ["ring+4", [2]],
      ["forecasts+13", [13, 3]],
      ["errors+13", [2, 3]],
      ["ring+13", [2]],
    ],
    "of the horizon that the head speaks of nothing is measured",
  );
  const [slot, ofPlain] = [engine.allocate(), plain.allocate()];
  const x = inputs(gru, 20, 1);
  await run(engine, [slot], x, 20);
  await run(plain, [ofPlain], x, 20);
  t.strictSame(stateOf(engine, slot)["h"], stateOf(plain, ofPlain)["h"], "rolling leaves it alone");
  await engine.close();
  await plain.close();
});

t.test("a state that goes out as JSON and comes back changes nothing, nor does one that is copied", async (t) => {
  const engine = await open();
  const [kept, moved, copied] = [engine.allocate(), engine.allocate(), engine.allocate()];
  const x = inputs(gru, 120, 1);
  await run(engine, [kept], x, 80);
  const text = JSON.stringify(stateOf(engine, kept));
  engine.write(moved, parseOutsideState(JSON.parse(text), engine.spec.states));
  engine.copy(kept, copied);
  const rest = x.subarray(80 * 3);
  const y = await run(engine, [kept], rest, 40);
  t.strictSame(await run(engine, [moved], rest, 40), y);
  t.strictSame(await run(engine, [copied], rest, 40), y);
  t.strictSame(stateOf(engine, moved), stateOf(engine, kept));
  const { h } = createStateTensors(gru.spec.states);
  t.throws(() => engine.write(kept, { h: h! }), {
    code: "bad_state",
    message: /^cannot write a state: its tensors are h of 9, and/,
  });
  t.strictSame(stateOf(engine, kept), stateOf(engine, moved), "and nothing has changed");
  await engine.close();
});

t.test("a state from outside with a ring that cannot be is stepped all the same, and gives finite numbers", async (t) => {
  const engine = await open();
  const slot = engine.allocate();
  await run(engine, [slot], inputs(gru, 50, 1), 50);
  for (const wild of [-7.5, 1e30, 12.9]) {
    const state = stateOf(engine, slot);
    for (const name of ["ring+4", "ring+13", "errors+4", "errors+13"]) state[name]!.fill(wild);
    engine.write(slot, parseOutsideState(state, engine.spec.states));
    t.ok((await run(engine, [slot], inputs(gru, 50, 1, 2), 50)).every((value) => Number.isFinite(value)));
  }
  await engine.close();
});

t.test(
  "a gap fades the network's state alone: errors stay known, and what was forecast for the gap is held against nothing",
  async (t) => {
    const engine = await open();
    const x = inputs(gru, 100, 1);
    for (const factor of [0, 0.25]) {
      const slot = engine.allocate();
      await run(engine, [slot], x, 60);
      const before = stateOf(engine, slot);
      engine.fade!(slot, factor);
      const after = stateOf(engine, slot);
      t.strictSame(
        after["h"],
        before["h"]!.map((value) => (factor === 0 ? 0 : Math.fround(value * factor))),
      );
      t.strictSame([after["errors+4"], after["ring+4"]], [before["errors+4"], [0, 0]]);
      await run(engine, [slot], x.subarray(60 * 3), 4);
      t.strictSame(stateOf(engine, slot)["errors+4"], before["errors+4"]);
      await run(engine, [slot], x.subarray(64 * 3), 1);
      t.notSame(stateOf(engine, slot)["errors+4"], before["errors+4"], "the first that was made after it");
    }
    await engine.close();
  },
);

t.test(
  "a value that was not measured is held against nothing, and a wild one counts for no more than six of the usual",
  async (t) => {
    const engine = await open();
    const x = inputs(gru, 120, 1);
    const [whole, filled] = [engine.allocate(), engine.allocate()];
    await run(
      engine,
      [whole, filled],
      Float32Array.from({ length: 240 * 3 }, (_, i) => x[Math.floor(i / 6) * 3 + (i % 3)]!),
      100,
    );
    const counts = (slot: Slot): number[] => stateOf(engine, slot)["errors+4"]!.slice(0, 3);
    const y = new Float32Array(rolled.spec.outputs.length);
    const one = { count: 1, steps: 1, x: x.subarray(300), y };
    await engine.step({ ...one, slots: Int32Array.of(filled), missing: Uint8Array.of(0, 1, 0) });
    t.strictSame(counts(whole), [96, 96, 96]);
    t.strictSame(counts(filled), [97, 96, 97]);
    const squares = stateOf(engine, whole)["errors+4"]!.slice(3);
    await engine.step({ ...one, slots: Int32Array.of(whole), x: x.slice(300, 303).fill(1e9) });
    for (const [d, square] of stateOf(engine, whole)["errors+4"]!.slice(3).entries()) {
      t.ok(Math.abs(square / (squares[d]! * (1 + 35 / 97)) - 1) < 1e-5);
    }
    await engine.close();
  },
);

t.test("a NaN in one stream never reaches another", async (t) => {
  const engine = await open();
  const x = inputs(gru, 30, 3);
  const clean = [engine.allocate(), engine.allocate(), engine.allocate()];
  const sick = [engine.allocate(), engine.allocate(), engine.allocate()];
  const y = await run(engine, clean, x, 30);
  const poisoned = x.slice();
  for (let step = 0; step < 30; step++) poisoned.fill(Number.NaN, (3 * step + 1) * 3, (3 * step + 2) * 3);
  const ySick = await run(engine, sick, poisoned, 30);
  const O = rolled.spec.outputs.length;
  t.ok(streamOf(ySick, 1, 3, O).some((value) => Number.isNaN(value)));
  for (const n of [0, 2]) {
    t.strictSame(streamOf(ySick, n, 3, O), streamOf(y, n, 3, O));
    t.strictSame(stateOf(engine, sick[n]!), stateOf(engine, clean[n]!));
  }
  await engine.close();
});

t.test("where a network runs away on its own forecasts the last number stands", async (t) => {
  const file = randomModel({ seed: 4, features: 1, outputs: 1, hidden: [6], cells: ["rnn_relu"], gain: 60 });
  const engine = await openEngine(rolledModel(file, [1, 500]), { engine: "native" });
  const y = await run(engine, [engine.allocate()], inputs(file, 2, 1), 2);
  const { means } = rollByHand(file, inputs(file, 2, 1), 1, 500);
  t.notOk(Number.isFinite(means[0]!.at(-1)![0]!), "by itself it is no number any more");
  t.ok(y.every((value) => Number.isFinite(value)));
  const path = means[0]!.map(([value]) => value!);
  t.equal(y[1], path[path.findIndex((value) => !Number.isFinite(value)) - 1]);
  await engine.close();
});

/** A native engine whose steps fail from the `left`th on. */
class FailingEngine extends NativeEngine {
  left = Infinity;

  override step(batch: StepBatch): void {
    if (--this.left < 0) throw new Error("no more");
    super.step(batch);
  }
}

t.test("where a step fails on the way no state has changed, and the next one goes on from there", async (t) => {
  const base = new FailingEngine(gru);
  const engine = new RolledEngine(rolled, base);
  const slots = [engine.allocate(), engine.allocate()];
  await run(engine, slots, inputs(gru, 20, 2), 20);
  const before = slots.map((slot) => stateOf(engine, slot));
  for (const left of [0, 3, 10]) {
    base.left = left;
    await t.rejects(run(engine, slots, inputs(gru, 8, 2, 2), 8), { message: "no more" });
    t.strictSame(
      slots.map((slot) => stateOf(engine, slot)),
      before,
      `after ${left} steps`,
    );
  }
  base.left = Infinity;
  const other = await open();
  const fresh = [other.allocate(), other.allocate()];
  await run(other, fresh, inputs(gru, 20, 2), 20);
  t.strictSame(await run(engine, slots, inputs(gru, 8, 2, 2), 8), await run(other, fresh, inputs(gru, 8, 2, 2), 8));
  await t.rejects(run(engine, [slots[0]!, slots[0]!], inputs(gru, 1, 2), 1), { message: /stands in one batch twice/ });
  await t.rejects(run(engine, [99], inputs(gru, 1, 1), 1), { message: "slot 99 is not allocated" });
  const [first, second] = [run(engine, slots, inputs(gru, 1, 2), 1), run(engine, slots, inputs(gru, 1, 2), 1)];
  await t.rejects(second, { message: "a step is under way" });
  await first;
  engine.release(slots[0]!);
  t.equal(engine.allocate(), slots[0]);
  t.ok(
    Object.values(stateOf(engine, slots[0]!)).every((values) => values.every((value) => Object.is(value, 0))),
    "blank again",
  );
  await Promise.all([engine.close(), other.close()]);
});

function agree(t: Test, a: Float32Array, b: Float32Array): void {
  t.ok(worstDifference(a, 0, b, 0, a.length, outputScales(rolled.spec)) <= PARITY_TOLERANCE * HORIZONS.at(-1)!);
}

t.test("on onnxruntime it gives the same within the parity measure", needsOnnxruntime, async (t) => {
  const [native, onnx] = [await open(), await openEngine(rolled, { engine: "onnx" })];
  t.match(onnx, { name: "onnx", deterministic: false });
  const [ofNative, ofOnnx] = [
    [native.allocate(), native.allocate()],
    [onnx.allocate(), onnx.allocate()],
  ];
  const x = inputs(gru, 60, 2);
  agree(t, await run(native, ofNative, x, 60), await run(onnx, ofOnnx, x, 60));
  await Promise.all([native.close(), onnx.close()]);
});

t.test("what cannot be rolled forward is refused with the features that nothing forecasts, and what to do", (t) => {
  const problem = (options: RandomModelOptions, horizons = HORIZONS): string | undefined =>
    rollProblem(randomModel(options).spec, horizons);
  t.equal(problem({ features: 2, outputs: 2 }), undefined);
  t.equal(
    problem({ features: 4, outputs: 2 }),
    'no output of the model "random" forecasts feature1, feature2 one reading ahead, and to roll it forward takes all of its features; ' +
      "train one with --target feature0,feature1,feature2,feature3 and --horizon 1, or leave horizons out",
  );
  t.equal(
    problem({ head: "classifier", outputs: 3 }),
    'the model "random" is a classifier, and classes are no readings; leave horizons out',
  );
  t.equal(
    problem({ features: 1, outputs: 2 }),
    'the model "random" has more outputs than one a feature, one reading ahead: output1; it cannot be rolled forward, leave horizons out',
  );
  t.equal(
    problem({ features: 50, outputs: 50 }),
    "50 features at 3 horizons make 300 outputs, at most 256 are allowed; name fewer horizons",
  );
  const { spec } = randomModel({ features: 2, outputs: 2 });
  const [first, ...outputs] = spec.outputs;
  t.match(
    rollProblem({ ...spec, outputs: [{ ...first!, horizon: 12 }, ...outputs] }, HORIZONS),
    /^no output .* forecasts feature1 one reading ahead/,
  );
  const celsius = { ...spec.outputs[1]!, unit: "hPa" };
  t.equal(
    rollProblem({ ...spec, outputs: [first!, celsius] }, HORIZONS),
    'the model "random" takes feature0 in Pa and forecasts it in hPa, so it cannot take its own forecasts for readings; leave horizons out',
  );
  t.equal(
    rollProblem({ ...spec, learner: { seed: 1 } }, [1]),
    "its streams learn networks of their own, at horizons of theirs; leave horizons out",
  );
  t.end();
});
