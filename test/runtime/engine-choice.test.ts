import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { silentLog } from "../../src/base/log.ts";
import { commonBatches, meanCost, preferredEngine } from "../../src/engine/engine-preference.ts";
import type { EngineTrial } from "../../src/engine/engine-trial.ts";
import { runTrial } from "../../src/engine/run-trial.ts";
import { fastestKernel } from "../../src/kernels/open-network.ts";
import { kernelVersions } from "../../src/kernels/recurrent-network.ts";
import { EngineChoices } from "../../src/runtime/engine-choices.ts";
import { EngineTrials } from "../../src/runtime/engine-trials.ts";
import { box, model, offline, outputsOf, reading, turns } from "../support/one-group.ts";
import type { Box } from "../support/box.ts";
import { until } from "../support/until.ts";
import { hardSigmoidModel } from "../support/random-model.ts";
import { needsOnnxruntime } from "../support/onnxruntime.ts";

const native = kernelVersions[fastestKernel()];

function trialOf(...figures: EngineTrial["figures"]): EngineTrial {
  return { kernels: { native, onnx: "onnxruntime-test" }, figures };
}

t.test("the engine in force is left only for one that saves more than a fifth", async (t) => {
  t.equal(preferredEngine("native", { native: 100, onnx: 81 }), "native");
  t.equal(preferredEngine("native", { native: 100, onnx: 79 }), "onnx");
  t.equal(preferredEngine("onnx", { native: 81, onnx: 100 }), "onnx");
  t.equal(preferredEngine("onnx", { native: 79, onnx: 100 }), "native");
});

t.test("what counts is how the model is stepped: batch sizes by the readings that came in them", async (t) => {
  //          1   2  4  8  16   32  64
  const seen = [100, 0, 5, 0, 300, 20, 0];
  t.strictSame(commonBatches(seen, 3), [1, 16, 32]);
  t.strictSame(commonBatches(seen, 9), [1, 4, 16, 32]);
  t.strictSame(commonBatches([0, 0], 3), []);
  const trial = trialOf({ batch: 1, native: 100, onnx: 1000 }, { batch: 16, native: 100, onnx: 40 });
  t.strictSame(meanCost(trial, seen), { native: 100, onnx: (100 * 1000 + 300 * 40) / 400 });
});

interface Trials {
  readonly trials: EngineTrials;
  readonly asked: (readonly number[])[];
}

async function trialsOf(one: Box, trial: () => EngineTrial): Promise<Trials> {
  const asked: (readonly number[])[] = [];
  const trials = new EngineTrials({
    groups: new Set(["g"]),
    fold: one.state.fold,
    pipeline: one.pipeline,
    choices: await EngineChoices.load(one.disk, "/state"),
    models: one.state.models,
    clock: one.clock,
    log: silentLog,
    runTrial: async (file, batches) => {
      t.equal(file, `/state/models/${model.version}.onnx`);
      asked.push(batches);
      return trial();
    },
  });
  trials.start();
  return { trials, asked };
}

async function feed(one: Box, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) await one.deliver(reading("a", i));
}

async function pass(one: Box): Promise<void> {
  one.clock.advance(60_000);
  await turns();
}

t.test("a group that leaves the choice open changes its engine at a checkpoint, once", needsOnnxruntime, async (t) => {
  const one = await box();
  const { trials, asked } = await trialsOf(one, () => trialOf({ batch: 1, native: 100, onnx: 10 }));
  const [group] = one.state.fold.groups;
  await feed(one, 0, 500);
  await pass(one);
  t.strictSame(asked, [], "too little is known of it");
  t.equal(trials.reasonOf(group!), "not measured yet");
  await feed(one, 500, 600);
  await pass(one);
  t.strictSame(asked, [[1]]);
  await until("onnxruntime is loaded and in force", () => group!.engine.name === "onnx");
  await until("the checkpoint", () => one.metrics.counter("checkpoints_written").value === 1);
  t.equal(trials.reasonOf(group!), "measured: native 100 ns a reading, onnx 10 ns");
  await feed(one, 1100, 100);
  await pass(one);
  t.equal(asked.length, 1, "and never again");
  const outputs = outputsOf(one);
  const expected = offline(Array.from({ length: 1200 }, (_, i) => [101_320 + i, Math.sin(i)]));
  t.strictSame(outputs.slice(0, 1100), expected.slice(0, 1100));
  const worst = Math.max(...outputs.map((value, i) => Math.abs(value - expected[i]!) / Math.max(1, Math.abs(expected[i]!))));
  t.ok(worst < 1e-4, `the states went along: ${worst}`);
  one.crash(1);
  await one.start();
  t.equal(one.state.fold.groups[0]!.engine.name, "onnx", "the next start keeps to it");
  t.equal(one.recovered.mismatches, 0);
  t.match((await one.control.getState("a")).facts, { steps: 1200 });
  t.equal(
    (await trialsOf(one, () => trialOf())).trials.reasonOf(one.state.fold.groups[0]!),
    "measured: native 100 ns a reading, onnx 10 ns",
  );
});

t.test("a trial that fails, or a gain that is too small, changes nothing", async (t) => {
  const one = await box();
  const failing = await trialsOf(one, () => {
    throw new Error("cannot measure the engines: no room");
  });
  await feed(one, 0, 1000);
  await pass(one);
  const [group] = one.state.fold.groups;
  t.equal(failing.trials.reasonOf(group!), "cannot measure the engines: no room");
  await pass(one);
  t.equal(failing.asked.length, 1, "it is not tried again in this life");
  failing.trials.stop();
  const close = await trialsOf(one, () => trialOf({ batch: 1, native: 100, onnx: 90 }));
  await pass(one);
  t.equal(close.asked.length, 1);
  t.equal(group!.engine.name, "native");
  t.equal(close.trials.reasonOf(group!), "measured: native 100 ns a reading, onnx 90 ns");
});

t.test("of a model that only onnxruntime takes nothing is measured, and the reason is told", needsOnnxruntime, async (t) => {
  const one = await box({ models: { m: hardSigmoidModel() } });
  const { trials, asked } = await trialsOf(one, () => trialOf());
  const [group] = one.state.fold.groups;
  t.equal(group!.engine.name, "onnx");
  await pass(one);
  t.match(
    trials.reasonOf(group!),
    /^cannot measure the engines: cannot use model ".*" natively: node layer1_Y is GRU with .*; set engine: onnx$/,
  );
  t.strictSame(asked, []);
});

t.test("a choice of another build or Node, or a file that is none, counts for nothing", async (t) => {
  const one = await box();
  const choices = await EngineChoices.load(one.disk, "/state");
  const choice = { engine: "onnx", cost: { native: 3, onnx: 1 } } as const;
  await choices.keep("v1", trialOf(), choice);
  await choices.keep("v2", { ...trialOf(), kernels: { native: "relaxed-0", onnx: "o" } }, choice);
  const loaded = await EngineChoices.load(one.disk, "/state");
  t.match(loaded.get("v1"), choice);
  t.equal(loaded.get("v2"), undefined, "those kernels are gone");
  t.equal(loaded.get("v3"), undefined);
  const file = await one.disk.open("/state/engines.json", "write");
  await file.write(new TextEncoder().encode("{]"), 0);
  await file.close();
  t.equal((await EngineChoices.load(one.disk, "/state")).get("v1"), undefined);
});

t.test("a trial runs in a process of its own", needsOnnxruntime, async (t) => {
  const file = join(t.testdir(), "model.onnx");
  writeFileSync(file, model.bytes);
  const { kernels, figures } = await runTrial(file, [1, 8]);
  t.equal(kernels.native, native);
  t.match(kernels.onnx, /^onnxruntime-\d/);
  t.strictSame(
    figures.map(({ batch }) => batch),
    [1, 8],
  );
  for (const figure of figures) t.ok(figure.native > 0 && figure.onnx > figure.native, JSON.stringify(figure));
  await t.rejects(runTrial(join(t.testdirName, "absent.onnx"), [1]), {
    code: "unavailable",
    message: /^cannot measure the engines: cannot use model .*absent\.onnx: there is no such file$/,
  });
});
