// The kernels against a float64 reference, against each other, and against themselves in other orders of calling: one suite over all three.
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import type { NetworkWeights } from "../../src/kernels/network-weights.ts";
import { fastestKernel, openNetwork } from "../../src/kernels/open-network.ts";
import { kernelVersions } from "../../src/kernels/recurrent-network.ts";
import type { Kernel, RecurrentNetwork } from "../../src/kernels/recurrent-network.ts";
import { createSimdInstance, hasKernel } from "../../src/kernels/simd-module.ts";
import type { SimdKernel } from "../../src/kernels/simd-module.ts";
import { sigmoid } from "../../src/kernels/sigmoid.ts";
import { tanh } from "../../src/kernels/tanh.ts";
import { tensor, zeros } from "../../src/kernels/tensor.ts";
import type { Tensor } from "../../src/kernels/tensor.ts";
import { cellNames, randomNetwork, ReferenceStream } from "./network-fixture.ts";
import type { Shape } from "./network-fixture.ts";
import { isEmulated, measuresHeap, rounds } from "../support/emulation.ts";

const kernels = (["relaxed", "plain", "scalar"] as const).filter(hasKernel);
const flushes = kernelVersions.plain === "plain-flushed-1";
const simdKernels = kernels.filter((kernel) => kernel !== "scalar");

function inputs(random: Random, count: number): Float32Array {
  return Float32Array.from({ length: count }, () => 3 * random.normal());
}

/** Every value's bits; all NaNs count as one. */
function bits(values: Float32Array): number[] {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Array.from(words, (word, i) => (Number.isNaN(values[i]) ? 0x7fc00000 : word));
}

function stateBits(network: RecurrentNetwork, slot: number): number[] {
  return network.states.flatMap((length, state) => {
    const values = new Float32Array(length);
    network.read(slot, state, values);
    return bits(values);
  });
}

void test("this machine's kernels are found, and can be forced", async (t) => {
  t.comment(`kernels here: ${kernels.join(", ")}; fastest: ${fastestKernel()} (${process.version})`);
  const weights = randomNetwork(createRandom(1), { D: 1, O: 1, layers: [{ cell: "tanh", H: 2 }], residual: false });
  t.equal(openNetwork(weights).kernel, fastestKernel());
  for (const kernel of kernels) t.equal(openNetwork(weights, { kernel }).kernel, kernel);
  t.match(kernelVersions, { relaxed: "relaxed-1", scalar: "scalar-1" });
  // x86-64 and ARM64 with any Node that this package takes have both builds.
  if (process.arch === "x64" || process.arch === "arm64") t.ok(hasKernel("plain"));
});

void test("a worker thread has the kernels of its process", async (t) => {
  const url = new URL("../../src/kernels/simd-module.js", import.meta.url);
  const source = `import(${JSON.stringify(url.href)}).then(async ({ hasKernel, createSimdInstance }) => {
    const { parentPort } = await import("node:worker_threads");
    const found = ["relaxed", "plain"].filter(hasKernel);
    parentPort.postMessage({ found, fused: found.map((kernel) => createSimdInstance(kernel).exports.roundsOnce(2 ** -13)) });
  });`;
  const answer = await new Promise((resolve, reject) => {
    const worker = new Worker(source, { eval: true });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  t.same(answer, { found: simdKernels, fused: simdKernels.map((kernel) => (kernel === "relaxed" ? 1 : 0)) });
});

/** Calls `check` with the activation of `count` float32 at a time, from bit pattern `from` on, `stride` apart. */
function sweep(
  kernel: SimdKernel,
  name: "tanhAll" | "sigmoidAll",
  patterns: { from: number; to: number; stride: number },
  check: (x: Float32Array, y: Float32Array) => void,
): void {
  const { exports, memory } = createSimdInstance(kernel);
  const count = 4096;
  const at = 16_384;
  const words = new Uint32Array(memory.floats.buffer, at, count);
  const x = new Float32Array(memory.floats.buffer, at, count);
  const y = new Float32Array(memory.floats.buffer, at + 4 * count, count);
  for (let pattern = patterns.from; pattern < patterns.to; pattern += count * patterns.stride) {
    for (let i = 0; i < count; i++) words[i] = Math.min(pattern + i * patterns.stride, patterns.to - 1);
    exports[name](at, at + 4 * count, count / 4);
    check(x, y);
  }
}

const POSITIVE = { from: 0, to: 0x7f80_0001 };
const NEGATIVE = { from: 0x8000_0000, to: 0xff80_0001 };

void test("tanh is within 2.1e-7 of float64, and sigmoid within 1.3e-7, over all floats", async (t) => {
  for (const kernel of simdKernels) {
    let [worst, worstRelative, worstSigmoid] = [0, 0, 0];
    let inside = true;
    for (const range of [POSITIVE, NEGATIVE]) {
      // A prime stride, so that every exponent and all low bits take part: some 13 million values a build and function.
      const stride = isEmulated ? 33_107 : 331;
      sweep(kernel, "tanhAll", { ...range, stride }, (x, y) => {
        for (let i = 0; i < x.length; i++) {
          const expected = tanh(x[i]!);
          const error = Math.abs(y[i]! - expected);
          if (error > worst) worst = error;
          // It is doubled at the end, and below the smallest normal number a float32 has fewer digits or none.
          if (Math.abs(x[i]!) >= 2 ** -125 && error > worstRelative * Math.abs(expected))
            worstRelative = error / Math.abs(expected);
          inside &&= Math.abs(y[i]!) <= 1;
        }
      });
      sweep(kernel, "sigmoidAll", { ...range, stride }, (x, y) => {
        for (let i = 0; i < x.length; i++) {
          const error = Math.abs(y[i]! - sigmoid(x[i]!));
          if (error > worstSigmoid) worstSigmoid = error;
          inside &&= y[i]! >= 0 && y[i]! <= 1;
        }
      });
    }
    t.comment(
      `${kernel}: tanh ${worst.toExponential(3)} (relative ${worstRelative.toExponential(3)}), sigmoid ${worstSigmoid.toExponential(3)}`,
    );
    t.ok(worst <= 2.1e-7, `tanh, ${kernel}: ${worst}`);
    t.ok(worstRelative <= 4e-7, `tanh, relative, ${kernel}: ${worstRelative}`);
    t.ok(worstSigmoid <= 1.3e-7, `sigmoid, ${kernel}: ${worstSigmoid}`);
    t.ok(inside, "tanh stays in [-1, 1] and sigmoid in [0, 1]");
  }
});

void test("a processor that makes zeros of subnormal numbers has a plain kernel of another name", async (t) => {
  if (!hasKernel("plain")) return;
  const zero = (...shape: number[]): Tensor => zeros(shape);
  const one = (): Tensor => tensor(Float32Array.of(1), [1]);
  const weights: NetworkWeights = {
    xMean: zero(1),
    xScale: one(),
    layers: [{ cell: "rnn", activation: "relu", Wx: tensor(Float32Array.of(2 ** -130), [1, 1]), Wh: zero(1, 1), b: zero(1) }],
    head: { W: zero(1, 1), b: zero(1) },
    headKind: "regression",
    yMean: zero(1),
    yScale: one(),
    residual: new Int32Array(),
  };
  const stateOn = (kernel: Kernel): number => {
    const network = openNetwork(weights, { kernel });
    network.reserve(1);
    network.step(Int32Array.of(0), 1, 1, Float32Array.of(1), new Float32Array(1));
    const state = new Float32Array(1);
    network.read(0, 0, state);
    return state[0]!;
  };
  t.equal(stateOn("scalar"), 2 ** -130);
  t.equal(kernelVersions.plain, stateOn("plain") === 2 ** -130 ? "plain-1" : "plain-flushed-1");
});

void test("activations have the limits of Math.tanh, lane by lane", async (t) => {
  for (const kernel of simdKernels) {
    const { exports, memory } = createSimdInstance(kernel);
    const x = memory.floats.subarray(4096, 4104);
    const y = memory.floats.subarray(4104, 4112);
    const all = [Number.NaN, Infinity, -Infinity, -0, 0, 1e-40, 3.4e38, -3.4e38];
    x.set(all);
    exports.tanhAll(4 * 4096, 4 * 4104, 2);
    t.same(
      Array.from(y),
      all.map((value) => (flushes && value === 1e-40 ? 0 : Math.fround(Math.tanh(value)))),
    );
    t.ok(Object.is(y[3], -0) && Object.is(y[4], 0));
    exports.sigmoidAll(4 * 4096, 4 * 4104, 2);
    t.same(Array.from(y), [Number.NaN, 1, 0, 0.5, 0.5, 0.5, 1, 0]);
    // A NaN in any lane leaves the other three alone.
    for (let lane = 0; lane < 4; lane++) {
      for (const name of ["tanhAll", "sigmoidAll"] as const) {
        x.set([0.25, 0.5, -1, 2]);
        exports[name](4 * 4096, 4 * 4104, 1);
        const clean = Array.from(y.subarray(0, 4));
        x[lane] = Number.NaN;
        exports[name](4 * 4096, 4 * 4104, 1);
        clean[lane] = Number.NaN;
        t.same(Array.from(y.subarray(0, 4)), clean, `${kernel} ${name} with NaN in lane ${lane}`);
      }
    }
  }
});

const CARRIED_STEPS = rounds(1000);

void test(`every cell stays beside float64 for ${CARRIED_STEPS} carried steps, on every kernel`, async (t) => {
  for (const cell of cellNames) {
    for (const [D, H] of [
      [1, 1],
      [3, 5],
      [8, 32],
      [20, 67],
    ] as const) {
      const random = createRandom(17 * H);
      const weights = randomNetwork(random, { D, O: 2, layers: [{ cell, H }], residual: false });
      const x = inputs(random, CARRIED_STEPS * D);
      const reference = new ReferenceStream(weights);
      const networks = kernels.map((kernel) => openNetwork(weights, { kernel }));
      for (const network of networks) network.reserve(1);
      const worst = networks.map(() => 0);
      const y = new Float32Array(2);
      const states = networks[0]!.states.map((length) => new Float32Array(length));
      for (let step = 0; step < CARRIED_STEPS; step++) {
        const row = x.subarray(step * D, (step + 1) * D);
        const expected = reference.step(row);
        networks.forEach((network, k) => {
          network.step(Int32Array.of(0), 1, 1, row, y);
          states.forEach((values, state) => network.read(0, state, values));
          const differences = [
            ...expected.map((value, o) => Math.abs(y[o]! - value) / 4),
            ...states.flatMap((values, state) =>
              Array.from(values, (value, j) => Math.abs(value - reference.states[state]![j]!)),
            ),
          ];
          worst[k] = Math.max(worst[k]!, ...differences);
        });
      }
      kernels.forEach((kernel, k) => t.ok(worst[k]! < 3e-6, `${cell} D=${D} H=${H} ${kernel}: ${worst[k]!.toExponential(2)}`));
    }
  }
});

/** Sometimes so many that products of a batch go by fives. */
const widths = fc.oneof(
  { weight: 19, arbitrary: fc.integer({ min: 1, max: 70 }) },
  { weight: 1, arbitrary: fc.integer({ min: 120, max: 140 }) },
);

const shapes = fc
  .record({
    D: fc.integer({ min: 1, max: 20 }),
    O: fc.integer({ min: 1, max: 9 }),
    layers: fc.array(fc.record({ cell: fc.constantFrom(...cellNames), H: widths }), {
      minLength: 1,
      maxLength: 3,
    }),
    residual: fc.boolean(),
    headKind: fc.constantFrom("regression", "gaussian", "classifier"),
  })
  // A Gaussian head's outputs are pairs, and classes are no changes of a feature.
  .map((shape) => ({
    ...shape,
    O: shape.headKind === "gaussian" ? 2 * shape.O : shape.O,
    residual: shape.residual && shape.headKind !== "classifier",
  })) satisfies fc.Arbitrary<Shape>;

interface Plan {
  readonly shape: Shape;
  readonly seed: number;
  /** Healthy streams, sick ones among them, steps of each. */
  readonly N: number;
  readonly sick: number;
  readonly T: number;
  readonly lentRows: number;
}

const plans = fc.record({
  shape: shapes,
  seed: fc.integer(),
  N: fc.integer({ min: 1, max: 40 }),
  sick: fc.integer({ min: 0, max: 30 }),
  T: fc.integer({ min: 1, max: 7 }),
  lentRows: fc.constantFrom(1, 3, 64, 1024),
}) satisfies fc.Arbitrary<Plan>;

/** Outputs and states of stream n, stepped by itself, one reading a call. */
function alone(kernel: Kernel, weights: NetworkWeights, x: Float32Array[], O: number): { y: number[][]; states: number[][] } {
  const network = openNetwork(weights, { kernel });
  network.reserve(x.length);
  const D = weights.xMean.data.length;
  const y = x.map((readings, slot) => {
    const out = new Float32Array((readings.length / D) * O);
    for (let t = 0; t * D < readings.length; t++) {
      network.step(Int32Array.of(slot), 1, 1, readings.subarray(t * D, (t + 1) * D), out.subarray(t * O, (t + 1) * O));
    }
    return bits(out);
  });
  return { y, states: x.map((_, slot) => stateBits(network, slot)) };
}

function shuffled<T>(random: Random, values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, key: random.next() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ value }) => value);
}

/** The same streams in one batch with sick neighbours, in another order at each call, their readings cut into calls of 1 to 4. */
function together(
  kernel: Kernel,
  weights: NetworkWeights,
  x: Float32Array[],
  { seed, sick, T, shape, lentRows }: Plan,
): { y: number[][]; states: number[][] } {
  const random = createRandom(seed ^ 0x5bd1e995);
  const network = openNetwork(weights, { kernel, lentRows });
  const { D, O } = shape;
  const N = x.length;
  network.reserve(N + sick);
  const sickness = [Number.NaN, Infinity, -Infinity];
  for (let n = 0; n < sick; n++) {
    network.states.forEach((length, state) => network.write(N + n, state, new Float32Array(length).fill(sickness[n % 3]!)));
  }
  const y = x.map(() => new Float32Array(T * O));
  for (let done = 0; done < T;) {
    const steps = Math.min(T - done, 1 + (random.uint32() % 4));
    const order = shuffled(
      random,
      Array.from({ length: N + sick }, (_, slot) => slot),
    );
    const batchX = new Float32Array(steps * order.length * D);
    const batchY = new Float32Array(steps * order.length * O);
    order.forEach((slot, place) => {
      for (let t = 0; t < steps; t++) {
        const at = (t * order.length + place) * D;
        if (slot < N) batchX.set(x[slot]!.subarray((done + t) * D, (done + t + 1) * D), at);
        else batchX.fill(sickness[slot % 3]!, at, at + D);
      }
    });
    network.step(Int32Array.from(order), order.length, steps, batchX, batchY);
    order.forEach((slot, place) => {
      if (slot >= N) return;
      for (let t = 0; t < steps; t++) {
        const at = (t * order.length + place) * O;
        y[slot]!.set(batchY.subarray(at, at + O), (done + t) * O);
      }
    });
    done += steps;
  }
  return { y: y.map(bits), states: x.map((_, slot) => stateBits(network, slot)) };
}

for (const kernel of kernels) {
  void test(`a stream's bits do not depend on batch, order, chunks or neighbours: ${kernel}`, async (t) => {
    fc.assert(
      fc.property(plans, (plan) => {
        const random = createRandom(plan.seed);
        const weights = randomNetwork(random, plan.shape);
        const x = Array.from({ length: plan.N }, () => inputs(random, plan.T * plan.shape.D));
        const expected = alone(kernel, weights, x, plan.shape.O);
        const found = together(kernel, weights, x, plan);
        for (const [n, value] of expected.y.entries()) {
          if (String(found.y[n]) !== String(value)) throw new Error(`outputs of stream ${n} differ`);
          if (String(found.states[n]) !== String(expected.states[n])) throw new Error(`states of stream ${n} differ`);
        }
      }),
      { numRuns: rounds(300), seed: 20_260_101 },
    );
    t.pass(`${rounds(300)} random networks and batches`);
  });
}

void test("a stream that an infinity has passed through is finite again where its cell is", async (t) => {
  // With H = 5 three lanes of the last quad belong to nobody, and hold NaN after an infinite input.
  for (const kernel of kernels) {
    for (const cell of ["lstm", "tanh"] as const) {
      const weights = randomNetwork(createRandom(3), { D: 2, O: 1, layers: [{ cell, H: 5 }], residual: false });
      const network = openNetwork(weights, { kernel });
      network.reserve(1);
      const y = new Float32Array(1);
      const step = (...x: number[]): void => network.step(Int32Array.of(0), 1, 1, Float32Array.from(x), y);
      step(Infinity, 1);
      step(1, 1);
      t.ok(Number.isFinite(y[0]), `${kernel} ${cell}`);
    }
  }
});

void test("scaling is done in the sensors' and targets' units, and a residual head adds the present reading", async (t) => {
  // All weights are zero, so that the head gives its bias.
  const O = 5;
  const zero = (...shape: number[]): Tensor => zeros(shape);
  const weights: NetworkWeights = {
    xMean: tensor(Float32Array.of(101_325, 20, 0), [3]),
    xScale: tensor(Float32Array.of(5, 2, 1), [3]),
    layers: [
      { cell: "rnn", activation: "relu", Wx: tensor(Float32Array.of(1, 0, 0, 0, 1, 0), [3, 2]), Wh: zero(2, 2), b: zero(2) },
    ],
    head: {
      W: tensor(
        Float32Array.from({ length: 10 }, (_, i) => (i === 0 ? 1 : i === 5 ? 1 : 0)),
        [2, O],
      ),
      b: tensor(Float32Array.of(0.5, 0, 0, 0, 2), [O]),
    },
    headKind: "regression",
    yMean: tensor(Float32Array.of(100, 0, 0, 0, -1), [O]),
    yScale: tensor(Float32Array.of(10, 1, 1, 1, 4), [O]),
    residual: Int32Array.of(0, 1, 2, 2, 0),
  };
  for (const kernel of kernels) {
    const network = openNetwork(weights, { kernel });
    network.reserve(1);
    const y = new Float32Array(O);
    network.step(Int32Array.of(0), 1, 1, Float32Array.of(101_327.5, 19, 0.75), y);
    // (101327.5 - 101325) / 5 = 0.5; the second unit is 0.75; the first output is (0.5 + 0.75 + 0.5) * 10 + 100 + 101327.5.
    t.same(Array.from(y), [101_445, 19, 0.75, 0.75, 101_334.5], kernel);
  }
});

void test("sizes up to 4096 units and hundreds of inputs are stepped like small ones", async (t) => {
  for (const { D, H } of [
    { D: 256, H: 3 },
    { D: 2, H: 4096 },
  ]) {
    const random = createRandom(5);
    const weights = randomNetwork(random, { D, O: 1, layers: [{ cell: "tanh", H }], residual: false });
    const x = inputs(random, 3 * D);
    const reference = new ReferenceStream(weights);
    const expected = [0, 1, 2].map((t) => reference.step(x.subarray(t * D, (t + 1) * D))[0]!);
    for (const kernel of kernels) {
      const network = openNetwork(weights, { kernel });
      network.reserve(1);
      const y = new Float32Array(3);
      network.step(Int32Array.of(0), 1, 3, x, y);
      expected.forEach((value, t_) => t.ok(Math.abs(y[t_]! - value) < 1e-5, `${kernel} D=${D} H=${H}`));
    }
  }
});

void test("the arena grows with every state kept, and old views say so by their length", async (t) => {
  const weights = randomNetwork(createRandom(6), {
    D: 2,
    O: 1,
    layers: [
      { cell: "lstm", H: 6 },
      { cell: "gru", H: 3 },
    ],
    residual: false,
  });
  for (const kernel of kernels) {
    const network = openNetwork(weights, { kernel });
    t.same(network.states, [6, 6, 3]);
    network.reserve(2);
    network.write(1, 0, new Float32Array(6).fill(0.5));
    network.write(1, 1, new Float32Array(6).fill(0.25));
    network.write(1, 2, new Float32Array(3).fill(-0.125));
    const kept = stateBits(network, 1);
    const before = network.lend();
    const bytes = network.bytes;
    network.reserve(40_000);
    t.ok(network.slots >= 40_000 && network.slots < 48_000);
    t.ok(network.bytes > bytes);
    t.same(stateBits(network, 1), kept);
    t.ok(
      stateBits(network, 39_999).every((word) => word === 0),
      "new slots are blank",
    );
    network.copy(1, 39_999);
    t.same(stateBits(network, 39_999), kept);
    network.clear(1);
    t.ok(stateBits(network, 1).every((word) => word === 0));
    t.same(stateBits(network, 39_999), kept);
    const after = network.lend();
    after.slots[0] = 39_999;
    after.x.set([1, 2]);
    network.step(after.slots, 1, 1, after.x, after.y);
    if (kernel === "scalar") continue;
    t.equal(before.x.length, 0);
    t.throws(() => network.step(after.slots, 1, 1, before.x, after.y), { message: "a buffer is too short" });
    // 48 + 48 ... bytes of padded states a stream, and nothing else but the last page and a sixteenth.
    const perStream = (network.bytes - bytes) / (network.slots - 2);
    t.ok(perStream < 4 * (8 + 8 + 4) + 2, `${perStream} bytes a stream`);
  }
});

void test("lent buffers, own buffers and parts of larger ones give the same bits", async (t) => {
  const random = createRandom(7);
  const [D, O, N, T] = [3, 2, 50, 4];
  const weights = randomNetwork(random, { D, O, layers: [{ cell: "gru", H: 12 }], residual: true });
  const x = inputs(random, T * N * D);
  const slots = Int32Array.from({ length: N }, (_, n) => N - 1 - n);
  for (const kernel of kernels) {
    const run = (step: (network: RecurrentNetwork) => Float32Array): number[] => {
      const network = openNetwork(weights, { kernel });
      network.reserve(N);
      return bits(step(network));
    };
    const own = run((network) => {
      const y = new Float32Array(T * N * O);
      network.step(slots, N, T, x, y);
      return y;
    });
    const lent = run((network) => {
      const buffers = network.lend();
      buffers.slots.set(slots);
      buffers.x.set(x);
      network.step(buffers.slots, N, T, buffers.x, buffers.y);
      return buffers.y.slice(0, T * N * O);
    });
    const longer = run((network) => {
      const y = new Float32Array(T * N * O + 9).fill(7);
      network.step(Int32Array.of(...slots, -5), N, T, Float32Array.of(...x, Number.NaN), y);
      t.ok(
        y.subarray(T * N * O).every((value) => value === 7),
        "what lies behind a batch is left alone",
      );
      return y.slice(0, T * N * O);
    });
    t.same(lent, own, kernel);
    t.same(longer, own, kernel);
  }
});

void test("short buffers, slots that do not exist and tensors of other lengths are refused, and nothing has changed", async (t) => {
  const weights = randomNetwork(createRandom(8), { D: 2, O: 1, layers: [{ cell: "tanh", H: 4 }], residual: false });
  for (const kernel of kernels) {
    const network = openNetwork(weights, { kernel, lentRows: 4 });
    network.reserve(2);
    network.write(0, 0, Float32Array.of(0.1, 0.2, 0.3, 0.4));
    const before = stateBits(network, 0);
    const step = (slots: number[], x: number, y: number, steps = 1): void =>
      network.step(Int32Array.from(slots), slots.length, steps, new Float32Array(x), new Float32Array(y));
    for (const [slots, x, y] of [
      [[0], 1, 1],
      [[0], 2, 0],
      [[0, 1], 3, 2],
    ] as const) {
      t.throws(() => step([...slots], x, y), { name: "AssertionError", message: "a buffer is too short" });
    }
    t.throws(() => network.step(Int32Array.of(0), 2, 1, new Float32Array(4), new Float32Array(2)), {
      message: "a buffer is too short",
    });
    for (const wild of [-1, network.slots, 2 ** 31 - 1]) {
      t.throws(() => step([0, wild], 4, 2), { name: "AssertionError", message: `slot ${wild} does not exist` });
      t.throws(() => network.clear(wild), { message: `slot ${wild} does not exist` });
    }
    t.throws(() => network.write(0, 0, new Float32Array(3)), { name: "AssertionError" });
    t.same(stateBits(network, 0), before);
  }
});

void test("weights that do not fit each other are refused by name", async (t) => {
  const good = randomNetwork(createRandom(9), {
    D: 2,
    O: 3,
    layers: [
      { cell: "gru", H: 4 },
      { cell: "lstm", H: 5 },
    ],
    residual: true,
  });
  const layer = good.layers[0]!;
  const wrong = (...shape: number[]): Tensor => zeros(shape);
  const cases: [NetworkWeights, string][] = [
    [{ ...good, xScale: wrong(3) }, "xScale has shape (3), and must have (2)"],
    [{ ...good, layers: [{ ...layer, Wx: wrong(3, 12) }] }, "layer 1's Wx has shape (3, 12), and must have (2, 12)"],
    [{ ...good, layers: [{ ...layer, bn: wrong(12) }] } as NetworkWeights, "layer 1's bn has shape (12), and must have (4)"],
    [{ ...good, layers: [layer, { ...good.layers[1]!, b: wrong(5) }] }, "layer 2's b has shape (5), and must have (20)"],
    [{ ...good, head: { ...good.head, W: wrong(4, 3) } }, "the head's W has shape (4, 3), and must have (5, 3)"],
    [{ ...good, residual: Int32Array.of(0) }, "residual has 1 features for 3 outputs"],
    [{ ...good, residual: Int32Array.of(0, 2, 1) }, "residual names feature 2, and there are 2"],
    [{ ...good, layers: [] }, "it needs an input, a layer and an output at least"],
  ];
  for (const [weights, reason] of cases) {
    for (const kernel of kernels) {
      t.throws(() => openNetwork(weights, { kernel }), { code: "bad_argument", message: `cannot build a network: ${reason}` });
    }
  }
});

void test("a step takes no memory", measuresHeap, async (t) => {
  const weights = randomNetwork(createRandom(10), { D: 8, O: 8, layers: [{ cell: "gru", H: 16 }], residual: true });
  for (const kernel of kernels) {
    const network = openNetwork(weights, { kernel });
    network.reserve(64);
    const lent = network.lend();
    for (let n = 0; n < 64; n++) lent.slots[n] = n;
    const [slots, x, y] = [Int32Array.from(lent.slots.subarray(0, 64)), new Float32Array(512), new Float32Array(512)];
    const rounds = (count: number): void => {
      for (let i = 0; i < count; i++) {
        network.step(lent.slots, 1, 1, lent.x, lent.y);
        network.step(slots, 64, 1, x, y);
      }
    };
    // The least of a few turns: compiling and collecting go on beside them.
    const taken = Array.from({ length: 8 }, () => {
      const before = process.memoryUsage().heapUsed;
      rounds(2000);
      return Math.abs(process.memoryUsage().heapUsed - before);
    });
    // The smallest object a step would be 64,000 bytes.
    t.ok(Math.min(...taken) < 20_000, `${kernel}: ${taken.join(", ")} bytes in 4000 steps each`);
  }
});
