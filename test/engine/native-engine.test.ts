import t from "tap";
import { createRandom } from "../../src/base/random.ts";
import { createStateTensors } from "../../src/engine/engine.ts";
import { kernelOfVersion, NativeEngine } from "../../src/engine/native-engine.ts";
import { defaultEngine, openEngine } from "../../src/engine/open-engine.ts";
import { parityInputs } from "../../src/engine/parity-inputs.ts";
import { fastestKernel } from "../../src/kernels/open-network.ts";
import { kernelVersions } from "../../src/kernels/recurrent-network.ts";
import { hasKernel } from "../../src/kernels/simd-module.ts";
import { swapLeadingAxes } from "../../src/kernels/swap-leading-axes.ts";
import { zeros } from "../../src/kernels/tensor.ts";
import type { Model } from "../../src/model/model.ts";
import { SequenceModel } from "../../src/model/sequence-model.ts";
import { hardSigmoidModel, randomModel } from "../support/random-model.ts";
import { engineSuite, SUITE_MODELS } from "./engine.suite.ts";
import { measuresHeap } from "../support/emulation.ts";

for (const kernel of ["relaxed", "plain", "scalar"] as const) {
  const skip = hasKernel(kernel) ? false : `this processor has no ${kernel} kernel`;
  t.test(`the native engine on the ${kernel} kernel keeps the contract`, { skip }, async (t) =>
    engineSuite(t, async (model) => new NativeEngine(model, { kernel })),
  );
  t.test(`the ${kernel} kernel is named to the journal, and found again by that name`, { skip }, async (t) => {
    const engine = await openEngine(randomModel({}), { engine: "native", kernel });
    t.strictSame([engine.name, engine.kernel, engine.deterministic], ["native", kernelVersions[kernel], true]);
    t.equal(kernelOfVersion(engine.kernel), kernel);
    await engine.close();
  });
}

t.test("a name that no kernel of this release has is none", async (t) => {
  for (const version of ["scalar-0", "relaxed", "onnxruntime-1.30.0", ""]) t.equal(kernelOfVersion(version), undefined, version);
});

t.test("native and auto are the native engine on the fastest kernel", async (t) => {
  for (const choice of ["native", "auto"] as const) {
    const engine = await openEngine(randomModel({}), { engine: choice });
    t.strictSame([engine.name, engine.kernel], ["native", kernelVersions[fastestKernel()]]);
    await engine.close();
  }
});

t.test("it computes the graph's formula: scaling in units, tanh, head, present value", async (t) => {
  const model = randomModel({ seed: 8, features: 2, outputs: 1, hidden: [2], residual: true });
  const engine = new NativeEngine(model);
  const slot = engine.allocate();
  const x = Float32Array.of(101_330, -3, 101_321, 4);
  const y = new Float32Array(2);
  engine.step({ slots: Int32Array.of(slot), count: 1, steps: 2, x, y });

  // The same by hand, in doubles. Output 0 forecasts feature 1.
  const { xMean, xScale, layers, head, yMean, yScale } = model.weights;
  const { Wx, Wh, b } = layers[0]!;
  let h = [0, 0];
  for (const [step, row] of [[101_330, -3] as const, [101_321, 4] as const].entries()) {
    const z = row.map((value, d) => (value - xMean.data[d]!) / xScale.data[d]!);
    const at = (j: number): number =>
      b.data[j]! + z[0]! * Wx.data[j]! + z[1]! * Wx.data[2 + j]! + h[0]! * Wh.data[j]! + h[1]! * Wh.data[2 + j]!;
    h = [Math.tanh(at(0)), Math.tanh(at(1))];
    const change = (h[0]! * head.W.data[0]! + h[1]! * head.W.data[1]! + head.b.data[0]!) * yScale.data[0]! + yMean.data[0]!;
    t.ok(Math.abs(y[step]! - (change + row[1])) < 1e-5, `step ${step}: ${y[step]} and ${change + row[1]}`);
  }
  const state = createStateTensors(model.spec.states);
  engine.read(slot, state);
  t.ok(Math.abs(state["h"]![0]! - h[0]!) < 1e-6);
  await engine.close();
});

t.test("on the scalar kernel it steps to the bits that the network predicted in training", async (t) => {
  for (const options of SUITE_MODELS) {
    const model = randomModel(options);
    const [T, N, D, O] = [9, 3, model.spec.features.length, model.spec.outputs.length];
    const engine = new NativeEngine(model, { kernel: "scalar" });
    const slots = Int32Array.from({ length: N }, () => engine.allocate());
    const x = parityInputs("usual", model.weights, createRandom(5), T, N);
    const y = new Float32Array(T * N * O);
    engine.step({ slots, count: N, steps: T, x, y });
    const readings = zeros([N, T, D]);
    swapLeadingAxes(x, 0, readings.data, T, N, D);
    const predicted = new Float32Array(y.length);
    swapLeadingAxes(
      new SequenceModel(model.spec, model.weights, { kernel: "scalar" }).predict(readings).data,
      0,
      predicted,
      N,
      T,
      O,
    );
    t.strictSame(y, predicted);
    await engine.close();
  }
});

/** What one step takes, in bytes: the least of many rounds, since the first ones run before the compiler is done. */
function bytesPerStep(model: Model, count: number): number {
  const engine = new NativeEngine(model);
  const slots = Int32Array.from({ length: count }, () => engine.allocate());
  const x = parityInputs("usual", model.weights, createRandom(1), 4, count);
  const batch = { slots, count, steps: 4, x, y: new Float32Array(4 * count * model.spec.outputs.length) };
  let least = Infinity;
  for (let round = 0; round < 20; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 2000; i++) engine.step(batch);
    const taken = process.memoryUsage().heapUsed - before;
    // A round in which the collector ran says nothing.
    if (taken >= 0) least = Math.min(least, taken / 2000);
  }
  return least;
}

t.test("a step takes no memory", measuresHeap, async (t) => {
  // The smallest object is 16 bytes; what the process does besides is far below one byte a step.
  const bytes = bytesPerStep(randomModel({ features: 2, hidden: [5, 4], residual: true }), 3);
  t.ok(bytes < 8, `${bytes} bytes a step`);
});

t.test(
  "activations that the kernels do not have are refused by their node, with what to do, before anything is stepped",
  async (t) => {
    const model = hardSigmoidModel();
    const refusal = {
      name: "HiddenstateError",
      code: "bad_model",
      message:
        'cannot use model "random" natively: node layer1_Y is GRU with the activations HardSigmoid, Tanh, and the native engine has it ' +
        "with Sigmoid, Tanh; set engine: onnx",
    };
    await t.rejects(openEngine(model, { engine: "native" }), refusal);
    t.throws(() => new SequenceModel(model.spec, model.weights), refusal);
    t.equal(defaultEngine(model), "onnx");
    t.equal(defaultEngine(randomModel({ cells: ["gru"] })), "native");
  },
);
