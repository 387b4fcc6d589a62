// Optimizers against their published update rules, initializers against their distributions, and the whole of it learning something.
import assert from "node:assert/strict";
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import { tensor, toFloat64, zeros } from "../../src/kernels/tensor.ts";
import type { Tensor } from "../../src/kernels/tensor.ts";
import { Adam } from "../../src/nn/adam.ts";
import type { AdamOptions } from "../../src/nn/adam.ts";
import { clipGradients } from "../../src/nn/clip-gradients.ts";
import { Dropout } from "../../src/nn/dropout.ts";
import { fillOrthogonal, fillUniform, fillXavier } from "../../src/nn/initializers.ts";
import { constantRate, cosineRate, ReduceOnPlateau, stepRate, warmUp } from "../../src/nn/learning-rate.ts";
import type { LearningRate } from "../../src/nn/learning-rate.ts";
import { MeanSquaredError } from "../../src/nn/mean-squared-error.ts";
import type { OptimizerState } from "../../src/nn/optimizer-state.ts";
import type { Optimizer } from "../../src/nn/optimizer.ts";
import { SGD } from "../../src/nn/sgd.ts";
import type { SgdOptions } from "../../src/nn/sgd.ts";
import { TimeAffine } from "../../src/nn/time-affine.ts";
import { TimeRNN } from "../../src/nn/time-rnn.ts";
import { randomTensor, randomTensor64 } from "../support/random-tensors.ts";

const vector = (...values: number[]): Tensor<Float64Array> => tensor(Float64Array.from(values), [values.length]);

/** One value's way under PyTorch's SGD, written out from its documentation. */
function sgdByHand(start: number, grads: readonly number[], options: Required<SgdOptions>): number {
  const { learningRate, momentum, dampening, nesterov, weightDecay } = options;
  let value = start;
  let velocity: number | undefined;
  for (const grad of grads) {
    const g = grad + weightDecay * value;
    velocity = velocity === undefined ? g : momentum * velocity + (1 - dampening) * g;
    value -= learningRate * (nesterov ? g + momentum * velocity : velocity);
  }
  return value;
}

/** One value's way under PyTorch's Adam or AdamW, written out from its documentation. */
function adamByHand(start: number, grads: readonly number[], options: Required<Omit<AdamOptions, "kernel">>): number {
  const { learningRate, betas, epsilon, weightDecay, decayOf, amsgrad } = options;
  let [value, m, v, vMax] = [start, 0, 0, 0];
  grads.forEach((grad, index) => {
    const time = index + 1;
    const g = grad + (decayOf === "gradient" ? weightDecay * value : 0);
    if (decayOf === "param") value *= 1 - learningRate * weightDecay;
    m = betas[0] * m + (1 - betas[0]) * g;
    v = betas[1] * v + (1 - betas[1]) * g ** 2;
    vMax = Math.max(vMax, v);
    const mHat = m / (1 - betas[0] ** time);
    const root = Math.sqrt(amsgrad ? vMax : v) / Math.sqrt(1 - betas[1] ** time);
    value -= (learningRate * mHat) / (root + epsilon);
  });
  return value;
}

const GRADS = [0.5, -2, 0.25, 3, -0.125, 0.0625, 1];

void test("SGD follows its rule with momentum, dampening, nesterov and weight decay", async (t) => {
  const plain = { learningRate: 0.1, momentum: 0, dampening: 0, nesterov: false, weightDecay: 0 };
  const variants: Required<SgdOptions>[] = [
    plain,
    { ...plain, weightDecay: 0.1 },
    { ...plain, momentum: 0.9 },
    { ...plain, momentum: 0.9, dampening: 0.3, weightDecay: 0.01 },
    { ...plain, momentum: 0.8, nesterov: true, weightDecay: 0.05 },
  ];
  for (const options of variants) {
    const param = vector(2, -1);
    const optimizer = new SGD([param], options);
    for (const grad of GRADS) optimizer.step([vector(grad, -grad)]);
    const expected = [
      sgdByHand(2, GRADS, options),
      sgdByHand(
        -1,
        GRADS.map((grad) => -grad),
        options,
      ),
    ];
    expected.forEach((value, i) => t.ok(Math.abs(param.data[i]! - value) < 1e-14, JSON.stringify(options)));
    t.equal(optimizer.velocities.length, options.momentum === 0 ? 0 : 1);
  }
});

void test("Adam follows its rule, coupled or decoupled, with and without AMSGrad", async (t) => {
  const plain: Required<Omit<AdamOptions, "kernel">> = {
    learningRate: 0.05,
    betas: [0.9, 0.999],
    epsilon: 1e-8,
    weightDecay: 0,
    decayOf: "gradient",
    amsgrad: false,
  };
  const variants: Required<Omit<AdamOptions, "kernel">>[] = [
    plain,
    { ...plain, betas: [0.8, 0.5], amsgrad: true },
    { ...plain, weightDecay: 0.1, epsilon: 1e-3 },
    { ...plain, weightDecay: 0.1, decayOf: "param", amsgrad: true },
  ];
  for (const options of variants) {
    const param = vector(2, -1);
    const optimizer = new Adam([param], options);
    for (const grad of GRADS) optimizer.step([vector(grad, -grad)]);
    const mirrored = GRADS.map((grad) => -grad);
    const expected = [adamByHand(2, GRADS, options), adamByHand(-1, mirrored, options)];
    expected.forEach((value, i) => t.ok(Math.abs(param.data[i]! - value) < 1e-13, JSON.stringify(options)));
    t.equal(optimizer.secondMomentsMax.length, options.amsgrad ? 1 : 0);
  }
});

void test("a learning rate changed between steps holds from the next step on", async (t) => {
  const param = vector(1);
  const optimizer = new SGD([param], { learningRate: 0.5 });
  optimizer.step([vector(1)]);
  optimizer.learningRate = 0.25;
  optimizer.step([vector(1)]);
  t.equal(param.data[0], 0.25);
});

void test("optimizers refuse what cannot be meant", async (t) => {
  const param = vector(1, 2);
  const cases: [() => unknown, string][] = [
    [
      () => new SGD([param], { learningRate: -1 }),
      "cannot build SGD: learningRate is -1; it must be at least 0 and below Infinity",
    ],
    [
      () => new SGD([param], { learningRate: 1, nesterov: true }),
      "cannot build SGD: nesterov needs a momentum above 0 and a dampening of 0",
    ],
    [
      () => new Adam([param], { learningRate: 1, betas: [0.9, 1] }),
      "cannot build Adam: betas[1] is 1; it must be at least 0 and below 1",
    ],
    [
      () => new Adam([param], { learningRate: Number.NaN }),
      "cannot build Adam: learningRate is NaN; it must be at least 0 and below Infinity",
    ],
    [
      () => new SGD([param], { learningRate: 1 }).step([]),
      "cannot step SGD: there are 0 gradients for 1 params; pass the grads of the same layers in the same order",
    ],
    [
      () => new Adam([param], { learningRate: 1 }).step([vector(1)]),
      "cannot step Adam: a gradient has shape (1), not (2); pass the grads of the same layers in the same order",
    ],
  ];
  for (const [call, message] of cases) t.throws(call, { code: "bad_argument", message });
});

void test("an optimizer that is given another's state goes on to the same bits", async (t) => {
  const build: ((params: Tensor[]) => Optimizer)[] = [
    (params) => new SGD(params, { learningRate: 0.1 }),
    (params) => new SGD(params, { learningRate: 0.1, momentum: 0.9, dampening: 0.2 }),
    (params) => new SGD(params, { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.1 }),
    (params) => new Adam(params, { learningRate: 0.01, amsgrad: true }),
    (params) => new Adam(params, { learningRate: 0.01, weightDecay: 0.1, decayOf: "param" }),
  ];
  for (const [index, make] of build.entries()) {
    const random = createRandom(60 + index);
    const params = [randomTensor(random, [2, 3]), randomTensor(random, [3])];
    const grads = Array.from({ length: 5 }, () => [randomTensor(random, [2, 3]), randomTensor(random, [3])]);
    const straight = make(params);
    straight.step(grads[0]!);
    straight.learningRate = 0.05;
    straight.step(grads[1]!);
    const copies = params.map(({ shape, data }) => tensor(data.slice(), shape));
    const resumed = make(copies);
    const saved = straight.getState();
    resumed.setState(structuredClone(saved));
    t.equal(resumed.learningRate, 0.05);
    for (const later of grads.slice(2)) {
      straight.step(later);
      resumed.step(later);
    }
    t.same(
      copies.map(({ data }) => data),
      params.map(({ data }) => data),
      `optimizer ${index}`,
    );
    t.same(resumed.getState(), straight.getState());
    const reset = make(params.map(({ shape, data }) => tensor(data.slice(), shape)));
    reset.setState(saved);
    t.same(reset.getState(), saved, "a state taken out is not moved by later steps");
  }
});

void test("an optimizer refuses a state that is not its own, and keeps what it had", async (t) => {
  const params = [vector(1, 2), vector(3)];
  const adam = new Adam(params, { learningRate: 1, amsgrad: true });
  adam.step([vector(1, 1), vector(1)]);
  const before = adam.getState();
  const remedy = "restore it into an optimizer of the same options over the same params";
  const cases: [OptimizerState<Float64Array>, string][] = [
    [new SGD(params, { learningRate: 1 }).getState(), "cannot restore Adam: the state is one of SGD; build that optimizer"],
    [new Adam(params, { learningRate: 1 }).getState(), `cannot restore Adam: secondMomentsMax has 0 tensors, not 2; ${remedy}`],
    [
      new Adam([vector(1, 2), vector(3, 4)], { learningRate: 1, amsgrad: true }).getState(),
      `cannot restore Adam: firstMoments[1] has shape (2), not (1); ${remedy}`,
    ],
    [
      { ...before, numbers: { beta1Power: 0.9 } },
      "cannot restore Adam: beta2Power is NaN; it must be at least 0 and below Infinity",
    ],
  ];
  for (const [state, message] of cases) t.throws(() => adam.setState(state), { code: "bad_argument", message });
  t.same(adam.getState(), before);
});

void test("learning rates are constant, fall in steps or along a cosine, and warm up", async (t) => {
  const at = (rate: LearningRate, ...steps: number[]): number[] => steps.map((step) => Number(rate(step).toPrecision(12)));
  t.same(at(constantRate(0.1), 0, 7), [0.1, 0.1]);
  t.same(at(stepRate(0.8, 10, 0.5), 0, 9, 10, 19, 20, 30), [0.8, 0.8, 0.4, 0.4, 0.2, 0.1]);
  t.same(at(cosineRate(1, 100, 0.2), 0, 50, 100, 1000), [1, 0.6, 0.2, 0.2]);
  t.ok(cosineRate(1, 100)(25) > 0.85 && cosineRate(1, 100)(25) < 0.86, "(1 + cos 45 deg) / 2");
  const warm = warmUp(4, stepRate(1, 10, 0.1));
  t.same(at(warm, 0, 1, 2, 3, 4, 13, 14), [0.2, 0.4, 0.6, 0.8, 1, 1, 0.1]);
  t.throws(() => cosineRate(1, 0), {
    code: "bad_argument",
    message: "cannot make a learning rate: steps is 0; it must be a whole number from 1",
  });
  t.throws(() => constantRate(-1), {
    code: "bad_argument",
    message: "cannot make a learning rate: rate is -1; it must be at least 0 and below Infinity",
  });
});

void test("a plateau lowers the rate after more than `patience` losses that are no better, down to the least", async (t) => {
  const plateau = new ReduceOnPlateau(1, { factor: 0.5, patience: 2, threshold: 0.1, least: 0.2 });
  const rates = [10, 9.5, 9.2, 8.9, 8.9, 8.9, 8.9, Number.NaN, 9, 9, 5, 5, 5, 5].map((loss) => plateau.watch(loss));
  t.same(rates, [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2]);
  t.equal(plateau.rate, 0.2);

  const straight = new ReduceOnPlateau(1, { patience: 1 });
  straight.watch(3);
  straight.watch(3);
  const resumed = new ReduceOnPlateau(7, { patience: 1 });
  resumed.setState(straight.getState());
  t.equal(resumed.watch(3), straight.watch(3));
  t.equal(resumed.rate, 0.1);
  const falling = new ReduceOnPlateau(1, { patience: 0 });
  t.same(
    [-1, -2, -3].map((loss) => falling.watch(loss)),
    [1, 1, 1],
    "a loss below 0 that falls is better",
  );
});

void test("dropout zeroes its share while training, keeps the mean, and repeats with its seed", async (t) => {
  const xs = tensor(new Float32Array(20_000).fill(3), [4, 50, 100]);
  const layer = new Dropout(0.25, createRandom(70));
  const ys = layer.forward(xs).data.slice();
  const dropped = ys.filter((value) => value === 0).length;
  t.ok(Math.abs(dropped / 20_000 - 0.25) < 0.015, `${dropped} of 20000 dropped`);
  t.ok(ys.every((value) => value === 0 || value === 4));
  const dxs = layer.backward(tensor(new Float32Array(20_000).fill(1.5), xs.shape)).data;
  t.ok(
    dxs.every((value, i) => value === (ys[i] === 0 ? 0 : 2)),
    "a gradient passes where its value did",
  );
  // 20,000 values one by one take tap seconds.
  const same = (a: Float32Array, b: Float32Array): boolean => a.every((value, i) => value === b[i]);
  t.ok(same(new Dropout(0.25, createRandom(70)).forward(xs).data, ys));
  t.notOk(same(layer.forward(xs).data, ys), "the next forward drops others");
  t.ok(same(new Dropout(0, createRandom(71)).forward(xs).data, xs.data));
  const spoiled = new Dropout(0.999, createRandom(72)).forward(tensor(new Float32Array(10).fill(Number.NaN), [1, 1, 10]));
  t.ok(spoiled.data.every((value) => value === 0 || Number.isNaN(value)));
  t.ok(spoiled.data.includes(0), "what is dropped is gone, NaN too");
});

void test("dropout passes everything as it is while evaluating, without a draw", async (t) => {
  const random = createRandom(73);
  const layer = new Dropout(0.5, random);
  layer.training = false;
  const xs = randomTensor(createRandom(74), [2, 3, 4]);
  t.same(layer.forward(xs).data, xs.data);
  t.same(layer.backward(xs).data, xs.data);
  t.equal(random.uint32(), createRandom(73).uint32());
  t.throws(() => layer.backward(xs), { code: "unavailable" });
  layer.forward(xs);
  t.throws(() => layer.backward(zeros([1, 3, 4])), {
    code: "bad_argument",
    message:
      "cannot run Dropout backward: dys has shape (1, 3, 4), not (2, 3, 4); pass the gradient by the last forward's output",
  });
  t.throws(() => layer.forward(zeros([3, 4])), {
    code: "bad_argument",
    message: "cannot run Dropout forward: xs has shape (3, 4), not (N, T, H); pass what a recurrent layer put out",
  });
  t.throws(() => new Dropout(1, random), {
    code: "bad_argument",
    message: "cannot build Dropout: rate is 1; it must be at least 0 and below 1",
  });
});

void test("clipping scales all gradients together to the bound, and returns the norm before", async (t) => {
  const grads = [vector(3, 0), vector(0, 4)];
  t.equal(clipGradients(grads, 10), 5);
  t.same(
    grads.map(({ data }) => Array.from(data)),
    [
      [3, 0],
      [0, 4],
    ],
    "under the bound nothing changes",
  );
  t.equal(clipGradients(grads, 1), 5);
  const coefficient = 1 / (5 + 1e-6);
  t.same(
    grads.map(({ data }) => Array.from(data)),
    [
      [3 * coefficient, 0],
      [0, 4 * coefficient],
    ],
  );
  t.equal(clipGradients([vector(Infinity, 1)], 1), Infinity);
  t.ok(Number.isNaN(clipGradients([vector(Number.NaN, 1)], 1)));
});

/** Of values around 0. */
function varianceOf(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value * value, 0) / values.length;
}

void test("initializers have their distributions, and repeat with their seed", async (t) => {
  const bound = 1 / Math.sqrt(64);
  const uniform = zeros([64, 64]);
  fillUniform(uniform, bound, createRandom(1));
  t.ok(uniform.data.every((value) => value >= -bound && value < bound));
  t.ok(Math.abs(varianceOf(uniform.data) / (bound ** 2 / 3) - 1) < 0.05, "a uniform variance");
  const again = zeros([64, 64]);
  fillUniform(again, bound, createRandom(1));
  t.same(again.data, uniform.data);

  const xavier = zeros([20, 80]);
  fillXavier(xavier, createRandom(2));
  t.ok(Math.abs(varianceOf(xavier.data) / (2 / 100) - 1) < 0.06, "Glorot and Bengio's variance");
  t.throws(() => fillXavier(zeros([3]), createRandom(2)), {
    code: "bad_argument",
    message: /^cannot initialize a matrix: the tensor has/,
  });

  const H = 33;
  const orthogonal = toFloat64(zeros([H, H]));
  fillOrthogonal(orthogonal, createRandom(3), 2);
  for (let a = 0; a < H; a++) {
    for (let b = 0; b < H; b++) {
      let product = 0;
      for (let j = 0; j < H; j++) product += orthogonal.data[a * H + j]! * orthogonal.data[b * H + j]!;
      if (Math.abs(product - (a === b ? 4 : 0)) > 1e-12) t.fail(`rows ${a} and ${b} have the product ${product}`);
    }
  }
  t.throws(() => fillOrthogonal(zeros([2, 3]), createRandom(3)), { code: "bad_argument", message: /not \(3, H\)/ });
});

interface Sine {
  readonly xs: Tensor;
  readonly targets: Tensor;
}

/** Two noisy sines of different periods from `start` on, and each one's next clean value. */
function sineChunk(start: number, T: number, random: ReturnType<typeof createRandom>): Sine {
  const xs = zeros([2, T, 1]);
  const targets = zeros([2, T, 1]);
  for (let n = 0; n < 2; n++) {
    const speed = n === 0 ? 0.2 : 0.31;
    for (let step = 0; step < T; step++) {
      xs.data[n * T + step] = Math.sin(speed * (start + step)) + 0.05 * random.normal();
      targets.data[n * T + step] = Math.sin(speed * (start + step + 1));
    }
  }
  return { xs, targets };
}

void test("a small network learns the next value of a sine, with truncated backpropagation carrying its state", async (t) => {
  const random = createRandom(42);
  const [T, H] = [25, 12];
  const bound = 1 / Math.sqrt(H);
  const layer = new TimeRNN(randomTensor(random, [1, H], bound), randomTensor(random, [H, H], bound), zeros([H]), {
    stateful: true,
  });
  const head = new TimeAffine(randomTensor(random, [H, 1], bound), zeros([1]));
  const loss = new MeanSquaredError();
  const grads = [...layer.grads, ...head.grads];
  const optimizer = new Adam([...layer.params, ...head.params], { learningRate: 0.005 });
  const losses: number[] = [];
  for (let chunk = 0; chunk < 1500; chunk++) {
    const { xs, targets } = sineChunk(chunk * T, T, random);
    losses.push(loss.forward(head.forward(layer.forward(xs)), targets));
    layer.backward(head.backward(loss.backward()));
    clipGradients(grads, 1);
    optimizer.step(grads);
  }
  const late = losses.slice(-50).reduce((sum, value) => sum + value, 0) / 50;
  // Saying the noisy present value again would cost 0.05^2 + (1 - cos 0.2 + 1 - cos 0.31) / 2, about 0.036.
  t.ok(losses[0]! > 0.3, `the first loss is ${losses[0]}`);
  t.ok(late < 0.003, `the mean of the last 50 losses is ${late}`);

  // What it learned is in its state: from zeros the first steps are worse than with the state it carries.
  const { xs, targets } = sineChunk(1500 * T, T, random);
  const state = layer.getState()!;
  const warm = loss.forward(head.forward(layer.forward(xs)), targets);
  layer.resetState();
  const cold = loss.forward(head.forward(layer.forward(xs)), targets);
  t.ok(cold > 3 * warm, `cold ${cold}, warm ${warm}`);
  layer.setState(state);
  assert.equal(loss.forward(head.forward(layer.forward(xs)), targets), warm);
});

/** One weight after 50 steps of Adam, in both number formats. */
function trainTwins(seed: number): { single: number; double: number } {
  const random = createRandom(seed);
  const params = [randomTensor64(random, [1, 4], 0.5), randomTensor64(random, [4, 4], 0.5), randomTensor64(random, [4])] as const;
  const xs = randomTensor64(random, [1, 10, 1]);
  const dhs = randomTensor64(random, [1, 10, 4]);
  const narrow = params.map(({ shape, data }) => tensor(Float32Array.from(data), shape));
  const single = new TimeRNN(narrow[0]!, narrow[1]!, narrow[2]!);
  const double = new TimeRNN(...params);
  const adams = [new Adam(single.params, { learningRate: 0.01 }), new Adam(double.params, { learningRate: 0.01 })] as const;
  for (let step = 0; step < 50; step++) {
    single.forward(tensor(Float32Array.from(xs.data), xs.shape));
    single.backward(tensor(Float32Array.from(dhs.data), dhs.shape));
    adams[0].step(single.grads);
    double.forward(xs);
    double.backward(dhs);
    adams[1].step(double.grads);
  }
  return { single: single.params[1]!.data[5]!, double: double.params[1]!.data[5]! };
}

void test("the same seed trains to the same bits, and float64 follows a nearby path", async (t) => {
  const first = trainTwins(5);
  t.same(trainTwins(5), first);
  t.not(trainTwins(6).single, first.single);
  t.ok(Math.abs(first.single - first.double) < 1e-4, `float32 ${first.single}, float64 ${first.double}`);
});
