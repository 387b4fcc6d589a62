// The plain arithmetic: held against naive sums, and against itself in other orders of calling.
import { performance } from "node:perf_hooks";
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import { addProductTransposed } from "../../src/kernels/add-product-transposed.ts";
import { addProduct } from "../../src/kernels/add-product.ts";
import { affine } from "../../src/kernels/affine.ts";
import { addResidual, restoreUnits, standardise } from "../../src/kernels/standardise.ts";
import { stepRnn } from "../../src/kernels/step-rnn.ts";
import { sumOuterProducts, sumRows } from "../../src/kernels/sum-outer-products.ts";
import { swapLeadingAxes } from "../../src/kernels/swap-leading-axes.ts";
import { tanh } from "../../src/kernels/tanh.ts";
import { copyTensor, tensor, toFloat64, zeros, zeros64, zerosLike } from "../../src/kernels/tensor.ts";
import { randomTensor, randomTensor64 } from "../support/random-tensors.ts";

const bits = (values: Float32Array): number[] => Array.from(new Uint32Array(values.buffer, values.byteOffset, values.length));

// First in the file, while float32 is the only number format that the compiler has seen here, as in a running engine.
void test("prints what a float32 step costs here", async (t) => {
  const random = createRandom(6);
  const [D, H] = [8, 32];
  const weights = { Wx: randomTensor(random, [D, H], 0.2), Wh: randomTensor(random, [H, H], 0.2), b: randomTensor(random, [H]) };
  const x = randomTensor(random, [64, D]).data;
  const h = new Float32Array(H);
  const sums = new Float64Array(H);
  const rounds: number[] = [];
  for (let round = 0; round < 9; round++) {
    const start = performance.now();
    for (let step = 0; step < 10_000; step++) stepRnn(weights, x, (step % 64) * D, h, 0, h, 0, sums);
    rounds.push((performance.now() - start) * 100);
  }
  const median = rounds.toSorted((a, b) => a - b)[4]!;
  t.comment(
    `stepRnn, float32, D = ${D}, H = ${H}, one row: ${median.toFixed(0)} ns a step (median of 9 rounds, ${process.version})`,
  );
  t.ok(h.every((value) => Math.abs(value) < 1));
});

void test("tanh is within 3 units of the last place of a double, over all magnitudes", async (t) => {
  const random = createRandom(1);
  let worst = 0;
  for (let i = 0; i < 400_000; i++) {
    // Uniform in the exponent from 2^-30 to 2^5, and its negative.
    const x = 2 ** (35 * random.next() - 30) * (i % 2 === 0 ? 1 : -1);
    const expected = Math.tanh(x);
    worst = Math.max(worst, Math.abs(tanh(x) - expected) / Math.abs(expected));
  }
  // Math.tanh itself is allowed to be off by one unit or so.
  t.ok(worst < 4 * Number.EPSILON, `relative error ${worst}`);
});

void test("tanh has the limits of a hyperbolic tangent", async (t) => {
  t.equal(tanh(0), 0);
  t.equal(tanh(1e-300), 1e-300);
  t.equal(tanh(20), 1);
  t.equal(tanh(-20), -1);
  t.equal(tanh(Infinity), 1);
  t.equal(tanh(-Infinity), -1);
  t.ok(Number.isNaN(tanh(Number.NaN)));
  t.ok(tanh(17) < 1 && tanh(17) > 1 - 4e-15);
  const random = createRandom(2);
  for (let i = 0; i < 1000; i++) {
    const x = 40 * random.next() - 20;
    if (tanh(-x) !== -tanh(x)) t.fail(`tanh(-${x}) is not -tanh(${x})`);
    if (Math.abs(tanh(x)) > 1) t.fail(`tanh(${x}) is over 1`);
  }
});

void test("tanh has no jump where its pieces meet", async (t) => {
  for (let n = 1; n <= 55; n++) {
    const seam = ((n - 0.5) * Math.LN2) / 2;
    const jump = tanh(seam * (1 + 1e-12)) - tanh(seam * (1 - 1e-12));
    const slope = 1 - Math.tanh(seam) ** 2;
    t.ok(Math.abs(jump - 2e-12 * seam * slope) < 8 * Number.EPSILON, `between pieces ${n - 1} and ${n}: ${jump}`);
  }
});

void test("products equal naive sums in index order, bit for bit in double precision", async (t) => {
  const random = createRandom(3);
  for (const [D, H] of [
    [1, 1],
    [3, 5],
    [4, 4],
    [9, 2],
    [16, 7],
  ] as const) {
    const W = randomTensor64(random, [D, H]).data;
    const x = randomTensor64(random, [2 * D + 3]).data;
    const d = randomTensor64(random, [H + 2]).data;
    const sums = new Float64Array(H).fill(0.25);
    addProduct(sums, H, x, 3, 2, D, W);
    const expected = Float64Array.from({ length: H }, (_, j) => {
      let sum = 0.25;
      for (let i = 0; i < D; i++) sum += x[3 + 2 * i]! * W[i * H + j]!;
      return sum;
    });
    t.same(sums, expected, `x W for ${D} x ${H}`);

    const back = new Float64Array(D + 1).fill(0.5);
    addProductTransposed(back, 1, D, d, 2, H, W);
    const expectedBack = Float64Array.from({ length: D + 1 }, (_, at) => {
      if (at === 0) return 0.5;
      let sum = 0;
      for (let j = 0; j < H; j++) sum += d[2 + j]! * W[(at - 1) * H + j]!;
      return 0.5 + sum;
    });
    t.same(back, expectedBack, `d W^T for ${D} x ${H}`);
  }
});

void test("weight gradients are sums over all rows", async (t) => {
  // x is 3 rows of 2, d is 3 rows of 1.
  const x = Float32Array.of(1, 2, 3, 4, 5, 6);
  const d = Float32Array.of(10, 100, 1000);
  const out = new Float32Array(2).fill(7);
  sumOuterProducts(out, 3, x, 2, d, 1, new Float64Array(1));
  t.same(out, Float32Array.of(5310, 6420), "what was there is overwritten");
  const bias = new Float32Array(2).fill(7);
  sumRows(bias, 3, x, 2, new Float64Array(2));
  t.same(bias, Float32Array.of(9, 12));
});

void test("sums are kept in double precision and rounded once", async (t) => {
  // In float32, 2^24 + 1 is 2^24: rounding in between would lose both ones.
  const sums = new Float64Array(1);
  addProduct(sums, 1, Float32Array.of(2 ** 24, 1, 1), 0, 1, 3, Float32Array.of(1, 1, 1));
  t.equal(sums[0], 2 ** 24 + 2);
});

void test("a step is tanh(b + x Wx + h Wh)", async (t) => {
  const weights = {
    Wx: tensor(Float32Array.of(0.5, -1), [1, 2]),
    Wh: tensor(Float32Array.of(0.25, 0.5, -0.5, 1), [2, 2]),
    b: tensor(Float32Array.of(0.125, 0), [2]),
  };
  const h = Float32Array.of(9, 0.5, -0.25);
  const hNext = new Float32Array(4);
  stepRnn(weights, Float32Array.of(9, 2), 1, h, 1, hNext, 2, new Float64Array(2));
  const expected = [0.125 + 1 + 0.125 + 0.125, -2 + 0.25 - 0.25].map((sum) => Math.fround(Math.tanh(sum)));
  t.same(hNext, Float32Array.of(0, 0, ...expected));
});

void test("a step may write over the state that it read", async (t) => {
  const random = createRandom(4);
  const weights = { Wx: randomTensor(random, [3, 9]), Wh: randomTensor(random, [9, 9]), b: randomTensor(random, [9]) };
  const x = randomTensor(random, [3]).data;
  const h = randomTensor(random, [9]).data;
  const apart = new Float32Array(9);
  const sums = new Float64Array(9);
  stepRnn(weights, x, 0, h, 0, apart, 0, sums);
  stepRnn(weights, x, 0, h, 0, h, 0, sums);
  t.same(bits(h), bits(apart));
});

void test("NaN stays in its own row", async (t) => {
  const random = createRandom(5);
  const weights = { Wx: randomTensor(random, [2, 4]), Wh: randomTensor(random, [4, 4]), b: randomTensor(random, [4]) };
  const states = new Float32Array(8);
  const sums = new Float64Array(4);
  stepRnn(weights, Float32Array.of(Number.NaN, 1), 0, states, 0, states, 0, sums);
  stepRnn(weights, Float32Array.of(1, 1), 0, states, 4, states, 4, sums);
  t.ok(states.subarray(0, 4).every(Number.isNaN));
  t.ok(states.subarray(4).every(Number.isFinite));
});

void test("an affine row is x W + b", async (t) => {
  const weights = { W: tensor(Float32Array.of(1, 2, 3, 4), [2, 2]), b: tensor(Float32Array.of(0.5, -0.5), [2]) };
  const y = new Float32Array(3);
  affine(weights, Float32Array.of(0, 10, 100), 1, y, 1, new Float64Array(2));
  t.same(y, Float32Array.of(0, 310.5, 419.5));
});

void test("scaling subtracts before it divides, so that a pressure keeps its digits", async (t) => {
  const mean = tensor(Float32Array.of(101_325, 20), [2]);
  const scale = tensor(Float32Array.of(5, 2), [2]);
  const out = new Float32Array(2);
  standardise(mean, scale, Float32Array.of(0, 101_327.5, 19), 1, out, 0);
  t.same(out, Float32Array.of(0.5, -0.5));
  restoreUnits(mean, scale, out, 0, out, 0);
  t.same(out, Float32Array.of(101_327.5, 19));
  addResidual(Int32Array.of(2, 0), Float32Array.of(0, 1, 2, 3), 1, out, 0);
  t.same(out, Float32Array.of(101_330.5, 20));
});

void test("leading axes are exchanged, and exchanged back", async (t) => {
  const from = Float32Array.from({ length: 13 }, (_, i) => i - 1);
  const to = new Float32Array(12);
  swapLeadingAxes(from, 1, to, 2, 3, 2);
  t.same(to, Float32Array.of(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11));
  const back = new Float32Array(12);
  swapLeadingAxes(to, 0, back, 3, 2, 2);
  t.same(back, from.subarray(1));
});

void test("tensors keep their number format and never share memory with their copies", async (t) => {
  t.ok(zerosLike(zeros([1]), [2, 3]).data instanceof Float32Array);
  t.ok(zerosLike(zeros64([1]), [2, 3]).data instanceof Float64Array);
  t.equal(zerosLike(zeros([1]), [2, 3]).data.length, 6);
  const original = tensor(Float32Array.of(1, 2), [2]);
  const copy = copyTensor(original);
  const wide = toFloat64(original);
  original.data[0] = 9;
  t.same(copy.data, Float32Array.of(1, 2));
  t.same(wide.data, Float64Array.of(1, 2));
  t.throws(() => tensor(new Float32Array(5), [2, 3]), {
    code: "bad_argument",
    message: "cannot make a tensor of shape (2, 3): it takes 6 values, not 5",
  });
});
