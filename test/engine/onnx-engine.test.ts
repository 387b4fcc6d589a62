import type { InferenceSession } from "onnxruntime-node";
import t from "tap";
import { createStateTensors } from "../../src/engine/engine.ts";
import { OnnxEngine, openOnnxEngine } from "../../src/engine/onnx-engine.ts";
import { openEngine } from "../../src/engine/open-engine.ts";
import { needsOnnxruntime } from "../support/onnxruntime.ts";
import { hardSigmoidModel, randomModel } from "../support/random-model.ts";
import { engineSuite } from "./engine.suite.ts";

t.test("the onnx engine keeps the contract", needsOnnxruntime, async (t) => engineSuite(t, (model) => openOnnxEngine(model)));

t.test("onnx is the engine on onnxruntime, which names its version and promises no bits", needsOnnxruntime, async (t) => {
  const engine = await openEngine(randomModel({}), { engine: "onnx" });
  t.strictSame([engine.name, engine.deterministic], ["onnx", false]);
  t.match(engine.kernel, /^onnxruntime-\d+\.\d+\.\d+$/u);
  await engine.close();
});

t.test("a batch under way is nobody else's, and other slots are free to use", needsOnnxruntime, async (t) => {
  const engine = await openOnnxEngine(randomModel({ features: 1, hidden: [3] }));
  const [stepped, other] = [engine.allocate(), engine.allocate()];
  const batch = { slots: Int32Array.of(stepped), count: 1, steps: 1, x: Float32Array.of(101_330), y: new Float32Array(1) };
  const state = createStateTensors(engine.spec.states);
  const step = engine.step(batch);
  const busy = { message: `slot ${stepped} is being stepped` };
  t.throws(() => engine.read(stepped, state), busy);
  t.throws(() => engine.release(stepped), busy);
  t.throws(() => engine.copy(other, stepped), busy);
  await t.rejects(engine.step({ ...batch, slots: Int32Array.of(other) }), { message: "a step is under way" });
  await t.rejects(engine.close(), { message: "a step is under way" });
  state["h"]!.fill(0.25);
  engine.write(other, state);
  // Enough to make the arena grow under the step.
  for (let n = 0; n < 100; n++) engine.allocate();
  await step;
  engine.read(stepped, state);
  t.ok(state["h"]!.every((value) => value !== 0 && value !== 0.25));
  engine.read(other, state);
  t.ok(state["h"]!.every((value) => value === 0.25));
  await engine.close();
});

t.test("a failed run changes no state and no output, and the next step works", needsOnnxruntime, async (t) => {
  const onnxruntime = await import("onnxruntime-node");
  const model = randomModel({ features: 1, hidden: [3] });
  const session = await onnxruntime.InferenceSession.create(model.bytes);
  const run = session.run.bind(session);
  let runs = 0;
  session.run = async (feeds: InferenceSession.FeedsType): Promise<InferenceSession.ReturnType> => {
    const { y, ...states } = await run(feeds);
    runs += 1;
    return runs === 1 ? { y: y! } : { y: y!, ...states };
  };
  const engine = new OnnxEngine(model, onnxruntime, session);
  const slot = engine.allocate();
  const batch = { slots: Int32Array.of(slot), count: 1, steps: 1, x: Float32Array.of(101_330), y: Float32Array.of(7) };
  await t.rejects(engine.step(batch), {
    name: "HiddenstateError",
    code: "unavailable",
    message: "cannot step a batch: onnxruntime failed: onnxruntime gave no h_out of 3 values",
  });
  const state = createStateTensors(engine.spec.states);
  engine.read(slot, state);
  t.ok(state["h"]!.every((value) => value === 0));
  t.equal(batch.y[0], 7);
  await engine.step(batch);
  engine.read(slot, state);
  t.ok(state["h"]!.every((value) => value !== 0));
  t.not(batch.y[0], 7);
  await engine.close();
});

t.test("where the package is absent the error says what to install", async (t) => {
  const absent = openOnnxEngine(randomModel({}), async () => {
    throw new Error("Cannot find package 'onnxruntime-node' imported from engine.js\nRequire stack:");
  });
  await t.rejects(absent, {
    name: "HiddenstateError",
    code: "missing_package",
    message:
      "cannot open the onnx engine: onnxruntime-node does not load (Cannot find package 'onnxruntime-node' imported from engine.js); " +
      (process.arch === "arm"
        ? "there is none for 32-bit ARM, where models run natively: set engine: native"
        : "install it with: ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node"),
  });
});

t.test("a model that onnxruntime refuses is a bad model", needsOnnxruntime, async (t) => {
  const model = randomModel({});
  await t.rejects(openOnnxEngine({ ...model, bytes: model.bytes.subarray(0, 300) }), {
    code: "bad_model",
    message: /^cannot use model "random": onnxruntime refuses it: /u,
  });
});

t.test("it steps activations that the native engine does not have, and auto chooses it for them", needsOnnxruntime, async (t) => {
  const model = hardSigmoidModel();
  const engine = await openEngine(model, { engine: "auto" });
  t.equal(engine.name, "onnx");
  const slot = engine.allocate();
  const x = Float32Array.of(101_327, 101_322, 101_324);
  const y = new Float32Array(3);
  await engine.step({ slots: Int32Array.of(slot), count: 1, steps: 3, x, y });
  // The same by hand: gates r, z, n of one unit.
  const { xMean, xScale, layers, head, yMean, yScale } = model.weights;
  const layer = layers[0]!;
  const bn = layer.cell === "gru" ? layer.bn.data[0]! : Number.NaN;
  const hard = (value: number): number => Math.min(1, Math.max(0, 0.2 * value + 0.5));
  let h = 0;
  for (const [step, reading] of x.entries()) {
    const scaled = (reading - xMean.data[0]!) / xScale.data[0]!;
    const fromX = (gate: number): number => scaled * layer.Wx.data[gate]! + layer.b.data[gate]!;
    const fromH = (gate: number): number => h * layer.Wh.data[gate]!;
    const [r, z] = [hard(fromX(0) + fromH(0)), hard(fromX(1) + fromH(1))];
    const n = Math.tanh(fromX(2) + r * (fromH(2) + bn));
    h = (1 - z) * n + z * h;
    const expected = (h * head.W.data[0]! + head.b.data[0]!) * yScale.data[0]! + yMean.data[0]!;
    t.ok(Math.abs(y[step]! - expected) < 1e-5 * Math.abs(expected), `step ${step}: ${y[step]} and ${expected}`);
  }
  await engine.close();
});
