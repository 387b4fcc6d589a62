// What the layers promise apart from their gradients: values, states, ownership of memory, bits, and what they say to wrong callers.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import { tensor, toFloat64, zeros } from "../../src/kernels/tensor.ts";
import type { Tensor } from "../../src/kernels/tensor.ts";
import { Adam } from "../../src/nn/adam.ts";
import { clipGradients } from "../../src/nn/clip-gradients.ts";
import { MeanSquaredError } from "../../src/nn/mean-squared-error.ts";
import { RNN } from "../../src/nn/rnn.ts";
import { SGD } from "../../src/nn/sgd.ts";
import { TimeAffine } from "../../src/nn/time-affine.ts";
import { TimeRNN } from "../../src/nn/time-rnn.ts";
import { heapGrowth } from "../support/heap-growth.ts";
import { randomTensor } from "../support/random-tensors.ts";
import { measuresHeap, rounds } from "../support/emulation.ts";

interface Shape {
  readonly N: number;
  readonly T: number;
  readonly D: number;
  readonly H: number;
}

function buildTimeRnn(seed: number, { D, H }: Shape, stateful: boolean): TimeRNN {
  const random = createRandom(seed);
  return new TimeRNN(randomTensor(random, [D, H]), randomTensor(random, [H, H]), randomTensor(random, [H]), { stateful });
}

/** Rows [n, n + 1) and steps [from, to) of a sequence tensor. */
function part({ shape, data }: Tensor, n: number, from: number, to: number): Tensor {
  const [, T, width] = shape;
  return tensor(data.slice((n * T! + from) * width!, (n * T! + to) * width!), [1, to - from, width!]);
}

function row({ shape, data }: Tensor, n: number): Tensor {
  const width = shape[1]!;
  return tensor(data.slice(n * width, (n + 1) * width), [1, width]);
}

/** On the plain kernel, whose values are the exact ones rounded once. */
const tinyRnn = (stateful: boolean): TimeRNN =>
  new TimeRNN(tensor(Float32Array.of(0.5), [1, 1]), tensor(Float32Array.of(-2), [1, 1]), tensor(Float32Array.of(0.25), [1]), {
    stateful,
    kernel: "scalar",
  });

void test("TimeRNN computes h_t = tanh(h Wh + x Wx + b) step after step", async (t) => {
  const hs = tinyRnn(false).forward(tensor(Float32Array.of(1, -1, 2, 0), [2, 2, 1]));
  const first = Math.fround(Math.tanh(0.75));
  const second = Math.fround(Math.tanh(1.25));
  t.same(hs.shape, [2, 2, 1]);
  t.same(
    hs.data,
    Float32Array.of(first, Math.tanh(-0.25 - 2 * first), second, Math.tanh(0.25 - 2 * second)),
    "two sequences, each from zeros",
  );
});

void test("a stateful TimeRNN in chunks is one long run, bit for bit", async (t) => {
  const shape = { N: 2, T: 12, D: 3, H: 5 };
  const xs = randomTensor(createRandom(1), [2, 12, 3]);
  const whole = buildTimeRnn(9, shape, true).forward(xs);
  const chunked = buildTimeRnn(9, shape, true);
  for (const [from, to] of [
    [0, 1],
    [1, 6],
    [6, 12],
  ] as const) {
    const chunk = tensor(Float32Array.of(...part(xs, 0, from, to).data, ...part(xs, 1, from, to).data), [2, to - from, 3]);
    const hs = chunked.forward(chunk);
    for (const n of [0, 1])
      t.same(part(hs, n, 0, to - from).data, part(whole, n, from, to).data, `rows ${n}, steps ${from} to ${to}`);
  }
});

void test("without stateful every forward starts from zeros, whatever setState was given", async (t) => {
  const layer = tinyRnn(false);
  const xs = tensor(Float32Array.of(1), [1, 1, 1]);
  const first = layer.forward(xs).data[0]!;
  t.equal(layer.getState()!.data[0], first, "the last state can be read");
  layer.setState(tensor(Float32Array.of(0.9), [1, 1]));
  t.equal(layer.getState()!.data[0], Math.fround(0.9));
  t.equal(layer.forward(xs).data[0], first);
  t.equal(layer.forward(tensor(Float32Array.of(1, 1), [2, 1, 1])).data[1], first, "another batch size is welcome");
});

void test("setState, resetState and getState copy, and never share memory", async (t) => {
  const layer = tinyRnn(true);
  t.equal(layer.getState(), undefined, "nothing is kept before the first forward");
  const xs = tensor(Float32Array.of(1), [1, 1, 1]);
  const given = tensor(Float32Array.of(0.5), [1, 1]);
  layer.setState(given);
  given.data[0] = 99;
  t.equal(layer.getState()!.data[0], 0.5, "changing what was given changes nothing");
  layer.getState()!.data[0] = 99;
  t.equal(layer.getState()!.data[0], 0.5, "changing what was taken changes nothing");
  const hs = layer.forward(xs);
  const after = Math.fround(Math.tanh(0.75 - 1));
  t.equal(hs.data[0], after, "the forward starts from the state that was set");
  const kept = layer.getState()!;
  hs.data[0] = 99;
  t.equal(layer.getState()!.data[0], after, "changing the output changes no state");
  layer.forward(xs);
  t.equal(kept.data[0], after, "a state taken out is not moved by later steps");
  layer.setState(kept);
  t.equal(layer.forward(xs).data[0], Math.fround(Math.tanh(0.75 - 2 * after)), "put back, it continues where it was");
  layer.resetState();
  t.equal(layer.getState(), undefined);
  t.equal(layer.forward(xs).data[0], Math.fround(Math.tanh(0.75)), "after a reset it starts from zeros");
});

void test("inputs may be overwritten between forward and backward", async (t) => {
  const [kept, reused] = [buildTimeRnn(3, { N: 2, T: 3, D: 2, H: 4 }, false), buildTimeRnn(3, { N: 2, T: 3, D: 2, H: 4 }, false)];
  const xs = randomTensor(createRandom(4), [2, 3, 2]);
  const dhs = randomTensor(createRandom(5), [2, 3, 4]);
  kept.forward(xs);
  const expected = kept.backward(dhs);
  const lent = tensor(xs.data.slice(), xs.shape);
  reused.forward(lent).data.fill(0);
  lent.data.fill(7);
  t.same(reused.backward(dhs).data, expected.data);
  t.same(
    reused.grads.map(({ data }) => data),
    kept.grads.map(({ data }) => data),
  );
});

void test("params are the given tensors, and grads are overwritten by each backward", async (t) => {
  const random = createRandom(6);
  const given = [randomTensor(random, [2, 3]), randomTensor(random, [3, 3]), randomTensor(random, [3])] as const;
  const layer = new TimeRNN(...given);
  t.ok(layer.params.every((param, index) => param === given[index]));
  t.same(
    layer.grads.map(({ shape }) => shape),
    [[2, 3], [3, 3], [3]],
  );
  const xs = randomTensor(random, [2, 4, 2]);
  const dhs = randomTensor(random, [2, 4, 3]);
  layer.forward(xs);
  layer.backward(dhs);
  const once = layer.grads.map(({ data }) => data.slice());
  layer.forward(xs);
  layer.backward(dhs);
  t.same(
    layer.grads.map(({ data }) => data),
    once,
    "the same again, not twice as much",
  );
});

void test("a batch gives each sequence the bits, forward and backward, that it gets alone", async () => {
  const shapes = fc.record({
    N: fc.integer({ min: 1, max: 5 }),
    T: fc.integer({ min: 1, max: 9 }),
    D: fc.integer({ min: 1, max: 6 }),
    H: fc.integer({ min: 1, max: 11 }),
  });
  fc.assert(
    fc.property(shapes, fc.nat(), (shape, seed) => {
      const { N, T, D, H } = shape;
      const random = createRandom(seed);
      const xs = randomTensor(random, [N, T, D]);
      const h = randomTensor(random, [N, H]);
      const dhs = randomTensor(random, [N, T, H]);
      const batch = buildTimeRnn(seed, shape, true);
      batch.setState(h);
      const hs = batch.forward(xs);
      const dxs = batch.backward(dhs);
      for (let n = 0; n < N; n++) {
        const alone = buildTimeRnn(seed, shape, true);
        alone.setState(row(h, n));
        assert.deepEqual(alone.forward(part(xs, n, 0, T)).data, part(hs, n, 0, T).data, "outputs");
        assert.deepEqual(alone.backward(part(dhs, n, 0, T)).data, part(dxs, n, 0, T).data, "input gradients");
        assert.deepEqual(alone.dh.data, row(batch.dh, n).data, "state gradients");
      }
    }),
    { numRuns: rounds(60), seed: 1 },
  );
});

void test("RNN, chained by hand, steps and goes back as TimeRNN does, bit for bit", async (t) => {
  const [N, T, D, H] = [2, 3, 2, 4];
  const random = createRandom(7);
  const weights = [randomTensor(random, [D, H]), randomTensor(random, [H, H]), randomTensor(random, [H])] as const;
  const xs = randomTensor(random, [T, N, D]);
  const sequences = new TimeRNN(...weights);
  const batchMajor = zeros([N, T, D]);
  for (let n = 0; n < N; n++) {
    for (let step = 0; step < T; step++) {
      for (let d = 0; d < D; d++) batchMajor.data[(n * T + step) * D + d] = xs.data[(step * N + n) * D + d]!;
    }
  }
  const hs = sequences.forward(batchMajor);
  const steps = Array.from({ length: T }, () => new RNN(...weights));
  let h = zeros([N, H]);
  steps.forEach((step, index) => {
    const x = tensor(xs.data.slice(index * N * D, (index + 1) * N * D), [N, D]);
    h = step.forward(x, h);
    for (let n = 0; n < N; n++) t.same(row(h, n).data, part(hs, n, index, index + 1).data);
  });
  // Only the last output has a gradient: it reaches the first step through every state.
  const last = randomTensor(random, [N, H]);
  const dhs = zeros([N, T, H]);
  for (let n = 0; n < N; n++) dhs.data.set(row(last, n).data, (n * T + T - 1) * H);
  const dxs = sequences.backward(dhs);
  let dh = last;
  for (const [index, step] of [...steps.entries()].toReversed()) {
    const { dx, dhPrev } = step.backward(dh);
    for (let n = 0; n < N; n++) t.same(row(dx, n).data, part(dxs, n, index, index + 1).data);
    dh = dhPrev;
  }
  t.same(dh.data, sequences.dh.data);
});

void test("float32 stays within rounding of its float64 twin", async (t) => {
  const random = createRandom(8);
  const weights = [randomTensor(random, [3, 16], 0.3), randomTensor(random, [16, 16], 0.3), randomTensor(random, [16])] as const;
  const xs = randomTensor(random, [2, 50, 3]);
  const single = new TimeRNN(...weights).forward(xs);
  const twin = new TimeRNN(toFloat64(weights[0]), toFloat64(weights[1]), toFloat64(weights[2])).forward(toFloat64(xs));
  const worst = single.data.reduce((most, value, i) => Math.max(most, Math.abs(value - twin.data[i]!)), 0);
  t.ok(worst < 1e-6, `worst difference ${worst}`);
});

void test("TimeAffine is xs W + b at every step", async (t) => {
  const layer = new TimeAffine(tensor(Float32Array.of(1, 2, 3, 4), [2, 2]), tensor(Float32Array.of(0.5, -0.5), [2]));
  const ys = layer.forward(tensor(Float32Array.of(1, 0, 0, 1, 1, 1), [1, 3, 2]));
  t.same(ys.shape, [1, 3, 2]);
  t.same(ys.data, Float32Array.of(1.5, 1.5, 3.5, 3.5, 4.5, 5.5));
  const dxs = layer.backward(tensor(Float32Array.of(1, 0, 0, 1, 0, 0), [1, 3, 2]));
  t.same(dxs.data, Float32Array.of(1, 3, 2, 4, 0, 0));
  t.same(layer.grads[0]!.data, Float32Array.of(1, 0, 0, 1));
  t.same(layer.grads[1]!.data, Float32Array.of(1, 1));
});

void test("the mean squared error and its gradient are means over all elements", async (t) => {
  const loss = new MeanSquaredError();
  const value = loss.forward(tensor(Float32Array.of(1, 2, 3, 4), [1, 2, 2]), tensor(Float32Array.of(1, 0, 3, 8), [1, 2, 2]));
  t.equal(value, (4 + 16) / 4);
  t.same(loss.backward(), tensor(Float32Array.of(0, 1, 0, -2), [1, 2, 2]));
});

void test("wrong shapes are refused with the shape and the remedy", async (t) => {
  const layer = tinyRnn(true);
  const affine = new TimeAffine(zeros([2, 3]), zeros([3]));
  const step = new RNN(zeros([2, 3]), zeros([3, 3]), zeros([3]));
  const loss = new MeanSquaredError();
  const cases: [() => unknown, string][] = [
    [
      () => new TimeRNN(zeros([2]), zeros([3, 3]), zeros([3])),
      "cannot build TimeRNN: Wx has shape (2), not (D, H); weights are input-major: a row for each input, a column for each output",
    ],
    [
      () => new TimeRNN(zeros([2, 3]), zeros([3, 2]), zeros([3])),
      "cannot build TimeRNN: Wh has shape (3, 2), not (3, 3); weights are input-major: a row for each input, a column for each output",
    ],
    [
      () => new TimeRNN(zeros([2, 3]), zeros([3, 3]), zeros([1, 3])),
      "cannot build TimeRNN: b has shape (1, 3), not (3); a bias has one value for each output",
    ],
    [
      () => new TimeRNN({ shape: [2, 3], data: new Float32Array(5) }, zeros([3, 3]), zeros([3])),
      "cannot build TimeRNN: Wx has 5 values for shape (2, 3), not (D, H); " +
        "weights are input-major: a row for each input, a column for each output",
    ],
    [
      () => layer.forward(zeros([2, 3])),
      "cannot run TimeRNN forward: xs has shape (2, 3), not (N, T, 1); pass N >= 1 sequences of T >= 1 steps of 1 values",
    ],
    [
      () => layer.forward(zeros([1, 0, 1])),
      "cannot run TimeRNN forward: xs has shape (1, 0, 1), not (N, T, 1); pass N >= 1 sequences of T >= 1 steps of 1 values",
    ],
    [() => layer.setState(zeros([1])), "cannot set TimeRNN state: h has shape (1), not (N, 1); pass N >= 1 rows of 1 values"],
    [
      () => step.forward(zeros([2, 2]), zeros([1, 3])),
      "cannot run RNN forward: hPrev has shape (1, 3), not (2, 3); pass one row of state for each row of x",
    ],
    [
      () => step.forward(zeros([2, 3]), zeros([2, 3])),
      "cannot run RNN forward: x has shape (2, 3), not (N, 2); pass N >= 1 rows of 2 values",
    ],
    [
      () => new TimeAffine(zeros([2, 3]), zeros([2])),
      "cannot build TimeAffine: b has shape (2), not (3); a bias has one value for each output",
    ],
    [
      () => affine.forward(zeros([1, 1, 3])),
      "cannot run TimeAffine forward: xs has shape (1, 1, 3), not (N, T, 2); pass N >= 1 sequences of T >= 1 steps of 2 values",
    ],
    [
      () => loss.forward(zeros([1, 2, 1]), zeros([1, 1, 2])),
      "cannot take the mean squared error: targets has shape (1, 1, 2), not (1, 2, 1); pass one target for each output",
    ],
  ];
  for (const [call, message] of cases) t.throws(call, { code: "bad_argument", message });
});

void test("a kept state of another batch size is refused, and nothing changes", async (t) => {
  const layer = tinyRnn(true);
  layer.setState(tensor(Float32Array.of(0.5, 0.25, 0), [3, 1]));
  t.throws(() => layer.forward(zeros([2, 5, 1])), {
    code: "bad_argument",
    message:
      "cannot run TimeRNN forward: the kept state has batch size 3, and (2, 5, 1) has 2; " +
      "call resetState() to start from zeros, or setState(h) with h of shape (2, 1)",
  });
  t.same(layer.getState()!.data, Float32Array.of(0.5, 0.25, 0));
  layer.resetState();
  t.same(layer.forward(zeros([2, 5, 1])).shape, [2, 5, 1]);
});

void test("a backward needs a forward of its own, and its shape", async (t) => {
  const layers: [string, (width: number) => void, () => void][] = [];
  const rnn = tinyRnn(false);
  layers.push(["TimeRNN", (width) => rnn.backward(zeros([1, 1, width])), () => rnn.forward(zeros([1, 1, 1]))]);
  const first = tinyRnn(false);
  layers.push(["TimeRNN", (width) => first.backwardParams(zeros([1, 1, width])), () => first.forward(zeros([1, 1, 1]))]);
  const affine = new TimeAffine(zeros([1, 1]), zeros([1]));
  layers.push(["TimeAffine", (width) => affine.backward(zeros([1, 1, width])), () => affine.forward(zeros([1, 1, 1]))]);
  const step = new RNN(zeros([1, 1]), zeros([1, 1]), zeros([1]));
  layers.push(["RNN", (width) => step.backward(zeros([1, width])), () => step.forward(zeros([1, 1]), zeros([1, 1]))]);
  const loss = new MeanSquaredError();
  layers.push(["MeanSquaredError", () => loss.backward(), () => loss.forward(zeros([1, 1, 1]), zeros([1, 1, 1]))]);
  for (const [name, backward, forward] of layers) {
    t.throws(() => backward(1), {
      code: "unavailable",
      message: `cannot run ${name} backward: no forward came before it; call forward first`,
    });
    forward();
    if (name !== "MeanSquaredError") {
      const shape = name === "RNN" ? ["(1, 2)", "(1, 1)"] : ["(1, 1, 2)", "(1, 1, 1)"];
      const gradient = { TimeRNN: "dhs", TimeAffine: "dys", RNN: "dhNext" }[name];
      t.throws(() => backward(2), {
        code: "bad_argument",
        message:
          `cannot run ${name} backward: ${gradient} has shape ${shape[0]}, not ${shape[1]}; ` +
          "pass the gradient by the last forward's output",
      });
    }
    backward(1);
    t.throws(() => backward(1), {
      code: "unavailable",
      message: `cannot run ${name} backward: the last forward has had its backward; call forward again first`,
    });
    forward();
    backward(1);
  }
});

void test("forward and backward take no memory once they are built for a shape", measuresHeap, async (t) => {
  const [N, T, D, H, O] = [2, 20, 3, 8, 1];
  const random = createRandom(10);
  const layer = buildTimeRnn(10, { N, T, D, H }, true);
  const head = new TimeAffine(randomTensor(random, [H, O]), zeros([O]));
  const step = new RNN(randomTensor(random, [D, H]), randomTensor(random, [H, H]), zeros([H]));
  const xs = randomTensor(random, [N, T, D]);
  const dys = randomTensor(random, [N, T, O]);
  const [x, h] = [randomTensor(random, [N, D]), randomTensor(random, [N, H])];
  const run = (): void => {
    head.forward(layer.forward(xs));
    layer.backward(head.backward(dys));
    step.backward(step.forward(x, h));
  };
  const measuring = heapGrowth(() => {});
  const running = heapGrowth(run) - measuring;
  // The compiler may box a number or two in a call, 16 bytes each; one object in each time step would be 32,000.
  t.ok(running < 100 * 16 * 4, `100 calls took ${running} bytes`);

  const litter: object[] = [];
  const littering = heapGrowth(() => {
    run();
    for (let index = 0; index < T; index++) litter[index] = { index };
  });
  t.ok(littering - measuring >= 100 * T * 16, `an object a time step is seen: ${littering - measuring} bytes`);
});

void test("loss, clipping and optimizer take no memory but for the numbers that they return", measuresHeap, async (t) => {
  const random = createRandom(11);
  const [ys, targets] = [randomTensor(random, [2, 20, 3]), randomTensor(random, [2, 20, 3])];
  const params = [randomTensor(random, [30, 30]), randomTensor(random, [30])];
  const grads = [randomTensor(random, [30, 30]), randomTensor(random, [30])];
  const loss = new MeanSquaredError();
  const adam = new Adam(params, { learningRate: 1e-4, amsgrad: true });
  const sgd = new SGD(params, { learningRate: 1e-4, momentum: 0.9 });
  const run = (): void => {
    loss.forward(ys, targets);
    loss.backward();
    clipGradients(grads, 1);
    adam.step(grads);
    sgd.step(grads);
  };
  const growth = heapGrowth(run) - heapGrowth(() => {});
  // A number that leaves a function may be boxed, 16 bytes; one for each of the 930 elements would be 1,488,000.
  t.ok(growth < 100 * 16 * 40, `100 calls took ${growth} bytes`);
});
