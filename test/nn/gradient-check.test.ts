// The backward passes, held against central differences of the forward passes in float64, element by element.
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { tensor } from "../../src/kernels/tensor.ts";
import type { Tensor } from "../../src/kernels/tensor.ts";
import { CrossEntropy } from "../../src/nn/cross-entropy.ts";
import { GaussianNLL } from "../../src/nn/gaussian-nll.ts";
import { checkGradients } from "../../src/nn/gradient-check.ts";
import type { CheckedVariable } from "../../src/nn/gradient-check.ts";
import { HuberLoss } from "../../src/nn/huber-loss.ts";
import type { Loss } from "../../src/nn/loss.ts";
import { MeanSquaredError } from "../../src/nn/mean-squared-error.ts";
import { RNN } from "../../src/nn/rnn.ts";
import { TimeAffine } from "../../src/nn/time-affine.ts";
import { TimeRNN } from "../../src/nn/time-rnn.ts";
import { cellNames, randomLayer } from "../support/random-layers.ts";
import { randomTensor64 } from "../support/random-tensors.ts";

type Tensor64 = Tensor<Float64Array>;

const ERROR_MAX = 1e-6;

/** A loss that gives every output a gradient of its own. */
function weighted(outputs: Tensor64, weights: Tensor64): number {
  return outputs.data.reduce((sum, value, i) => sum + value * weights.data[i]!, 0);
}

function named(names: readonly string[], values: readonly Tensor64[], gradients: readonly Tensor64[]): CheckedVariable[] {
  return names.map((name, index) => ({ name, value: values[index]!, gradient: gradients[index]! }));
}

const vector = (...values: number[]): Tensor64 => tensor(Float64Array.from(values), [values.length]);

function elementsOf(variables: readonly CheckedVariable[]): number {
  return variables.reduce((sum, { value }) => sum + value.data.length, 0);
}

/** [N, T, D, H]: the edges, then shapes drawn at random. */
function shapes(): [number, number, number, number][] {
  const random = createRandom(20);
  const below = (max: number): number => 1 + (random.uint32() % max);
  const drawn = Array.from({ length: 18 }, (): [number, number, number, number] => [below(4), below(12), below(6), below(9)]);
  return [[1, 1, 1, 1], [1, 7, 3, 5], [3, 1, 4, 6], [2, 6, 1, 4], [4, 3, 5, 1], [1, 40, 2, 6], ...drawn];
}

for (const cell of cellNames) {
  void test(`${cell}: gradients by every parameter, input and initial state, in two carried chunks`, async (t) => {
    t.ok(shapes().length >= 20);
    let [checked, leftOut, worst] = [0, 0, 0];
    for (const [index, [N, T, D, H]] of shapes().entries()) {
      const random = createRandom(100 + index);
      const layer = randomLayer(cell, randomTensor64, random, D, H);
      layer.setStates(Array.from({ length: layer.stateCount }, () => randomTensor64(random, [N, H])));
      for (const chunk of [1, 2]) {
        // The second chunk starts from what the first left, which is a constant to it: gradients stop there.
        const states = layer.getStates()!;
        const xs = randomTensor64(random, [N, T, D]);
        const weights = randomTensor64(random, [N, T, H]);
        const hs = layer.forward(xs);
        const carried = layer.getStates()!;
        const dxs = layer.backward(weights);
        const names = ["Wx", "Wh", "b", "bn"].slice(0, layer.params.length);
        const variables = [
          ...named([...names, "xs"], [...layer.params, xs], [...layer.grads, dxs]),
          ...named(["h", "c"].slice(0, layer.stateCount), states, layer.stateGradients),
        ];
        const run = (): number => {
          layer.setStates(states);
          return weighted(layer.forward(xs), weights);
        };
        const report = checkGradients(run, variables, cell === "relu" ? { sides: () => hs.data } : {});
        const at = `N=${N} T=${T} D=${D} H=${H} chunk ${chunk}`;
        if (report.count + report.leftOut !== elementsOf(variables)) t.fail(`${at}: not every element is checked`);
        if (report.worst > ERROR_MAX) t.fail(`${at}: worst ${report.worst} at ${report.at}`);
        checked += report.count;
        leftOut += report.leftOut;
        worst = Math.max(worst, report.worst);
        layer.setStates(carried);
      }
    }
    t.ok(worst <= ERROR_MAX && worst > 0, `worst ${worst} of ${checked}, ${leftOut} left out`);
    t.ok(cell === "relu" ? leftOut < checked / 100 : leftOut === 0, `${leftOut} of ${checked} left out`);
  });
}

void test("elements within 1e-4 of a kink of relu are left out and counted, the others checked", async (t) => {
  // One unit's sum is 5e-5 at the first step, so it turns off where b, or Wx times its input of 1, moves by 1e-4; Wh meets a state of 0.
  const params = [
    vector(1, 1),
    tensor(Float64Array.of(0.5, 0, 0, 0.5), [2, 2]),
    tensor(Float64Array.of(5e-5 - 1, 1), [2]),
  ] as const;
  const layer = new TimeRNN(tensor(params[0].data, [1, 2]), params[1], params[2], { activation: "relu" });
  const xs = tensor(Float64Array.of(1, 3), [1, 2, 1]);
  const weights = tensor(Float64Array.of(1, 2, 3, 4), [1, 2, 2]);
  const hs = layer.forward(xs);
  const dxs = layer.backward(weights);
  const variables = named(["Wx", "Wh", "b", "xs"], [...layer.params, xs], [...layer.grads, dxs]);
  const report = checkGradients(() => weighted(layer.forward(xs), weights), variables, { sides: () => hs.data });
  t.equal(report.leftOut, 3, "Wx[0], b[0] and xs[0]");
  t.equal(report.count, elementsOf(variables) - 3);
  t.ok(report.worst <= ERROR_MAX, `worst ${report.worst} at ${report.at}`);
  t.ok(checkGradients(() => weighted(layer.forward(xs), weights), variables).worst > 1e-3, "there the differences are of no use");
});

void test("RNN's gradients by every parameter, input and state", async (t) => {
  for (const [N, , D, H] of shapes().slice(0, 8)) {
    const random = createRandom(N + 10 * D + 100 * H);
    const params = [randomTensor64(random, [D, H]), randomTensor64(random, [H, H]), randomTensor64(random, [H])] as const;
    const layer = new RNN(...params);
    const x = randomTensor64(random, [N, D]);
    const h = randomTensor64(random, [N, H]);
    const weights = randomTensor64(random, [N, H]);
    layer.forward(x, h);
    const { dx, dhPrev } = layer.backward(weights);
    const variables = named(["Wx", "Wh", "b", "x", "h"], [...params, x, h], [...layer.grads, dx, dhPrev]);
    const report = checkGradients(() => weighted(layer.forward(x, h), weights), variables);
    t.equal(report.count, elementsOf(variables));
    t.ok(report.worst <= ERROR_MAX, `worst ${report.worst} at ${report.at}`);
  }
});

interface LossCase {
  readonly name: string;
  /** Outputs of the head for `O` drawn. */
  outputs(O: number): number;
  loss(): Loss<Float64Array>;
  targets(random: Random, N: number, T: number, outputs: number): Tensor64;
  /** |difference| from the kink of the loss, for each output. */
  sides?(ys: Tensor64, targets: Tensor64): Float64Array;
}

const HUBER_DELTA = 0.7;

/** A third of the targets is missing, never the first. */
function withMissing(targets: Tensor64, random: Random): Tensor64 {
  for (let i = 1; i < targets.data.length; i++) if (random.next() < 1 / 3) targets.data[i] = Number.NaN;
  return targets;
}

function classes(random: Random, shape: readonly number[], count: number): Tensor64 {
  const drawn = randomTensor64(random, shape);
  for (let i = 0; i < drawn.data.length; i++) drawn.data[i] = random.uint32() % count;
  return drawn;
}

const lossCases: readonly LossCase[] = [
  {
    name: "mean squared error",
    outputs: (O) => O,
    loss: () => new MeanSquaredError(),
    targets: (random, N, T, O) => randomTensor64(random, [N, T, O]),
  },
  {
    name: "masked mean squared error",
    outputs: (O) => O,
    loss: () => new MeanSquaredError(),
    targets: (random, N, T, O) => withMissing(randomTensor64(random, [N, T, O]), random),
  },
  {
    name: "Huber loss",
    outputs: (O) => O,
    loss: () => new HuberLoss(HUBER_DELTA),
    targets: (random, N, T, O) => withMissing(randomTensor64(random, [N, T, O], 2), random),
    sides: (ys, targets) => ys.data.map((y, i) => Math.abs(y - targets.data[i]!) - HUBER_DELTA),
  },
  {
    name: "Gaussian likelihood",
    outputs: (O) => 2 * O,
    loss: () => new GaussianNLL(),
    targets: (random, N, T, O) => withMissing(randomTensor64(random, [N, T, O / 2]), random),
  },
  {
    name: "cross entropy of each step",
    outputs: (O) => O + 1,
    loss: () => new CrossEntropy(),
    targets: (random, N, T, O) => withMissing(classes(random, [N, T, 1], O), random),
  },
  {
    name: "cross entropy of the last step",
    outputs: (O) => O + 1,
    loss: () => new CrossEntropy({ steps: "last" }),
    targets: (random, N, _, O) => withMissing(classes(random, [N, 1, 1], O), random),
  },
];

for (const lossCase of lossCases) {
  void test(`${lossCase.name}: gradients through a head and a stack of two layers of every cell, in two carried chunks`, async (t) => {
    let [checked, leftOut, worst] = [0, 0, 0];
    for (const [index, [N, T, D, H]] of shapes().slice(0, 10).entries()) {
      const cell = cellNames[index % cellNames.length]!;
      const random = createRandom(500 + index);
      const O = lossCase.outputs(1 + (random.uint32() % 3));
      const lower = randomLayer(cell, randomTensor64, random, D, H);
      const upper = randomLayer(cellNames[(index + 2) % cellNames.length]!, randomTensor64, random, H, 3);
      const head = new TimeAffine(randomTensor64(random, [3, O]), randomTensor64(random, [O]));
      const loss = lossCase.loss();
      const all = [lower, upper, head];
      for (const chunk of [1, 2]) {
        const xs = randomTensor64(random, [N, T, D]);
        const targets = lossCase.targets(random, N, T, O);
        const starts = [lower, upper].map((layer) => layer.getStates());
        let outputs: Tensor64[] = [];
        const run = (): number => {
          [lower, upper].forEach((layer, i) => {
            layer.resetState();
            if (starts[i] !== undefined) layer.setStates(starts[i]);
          });
          const low = lower.forward(xs);
          const high = upper.forward(low);
          const ys = head.forward(high);
          outputs = [low, high, ys];
          return loss.forward(ys, targets);
        };
        run();
        const carried = [lower, upper].map((layer) => layer.getStates()!);
        const dxs = lower.backward(upper.backward(head.backward(loss.backward())));
        const params = all.flatMap((layer) => layer.params);
        const grads = all.flatMap((layer) => layer.grads);
        const states = starts.flatMap((ofLayer) => ofLayer ?? []);
        const dStates = starts.flatMap((ofLayer, i) => (ofLayer === undefined ? [] : [lower, upper][i]!.stateGradients));
        const names = [...params.map((_, i) => `params[${i}]`), "xs", ...states.map((_, i) => `states[${i}]`)];
        const variables = named(names, [...params, xs, ...states], [...grads, dxs, ...dStates]);
        const sides = (): number[] => [
          ...outputs[0]!.data,
          ...outputs[1]!.data,
          ...(lossCase.sides?.(outputs[2]!, targets) ?? []),
        ];
        const kinked = lossCase.sides !== undefined || [index % 5, (index + 2) % 5].includes(cellNames.indexOf("relu"));
        const report = checkGradients(run, variables, kinked ? { sides } : {});
        const at = `${cell} N=${N} T=${T} D=${D} H=${H} chunk ${chunk}`;
        if (report.count + report.leftOut !== elementsOf(variables)) t.fail(`${at}: not every element is checked`);
        if (report.worst > ERROR_MAX) t.fail(`${at}: worst ${report.worst} at ${report.at}`);
        checked += report.count;
        leftOut += report.leftOut;
        worst = Math.max(worst, report.worst);
        [lower, upper].forEach((layer, i) => layer.setStates(carried[i]!));
      }
    }
    t.ok(checked > 2000 && leftOut < checked / 50, `${checked} checked, ${leftOut} left out`);
    t.ok(worst > 0 && worst <= ERROR_MAX, `worst ${worst}`);
  });
}

void test("the check finds one gradient that is wrong by a hundred-thousandth, whichever it is", async (t) => {
  const random = createRandom(30);
  const [N, T, D, H] = [2, 4, 2, 3];
  const params = [randomTensor64(random, [D, H]), randomTensor64(random, [H, H]), randomTensor64(random, [H])] as const;
  const layer = new TimeRNN(...params);
  const xs = randomTensor64(random, [N, T, D]);
  const weights = randomTensor64(random, [N, T, H]);
  layer.forward(xs);
  const dxs = layer.backward(weights);
  const gradients = [...layer.grads, dxs].map(({ shape, data }) => tensor(data.slice(), shape));
  const run = (): number => weighted(layer.forward(xs), weights);
  const check = (): ReturnType<typeof checkGradients> =>
    checkGradients(run, named(["Wx", "Wh", "b", "xs"], [...params, xs], gradients));
  t.ok(check().worst <= ERROR_MAX);
  const names = ["Wx", "Wh", "b", "xs"];
  gradients.forEach(({ data }, variable) => {
    for (let i = 0; i < data.length; i++) {
      const right = data[i]!;
      data[i] = right + 1e-5 * Math.max(Math.abs(right), 1e-2);
      const { worst, at, analytic } = check();
      t.ok(worst > ERROR_MAX, `${names[variable]!}[${i}] is found`);
      t.equal(at, `${names[variable]!}[${i}]`);
      t.equal(analytic, data[i]);
      data[i] = right;
    }
  });
  gradients[1]!.data[2] = Number.NaN;
  t.match(check(), { worst: Infinity, at: "Wh[2]" });
});

void test("the check finds a backward that forgets what goes back through the state", async (t) => {
  const random = createRandom(31);
  const params = [randomTensor64(random, [2, 3]), randomTensor64(random, [3, 3]), randomTensor64(random, [3])] as const;
  const layer = new TimeRNN(...params);
  const xs = randomTensor64(random, [1, 2, 2]);
  const weights = tensor(Float64Array.of(0, 0, 0, 1, 2, 3), [1, 2, 3]);
  layer.forward(xs);
  layer.backward(weights);
  // Without the way back, the first step's input would have no gradient.
  const forgetful = tensor(new Float64Array(4), [1, 2, 2]);
  const report = checkGradients(() => weighted(layer.forward(xs), weights), [{ name: "xs", value: xs, gradient: forgetful }]);
  t.ok(report.worst > 0.99, `worst ${report.worst}`);
});

void test("the check leaves the variables as they were, and refuses a loss that it cannot repeat", async (t) => {
  const random = createRandom(32);
  const params = [randomTensor64(random, [1, 2]), randomTensor64(random, [2, 2]), randomTensor64(random, [2])] as const;
  const before = params.map(({ data }) => data.slice());
  const layer = new TimeRNN(...params, { stateful: true });
  const xs = randomTensor64(random, [1, 3, 1]);
  const weights = randomTensor64(random, [1, 3, 2]);
  layer.forward(xs);
  layer.backward(weights);
  const variables = named(["Wx", "Wh", "b"], params, layer.grads);
  // It forgets to set the state, so each call starts where the last one ended.
  t.throws(() => checkGradients(() => weighted(layer.forward(xs), weights), variables), {
    code: "bad_argument",
    message: "cannot check gradients: the loss differs from call to call; set the initial state and every input anew in each",
  });
  checkGradients(() => {
    layer.resetState();
    return weighted(layer.forward(xs), weights);
  }, variables);
  t.same(
    params.map(({ data }) => data),
    before,
  );
  const wrong = tensor(new Float64Array(3), [3]);
  t.throws(() => checkGradients(() => 0, [{ name: "b", value: params[2], gradient: wrong }]), {
    code: "bad_argument",
    message: "cannot check the gradient of b: it has shape (3), not (2); pass the gradient by that very tensor",
  });
});
