import t from "tap";
import { HiddenstateError } from "../../src/base/errors.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { createStateTensors } from "../../src/engine/engine.ts";
import type { StateTensors } from "../../src/engine/engine.ts";
import type { Model } from "../../src/model/model.ts";
import { shortVersion } from "../../src/model/model.ts";
import { RecentReadings } from "../../src/pipeline/recent-readings.ts";
import { text } from "../support/box.ts";
import type { Box } from "../support/box.ts";
import { box, group, model, reading } from "../support/one-group.ts";
import { randomModel } from "../support/random-model.ts";

/** The state of `model` has the same shapes, that of `wide` has others. */
const other = randomModel({ features: 2, hidden: [8], seed: 4 });
const wide = randomModel({ features: 2, hidden: [5, 6], cells: ["gru"], seed: 5 });
const models = { m: model, n: other, w: wide };

function rowOf(sequence: number): number[] {
  return [101_320 + sequence, Math.sin(sequence)];
}

/** The state that rows of features give from the initial one, or from another. */
function stateAfter(one: Model, rows: readonly (readonly number[])[], from?: StateTensors): Record<string, number[]> {
  const engine = new NativeEngine(one);
  const slots = Int32Array.of(engine.allocate());
  if (from !== undefined) engine.write(slots[0]!, from);
  for (const row of rows) {
    engine.step({ slots, count: 1, steps: 1, x: Float32Array.from(row), y: new Float32Array(one.spec.outputs.length) });
  }
  const state = createStateTensors(one.spec.states);
  engine.read(slots[0]!, state);
  return Object.fromEntries(Object.entries(state).map(([name, values]) => [name, Array.from(values)]));
}

async function stateOf(one: Box, stream = "a"): Promise<Record<string, number[]>> {
  const { state } = await one.control.getState(stream);
  return Object.fromEntries(Object.entries(state).map(([name, values]) => [name, values.map(Math.fround)]));
}

async function send(one: Box, from: number, to: number, stream = "a"): Promise<void> {
  for (let sequence = from; sequence < to; sequence++) await one.deliver(reading(stream, sequence));
}

function rows(from: number, to: number): number[][] {
  return Array.from({ length: to - from }, (_, i) => rowOf(from + i));
}

function idsOf(one: Box): string[] {
  one.publishAll();
  return one.published.map(({ payload }) => (JSON.parse(text(payload)) as { id: string }).id);
}

t.test("a state is rebuilt from the stream's last readings, and predictions name the model that gave them", async (t) => {
  const one = await box({ models });
  await send(one, 0, 5);
  t.strictSame(await one.models.promote(wide, "wide.onnx", "g"), { group: "g", version: wide.version, from: model.version });
  await send(one, 5, 7);
  t.strictSame(await stateOf(one), stateAfter(wide, rows(0, 7)), "as if it had stepped them all");
  const versions = idsOf(one).map((id) => id.split("/").at(-1));
  const [old, now] = [shortVersion(model.version), shortVersion(wide.version)];
  t.strictSame(versions, [old, old, old, old, old, now, now]);
  t.strictSame(one.state.fold.groups[0]!.columns.steps[0], 7, "rebuilding is no step");
  t.match(one.counters("readings_accepted"), { readings_accepted: 7 });
});

t.test("no more than the last 64 readings are remembered", async (t) => {
  const one = await box({ models });
  await send(one, 0, 150);
  await one.models.promote(wide, "wide.onnx", "g");
  t.strictSame(await stateOf(one), stateAfter(wide, rows(86, 150)));
  t.equal(new RecentReadings(2).capacity, 64);
  t.equal(new RecentReadings(31).capacity, 32, "and no more than 4 KiB");
  t.equal(new RecentReadings(256).capacity, 3);
});

t.test("with carry a state stays as it is, with reset it is the initial one, and neither remembers readings", async (t) => {
  for (const policy of ["carry", "reset"] as const) {
    const one = await box({ models }, { switch: policy });
    await send(one, 0, 5);
    const before = await stateOf(one);
    t.equal(one.state.fold.groups[0]!.recent.count(0), 0, policy);
    await one.models.promote(other, "other.onnx", "g");
    t.strictSame(await stateOf(one), policy === "carry" ? before : stateAfter(other, []), policy);
    one.crash(2);
    await one.start();
    t.strictSame(await stateOf(one), policy === "carry" ? before : stateAfter(other, []), `${policy}, after a crash`);
  }
});

t.test("a state that was set or reset has no past to be rebuilt from, and one that a gap has reset neither", async (t) => {
  const one = await box({ models }, { gap: "reset" });
  await send(one, 0, 5, "a");
  await send(one, 0, 5, "b");
  await send(one, 0, 5, "c");
  await one.control.resetState("a");
  await one.control.setState("b", stateAfter(model, rows(0, 2)));
  await send(one, 7, 9, "c");
  await send(one, 5, 7, "a");
  await one.models.promote(wide, "wide.onnx", "g");
  t.strictSame(await stateOf(one, "a"), stateAfter(wide, rows(5, 7)));
  t.strictSame(await stateOf(one, "b"), stateAfter(wide, []));
  t.strictSame(await stateOf(one, "c"), stateAfter(wide, rows(7, 9)));
});

t.test(
  "what was put in force survives crashes, with and without a checkpoint, and outputs are repeated under their own model",
  async (t) => {
    const one = await box({ models });
    await send(one, 0, 3);
    await one.models.promote(wide, "wide.onnx", "g");
    await send(one, 3, 4);
    one.crash(1);
    await one.start();
    t.equal(one.recovered.mismatches, 0);
    t.equal(one.state.fold.groups[0]!.settings.version, wide.version, "though the config names the first one");
    const [old, now] = [shortVersion(model.version), shortVersion(wide.version)];
    t.strictSame(idsOf(one), [`a/1/0/${old}`, `a/1/1/${old}`, `a/1/2/${old}`, `a/1/3/${now}`]);
    await send(one, 0, 3, "b");
    await one.models.promote(other, "other.onnx", "g");
    await one.pipeline.checkpoint();
    t.ok(one.state.fold.groups[0]!.recent.isStale(1), "b has yet to be rebuilt");
    one.crash(1);
    await one.start();
    await send(one, 3, 4, "b");
    await send(one, 4, 5, "a");
    t.strictSame(await stateOf(one, "b"), stateAfter(other, rows(0, 4)));
    t.strictSame(await stateOf(one, "a"), stateAfter(other, rows(0, 5)));
    t.equal(one.recovered.mismatches, 0);
  },
);

t.test("a rollback goes back as far as versions are remembered, and then says so", async (t) => {
  const one = await box({ models });
  await send(one, 0, 3);
  await t.rejects(one.models.rollback("g"), {
    code: "bad_argument",
    message: 'cannot roll group "g" back: no version was in force before the present one',
  });
  await one.models.promote(wide, "wide.onnx", "g");
  await one.models.promote(other, "other.onnx", "g");
  t.strictSame(await one.models.rollback("g"), { group: "g", version: wide.version, from: other.version });
  one.crash(4);
  await one.start();
  await one.models.rollback("g");
  t.strictSame(await stateOf(one), stateAfter(model, rows(0, 3)));
  t.match(one.state.fold.groups[0]!.settings, { version: model.version, before: [], since: 0 });
  await t.rejects(one.models.promote(other, "other.onnx", "h"), {
    code: "bad_argument",
    message: 'cannot switch the model: there is no group "h", only g',
  });
});

t.test(
  "a config that names another model switches to it at the start, and one that goes on naming the same does not",
  async (t) => {
    const one = await box({ models });
    await send(one, 0, 3);
    await one.models.promote(other, "other.onnx", "g");
    one.crash(1);
    await one.start();
    t.equal(one.state.fold.groups[0]!.settings.version, other.version);
    one.crash(1);
    one.options = { ...one.options, groups: [{ ...group, model: "w" }] };
    await one.start();
    t.match(one.state.fold.groups[0]!.settings, {
      version: wide.version,
      configured: wide.version,
      before: [model.version, other.version],
    });
    await send(one, 3, 4);
    t.strictSame(await stateOf(one), stateAfter(wide, rows(0, 4)));
    await one.models.promote(model, "m.onnx", "g");
    one.crash(1);
    one.options = { ...one.options, groups: [{ ...group, model: "m" }] };
    await one.start();
    const { version, before } = one.state.fold.groups[0]!.settings;
    t.equal(version, model.version);
    t.strictSame(before, [other.version, wide.version], "naming what is in force already is no switch");
  },
);

t.test("a model that takes or gives something else is refused, live and at the start", async (t) => {
  const one = await box({ models }, { switch: "carry" });
  await send(one, 0, 2);
  const reason =
    'its state is h1 of 1 x 1 x 5, h2 of 1 x 1 x 6, that of the model in force h of 1 x 1 x 8, and "switch: carry" needs them to be the same';
  await t.rejects(one.models.promote(wide, "wide.onnx", "g"), {
    code: "bad_model",
    message: `cannot put wide.onnx in force for group "g": ${reason}`,
  });
  const narrow = randomModel({ features: 1, seed: 6 });
  await t.rejects(one.models.promote(narrow, "narrow.onnx", "g"), {
    code: "bad_model",
    message:
      'cannot put narrow.onnx in force for group "g": it takes the features feature0 (Pa), and the model in force feature0 (Pa), feature1',
  });
  const many = randomModel({ features: 2, outputs: 2, seed: 6 });
  await t.rejects(one.models.promote(many, "many.onnx", "g"), {
    code: "bad_model",
    message:
      'cannot put many.onnx in force for group "g": it gives the outputs output0: feature1 1 ahead, output1: feature0 1 ahead, and the model in force output0: feature1 1 ahead',
  });
  one.crash(1);
  one.options = { ...one.options, models: { m: narrow } };
  const text =
    `cannot use this state directory for group "g": its states are of model ${shortVersion(model.version)}, the config names model ` +
    `${shortVersion(narrow.version)}, and it takes the features feature0 (Pa), and the model in force feature0 (Pa), feature1; put the old ` +
    "model back, or give the new one another group name or state directory";
  await t.rejects(one.start(), { code: "foreign_state", message: text });
  one.options = { ...one.options, models };
  await one.start();
  t.match((await one.control.getState("a")).facts, { steps: 2 }, "and nothing is lost by it");
});

t.test("a model that fails the parity measure is not put in force, nor one whose file cannot be kept", async (t) => {
  const one = await box({ models });
  await send(one, 0, 2);
  one.verifyModel = async (file) => {
    throw new HiddenstateError("bad_model", `cannot use ${file}: the engines are apart`);
  };
  const file = one.state.models.fileOf(wide.version);
  await t.rejects(one.models.promote(wide, "wide.onnx", "g"), { message: `cannot use ${file}: the engines are apart` });
  t.equal(one.state.fold.groups[0]!.settings.version, model.version);
  await one.models.promote(wide, "wide.onnx", "g", { unverified: true });
  t.equal(one.state.fold.groups[0]!.settings.version, wide.version);
  one.disk.intercept = (call, path) => {
    if (call === "write" && path.includes("/models/")) throw Object.assign(new Error("ENOSPC: no room"), { code: "ENOSPC" });
  };
  await t.rejects(one.models.promote(other, "other.onnx", "g", { unverified: true }), {
    code: "disk_full",
    message: "cannot keep the models in /state/models: ENOSPC: no room",
  });
  one.disk.intercept = () => {};
  t.equal(one.state.fold.groups[0]!.settings.version, wide.version);
  t.notOk((await one.state.models.list()).includes(other.version));
});

t.test("states that have yet to be rebuilt are, before a config that carries states forgets their readings", async (t) => {
  const one = await box({ models });
  await send(one, 0, 4);
  await one.models.promote(other, "other.onnx", "g");
  one.crash(1);
  one.options = { ...one.options, groups: [{ ...group, model: "m", switch: "carry" }] };
  await one.start();
  t.equal(one.state.fold.groups[0]!.recent.count(0), 0);
  t.strictSame(await stateOf(one), stateAfter(other, rows(0, 4)));
  await one.models.promote(model, "m.onnx", "g");
  one.crash(1);
  await one.start();
  t.strictSame(await stateOf(one), stateAfter(other, rows(0, 4)));
  t.equal(one.recovered.mismatches, 0);
});

t.test("of the versions that were in force four are kept, and others until the journal does not go back to them", async (t) => {
  const one = await box({ models, segmentBytes: 8192, blockBytesMax: 4096 });
  await send(one, 0, 2);
  const all = Array.from({ length: 7 }, (_, i) => randomModel({ features: 2, hidden: [3], seed: 40 + i }));
  for (const next of all) await one.models.promote(next, "next.onnx", "g");
  const { before, version } = one.state.fold.groups[0]!.settings;
  t.strictSame(
    before,
    all.slice(2, 6).map((one) => one.version),
  );
  await one.pipeline.checkpointSettled();
  const checkpointAfter = async (from: number, to: number): Promise<void> => {
    await send(one, from, to);
    await one.pipeline.checkpoint();
    await one.pipeline.checkpointSettled();
    await new Promise(setImmediate);
  };
  for (let sequence = 2; sequence < 122; sequence += 40) await checkpointAfter(sequence, sequence + 40);
  t.strictSame((await one.state.models.list()).toSorted(), [...before, version].toSorted());
  t.strictSame(await one.state.models.lineageOf(model.version), undefined, "where it came from is forgotten with it");
  t.match(await one.state.models.lineageOf(version), { why: "promoted", file: "next.onnx", group: "g", base: before.at(-1)! });
  one.crash(3);
  await one.start();
  t.strictSame(await stateOf(one), stateAfter(all[6]!, rows(0, 122)));
});

t.test("with both checkpoints damaged, a journal that is whole is replayed through every version it names", async (t) => {
  const one = await box({ models });
  const all = Array.from({ length: 7 }, (_, i) => randomModel({ features: 2, hidden: [3], seed: 40 + i }));
  for (const [i, next] of all.entries()) {
    await send(one, i, i + 1);
    await one.models.promote(next, "next.onnx", "g");
    await one.pipeline.checkpoint();
    await one.pipeline.checkpointSettled();
  }
  await new Promise(setImmediate);
  t.ok((await one.state.models.list()).includes(model.version), "the journal begins with it");
  one.crash();
  for (const name of ["checkpoint-a", "checkpoint-b"]) one.disk.bytes(`/state/journal/${name}`)[5000]! ^= 1;
  await one.start();
  t.match(one.recovered, { checkpointPosition: 0, mismatches: 0, damaged: false });
  t.strictSame(await stateOf(one), stateAfter(all[6]!, rows(0, 7)));
});
