// What trains layers, on all kernels in one suite: against the plain path in float64, which finite differences confirm (test/nn), and
// against themselves with other neighbours, shapes before them, and sick sequences beside them.
import assert from "node:assert/strict";
import fc from "fast-check";
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import type { AffineRun } from "../../src/kernels/affine-run.ts";
import type { AffineWeights } from "../../src/kernels/affine.ts";
import type { CellLayer } from "../../src/kernels/network-weights.ts";
import type { Kernel } from "../../src/kernels/recurrent-network.ts";
import type { SequenceRun } from "../../src/kernels/sequence-run.ts";
import { hasKernel } from "../../src/kernels/simd-module.ts";
import { tensor, toFloat64 } from "../../src/kernels/tensor.ts";
import type { FloatArray, Tensor } from "../../src/kernels/tensor.ts";
import { openAffineRun, PlainAffineRun } from "../../src/nn/affine-run.ts";
import { Adam } from "../../src/nn/adam.ts";
import { createCellGradients, cellParams } from "../../src/nn/cell-weights.ts";
import { clipGradients } from "../../src/nn/clip-gradients.ts";
import { MeanSquaredError } from "../../src/nn/mean-squared-error.ts";
import { openPlainRun, openRun } from "../../src/nn/open-run.ts";
import { RNN } from "../../src/nn/rnn.ts";
import { TimeAffine } from "../../src/nn/time-affine.ts";
import { TimeGRU } from "../../src/nn/time-gru.ts";
import { TimeRNN } from "../../src/nn/time-rnn.ts";
import { heapGrowth } from "../support/heap-growth.ts";
import { randomTensor } from "../support/random-tensors.ts";
import { cellNames, randomLayer } from "./network-fixture.ts";
import type { CellName } from "./network-fixture.ts";
import { measuresHeap, rounds } from "../support/emulation.ts";

const kernels = (["relaxed", "plain", "scalar"] as const).filter(hasKernel);
const simdKernels = kernels.filter((kernel) => kernel !== "scalar");

interface Shape {
  readonly D: number;
  readonly H: number;
  readonly N: number;
  readonly T: number;
}

function toReference(layer: CellLayer): CellLayer<Float64Array> {
  const all = { Wx: toFloat64(layer.Wx), Wh: toFloat64(layer.Wh), b: toFloat64(layer.b) };
  return layer.cell === "gru" ? { ...layer, ...all, bn: toFloat64(layer.bn) } : { ...layer, ...all };
}

/** What goes into a run, in the caller's order. */
interface Inputs {
  readonly xs: Float32Array;
  readonly initial: readonly Float32Array[];
  readonly dhs: Float32Array;
}

function randomInputs(random: Random, { D, H, N, T }: Shape, cell: CellName): Inputs {
  const draw = (length: number, spread: number): Float32Array =>
    Float32Array.from({ length }, () => spread * (2 * random.next() - 1));
  return {
    xs: draw(N * T * D, 2),
    initial: Array.from({ length: cell === "lstm" ? 2 : 1 }, () => draw(N * H, 0.9)),
    dhs: draw(N * T * H, 1),
  };
}

type Results = Readonly<Record<string, FloatArray>>;

/** Forward and backward of everything, and all that comes out by name. */
function runAll<A extends FloatArray>(run: SequenceRun<A>, layer: CellLayer<A>, inputs: Inputs, byInputs = true): Results {
  const grads = createCellGradients(layer);
  run.inputs.set(inputs.xs);
  inputs.initial.forEach((state, index) => run.initial[index]!.set(state));
  run.forward(layer);
  run.dOutputs.set(inputs.dhs);
  run.backward(layer, grads, byInputs);
  const [hs, dxs] = [run.outputs.slice(), run.dInputs.slice()];
  const names = ["dWx", "dWh", "db", "dbn"];
  return {
    hs,
    dxs,
    ...Object.fromEntries(run.final.map((values, index) => [`final ${index}`, values.slice()])),
    ...Object.fromEntries(run.dInitial.map((values, index) => [`dInitial ${index}`, values.slice()])),
    ...Object.fromEntries(cellParams(grads).map(({ data }, index) => [names[index]!, data])),
  };
}

/** The largest difference, as a part of the largest value, or of 1 where all are smaller. */
function worstOf(found: FloatArray, expected: FloatArray): number {
  assert.equal(found.length, expected.length);
  let [worst, largest] = [0, 1];
  for (let i = 0; i < found.length; i++) {
    const difference = Math.abs(found[i]! - expected[i]!);
    // NaN counts as worst.
    if (!(difference <= worst)) worst = difference;
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return worst / largest;
}

function assertClose(found: Results, expected: Results, bound: number, what: string): void {
  assert.deepEqual(Object.keys(found), Object.keys(expected));
  for (const [name, values] of Object.entries(found)) {
    const worst = worstOf(values, expected[name]!);
    assert(worst <= bound, `${what}: ${name} is ${worst} off`);
  }
}

const shapes = fc.record({
  D: fc.integer({ min: 1, max: 20 }),
  H: fc.integer({ min: 1, max: 40 }),
  N: fc.oneof(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 30, max: 70 })),
  T: fc.integer({ min: 1, max: 12 }),
});

for (const cell of cellNames) {
  void test(`${cell}: forward and backward are those of float64, whatever the shape, on every kernel`, async (t) => {
    // Each run takes over the memory of the last, as a layer's does.
    const before = new Map<Kernel, SequenceRun>();
    fc.assert(
      fc.property(shapes, fc.nat(), (shape, seed) => {
        const random = createRandom(seed);
        const layer = randomLayer(random, cell, shape.D, shape.H);
        const inputs = randomInputs(random, shape, cell);
        const reference = toReference(layer);
        const expected = runAll(openPlainRun(reference, shape.N, shape.T), reference, inputs);
        for (const kernel of kernels) {
          const run = openRun(kernel, layer, shape.N, shape.T, before.get(kernel));
          before.set(kernel, run);
          assertClose(runAll(run, layer, inputs), expected, 3e-6, kernel);
        }
      }),
      { numRuns: rounds(60), seed: 20_260_201 },
    );
    t.pass("60 shapes");
  });

  void test(`${cell}: nor do 64 and 128 units over 50 steps of 32 sequences drift from it`, async (t) => {
    for (const H of [64, 128]) {
      const shape = { D: 8, H, N: H === 64 ? 32 : 5, T: 50 };
      const random = createRandom(H);
      const layer = randomLayer(random, cell, shape.D, H);
      const inputs = randomInputs(random, shape, cell);
      const reference = toReference(layer);
      const expected = runAll(openPlainRun(reference, shape.N, shape.T), reference, inputs);
      for (const kernel of simdKernels) {
        const found = runAll(openRun(kernel, layer, shape.N, shape.T), layer, inputs);
        t.doesNotThrow(() => assertClose(found, expected, 1e-5, `${kernel} H=${H}`));
      }
    }
  });
}

void test("products of many inputs, an odd number of them, and of rows that do not divide by five are those of float64 too", async (t) => {
  for (const cell of cellNames) {
    for (const N of [4, 5, 8, 11]) {
      const shape = { D: 131, H: 129, N, T: 3 };
      const random = createRandom(N);
      const layer = randomLayer(random, cell, shape.D, shape.H);
      const inputs = randomInputs(random, shape, cell);
      const reference = toReference(layer);
      const expected = runAll(openPlainRun(reference, N, shape.T), reference, inputs);
      for (const kernel of simdKernels) {
        const found = runAll(openRun(kernel, layer, N, shape.T), layer, inputs);
        t.doesNotThrow(() => assertClose(found, expected, 1e-5, `${cell} ${kernel} N=${N}`));
      }
    }
  }
});

void test("a backward without the gradient by inputs has the other gradients to the bit, and leaves that one as it was", async (t) => {
  for (const cell of cellNames) {
    const shape = { D: 3, H: 9, N: 6, T: 5 };
    const random = createRandom(13);
    const layer = randomLayer(random, cell, shape.D, shape.H);
    const inputs = randomInputs(random, shape, cell);
    for (const kernel of kernels) {
      const full = runAll(openRun(kernel, layer, shape.N, shape.T), layer, inputs);
      const found = runAll(openRun(kernel, layer, shape.N, shape.T), layer, inputs, false);
      t.ok(found["dxs"]!.every((value) => value === 0));
      t.same({ ...found, dxs: full["dxs"] }, full, `${cell} ${kernel}`);
    }
  }
});

/** Sequence n of values `(N, ..., width)`. */
function sequenceOf(values: FloatArray, n: number, N: number): number[] {
  const length = values.length / N;
  return Array.from(values.subarray(n * length, (n + 1) * length));
}

for (const kernel of kernels) {
  void test(`a sequence has the same bits alone as among sick ones, forward and backward: ${kernel}`, async (t) => {
    const perSequence = /^(hs|dxs|final|dInitial)/;
    fc.assert(
      fc.property(fc.constantFrom<CellName>(...cellNames), shapes, fc.nat(), (cell, shape, seed) => {
        const random = createRandom(seed);
        const layer = randomLayer(random, cell, shape.D, shape.H);
        const { N, T, D, H } = shape;
        const inputs = randomInputs(random, shape, cell);
        // Every other sequence is full of what no sum survives.
        for (let n = 1; n < N; n += 2) {
          const sickness = [Number.NaN, Infinity, -Infinity][n % 3]!;
          inputs.xs.fill(sickness, n * T * D, (n + 1) * T * D);
          for (const state of inputs.initial) state.fill(sickness, n * H, (n + 1) * H);
          inputs.dhs.fill(sickness, n * T * H, (n + 1) * T * H);
        }
        const batch = runAll(openRun(kernel, layer, N, T), layer, inputs);
        const run = openRun(kernel, layer, 1, T);
        for (let n = 0; n < N; n += 6) {
          const own = (values: Float32Array): Float32Array => Float32Array.from(sequenceOf(values, n, N));
          const one = { xs: own(inputs.xs), initial: inputs.initial.map(own), dhs: own(inputs.dhs) };
          const alone = runAll(run, layer, one);
          for (const [name, values] of Object.entries(alone)) {
            if (perSequence.test(name))
              assert.deepEqual(sequenceOf(batch[name]!, n, N), Array.from(values), `${name} of sequence ${n}`);
          }
        }
      }),
      { numRuns: rounds(100), seed: 20_260_202 },
    );
    t.pass("100 batches");
  });
}

void test("a run forgets: after infinities it gives the bits of a new one", async (t) => {
  for (const cell of cellNames) {
    // Three lanes of the last quads belong to nobody, and hold NaN after infinities.
    const shape = { D: 3, H: 5, N: 3, T: 4 };
    const random = createRandom(11);
    const layer = randomLayer(random, cell, shape.D, shape.H);
    const healthy = randomInputs(random, shape, cell);
    const sick = {
      xs: healthy.xs.map(() => Infinity),
      initial: healthy.initial.map((state) => state.map(() => -Infinity)),
      dhs: healthy.dhs.map(() => Infinity),
    };
    for (const kernel of kernels) {
      const run = openRun(kernel, layer, shape.N, shape.T);
      runAll(run, layer, sick);
      const expected = runAll(openRun(kernel, layer, shape.N, shape.T), layer, healthy);
      t.same(runAll(run, layer, healthy), expected, `${cell} ${kernel}`);
    }
  }
});

void test("gradients that have died out are 0, and never numbers below the normal ones", async (t) => {
  for (const cell of cellNames) {
    const shape = { D: 2, H: 6, N: 2, T: 30 };
    const random = createRandom(12);
    const layer = randomLayer(random, cell, shape.D, shape.H);
    const inputs = randomInputs(random, shape, cell);
    inputs.dhs.fill(0);
    inputs.dhs.fill(1e-29, shape.H * (shape.T - 1), shape.H * shape.T);
    for (const kernel of simdKernels) {
      for (const [name, values] of Object.entries(runAll(openRun(kernel, layer, shape.N, shape.T), layer, inputs))) {
        t.ok(
          values.every((value) => value === 0 || Math.abs(value) >= 2 ** -126),
          `${cell} ${kernel} ${name}`,
        );
      }
    }
  }
});

function runAffine<A extends FloatArray>(run: AffineRun<A>, weights: AffineWeights<A>, xs: FloatArray, dys: FloatArray): Results {
  const grads = {
    W: tensor(weights.W.data.slice() as A, weights.W.shape),
    b: tensor(weights.b.data.slice() as A, weights.b.shape),
  };
  run.xs.set(xs);
  run.forward(weights);
  run.dys.set(dys);
  run.backward(weights, grads);
  return { ys: run.ys.slice(), dxs: run.dxs.slice(), dW: grads.W.data, db: grads.b.data };
}

void test("a dense layer is that of float64, whatever the shape, on every kernel", async (t) => {
  const before = new Map<Kernel, AffineRun>();
  const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
  fc.assert(
    fc.property(size(40), size(20), size(200), fc.nat(), (H, O, rows, seed) => {
      const random = createRandom(seed);
      const weights = { W: randomTensor(random, [H, O]), b: randomTensor(random, [O]) };
      const [xs, dys] = [randomTensor(random, [rows, H]).data, randomTensor(random, [rows, O]).data];
      const reference = { W: toFloat64(weights.W), b: toFloat64(weights.b) };
      const expected = runAffine(new PlainAffineRun(reference, rows), reference, xs, dys);
      for (const kernel of kernels) {
        const run = openAffineRun(kernel, weights, rows, before.get(kernel));
        before.set(kernel, run);
        assertClose(runAffine(run, weights, xs, dys), expected, 3e-6, kernel);
      }
    }),
    { numRuns: rounds(150), seed: 20_260_203 },
  );
  t.pass("150 shapes");
});

void test("Adam moves float32 params as float64 ones, in every variant, on every kernel", async (t) => {
  const base = { learningRate: 0.01, weightDecay: 0.1 } as const;
  for (const options of [
    { learningRate: 0.01 },
    { ...base, amsgrad: true },
    { ...base, decayOf: "param" },
    { ...base, betas: [0.8, 0.9], epsilon: 1e-4, decayOf: "param", amsgrad: true },
  ] as const) {
    for (const kernel of kernels) {
      const random = createRandom(5);
      const params = [randomTensor(random, [3, 5]), randomTensor(random, [1]), randomTensor(random, [4, 4])];
      const twins = params.map(toFloat64);
      const optimizer = new Adam(params, { ...options, kernel });
      const reference = new Adam(twins, options);
      t.equal(optimizer.kernel, kernel);
      t.equal(optimizer.secondMomentsMax.length, reference.secondMomentsMax.length);
      for (let step = 0; step < 60; step++) {
        const grads = params.map(({ shape }) => randomTensor(random, shape));
        optimizer.step(grads);
        reference.step(grads.map(toFloat64));
      }
      for (const name of ["firstMoments", "secondMoments", "secondMomentsMax"] as const) {
        optimizer[name].forEach(({ shape, data }, i) => {
          t.same(shape, params[i]!.shape);
          t.ok(worstOf(data, reference[name][i]!.data) < 1e-6, `${kernel} ${name}`);
        });
      }
      params.forEach(({ data }, i) => t.ok(worstOf(data, twins[i]!.data) < 2e-6, `${kernel} ${JSON.stringify(options)}`));
    }
  }
});

void test("moments that are written are gone on from", async (t) => {
  for (const kernel of kernels) {
    const build = (): { param: Tensor; optimizer: Adam } => {
      const param = tensor(Float32Array.of(1, 2, 3, 4, 5), [5]);
      return { param, optimizer: new Adam([param], { learningRate: 0.1, kernel }) };
    };
    const grad = tensor(Float32Array.of(1, -1, 0.5, 2, 0), [5]);
    const [one, other] = [build(), build()];
    one.optimizer.step([grad]);
    other.optimizer.step([tensor(new Float32Array(5), [5])]);
    other.param.data.set(one.param.data);
    other.optimizer.firstMoments[0]!.data.set(one.optimizer.firstMoments[0]!.data);
    other.optimizer.secondMoments[0]!.data.set(one.optimizer.secondMoments[0]!.data);
    one.optimizer.step([grad]);
    other.optimizer.step([grad]);
    t.same(other.param.data, one.param.data, kernel);
  }
});

void test("gradients are cut to a length, the same on every kernel", async (t) => {
  for (const kernel of kernels) {
    for (const lengths of [[3], [1, 7, 8], [130, 5]]) {
      const random = createRandom(lengths.length);
      const grads = lengths.map((length) => randomTensor(random, [length]));
      const before = grads.map(({ data }) => data.slice());
      const norm = Math.sqrt(before.reduce((sum, data) => sum + data.reduce((squares, value) => squares + value * value, 0), 0));
      const found = clipGradients(grads, norm * 2, { kernel });
      t.ok(Math.abs(found - norm) < 1e-12 * norm, `${kernel}: ${found} is ${norm}`);
      t.same(
        grads.map(({ data }) => data),
        before,
        "a short one stays",
      );
      clipGradients(grads, norm / 4, { kernel });
      grads.forEach(({ data }, i) =>
        t.ok(
          worstOf(
            data,
            before[i]!.map((value) => value / 4),
          ) < 1e-6,
        ),
      );
    }
    // Squares of these have no float32.
    t.ok(Math.abs(clipGradients([tensor(Float32Array.of(3e30, 4e30), [2])], 1, { kernel }) / 5e30 - 1) < 1e-6);
    t.ok(Number.isNaN(clipGradients([tensor(Float32Array.of(1, Number.NaN), [2])], 1, { kernel })));
    t.equal(clipGradients([tensor(Float32Array.of(-Infinity, 1), [2])], 1, { kernel }), Infinity);
    t.equal(clipGradients([], 1, { kernel }), 0);
  }
});

void test("an update takes no memory, and another shape no other instance of WebAssembly", measuresHeap, async (t) => {
  for (const kernel of simdKernels) {
    const random = createRandom(6);
    const [D, H, O] = [3, 8, 2];
    const layer = new TimeGRU(
      randomTensor(random, [D, 3 * H]),
      randomTensor(random, [H, 3 * H]),
      randomTensor(random, [3 * H]),
      randomTensor(random, [H]),
      { kernel, stateful: true },
    );
    const head = new TimeAffine(randomTensor(random, [H, O]), randomTensor(random, [O]), { kernel });
    const loss = new MeanSquaredError();
    const grads = [...layer.grads, ...head.grads];
    const optimizer = new Adam([...layer.params, ...head.params], { learningRate: 1e-4, kernel });
    const update = (xs: Tensor, targets: Tensor): void => {
      loss.forward(head.forward(layer.forward(xs)), targets);
      layer.backward(head.backward(loss.backward()));
      clipGradients(grads, 0.1, { kernel });
      optimizer.step(grads);
    };
    const sequences = [4, 5].map((T) => [randomTensor(random, [2, T, D]), randomTensor(random, [2, T, O])] as const);
    const [xs, targets] = sequences[0]!;
    update(xs, targets);
    const { arrayBuffers } = process.memoryUsage();
    const growth = heapGrowth(() => update(xs, targets));
    // Numbers that leave a function may be boxed, 16 bytes each.
    t.ok(growth < 100 * 16 * 20, `${kernel}: 100 updates took ${growth} bytes`);
    t.ok(process.memoryUsage().arrayBuffers <= arrayBuffers, kernel);
    const { Memory } = WebAssembly;
    let memories = 0;
    WebAssembly.Memory = class extends Memory {
      constructor(...descriptor: ConstructorParameters<typeof Memory>) {
        super(...descriptor);
        memories++;
      }
    };
    for (let round = 0; round < 4; round++) update(...sequences[round % 2]!);
    openRun(kernel, randomLayer(random, "gru", 1, 1), 1, 1);
    WebAssembly.Memory = Memory;
    t.equal(memories, 1, `${kernel}: none but the one of a run that replaces none`);
  }
});

void test("layers, optimizers and clipping say which kernel they have, and float64 has scalar alone", async (t) => {
  const random = createRandom(7);
  const [Wx, Wh, b] = [randomTensor(random, [2, 3]), randomTensor(random, [3, 3]), randomTensor(random, [3])];
  for (const kernel of kernels) {
    t.equal(new TimeRNN(Wx, Wh, b, { kernel }).kernel, kernel);
    t.equal(new RNN(Wx, Wh, b, { kernel }).kernel, kernel);
    t.equal(new TimeAffine(Wx, b, { kernel }).kernel, kernel);
  }
  t.equal(new TimeRNN(Wx, Wh, b).kernel, kernels[0]);
  const twins = [toFloat64(Wx), toFloat64(Wh), toFloat64(b)] as const;
  t.equal(new TimeRNN(...twins).kernel, "scalar");
  const refusal = {
    code: "bad_argument",
    message: "cannot use the plain kernel: it has no float64; use scalar, or float32 tensors",
  };
  t.throws(() => new TimeRNN(...twins, { kernel: "plain" }), refusal);
  t.throws(() => new TimeAffine(twins[0], twins[2], { kernel: "plain" }), refusal);
  t.throws(() => new Adam([twins[0]], { learningRate: 1, kernel: "plain" }), refusal);
  t.throws(() => clipGradients([twins[0]], 1, { kernel: "plain" }), refusal);
});
