// What every engine keeps, whatever makes its bits. Each implementation's test runs this suite on itself.
import type { Test } from "tap";
import { createStateTensors } from "../../src/engine/engine.ts";
import type { Engine, Slot } from "../../src/engine/engine.ts";
import { outputScales, PARITY_TOLERANCE, worstDifference } from "../../src/engine/parity.ts";
import type { Model } from "../../src/model/model.ts";
import { randomModel } from "../support/random-model.ts";
import type { RandomModelOptions } from "../support/random-model.ts";
import { inputs, run } from "../support/step-engine.ts";

/** One feature and many, sizes odd and even, one layer and three, every cell and head, heads plain and residual. */
export const SUITE_MODELS: readonly RandomModelOptions[] = [
  { seed: 1, features: 1, outputs: 1, hidden: [1] },
  { seed: 2, features: 3, outputs: 2, hidden: [7], residual: true },
  { seed: 3, features: 2, outputs: 5, hidden: [32] },
  { seed: 4, features: 5, outputs: 1, hidden: [9, 16, 5], residual: true },
  { seed: 5, features: 3, outputs: 1, hidden: [13], cells: ["gru"] },
  { seed: 6, features: 2, outputs: 3, hidden: [10], cells: ["gru_reset_first"], head: "gaussian", residual: true },
  { seed: 7, features: 4, outputs: 2, hidden: [11], cells: ["lstm"], residual: true },
  { seed: 8, features: 3, outputs: 5, hidden: [16], cells: ["rnn_relu"], head: "classifier" },
  { seed: 9, features: 2, outputs: 2, hidden: [8, 8], cells: ["lstm"], head: "gaussian" },
  { seed: 10, features: 6, outputs: 1, hidden: [7, 12, 9, 6], cells: ["lstm", "rnn_relu", "gru", "rnn_tanh"] },
  { seed: 11, features: 1, outputs: 4, hidden: [5, 18, 4], cells: ["gru_reset_first", "gru", "lstm"], head: "classifier" },
];

/** Such as `3 -> gru 7 -> 2 gaussian`. */
export function describeModel({ features, hidden = [], cells = [], head = "regression", outputs }: RandomModelOptions): string {
  const layers = hidden.map((H, index) => `${cells[index] ?? cells.at(-1) ?? "rnn_tanh"} ${H}`);
  return [features, ...layers, `${outputs} ${head}`].join(" -> ");
}

const ONE = Float64Array.of(1);

/** A slot's tensors one after the other. */
function stateOf(engine: Engine, slot: Slot): Float32Array {
  const tensors = createStateTensors(engine.spec.states);
  engine.read(slot, tensors);
  return Float32Array.from(Object.values(tensors).flatMap((values) => Array.from(values)));
}

/** Stream `n` of x or y `(T, N, width)`. */
function streamOf(rows: Float32Array, n: number, count: number, width: number): Float32Array {
  return rows.filter((_, i) => Math.floor(i / width) % count === n);
}

/** The same bits where the engine promises them, else the same by the parity measure. */
function agree(t: Test, engine: Engine, a: Float32Array, b: Float32Array, scales: Float64Array, message: string): void {
  if (engine.deterministic) {
    t.ok(Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength)), message);
    return;
  }
  t.equal(a.length, b.length);
  t.ok(worstDifference(a, 0, b, 0, a.length, scales) <= PARITY_TOLERANCE, message);
}

function streams(t: Test, open: (model: Model) => Promise<Engine>): void {
  for (const options of SUITE_MODELS) {
    t.test(`streams keep apart: ${describeModel(options)}`, async (t) => {
      const model = randomModel(options);
      const engine = await open(model);
      const scales = outputScales(model.spec);
      const [D, O] = [model.spec.features.length, model.spec.outputs.length];
      const T = 12;

      for (const count of [2, 3, 8, 33]) {
        const x = inputs(model, T, count, count);
        const together = Array.from({ length: count }, () => engine.allocate());
        const y = await run(engine, together, x, T);
        for (let n = 0; n < count; n++) {
          const alone = engine.allocate();
          const yAlone = await run(engine, [alone], streamOf(x, n, count, D), T);
          agree(t, engine, streamOf(y, n, count, O), yAlone, scales, `outputs of stream ${n} of ${count}`);
          agree(t, engine, stateOf(engine, together[n]!), stateOf(engine, alone), ONE, `state of stream ${n} of ${count}`);
          engine.release(alone);
        }
        for (const slot of together) engine.release(slot);
      }

      const x = inputs(model, T, 1);
      const [whole, stepped, uneven] = [engine.allocate(), engine.allocate(), engine.allocate()];
      const yWhole = await run(engine, [whole], x, T);
      const ySteps: number[] = [];
      for (let at = 0; at < T; at++) ySteps.push(...(await run(engine, [stepped], x.subarray(at * D, (at + 1) * D), 1)));
      agree(t, engine, yWhole, Float32Array.from(ySteps), scales, "a run in one call and step by step");
      const yUneven = [
        ...(await run(engine, [uneven], x.subarray(0, 5 * D), 5)),
        ...(await run(engine, [uneven], x.subarray(5 * D), 7)),
      ];
      agree(t, engine, yWhole, Float32Array.from(yUneven), scales, "a run in one call and in two");
      agree(t, engine, stateOf(engine, whole), stateOf(engine, stepped), ONE, "states of the run");
      t.ok(stateOf(engine, whole).some((value) => value !== 0));

      const xs = inputs(model, T, 3, 9);
      const forward = [engine.allocate(), engine.allocate(), engine.allocate()];
      const shuffled = [engine.allocate(), engine.allocate(), engine.allocate()];
      const y = await run(engine, forward, xs, T);
      const yShuffled = await run(engine, [shuffled[2]!, shuffled[0]!, shuffled[1]!], xs, T);
      agree(t, engine, y, yShuffled, scales, "slots in another order");
      [2, 0, 1].forEach((place, n) => {
        agree(t, engine, stateOf(engine, forward[n]!), stateOf(engine, shuffled[place]!), ONE, "states in another order");
      });
      await engine.close();
    });
  }
}

function states(t: Test, open: (model: Model) => Promise<Engine>): void {
  t.test("a state that is taken out and put back changes nothing", async (t) => {
    const model = randomModel(SUITE_MODELS[3]!);
    const engine = await open(model);
    const x = inputs(model, 6, 1);
    const half = x.length / 2;
    const [kept, moved] = [engine.allocate(), engine.allocate()];
    await run(engine, [kept, moved], inputs(model, 4, 2), 4);
    const tensors = createStateTensors(model.spec.states);
    engine.read(kept, tensors);
    engine.write(moved, tensors);
    engine.release(kept);
    const other = engine.allocate();
    engine.copy(moved, other);
    t.strictSame(stateOf(engine, other), stateOf(engine, moved));
    // What was read is the reader's: later steps do not change it, nor does changing it change the arena.
    const before = Object.values(tensors).map((values) => Float32Array.from(values));
    const first = await run(engine, [moved], x.subarray(0, half), 3);
    t.strictSame(Object.values(tensors), before);
    tensors["h1"]!.fill(0.5);
    t.notSame(stateOf(engine, moved), stateOf(engine, other));
    const second = await run(engine, [other], x.subarray(0, half), 3);
    t.strictSame(second, first);
    t.strictSame(stateOf(engine, moved), stateOf(engine, other));
    await engine.close();
  });

  t.test("a NaN or an infinity in one stream never reaches another", async (t) => {
    for (const options of SUITE_MODELS) {
      const model = randomModel(options);
      const engine = await open(model);
      const [D, O] = [model.spec.features.length, model.spec.outputs.length];
      const clean = inputs(model, 5, 4);
      for (const sick of [Number.NaN, Infinity, -Infinity]) {
        const reference = Array.from({ length: 4 }, () => engine.allocate());
        const slots = Array.from({ length: 4 }, () => engine.allocate());
        const poisoned = createStateTensors(model.spec.states);
        for (const values of Object.values(poisoned)) values.fill(sick);
        engine.write(slots[1]!, poisoned);
        const x = Float32Array.from(clean);
        for (let at = 0; at < 5; at++) x.fill(sick, (at * 4 + 2) * D, (at * 4 + 3) * D);
        const yClean = await run(engine, reference, clean, 5);
        const y = await run(engine, slots, x, 5);
        for (const n of [0, 3]) {
          t.strictSame(streamOf(y, n, 4, O), streamOf(yClean, n, 4, O));
          t.strictSame(stateOf(engine, slots[n]!), stateOf(engine, reference[n]!));
        }
        for (const slot of [...slots, ...reference]) engine.release(slot);
        // A row that held it is blank for the next stream.
        const next = Array.from({ length: 8 }, () => engine.allocate());
        t.ok(next.every((slot) => stateOf(engine, slot).every((value) => Object.is(value, 0))));
        for (const slot of next) engine.release(slot);
      }
      await engine.close();
    }
  });

  t.test("the arena grows with every state kept, and hands released rows out again, blank", async (t) => {
    const model = randomModel(SUITE_MODELS[1]!);
    const engine = await open(model);
    const tensors = createStateTensors(model.spec.states);
    const slots: Slot[] = [];
    for (let n = 0; n < 700; n++) {
      const slot = engine.allocate();
      t.ok(stateOf(engine, slot).every((value) => Object.is(value, 0)));
      tensors["h"]!.fill(n + 1);
      engine.write(slot, tensors);
      slots.push(slot);
    }
    t.equal(new Set(slots).size, 700);
    t.ok(slots.every((slot, n) => stateOf(engine, slot).every((value) => value === n + 1)));
    for (let n = 0; n < 700; n += 2) engine.release(slots[n]!);
    const reused = Array.from({ length: 350 }, () => engine.allocate());
    t.strictSame(new Set([...reused, ...slots.filter((_, n) => n % 2 === 1)]), new Set(slots));
    t.ok(reused.every((slot) => stateOf(engine, slot).every((value) => Object.is(value, 0))));
    t.ok(slots.every((slot, n) => n % 2 === 0 || stateOf(engine, slot)[0] === n + 1));
    await engine.close();
  });
}

function refusals(t: Test, open: (model: Model) => Promise<Engine>): void {
  t.test("an LSTM's c is a state tensor by its own name, written, read and stepped from", async (t) => {
    const model = randomModel({ seed: 12, features: 2, hidden: [6, 3], cells: ["lstm", "gru"] });
    const engine = await open(model);
    const [a, b] = [engine.allocate(), engine.allocate()];
    const names = ["h1", "c1", "h2"];
    const tensors = createStateTensors(model.spec.states);
    t.strictSame(Object.keys(tensors), names);
    for (const [index, name] of names.entries()) tensors[name]!.fill((index + 1) / 8);
    engine.write(a, tensors);
    const found = createStateTensors(model.spec.states);
    engine.read(a, found);
    t.strictSame(found, tensors);
    tensors["c1"]!.fill(3);
    engine.write(b, tensors);
    const x = inputs(model, 1, 1);
    const [ya, yb] = [await run(engine, [a], x, 1), await run(engine, [b], x, 1)];
    t.ok(Math.abs(ya[0]! - yb[0]!) > 1e-3, "what c holds is stepped from");
    engine.read(b, found);
    t.ok(
      found["c1"]!.every((value) => value > 1),
      "and is bounded by nothing",
    );
    t.throws(() => engine.write(a, { h1: tensors["h1"]!, h2: tensors["h2"]! }), {
      code: "bad_state",
      message: "cannot write a state: its tensors are h1 of 6, h2 of 3, and the model's are h1 of 6, c1 of 6, h2 of 3",
    });
    await engine.close();
  });

  t.test("batches and states of other shapes are refused, and nothing has changed", async (t) => {
    const model = randomModel({ features: 2, outputs: 3, hidden: [4, 5] });
    const engine = await open(model);
    const slot = engine.allocate();
    await run(engine, [slot], inputs(model, 3, 1), 3);
    const before = stateOf(engine, slot);
    const good = { slots: Int32Array.of(slot), count: 1, steps: 2, x: new Float32Array(4), y: new Float32Array(6) };
    const refused = async (batch: Partial<typeof good>, message: string): Promise<void> => {
      const step = async (): Promise<void> => engine.step({ ...good, ...batch });
      await t.rejects(step(), { name: "HiddenstateError", code: "bad_argument", message: `cannot step a batch: ${message}` });
    };
    await refused({ x: new Float32Array(3) }, "x has 3 values, and its shape is (2, 1, 2)");
    await refused({ y: new Float32Array(5) }, "y has 5 values, and its shape is (2, 1, 3)");
    await refused({ count: 2 }, "it has 2 streams and 1 slots");
    await refused({ count: 0 }, "it has 0 streams, and takes at least 1");
    await refused({ steps: 1.5 }, "it has 1.5 steps, and takes at least 1");
    const shaped = (tensors: Record<string, Float32Array>, message: string): void => {
      t.throws(() => engine.write(slot, tensors), {
        code: "bad_state",
        message: `cannot write a state: its tensors are ${message}`,
      });
      t.throws(() => engine.read(slot, tensors), {
        code: "bad_state",
        message: `cannot read a state: its tensors are ${message}`,
      });
    };
    const [h1, h2] = [new Float32Array(4), new Float32Array(5)];
    shaped({}, "none, and the model's are h1 of 4, h2 of 5");
    shaped({ h1 }, "h1 of 4, and the model's are h1 of 4, h2 of 5");
    shaped({ h1, h2: h1 }, "h1 of 4, h2 of 4, and the model's are h1 of 4, h2 of 5");
    shaped({ h1, h2, h3: h1 }, "h1 of 4, h2 of 5, h3 of 4, and the model's are h1 of 4, h2 of 5");
    t.strictSame(stateOf(engine, slot), before);
    await engine.step(good);
    await engine.close();
  });

  t.test("longer buffers than a batch needs are taken, and left alone beyond it", async (t) => {
    const model = randomModel({ features: 2, outputs: 1, hidden: [3] });
    const engine = await open(model);
    const [a, b] = [engine.allocate(), engine.allocate()];
    const x = inputs(model, 3, 1);
    const y = new Float32Array(5).fill(9);
    await engine.step({ slots: Int32Array.of(a, 77), count: 1, steps: 2, x, y });
    t.strictSame(y.subarray(2), Float32Array.of(9, 9, 9));
    t.strictSame(y.subarray(0, 2), await run(engine, [b], x.subarray(0, 4), 2));
    await engine.close();
  });

  t.test("a slot that is not held is our own mistake", async (t) => {
    const engine = await open(randomModel({ features: 1, hidden: [2] }));
    const slot = engine.allocate();
    const one = async (slots: number[]): Promise<void> =>
      engine.step({
        slots: Int32Array.from(slots),
        count: slots.length,
        steps: 1,
        x: new Float32Array(4),
        y: new Float32Array(4),
      });
    engine.release(slot);
    const bad = { name: "AssertionError", message: `slot ${slot} is not allocated` };
    t.throws(() => engine.release(slot), bad);
    t.throws(() => engine.read(slot, createStateTensors(engine.spec.states)), bad);
    t.throws(() => engine.write(slot, createStateTensors(engine.spec.states)), bad);
    await t.rejects(one([slot]), bad);
    for (const wild of [-1, 1000, 0.5]) t.throws(() => engine.release(wild), { message: `slot ${wild} is not allocated` });
    const held = engine.allocate();
    t.throws(() => engine.copy(held, 1000), { message: "slot 1000 is not allocated" });
    t.throws(() => engine.copy(1000, held), { message: "slot 1000 is not allocated" });
    await t.rejects(one([held, held]), { message: `slot ${held} stands in one batch twice` });
    t.equal(stateOf(engine, held).length, 2, "and it is free for the next step");
    await engine.close();
    t.throws(() => engine.allocate(), { message: "the engine is closed" });
    await t.rejects(one([held]), { message: "the engine is closed" });
    await engine.close();
  });
}

/** Runs the suite on the engines that `open` makes. */
export function engineSuite(t: Test, open: (model: Model) => Promise<Engine>): void {
  streams(t, open);
  states(t, open);
  refusals(t, open);

  t.test("it says what it is", async (t) => {
    const model = randomModel({});
    const engine = await open(model);
    t.equal(engine.spec, model.spec);
    t.equal(engine.version, model.version);
    await engine.close();
  });
}
