import t from "tap";
import { compareEngines } from "../../src/engine/compare-engines.ts";
import type { Engine, StepBatch } from "../../src/engine/engine.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { openOnnxEngine } from "../../src/engine/onnx-engine.ts";
import { ParityJudge } from "../../src/engine/parity-judge.ts";
import { isWithin, parityDifference, worstDifference } from "../../src/engine/parity.ts";
import { hasKernel } from "../../src/kernels/simd-module.ts";
import type { Model } from "../../src/model/model.ts";
import { decodeModel } from "../../src/onnx/decode-model.ts";
import { encodeModel } from "../../src/onnx/encode-model.ts";
import { needsOnnxruntime } from "../support/onnxruntime.ts";
import { randomModel, randomWeights } from "../support/random-model.ts";
import type { RandomModelOptions } from "../support/random-model.ts";
import { describeModel, SUITE_MODELS } from "./engine.suite.ts";
import { rounds } from "../support/emulation.ts";

const kernels = (["relaxed", "plain", "scalar"] as const).filter(hasKernel);

t.test("the measure is relative to the scale near zero and to the value far from it", async (t) => {
  t.equal(parityDifference(0.5, 0.25, 1), 0.25);
  t.equal(parityDifference(0.5, 0.25, 0.5), 0.5);
  t.equal(parityDifference(101_325, 101_326, 5), 1 / 101_326);
  t.equal(parityDifference(-3, 1, 2), 2);
  t.equal(parityDifference(0, 0, 1), 0);
  t.equal(parityDifference(Infinity, Infinity, 1), 0);
  for (const [a, b] of [
    [Number.NaN, 1],
    [1, Number.NaN],
    [Number.NaN, Number.NaN],
    [Infinity, 1],
    [1, Infinity],
    [Infinity, -Infinity],
  ] as const) {
    t.equal(parityDifference(a, b, 1), Infinity, `${a} and ${b}`);
  }
  // Values 1 and 2 of b on the second scale and the first: |3 - 2| / 4 and |9 - 5| / 8.
  t.equal(worstDifference([0, 3, 9], 1, [7, 2, 5], 1, 2, Float64Array.of(4, 8)), 0.5);
  t.ok(isWithin({ outputs: 1e-5, states: 1e-5 }));
  t.notOk(isWithin({ outputs: 1.01e-5, states: 0 }));
  t.notOk(isWithin({ outputs: 0, states: Infinity }));
});

t.test("native engine and onnxruntime are one model", needsOnnxruntime, async (t) => {
  const wide: RandomModelOptions = { seed: 6, features: 24, outputs: 4, hidden: [129], residual: true };
  const worst = { outputs: 0, states: 0 };
  for (const options of [...SUITE_MODELS, wide]) {
    const model = randomModel(options);
    const onnx = await openOnnxEngine(model);
    for (const kernel of kernels) {
      const report = await compareEngines(model, new NativeEngine(model, { kernel }), onnx, { steps: 100 * rounds(4) });
      t.ok(report.passed, `${describeModel(options)}, ${kernel}`);
      for (const part of report.parts) {
        // Logits of a million times what the network was made for: float32 cannot say which class is the greatest.
        const boundless = part.inputs === "extreme" && options.cells?.[0] === "rnn_relu";
        if (boundless && part.verdict === "chaotic") continue;
        t.equal(part.verdict, "passed", `${describeModel(options)}, ${kernel}, ${part.name}, ${part.inputs}`);
        worst.outputs = Math.max(worst.outputs, part.outputs);
        worst.states = Math.max(worst.states, part.states);
      }
    }
    await onnx.close();
  }
  t.comment(`worst difference: outputs ${worst.outputs.toExponential(1)}, states ${worst.states.toExponential(1)}`);
});

/** The model with one value of one weight changed. */
function altered(options: RandomModelOptions, alter: (weights: Model["weights"]) => void): Model {
  const { spec, weights } = randomWeights(options);
  alter(weights);
  return decodeModel(encodeModel(spec, weights), "altered.onnx");
}

t.test("an engine whose numbers differ fails in every part", async (t) => {
  const options = { features: 2, outputs: 2, hidden: [6], residual: true };
  const model = randomModel(options);
  const alterations: ((weights: Model["weights"]) => void)[] = [
    (weights) => (weights.layers[0]!.Wh.data[3]! += 0.001),
    (weights) => (weights.layers[0]!.b.data[1]! += 0.0001),
    (weights) => (weights.xScale.data[1]! *= 1.001),
    (weights) => (weights.head.W.data[2]! += 0.001),
  ];
  for (const [place, alter] of alterations.entries()) {
    const report = await compareEngines(model, new NativeEngine(altered(options, alter)), new NativeEngine(model), {
      steps: 100,
    });
    t.notOk(report.passed);
    const failed = report.parts.filter((part) => part.inputs === "usual" && part.verdict === "failed");
    t.equal(failed.length, 4, `alteration ${place}`);
  }
});

t.test("an engine that gives NaN fails", async (t) => {
  const model = randomModel({});
  class Sick extends NativeEngine {
    override step(batch: StepBatch): void {
      super.step(batch);
      batch.y.fill(Number.NaN);
    }
  }
  const report = await compareEngines(model, new Sick(model), new Sick(model), { steps: 50 });
  t.notOk(report.passed);
  t.ok(report.parts.every((part) => part.outputs === Infinity && part.verdict === "failed"));
});

/** A native engine whose every state is off by a float32's last places after each step: another order of summing. */
class OtherOrder extends NativeEngine {
  override step(batch: StepBatch): void {
    super.step(batch);
    const state = { h: new Float32Array(this.spec.layers[0]!.hidden) };
    for (let n = 0; n < batch.count; n++) {
      this.read(batch.slots[n]!, state);
      for (let i = 0; i < state.h.length; i++) state.h[i]! *= 1 + 3e-7;
      this.write(batch.slots[n]!, state);
    }
  }
}

t.test("a chaotic network is told from a wrong one", async (t) => {
  const chaotic = randomModel({ features: 2, hidden: [32], gain: 3 });
  const report = await compareEngines(chaotic, new OtherOrder(chaotic), new NativeEngine(chaotic));
  t.ok(report.passed);
  const [single, carried] = report.parts;
  t.equal(single?.verdict, "passed");
  t.ok(single!.states > 0 && single!.states < 1e-6);
  t.equal(carried?.verdict, "chaotic");
  t.ok(carried!.states > 0.1 && carried!.growth! > 0.1, `apart by ${carried!.states}, growth ${carried!.growth}`);

  // A wrong weight shows in the single steps of a chaotic network, where chaos is no excuse.
  const options = { features: 2, hidden: [32], gain: 3 };
  const wrong = altered(options, (weights) => (weights.layers[0]!.Wh.data[3]! += 0.001));
  const failed = await compareEngines(chaotic, new NativeEngine(wrong), new NativeEngine(chaotic));
  t.equal(failed.parts[0]?.verdict, "failed");
  t.notOk(failed.passed);

  const calm = randomModel({ features: 2, hidden: [32], gain: 0.9 });
  const stepped = await compareEngines(calm, new OtherOrder(calm), new NativeEngine(calm));
  t.ok(stepped.parts.every((part) => part.verdict === "passed" && part.growth === undefined));
});

t.test("the reference's drift says what kind of network it is", async (t) => {
  const steps = 300;
  const driftOf = (gain: number): number => {
    const model = randomModel({ features: 1, hidden: [24], gain });
    const x = Float32Array.from({ length: steps }, (_, t) => model.weights.xMean.data[0]! + Math.sin(t / 9));
    return new ParityJudge(model).growthOfRun(x, steps, 1, 0).states;
  };
  t.ok(driftOf(0.5) < 1e-6, `gain 0.5: ${driftOf(0.5)}`);
  t.ok(driftOf(3) > 0.1, `gain 3: ${driftOf(3)}`);
});

t.test("a step that cancels what float32 cannot resolve is left out and counted", needsOnnxruntime, async (t) => {
  // Both features a million deviations off, with weights that nearly cancel: 712,345 - 712,344 + b, where float32 counts in 0.06.
  const model = altered({ features: 2, hidden: [3] }, ({ xMean, xScale, layers }) => {
    xMean.data.fill(0);
    xScale.data.fill(1);
    layers[0]!.Wx.data.set([0.712345, -0.9123451, 0.3123452, -0.712344, 0.9123462, -0.3123457]);
  });
  const onnx: Engine = await openOnnxEngine(model);
  const report = await compareEngines(model, new NativeEngine(model), onnx);
  t.ok(report.passed, JSON.stringify(report.parts));
  const [usual, extreme] = report.parts.filter((part) => part.unresolved !== undefined);
  t.equal(usual?.unresolved, 0);
  t.ok(extreme!.unresolved! > 100, `${extreme!.unresolved} unresolved`);
  await onnx.close();

  const state = { h: new Float32Array(3) };
  const rounding = (...x: number[]): number => new ParityJudge(model).roundingOfStep(Float32Array.from(x), 0, state).states;
  t.ok(rounding(0.5, -0.25) < 1e-6);
  t.ok(rounding(1e6, 1e6) > 1e-3);
  t.equal(rounding(1e6, -1e6), 0, "a saturated unit hides any rounding");
});
