// What TimeRNN, TimeGRU and TimeLSTM promise alike, each cell held to it: formulas, states, bits, memory, and what they say to wrong
// callers.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import { tensor, toFloat64, zeros } from "../../src/kernels/tensor.ts";
import type { FloatArray, Tensor } from "../../src/kernels/tensor.ts";
import type { TimeLayer } from "../../src/nn/time-layer.ts";
import { TimeGRU } from "../../src/nn/time-gru.ts";
import { TimeLSTM } from "../../src/nn/time-lstm.ts";
import { TimeRNN } from "../../src/nn/time-rnn.ts";
import { heapGrowth } from "../support/heap-growth.ts";
import { cellNames, randomLayer } from "../support/random-layers.ts";
import type { CellName } from "../support/random-layers.ts";
import { randomTensor } from "../support/random-tensors.ts";
import { measuresHeap, rounds } from "../support/emulation.ts";

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** h and c after one step of one unit with one input, as the papers and PyTorch write the cells; `w` names weights by gate. */
const stepsByHand: Record<CellName, (p: readonly number[][], x: number, h: number, c: number) => [number, number]> = {
  tanh: ([wx, wh, b], x, h) => [Math.tanh(wx![0]! * x + wh![0]! * h + b![0]!), 0],
  relu: ([wx, wh, b], x, h) => [Math.max(0, wx![0]! * x + wh![0]! * h + b![0]!), 0],
  gru: ([wx, wh, b, bn], x, h) => {
    const r = sigmoid(wx![0]! * x + wh![0]! * h + b![0]!);
    const z = sigmoid(wx![1]! * x + wh![1]! * h + b![1]!);
    const n = Math.tanh(wx![2]! * x + b![2]! + r * (wh![2]! * h + bn![0]!));
    return [(1 - z) * n + z * h, 0];
  },
  "gru reset before": ([wx, wh, b, bn], x, h) => {
    const r = sigmoid(wx![0]! * x + wh![0]! * h + b![0]!);
    const z = sigmoid(wx![1]! * x + wh![1]! * h + b![1]!);
    const n = Math.tanh(wx![2]! * x + b![2]! + wh![2]! * (r * h) + bn![0]!);
    return [(1 - z) * n + z * h, 0];
  },
  lstm: ([wx, wh, b], x, h, c) => {
    const sum = (gate: number): number => wx![gate]! * x + wh![gate]! * h + b![gate]!;
    const cNext = sigmoid(sum(1)) * c + sigmoid(sum(0)) * Math.tanh(sum(2));
    return [sigmoid(sum(3)) * Math.tanh(cNext), cNext];
  },
};

/** Rows [n, n + 1) and steps [from, to) of a sequence tensor. */
function part({ shape, data }: Tensor, n: number, from: number, to: number): Tensor {
  const [, T, width] = shape;
  return tensor(data.slice((n * T! + from) * width!, (n * T! + to) * width!), [1, to - from, width!]);
}

/** Steps [from, to) of every row. */
function steps(sequences: Tensor, from: number, to: number): Tensor {
  const [N, , width] = sequences.shape;
  const rows = Array.from({ length: N! }, (_, n) => Array.from(part(sequences, n, from, to).data)).flat();
  return tensor(Float32Array.from(rows), [N!, to - from, width!]);
}

function row({ shape, data }: Tensor, n: number): Tensor {
  const width = shape[1]!;
  return tensor(data.slice(n * width, (n + 1) * width), [1, width]);
}

function statesOf(layer: TimeLayer<Float32Array>, N: number, seed: number): Tensor[] {
  const random = createRandom(seed);
  const H = layer.dh.shape[1]!;
  return Array.from({ length: layer.stateCount }, () => randomTensor(random, [N, H]));
}

function dataOf<A extends FloatArray>(tensors: readonly Tensor<A>[]): A[] {
  return tensors.map(({ data }) => data.slice() as A);
}

for (const cell of cellNames) {
  const build = (seed: number, D: number, H: number, stateful = true): TimeLayer<Float32Array> =>
    randomLayer(cell, randomTensor, createRandom(seed), D, H, stateful);

  void test(`${cell}: steps as its formula says, from the state that was set`, async (t) => {
    const layer = build(1, 1, 1);
    const params = layer.params.map(({ data }) => Array.from(data));
    layer.setStates([0.25, -0.75].slice(0, layer.stateCount).map((value) => tensor(Float32Array.of(value), [1, 1])));
    const xs = [0.5, -2, 1.5];
    const hs = layer.forward(tensor(Float32Array.from(xs), [1, 3, 1]));
    let [h, c] = [0.25, -0.75];
    xs.forEach((x, index) => {
      [h, c] = stepsByHand[cell](params, x, h, c);
      t.ok(Math.abs(hs.data[index]! - h) < 1e-6, `step ${index + 1}: ${hs.data[index]} and ${h}`);
    });
    const states = layer.getStates()!;
    t.equal(states[0]!.data[0], hs.data[2]);
    if (cell === "lstm") t.ok(Math.abs(states[1]!.data[0]! - c) < 1e-6);
  });

  void test(`${cell}: chunks with a carried state are one long run, bit for bit`, async (t) => {
    const xs = randomTensor(createRandom(2), [2, 12, 3]);
    const whole = build(9, 3, 5);
    whole.setStates(statesOf(whole, 2, 3));
    const hs = whole.forward(xs);
    const chunked = build(9, 3, 5);
    chunked.setStates(statesOf(chunked, 2, 3));
    for (const [from, to] of [
      [0, 1],
      [1, 6],
      [6, 12],
    ] as const) {
      t.same(chunked.forward(steps(xs, from, to)).data, steps(hs, from, to).data, `steps ${from} to ${to}`);
    }
    t.same(dataOf(chunked.getStates()!), dataOf(whole.getStates()!));
  });

  void test(`${cell}: a batch gives each sequence the bits, forward and backward, that it gets alone`, async () => {
    const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
    const property = fc.property(size(5), size(9), size(6), size(11), fc.nat(), (N, T, D, H, seed) => {
      const random = createRandom(seed);
      const xs = randomTensor(random, [N, T, D]);
      const dhs = randomTensor(random, [N, T, H]);
      const batch = build(seed, D, H);
      const states = statesOf(batch, N, seed);
      batch.setStates(states);
      const hs = batch.forward(xs);
      const dxs = batch.backward(dhs);
      const alone = build(seed, D, H);
      for (let n = 0; n < N; n++) {
        alone.resetState();
        alone.setStates(states.map((state) => row(state, n)));
        assert.deepEqual(alone.forward(part(xs, n, 0, T)).data, part(hs, n, 0, T).data, "outputs");
        assert.deepEqual(alone.backward(part(dhs, n, 0, T)).data, part(dxs, n, 0, T).data, "input gradients");
        batch.stateGradients.forEach((gradient, index) => {
          assert.deepEqual(alone.stateGradients[index]!.data, row(gradient, n).data, "state gradients");
        });
      }
    });
    fc.assert(property, { numRuns: rounds(40), seed: 1 });
  });

  void test(`${cell}: float32 stays within rounding of its float64 twin, gradients too`, async (t) => {
    const random = createRandom(8);
    const layer = build(8, 3, 16);
    const wide = layer.params.slice(0, 3).map(toFloat64) as [Tensor<Float64Array>, Tensor<Float64Array>, Tensor<Float64Array>];
    const bn = layer.params[3];
    const twin =
      cell === "lstm"
        ? new TimeLSTM(...wide)
        : bn === undefined
          ? new TimeRNN(...wide, { activation: cell === "relu" ? "relu" : "tanh" })
          : new TimeGRU(...wide, toFloat64(bn), { linearBeforeReset: cell === "gru" });
    const xs = randomTensor(random, [2, 20, 3], 0.3);
    const dhs = randomTensor(random, [2, 20, 16], 0.1);
    const pairs: [Tensor, Tensor<Float64Array>][] = [
      [layer.forward(xs), twin.forward(toFloat64(xs))],
      [layer.backward(dhs), twin.backward(toFloat64(dhs))],
      ...layer.grads.map((grad, index): [Tensor, Tensor<Float64Array>] => [grad, twin.grads[index]!]),
    ];
    for (const [single, double] of pairs) {
      const largest = double.data.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      const worst = single.data.reduce((most, value, i) => Math.max(most, Math.abs(value - double.data[i]!)), 0);
      t.ok(worst < 4e-6 * largest, `worst difference ${worst} beside ${largest}`);
    }
  });

  void test(`${cell}: without stateful every forward starts from zeros; states are copies; a reset forgets them`, async (t) => {
    const fresh = build(4, 2, 3, false);
    const xs = randomTensor(createRandom(5), [1, 4, 2]);
    const first = fresh.forward(xs).data.slice();
    fresh.setStates(statesOf(fresh, 1, 6));
    t.same(fresh.forward(xs).data, first, "whatever was set");

    const layer = build(4, 2, 3);
    t.equal(layer.getStates(), undefined);
    t.same(layer.forward(xs).data, first);
    const kept = layer.getStates()!;
    const second = layer.forward(xs).data.slice();
    t.notSame(second, first, "it started where the first ended");
    layer.setStates(kept);
    for (const { data } of kept) data.fill(99);
    for (const { data } of layer.getStates()!) data.fill(99);
    t.same(layer.forward(xs).data, second);
    layer.resetState();
    t.equal(layer.getStates(), undefined);
    t.same(layer.forward(xs).data, first);
    t.same(layer.forward(xs).shape, [1, 4, 3]);
    layer.resetState();
    t.same(layer.forward(zeros([3, 1, 2])).shape, [3, 1, 3], "with any batch size");
  });

  void test(`${cell}: NaN in one row of a batch stays in that row`, async (t) => {
    const [xs, dhs] = [randomTensor(createRandom(7), [2, 4, 2]), randomTensor(createRandom(8), [2, 4, 3])];
    const clean = build(6, 2, 3);
    const hs = clean.forward(xs).data.slice();
    const dxs = clean.backward(dhs).data.slice();
    const hurt = build(6, 2, 3);
    const spoiled = tensor(xs.data.slice(), xs.shape);
    spoiled.data[3] = Number.NaN;
    const hsHurt = hurt.forward(spoiled).data;
    t.ok(hsHurt.subarray(3, 12).every(Number.isNaN), "from its step on");
    t.same(hsHurt.subarray(12), hs.subarray(12));
    t.same(hurt.backward(dhs).data.subarray(8), dxs.subarray(8));
  });

  void test(`${cell}: forward and backward take no memory once they are built for a shape`, measuresHeap, async (t) => {
    const [N, T] = [2, 20];
    const layer = build(10, 3, 8);
    const [xs, dhs] = [randomTensor(createRandom(11), [N, T, 3]), randomTensor(createRandom(12), [N, T, 8])];
    const running = heapGrowth(() => {
      layer.forward(xs);
      layer.backward(dhs);
    });
    // The compiler may box a few numbers in a call, 16 bytes each; one object in each time step would be 32,000.
    t.ok(running - heapGrowth(() => {}) < 100 * 16 * 10, `100 calls took ${running} bytes`);
  });
}

void test("TimeGRU and TimeLSTM refuse wrong shapes with the shape and the remedy", async (t) => {
  const gru = new TimeGRU(zeros([2, 9]), zeros([3, 9]), zeros([9]), zeros([3]), { stateful: true });
  const lstm = new TimeLSTM(zeros([2, 12]), zeros([3, 12]), zeros([12]), { stateful: true });
  lstm.setState(zeros([2, 3]), zeros([2, 3]));
  const cases: [() => unknown, string][] = [
    [
      () => new TimeGRU(zeros([9, 2]), zeros([3, 9]), zeros([9]), zeros([3])),
      "cannot build TimeGRU: Wx has shape (9, 2), not (D, 3H); " +
        "weights are input-major: a row for each input, the columns of the gates r, z, n side by side",
    ],
    [
      () => new TimeGRU(zeros([2, 9]), zeros([9, 3]), zeros([9]), zeros([3])),
      "cannot build TimeGRU: Wh has shape (9, 3), not (3, 9); weights are input-major: a row for each input, a column for each output",
    ],
    [
      () => new TimeGRU(zeros([2, 9]), zeros([3, 9]), zeros([2, 9]), zeros([3])),
      "cannot build TimeGRU: b has shape (2, 9), not (9); a bias has one value for each output",
    ],
    [
      () => new TimeGRU(zeros([2, 9]), zeros([3, 9]), zeros([9]), zeros([9])),
      "cannot build TimeGRU: bn has shape (9), not (3); a bias has one value for each output",
    ],
    [
      () => new TimeLSTM(zeros([2, 9]), zeros([3, 9]), zeros([9])),
      "cannot build TimeLSTM: Wx has shape (2, 9), not (D, 4H); " +
        "weights are input-major: a row for each input, the columns of the gates i, f, g, o side by side",
    ],
    [
      () => gru.forward(zeros([1, 4, 3])),
      "cannot run TimeGRU forward: xs has shape (1, 4, 3), not (N, T, 2); pass N >= 1 sequences of T >= 1 steps of 2 values",
    ],
    [() => gru.setState(zeros([1, 2])), "cannot set TimeGRU state: h has shape (1, 2), not (N, 3); pass N >= 1 rows of 3 values"],
    [
      () => lstm.setState(zeros([1, 3]), zeros([1, 2])),
      "cannot set TimeLSTM state: c has shape (1, 2), not (N, 3); pass N >= 1 rows of 3 values",
    ],
    [
      () => lstm.setState(zeros([1, 3]), zeros([2, 3])),
      "cannot set TimeLSTM state: h has shape (1, 3) and c (2, 3); pass as many rows of both",
    ],
    [() => lstm.setStates([zeros([1, 3])]), "cannot set TimeLSTM state: it has 1 tensors, not 2; pass h and c"],
    [
      () => lstm.forward(zeros([1, 4, 2])),
      "cannot run TimeLSTM forward: the kept state has batch size 2, and (1, 4, 2) has 1; " +
        "call resetState() to start from zeros, or setState(h, c) with h and c of shape (1, 3)",
    ],
  ];
  for (const [call, message] of cases) t.throws(call, { code: "bad_argument", message });
  t.same(lstm.getState(), { h: zeros([2, 3]), c: zeros([2, 3]) }, "a refused call has changed nothing");
});

void test("TimeLSTM takes, gives and differentiates h and c by name", async (t) => {
  const layer = randomLayer("lstm", randomTensor, createRandom(13), 1, 2) as TimeLSTM;
  t.equal(layer.getState(), undefined);
  layer.setState(zeros([1, 2]), tensor(Float32Array.of(1, -1), [1, 2]));
  t.same(layer.getState()!.c.data, Float32Array.of(1, -1));
  layer.forward(zeros([1, 1, 1]));
  layer.backward(tensor(Float32Array.of(1, 1), [1, 1, 2]));
  t.equal(layer.stateGradients[0], layer.dh);
  t.equal(layer.stateGradients[1], layer.dc);
  t.ok(layer.dc.data.every((value) => value > 0));
});
