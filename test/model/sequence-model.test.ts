// The network of a spec: the same numbers as its layers and as the engine, gradients that differences confirm, weights and states that
// are copied in and out.
import assert from "node:assert/strict";
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import { createStateTensors } from "../../src/engine/engine.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { outputScales, PARITY_TOLERANCE, worstDifference } from "../../src/engine/parity.ts";
import { copyTensor, tensor, toFloat64, zeros } from "../../src/kernels/tensor.ts";
import type { Tensor } from "../../src/kernels/tensor.ts";
import { initialWeights } from "../../src/model/initial-weights.ts";
import { mapWeights } from "../../src/model/map-weights.ts";
import { namedWeights } from "../../src/model/named-weights.ts";
import { SequenceModel } from "../../src/model/sequence-model.ts";
import { Adam } from "../../src/nn/adam.ts";
import { checkGradients } from "../../src/nn/gradient-check.ts";
import { HuberLoss } from "../../src/nn/huber-loss.ts";
import { TimeAffine } from "../../src/nn/time-affine.ts";
import { TimeRNN } from "../../src/nn/time-rnn.ts";
import { randomModel, randomWeights } from "../support/random-model.ts";
import { describeModel, SUITE_MODELS } from "../engine/engine.suite.ts";
import type { RandomModelOptions } from "../support/random-model.ts";
import { randomTensor, randomTensor64 } from "../support/random-tensors.ts";

/** Readings as the random models' sensors give them: a pressure first. */
function readingsOf(weights: { xMean: Tensor; xScale: Tensor }, N: number, T: number, seed: number): Tensor {
  const random = createRandom(seed);
  const D = weights.xMean.data.length;
  const data = Float32Array.from(
    { length: N * T * D },
    (_, i) => weights.xMean.data[i % D]! + weights.xScale.data[i % D]! * random.normal(),
  );
  return tensor(data, [N, T, D]);
}

void test("it is its layers, one after the other", async (t) => {
  const { spec, weights } = randomWeights({ features: 3, outputs: 2, hidden: [5, 4] });
  const xs = randomTensor(createRandom(1), [2, 6, 3]);
  const [below, above] = weights.layers;
  const hs = new TimeRNN(below!.Wx, below!.Wh, below!.b).forward(xs);
  const expected = new TimeAffine(weights.head.W, weights.head.b).forward(
    new TimeRNN(above!.Wx, above!.Wh, above!.b).forward(hs),
  );
  const model = new SequenceModel(spec, weights);
  t.same(model.forward(xs), expected);
  t.same(
    model.params.map(({ shape }) => shape),
    [[3, 5], [5, 5], [5], [5, 4], [4, 4], [4], [4, 2], [2]],
  );
  t.same(
    model.grads.map(({ shape }) => shape),
    model.params.map(({ shape }) => shape),
  );
});

void test("it predicts, in units, the very bits that the native engine steps to on the scalar kernel", async (t) => {
  for (const options of [
    { features: 2, outputs: 1, hidden: [8], residual: false },
    { features: 3, outputs: 2, hidden: [7, 5], residual: true },
  ]) {
    const file = randomModel(options);
    const model = new SequenceModel(file.spec, file.weights, { stateful: true, kernel: "scalar" });
    const engine = new NativeEngine(file, { kernel: "scalar" });
    const [N, T, D, O] = [3, 40, options.features, options.outputs];
    const slots = Int32Array.from({ length: N }, () => engine.allocate());
    for (const seed of [1, 2]) {
      const readings = readingsOf(file.weights, N, T, seed);
      const x = new Float32Array(T * N * D);
      const y = new Float32Array(T * N * O);
      for (let n = 0; n < N; n++) {
        for (let step = 0; step < T; step++) {
          for (let d = 0; d < D; d++) x[(step * N + n) * D + d] = readings.data[(n * T + step) * D + d]!;
        }
      }
      engine.step({ slots, count: N, steps: T, x, y });
      const predicted = model.predict(readings);
      t.same(predicted.shape, [N, T, O]);
      for (let i = 0; i < predicted.data.length; i++) {
        const [n, step, o] = [Math.floor(i / (T * O)), Math.floor(i / O) % T, i % O];
        assert.equal(predicted.data[i], y[(step * N + n) * O + o], `row ${n}, step ${step}, output ${o}`);
      }
    }
    await engine.close();
  }
});

const GRADIENT_CASES: readonly { N: number; T: number; options: RandomModelOptions; huber?: number }[] = [
  { N: 1, T: 1, options: { hidden: [1] } },
  { N: 2, T: 5, options: { hidden: [4, 3] } },
  { N: 1, T: 8, options: { hidden: [3, 2, 4] } },
  { N: 2, T: 4, options: { hidden: [4, 3], cells: ["gru", "lstm"], head: "gaussian" } },
  { N: 2, T: 5, options: { hidden: [3, 2, 3], cells: ["lstm", "gru_reset_first", "rnn_tanh"], head: "classifier" } },
  { N: 3, T: 3, options: { hidden: [3], cells: ["gru_reset_first"] }, huber: 0.4 },
];

void test("every gradient of a stack is confirmed by central differences, in two carried chunks", async (t) => {
  for (const { N, T, options, huber } of GRADIENT_CASES) {
    const { spec, weights } = randomWeights({ features: 2, outputs: 2, seed: N + T, ...options });
    const loss = huber === undefined ? {} : { loss: new HuberLoss<Float64Array>(huber) };
    const model = new SequenceModel(spec, mapWeights(weights, toFloat64), { stateful: true, ...loss });
    const random = createRandom(3);
    model.setState(spec.states.map(({ shape }) => randomTensor64(random, [N, shape[2]!])));
    for (const chunk of [1, 2]) {
      const states = model.getState()!;
      const xs = randomTensor64(random, [N, T, 2]);
      const classes = { shape: [N, T, 1], data: Float64Array.from({ length: N * T }, () => random.uint32() % 2) };
      const targets = options.head === "classifier" ? classes : randomTensor64(random, [N, T, 2]);
      model.loss(xs, targets);
      const carried = model.getState()!;
      const dxs = model.backward();
      const report = checkGradients(() => {
        model.setState(states);
        return model.loss(xs, targets);
      }, [
        { name: "xs", value: xs, gradient: dxs },
        ...model.params.map((value, i) => ({ name: `params[${i}]`, value, gradient: model.grads[i]! })),
        ...model.stateGradients.map((gradient, i) => ({ name: `states[${i}]`, value: states[i]!, gradient })),
      ]);
      const elements = [xs, ...model.params, ...states].reduce((sum, { data }) => sum + data.length, 0);
      t.equal(report.count, elements);
      t.ok(
        report.worst <= 1e-6,
        `${JSON.stringify(options)}, N=${N} T=${T}, chunk ${chunk}: worst ${report.worst} at ${report.at}`,
      );
      model.setState(carried);
    }
  }
});

void test("float32 predicts what its float64 twin and the engines do, by the parity measure, whatever the cells and head", async (t) => {
  for (const options of SUITE_MODELS) {
    const file = randomModel(options);
    const { spec, weights } = file;
    const [N, T, D, O] = [2, 100, spec.features.length, spec.outputs.length];
    const readings = readingsOf(weights, N, T, 4);
    const single = new SequenceModel(spec, weights).predict(readings);
    const double = new SequenceModel(spec, mapWeights(weights, toFloat64)).predict(toFloat64(readings));
    const scales = outputScales(spec);
    const twin = worstDifference(single.data, 0, double.data, 0, N * T * O, scales);
    t.ok(twin <= PARITY_TOLERANCE, `${describeModel(options)}: ${twin} from its twin`);
    const engine = new NativeEngine(file);
    for (let n = 0; n < N; n++) {
      const y = new Float32Array(T * O);
      const x = readings.data.subarray(n * T * D, (n + 1) * T * D);
      engine.step({ slots: Int32Array.of(engine.allocate()), count: 1, steps: T, x, y });
      const apart = worstDifference(single.data, n * T * O, y, 0, T * O, scales);
      t.ok(apart <= PARITY_TOLERANCE, `${describeModel(options)}: ${apart} from the engine`);
    }
  }
});

void test("states go in and out a tensor each, in the order of the spec and of the engine", async (t) => {
  const file = randomModel({ features: 2, hidden: [4, 3], cells: ["lstm", "gru"] });
  const model = new SequenceModel(file.spec, file.weights, { stateful: true, kernel: "scalar" });
  const random = createRandom(2);
  const states = file.spec.states.map(({ shape }) => randomTensor(random, [1, shape[2]!]));
  model.setState(states);
  t.same(model.getState(), states);
  const engine = new NativeEngine(file, { kernel: "scalar" });
  const slot = engine.allocate();
  engine.write(slot, Object.fromEntries(file.spec.states.map(({ name }, index) => [name, states[index]!.data])));
  const readings = readingsOf(file.weights, 1, 3, 1);
  const y = new Float32Array(3);
  engine.step({ slots: Int32Array.of(slot), count: 1, steps: 3, x: readings.data, y });
  t.same(model.predict(readings).data, y);
  const after = createStateTensors(file.spec.states);
  engine.read(slot, after);
  t.same(Object.keys(after), ["h1", "c1", "h2"]);
  t.same(
    model.getState()!.map(({ data }) => data),
    Object.values(after),
  );
  t.throws(() => model.setState(states.slice(1)), {
    code: "bad_argument",
    message: /there are 2 states, and it has 3; pass h of/u,
  });
});

void test("dropout lies between layers while training, and never in a prediction", async (t) => {
  const { spec, weights } = randomWeights({ features: 2, outputs: 2, hidden: [6, 5, 4], cells: ["gru"] });
  const plain = new SequenceModel(spec, weights);
  const dropping = new SequenceModel(spec, weights, { dropout: { rate: 0.5, random: createRandom(5) } });
  const xs = randomTensor(createRandom(1), [2, 6, 2]);
  const whole = Float32Array.from(plain.forward(xs).data);
  const dropped = Float32Array.from(dropping.forward(xs).data);
  t.notSame(dropped, whole);
  t.notSame(Float32Array.from(dropping.forward(xs).data), dropped, "each forward drops others");
  const readings = readingsOf(weights, 2, 6, 3);
  t.same(dropping.predict(readings).data, plain.predict(readings).data);
  t.ok(dropping.training);
  t.notSame(Float32Array.from(dropping.forward(xs).data), whole, "after a prediction it drops again");
  dropping.training = false;
  t.same(dropping.forward(xs).data, whole);
  const targets = randomTensor(createRandom(2), [2, 6, 2]);
  t.equal(dropping.loss(xs, targets), plain.loss(xs, targets));
  t.same(dropping.backward().data, plain.backward().data);
  const all = plain.grads.map(({ data }) => data.slice());
  plain.loss(xs, targets);
  plain.backwardParams();
  t.same(
    plain.grads.map(({ data }) => data),
    all,
    "the gradients are the same without the one by the inputs",
  );
  const one = randomWeights({ hidden: [3] });
  const single = new SequenceModel(one.spec, one.weights, { dropout: { rate: 0.9, random: createRandom(1) } });
  t.same(single.forward(xs).data, new SequenceModel(one.spec, one.weights).forward(xs).data, "one layer has no between");
});

void test("a Gaussian head learns how far off its means are, and a classifier which class it is", async (t) => {
  const random = createRandom(8);
  const options = { features: 1, outputs: 1, hidden: [6], cells: ["lstm"] } as const;
  const train = (model: SequenceModel, draw: () => { xs: Tensor; targets: Tensor }): void => {
    const adam = new Adam(model.params, { learningRate: 0.02 });
    for (let round = 0; round < 300; round++) {
      const { xs, targets } = draw();
      model.loss(xs, targets);
      model.backward();
      adam.step(model.grads);
    }
  };
  const values = (count: number, value: () => number): Float32Array => Float32Array.from({ length: count }, value);
  const gaussian = randomWeights({ ...options, head: "gaussian" });
  const forecaster = new SequenceModel(gaussian.spec, gaussian.weights);
  train(forecaster, () => {
    const xs = tensor(
      values(64, () => random.normal()),
      [8, 8, 1],
    );
    return {
      xs,
      targets: tensor(
        xs.data.map((x) => 0.5 * x + 0.25 * random.normal()),
        [8, 8, 1],
      ),
    };
  });
  const [mu, s] = forecaster.forward(tensor(Float32Array.of(0.8, 0.8, 0.8), [1, 3, 1])).data.subarray(4);
  t.ok(Math.abs(mu! - 0.4) < 0.15, `mean ${mu}`);
  t.ok(Math.abs(Math.exp(s! / 2) - 0.25) < 0.1, `deviation ${Math.exp(s! / 2)}`);
  const classes = randomWeights({ ...options, outputs: 3, head: "classifier" });
  const classifier = new SequenceModel(classes.spec, classes.weights);
  const classOf = (x: number): number => (x < -0.5 ? 0 : x < 0.5 ? 1 : 2);
  train(classifier, () => {
    const xs = tensor(
      values(64, () => 2 * random.normal()),
      [8, 8, 1],
    );
    return { xs, targets: tensor(xs.data.map(classOf), [8, 8, 1]) };
  });
  const { xMean, xScale } = classes.weights;
  const readings = Float32Array.of(-2, 0, 2).map((x) => xMean.data[0]! + xScale.data[0]! * x);
  const probabilities = classifier.predict(tensor(readings, [3, 1, 1])).data;
  for (let k = 0; k < 3; k++) t.ok(probabilities[k * 3 + k]! > 0.8, `class ${k}: ${probabilities[k * 3 + k]}`);
});

void test("with a residual head an output is a change of its feature's present reading", async (t) => {
  const { spec, weights } = randomWeights({ features: 2, outputs: 1, hidden: [3], residual: true });
  const still = mapWeights(weights, copyTensor);
  still.head.W.data.fill(0);
  still.head.b.data.fill(0);
  still.yMean.data[0] = 0.25;
  const predicted = new SequenceModel(spec, still).predict(tensor(Float32Array.of(101_320, 20, 101_330, 21), [1, 2, 2]));
  t.same(predicted.data, Float32Array.of(20.25, 21.25), "the second feature is the one it forecasts");
});

void test("standardised targets are what outputs in units are made of", async (t) => {
  for (const residual of [false, true]) {
    const { spec, weights } = randomWeights({ features: 3, outputs: 2, hidden: [3], residual });
    const { standardisation } = new SequenceModel(spec, mapWeights(weights, toFloat64));
    const readings = toFloat64(readingsOf(weights, 2, 5, 5));
    const ys = randomTensor64(createRandom(6), [2, 5, 2]);
    const outputs = copyTensor(ys);
    standardisation.outputs(ys, readings, outputs);
    const back = copyTensor(ys);
    standardisation.targets(outputs, readings, back);
    const worst = back.data.reduce((most, value, i) => Math.max(most, Math.abs(value - ys.data[i]!)), 0);
    t.ok(worst < 1e-9, `residual ${residual}: worst ${worst}`);
    const xs = copyTensor(readings);
    standardisation.inputs(readings, xs);
    t.equal(xs.data[4], (readings.data[4]! - Math.fround(weights.xMean.data[1]!)) / Math.fround(weights.xScale.data[1]!));
  }
  const { spec, weights } = randomWeights({ features: 3, outputs: 2, hidden: [3] });
  const { standardisation } = new SequenceModel(spec, weights);
  t.throws(() => standardisation.inputs(zeros([2, 3]), zeros([1, 3])), {
    code: "bad_argument",
    message: "cannot standardise: (2, 3) and (1, 3) are not rows of 3 and 3; pass tensors with the same leading axes",
  });
});

void test("weights are copied in and out, and put back exactly", async (t) => {
  const { spec, weights } = randomWeights({ features: 2, outputs: 1, hidden: [4] });
  const before = mapWeights(weights, copyTensor);
  const model = new SequenceModel(spec, weights);
  const readings = readingsOf(weights, 1, 10, 7);
  const predicted = copyTensor(model.predict(readings));
  weights.head.W.data.fill(0);
  t.same(model.predict(readings), predicted, "changing what it was built from changes nothing");
  const snapshot = model.getWeights();
  t.same(snapshot, before);
  for (const { data } of model.params) data.fill(0.1);
  t.notSame(model.predict(readings), predicted);
  t.same(snapshot, before, "training on does not move a snapshot");
  model.setWeights(snapshot);
  t.same(model.predict(readings), predicted);
  snapshot.head.b.data[0] = 99;
  t.same(model.getWeights(), before);
});

void test("weights that are not the spec's are refused by name and shape", async (t) => {
  const { spec, weights } = randomWeights({ features: 2, outputs: 1, hidden: [4] });
  t.throws(() => new SequenceModel(spec, { ...weights, head: { ...weights.head, W: zeros([5, 1]) } }), {
    code: "bad_model",
    message: "cannot build model random: head.W has shape (5, 1), and the spec's is (4, 1)",
  });
  t.throws(() => new SequenceModel(spec, weights).setWeights({ ...weights, layers: [] }), {
    code: "bad_model",
    message: "cannot build model random: there are weights for 0 layers, and the spec has 1",
  });
  const strange = {
    ...spec,
    outputs: [{ ...spec.outputs[0]!, feature: "wind" }],
    head: { kind: "regression" as const, residual: true },
  };
  t.throws(() => new SequenceModel(strange, weights), {
    code: "bad_model",
    message: "cannot build model random: output output0 forecasts wind, which is no feature",
  });
});

void test("states of all layers are carried, copied out, put back and reset", async (t) => {
  const { spec, weights } = randomWeights({ features: 2, outputs: 1, hidden: [4, 3] });
  const model = new SequenceModel(spec, weights, { stateful: true });
  t.equal(model.getState(), undefined);
  const readings = readingsOf(weights, 2, 5, 8);
  const first = copyTensor(model.predict(readings));
  const states = model.getState()!;
  t.same(
    states.map(({ shape }) => shape),
    [
      [2, 4],
      [2, 3],
    ],
  );
  const second = copyTensor(model.predict(readings));
  t.notSame(second, first, "the state carries over");
  model.setState(states);
  t.same(model.predict(readings), second);
  model.resetState();
  t.same(model.predict(readings), first);
  t.throws(() => model.setState(states.slice(1)), {
    code: "bad_argument",
    message:
      "cannot set the state of model random: there are 1 states, and it has 2; pass h of each layer from the first up, for an LSTM followed by its c",
  });
  const forgetful = new SequenceModel(spec, weights);
  forgetful.predict(readings);
  t.same(forgetful.predict(readings), first, "without stateful every call starts from zeros");
});

void test("initial weights repeat with their seed, within PyTorch's bounds, and keep the scaling", async (t) => {
  const { spec, weights: scaling } = randomWeights({ features: 3, outputs: 2, hidden: [16, 4] });
  const drawn = initialWeights(spec, scaling, createRandom(9));
  t.same(initialWeights(spec, scaling, createRandom(9)), drawn);
  t.notSame(initialWeights(spec, scaling, createRandom(10)).head, drawn.head);
  t.equal(drawn.xMean, scaling.xMean);
  const bounds = { "layers[0]": 1 / 4, "layers[1]": 1 / 2, head: 1 / 2 };
  for (const [name, { data }] of namedWeights(drawn)) {
    for (const [prefix, bound] of Object.entries(bounds)) {
      if (!name.startsWith(prefix)) continue;
      t.ok(
        data.every((value) => Math.abs(value) <= bound),
        name,
      );
      if (data.length > 8) t.ok(Math.max(...data) > bound / 2 && Math.min(...data) < -bound / 2, `${name} fills its range`);
    }
  }
});

void test("every cell's weights start as PyTorch's, and an LSTM's forget gates open", async (t) => {
  const { spec, weights: scaling } = randomWeights({ features: 3, hidden: [16, 25, 9], cells: ["lstm", "gru", "rnn_relu"] });
  const drawn = initialWeights(spec, scaling, createRandom(9));
  t.same(
    namedWeights(drawn).map(([name, { shape }]) => `${name} ${shape.join("x")}`),
    namedWeights(scaling).map(([name, { shape }]) => `${name} ${shape.join("x")}`),
  );
  const [lstm, gru] = drawn.layers;
  // Gates i, f, g, o of 16 units.
  t.ok(lstm!.b.data.every((value, j) => Math.abs(value - (j >= 16 && j < 32 ? 1 : 0)) <= 1 / 4));
  t.ok(gru?.cell === "gru" && gru.bn.data.every((value) => value !== 0 && Math.abs(value) <= 1 / 5));
  t.ok(Math.max(...gru!.Wh.data) > 1 / 6 && Math.max(...gru!.Wh.data) <= 1 / 5);
});

void test("it trains in chunks, and its best weights can be kept", async (t) => {
  const { spec, weights } = randomWeights({ features: 1, outputs: 1, hidden: [8] });
  const model = new SequenceModel(spec, initialWeights(spec, weights, createRandom(11)), { stateful: true });
  const optimizer = new Adam(model.params, { learningRate: 0.01 });
  const xs = zeros([1, 20, 1]);
  const targets = zeros([1, 20, 1]);
  let best = { loss: Infinity, weights: model.getWeights() };
  let first = Number.NaN;
  for (let chunk = 0; chunk < 300; chunk++) {
    for (let step = 0; step < 20; step++) {
      xs.data[step] = Math.sin(0.3 * (chunk * 20 + step));
      targets.data[step] = Math.sin(0.3 * (chunk * 20 + step + 1));
    }
    const loss = model.loss(xs, targets);
    if (chunk === 0) first = loss;
    if (loss < best.loss) best = { loss, weights: model.getWeights() };
    model.backward();
    optimizer.step(model.grads);
  }
  t.ok(first > 0.3 && best.loss < 1e-3, `first ${first}, best ${best.loss}`);
  t.throws(() => new SequenceModel(spec, best.weights).backward(), {
    code: "unavailable",
    message: "cannot run MeanSquaredError backward: no forward came before it; call forward first",
  });
});
