import t from "tap";
import { createRandom } from "../../src/base/random.ts";
import { createStateTensors } from "../../src/engine/engine.ts";
import { openEngine } from "../../src/engine/open-engine.ts";
import { nowOf } from "../../src/dashboard/stream-about.ts";
import { readHistory } from "../../src/journal/read-history.ts";
import { HistoryTable } from "../../src/learn/history-table.ts";
import type { Model } from "../../src/model/model.ts";
import { shortVersion } from "../../src/model/model.ts";
import { rolledModel } from "../../src/model/rolled-model.ts";
import { Box, text } from "../support/box.ts";
import { predictions, reading } from "../support/one-group.ts";
import type { Prediction } from "../support/one-group.ts";
import { needsOnnxruntime } from "../support/onnxruntime.ts";
import { randomModel } from "../support/random-model.ts";

const shape = { features: 2, outputs: 2, cells: ["gru"], head: "gaussian" } as const;
const model = randomModel({ ...shape, hidden: [6], seed: 3 });
const other = randomModel({ ...shape, hidden: [6], seed: 4 });
const wide = randomModel({ ...shape, hidden: [5, 4], seed: 5 });
const models = { m: model, n: other };
const HORIZONS = [1, 3, 10];
const group = { name: "g", topic: "s/{device}/r", codec: "json", model: "m", horizons: HORIZONS };
const STEP_MS = 60_000;

type More = Readonly<Record<string, unknown>>;

function start(more: More = {}, options: Partial<Box["options"]> = {}): Promise<Box> {
  return new Box({ models, groups: [{ ...group, ...more }], ...options }).start();
}

async function restart(one: Box, more: More = {}): Promise<void> {
  one.crash(1);
  one.options = { ...one.options, groups: [{ ...group, ...more }] };
  await one.start();
}

function rowOf(i: number): [number, number] {
  return [101_320 + 3 * Math.sin(i / 7), Math.sin(i * 1.7)];
}

async function feed(one: Box, from: number, to: number, stream = "a", leap = 0): Promise<void> {
  for (let i = from; i < to; i++) {
    one.clock.advance(STEP_MS);
    const [feature0, feature1] = rowOf(i);
    await one.deliver(reading(stream, i, { feature0: feature0 + leap, feature1 }));
  }
}

/** What a rolled engine gives for readings of our series, and the state that it is left with. */
async function offline(
  one: Model,
  horizons: readonly number[],
  from: number,
  to: number,
): Promise<{ outputs: Record<string, number>[]; state: Record<string, number[]> }> {
  const rolled = rolledModel(one, horizons);
  const engine = await openEngine(rolled, { engine: "native" });
  const slot = engine.allocate();
  const y = new Float32Array(rolled.spec.outputs.length);
  const outputs: Record<string, number>[] = [];
  for (let i = from; i < to; i++) {
    await engine.step({ slots: Int32Array.of(slot), count: 1, steps: 1, x: Float32Array.from(rowOf(i)), y });
    outputs.push(Object.fromEntries(rolled.spec.outputs.map(({ name }, o) => [name, y[o]!])));
  }
  const state = createStateTensors(rolled.spec.states);
  engine.read(slot, state);
  return { outputs, state: Object.fromEntries(Object.entries(state).map(([name, values]) => [name, Array.from(values)])) };
}

function given({ outputs }: Prediction): Record<string, number> {
  return Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, Math.fround(values[0]!)]));
}

async function stateOf(one: Box, stream = "a"): Promise<Record<string, number[]>> {
  const { state } = await one.control.getState(stream);
  return Object.fromEntries(Object.entries(state).map(([name, values]) => [name, values.map(Math.fround)]));
}

t.test("a shipped model forecasts at every horizon that its group names, each with a deviation", async (t) => {
  const one = await start();
  await feed(one, 0, 60);
  const said = predictions(one);
  t.strictSame(Object.keys(said[0]!.outputs), [
    ...HORIZONS.flatMap((horizon) => [`feature0+${horizon}`, `feature1+${horizon}`]),
    ...HORIZONS.flatMap((horizon) => [`feature0+${horizon} deviation`, `feature1+${horizon} deviation`]),
  ]);
  const { outputs, state } = await offline(model, HORIZONS, 0, 60);
  t.strictSame(said.map(given), outputs);
  t.strictSame(await stateOf(one), state);
  await feed(one, 0, 1, "b");
  await one.control.setState("b", await stateOf(one));
  t.strictSame(await stateOf(one, "b"), state, "and as JSON it goes into another stream");
});

t.test(
  "forecasts, deviations, scores and alarms go on after crashes to the bit, from checkpoints and from the journal",
  async (t) => {
    const scored = { score: { budget: "1/day" } };
    const drive = async (one: Box, from: number, to: number): Promise<void> => {
      for (let i = from; i < to; i++) {
        await feed(one, i, i + 1, "a", i === 250 ? 500 : 0);
        if (i % 3 === 0) await feed(one, i / 3, i / 3 + 1, "b");
      }
    };
    const whole = await start(scored);
    await drive(whole, 0, 400);
    const owed = predictions(whole).map((prediction) => JSON.stringify(prediction));
    const alarmsOf = (one: Box): string[] =>
      one.published.filter(({ topic }) => topic.includes("/alarm/")).map(({ payload }) => text(payload));
    t.ok(alarmsOf(whole).length > 0, "there is an alarm");
    for (const seed of [1, 2, 3]) {
      const random = createRandom(seed);
      const one = await start(scored, { segmentBytes: 16 * 1024, blockBytesMax: 8 * 1024 });
      for (let at = 0; at < 400;) {
        const to = Math.min(400, at + 1 + Math.floor(random.next() * 120));
        await drive(one, at, to);
        if (random.next() < 0.4) await one.pipeline.checkpoint();
        if (random.next() < 0.5) one.publishAll();
        one.crash(Math.floor(random.next() * 1000));
        await one.start();
        t.equal(one.recovered.mismatches, 0);
        at = to;
      }
      const got = new Set(predictions(one).map((prediction) => JSON.stringify(prediction)));
      t.strictSame([...got].toSorted(), owed.toSorted(), `seed ${seed}`);
      t.strictSame(new Set(alarmsOf(one)), new Set(alarmsOf(whole)));
      for (const stream of ["a", "b"]) t.strictSame(await stateOf(one, stream), await stateOf(whole, stream));
    }
  },
);

t.test(
  "another version of the model is rolled likewise, from the stream's last readings, and so is the one before",
  async (t) => {
    const one = await start();
    await feed(one, 0, 40);
    await t.rejects(one.models.promote(randomModel({ ...shape, head: "regression" }), "plain.onnx", "g"), {
      code: "bad_model",
      message: /^cannot put plain.onnx in force for group "g": it gives the outputs output0: feature1 1 ahead, output1: feature0/,
    });
    await one.models.promote(wide, "wide.onnx", "g");
    await feed(one, 40, 50);
    const { outputs, state } = await offline(wide, HORIZONS, 0, 50);
    t.strictSame(predictions(one).slice(40).map(given), outputs.slice(40), "as if it had rolled them all");
    t.strictSame(await stateOf(one), state);
    t.ok(predictions(one).at(-1)!.id.endsWith(shortVersion(wide.version)));
    await one.pipeline.checkpoint();
    await one.models.promote(other, "other.onnx", "g");
    one.crash(1);
    await one.start();
    t.match(one.state.fold.groups[0]!.settings, { version: other.version, horizons: HORIZONS });
    t.strictSame(await stateOf(one), (await offline(other, HORIZONS, 0, 50)).state, "after a crash too");
    await one.models.rollback("g");
    t.strictSame(await stateOf(one), state);
    await restart(one, { model: "n" });
    t.equal(one.state.fold.groups[0]!.settings.version, other.version, "nor does the config's next model need anything else");
    await feed(one, 50, 51);
    t.strictSame(given(predictions(one).at(-1)!), (await offline(other, HORIZONS, 0, 51)).outputs.at(-1));
    t.equal(one.recovered.mismatches, 0);
  },
);

t.test("with carry a state goes over as it is, what is known of errors too", async (t) => {
  const one = await start({ switch: "carry" });
  await feed(one, 0, 80);
  const before = await stateOf(one);
  await t.rejects(one.models.promote(wide, "wide.onnx", "g"), {
    message: /its state is h1 of 1 x 1 x 5, h2 of 1 x 1 x 4, that of the/,
  });
  await one.models.promote(other, "other.onnx", "g");
  t.strictSame(await stateOf(one), before);
});

t.test(
  "other horizons in the config are another epoch: the network's states go on, and what is known at the horizons that stay",
  async (t) => {
    const scored = { score: { budget: "1/day" } };
    const one = await start(scored);
    await feed(one, 0, 300);
    await feed(one, 300, 301, "a", 500);
    const row = one.state.fold.find("a")!;
    t.ok(row.group.scores!.isAlarming(row.row));
    const before = await stateOf(one);
    await restart(one, { ...scored, horizons: [3, 20] });
    t.equal(one.recovered.mismatches, 0);
    const after = await stateOf(one);
    t.strictSame(Object.keys(after), ["h", "forecasts+3", "errors+3", "ring+3", "forecasts+20", "errors+20", "ring+20"]);
    for (const name of ["h", "forecasts+3", "errors+3", "ring+3"]) t.strictSame(after[name], before[name], name);
    t.strictSame(after["errors+20"], [0, 0, 0, 0]);
    const ref = one.state.fold.find("a")!;
    t.ok(ref.group.scores!.isAlarming(ref.row), "an open alarm stays open");
    await feed(one, 301, 420);
    t.strictSame(Object.keys(predictions(one).at(-1)!.outputs), [
      "feature0+3",
      "feature1+3",
      "feature0+20",
      "feature1+20",
      "feature0+3 deviation",
      "feature1+3 deviation",
      "feature0+20 deviation",
      "feature1+20 deviation",
      "score",
      "alarm",
    ]);
    const alarms = one.published.filter(({ topic }) => topic.includes("/alarm/")).map(({ payload }) => text(payload));
    t.strictSame(
      alarms.map((alarm) => (JSON.parse(alarm) as { open: boolean }).open),
      [true, false],
      "it closes once, and what is judged by new forecasts raises no other",
    );
    const late = await stateOf(one);
    for (const checkpoint of [false, true]) {
      if (checkpoint) await one.pipeline.checkpoint();
      await restart(one, { ...scored, horizons: [3, 20] });
      t.equal(one.recovered.mismatches, 0, "each part of the journal is replayed as it was written");
      t.strictSame(await stateOf(one), late);
    }
    await restart(one, { ...scored, horizons: undefined });
    t.strictSame(await stateOf(one), { h: late["h"] }, "without horizons it is the model as it is");
    await feed(one, 420, 421);
    const names = model.spec.outputs.map(({ name }) => name);
    t.strictSame(Object.keys(predictions(one).at(-1)!.outputs), [...names, "score", "alarm"]);
    await one.models.promote(other, "other.onnx", "g");
    await restart(one, scored);
    t.equal(one.state.fold.groups[0]!.settings.version, other.version, "what is in force stays");
    await feed(one, 421, 422);
    t.strictSame(Object.keys(await stateOf(one)), Object.keys(before), "and is rolled again");
    await restart(one, scored);
    t.equal(one.recovered.mismatches, 0);
  },
);

t.test(
  "a stream that has yet to be rebuilt is the same whether or not anyone looks at it before horizons change or a gap comes",
  async (t) => {
    for (const looks of [false, true]) {
      const one = await start({ gap: "reset" });
      await feed(one, 0, 30);
      await one.models.promote(wide, "wide.onnx", "g");
      const rebuilt = (await offline(wide, HORIZONS, 0, 30)).state;
      if (looks) t.strictSame(await stateOf(one), rebuilt);
      await one.pipeline.checkpoint();
      await restart(one, { gap: "reset", horizons: [2, 3] });
      t.equal(one.state.fold.groups[0]!.recent.staleCount, 0);
      const state = await stateOf(one);
      for (const name of ["h1", "h2", "errors+3", "ring+3"]) t.strictSame(state[name], rebuilt[name], name);
      t.strictSame(
        [state["errors+2"], state["ring+2"]],
        [
          [0, 0, 0, 0],
          [0, 0],
        ],
      );
      await feed(one, 30, 31);
      const { outputs } = await offline(wide, [2, 3], 0, 31);
      const own = ["feature0+2", "feature1+3", "feature1+3 deviation"];
      for (const name of own) t.equal(given(predictions(one).at(-1)!)[name], outputs.at(-1)![name], name);
      await one.models.promote(other, "other.onnx", "g");
      if (looks) await stateOf(one);
      await feed(one, 40, 41);
      const errors = (await offline(other, [2, 3], 0, 31)).state["errors+3"];
      t.strictSame((await stateOf(one))["errors+3"], errors, "what a gap leaves of a state that was not there yet");
      await restart(one, { gap: "reset", horizons: [2, 3] });
      t.strictSame((await stateOf(one))["errors+3"], errors);
      t.equal(one.recovered.mismatches, 0);
    }
  },
);

t.test("on another engine every stream goes on with what is known of its errors", needsOnnxruntime, async (t) => {
  const one = await start();
  await feed(one, 0, 60);
  const before = await stateOf(one);
  await restart(one, { engine: "onnx" });
  t.match(one.state.fold.groups[0]!.engine, { name: "onnx" });
  t.strictSame(await stateOf(one), before);
  await feed(one, 60, 70);
  const { outputs } = await offline(model, HORIZONS, 0, 70);
  for (const [name, value] of Object.entries(outputs.at(-1)!)) {
    t.ok(Math.abs(given(predictions(one).at(-1)!)[name]! - value) < 1e-3 * Math.max(1, Math.abs(value)), name);
  }
  await restart(one, { engine: "native" });
  t.equal(one.recovered.mismatches, 0);
});

t.test(
  "a gap resets the network's state, and what is known of errors stays; a value that is held is held against nothing",
  async (t) => {
    const one = await start({ gap: "reset" });
    await feed(one, 0, 50);
    const before = await stateOf(one);
    t.strictSame(before["errors+3"]!.slice(0, 2), [47, 47]);
    await feed(one, 60, 63);
    const after = await stateOf(one);
    t.strictSame(after["errors+3"], before["errors+3"]);
    t.strictSame(after["h"], (await offline(model, HORIZONS, 60, 63)).state["h"]);
    await feed(one, 63, 64);
    t.strictSame((await stateOf(one))["errors+3"]!.slice(0, 2), [48, 48]);
    await one.deliver(reading("a", 64, { feature1: null }));
    t.strictSame((await stateOf(one))["errors+3"]!.slice(0, 2), [49, 48]);
    await restart(one, { gap: "reset" });
    t.strictSame((await stateOf(one))["errors+3"]!.slice(0, 2), [49, 48]);
    t.equal(one.recovered.mismatches, 0);
  },
);

t.test("what is learned from the journal heeds alarms whatever the horizons were when they came", async (t) => {
  const scored = { score: { budget: "1/day" } };
  const one = await start({ ...scored, horizons: [1] });
  await feed(one, 0, 250);
  await restart(one, { ...scored, horizons: [1, 2] });
  await feed(one, 250, 300);
  await feed(one, 300, 302, "a", 500);
  await feed(one, 302, 310);
  await restart(one, scored);
  await feed(one, 310, 320);
  // It learns from what came before the alarm only.
  const table = new HistoryTable({ group: 0, features: 2, scored: false, rowsMax: 10_000, random: createRandom(1) });
  await readHistory(one.disk, "/state/journal", 0, (event, position) => table.visit(event, position));
  t.strictSame(
    table.runs().map(({ count }) => count),
    [300],
  );
});

t.test("the page shows the network's own state, without the forecasts beside it", async (t) => {
  const one = await start();
  await feed(one, 0, 3);
  const { state } = await one.control.getState("a");
  t.ok("forecasts+3" in state);
  t.strictSame(
    nowOf(one.state.fold, "a")!.state.map(({ name }) => name),
    model.spec.states.map(({ name }) => name),
  );
});
