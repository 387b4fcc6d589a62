// The losses by hand-worked values, by what they do with missing targets and wild outputs, and by what they say to wrong callers.
// Their gradients are held against differences in gradient-check.test.ts, and both against PyTorch in parity/.
import { test } from "tap";
import { tensor, zeros } from "../../src/kernels/tensor.ts";
import type { Tensor } from "../../src/kernels/tensor.ts";
import { CrossEntropy } from "../../src/nn/cross-entropy.ts";
import { GaussianNLL } from "../../src/nn/gaussian-nll.ts";
import { HuberLoss } from "../../src/nn/huber-loss.ts";
import type { Loss } from "../../src/nn/loss.ts";
import { createRandom } from "../../src/base/random.ts";
import { MeanSquaredError } from "../../src/nn/mean-squared-error.ts";
import { heapGrowth } from "../support/heap-growth.ts";
import { measuresHeap } from "../support/emulation.ts";

type Tensor64 = Tensor<Float64Array>;

/** `(N, T, width)` of the values in order. */
function rows(shape: [number, number, number], ...values: number[]): Tensor64 {
  return tensor(Float64Array.from(values), shape);
}

function near(actual: ArrayLike<number>, expected: readonly number[]): boolean {
  return actual.length === expected.length && expected.every((value, i) => Math.abs(actual[i]! - value) < 1e-12);
}

void test("the mean squared error over float32 has the bits of its formula in double precision, missing targets and NaN among them", async (t) => {
  const random = createRandom(7);
  const loss = new MeanSquaredError();
  for (const count of [1, 2, 3, 4, 5, 7, 8, 400, 403, 1]) {
    for (const share of [0, 0.3, 1]) {
      const draw = (): number => 4 * random.normal();
      const ys = tensor(Float32Array.from({ length: count }, draw), [1, 1, count]);
      const targets = tensor(
        Float32Array.from({ length: count }, () => (random.next() < share ? Number.NaN : draw())),
        [1, 1, count],
      );
      if (count === 403) ys.data[5] = Number.NaN;
      const known = Math.max(targets.data.filter((target) => !Number.isNaN(target)).length, 1);
      let sum = 0;
      const expected = new Float32Array(count);
      for (let i = 0; i < count; i++) {
        const difference = Number.isNaN(targets.data[i]!) ? 0 : ys.data[i]! - targets.data[i]!;
        sum += difference * difference;
        expected[i] = (2 * difference) / known;
      }
      t.ok(Object.is(loss.forward(ys, targets), sum / known), `${count} values, ${share} missing`);
      t.same(loss.backward().data, expected, `${count} values, ${share} missing`);
    }
  }
});

void test("Huber is quadratic up to delta and linear from there, with gradients bounded by delta", async (t) => {
  const loss = new HuberLoss<Float64Array>(2);
  const value = loss.forward(rows([1, 4, 1], 1, -3, 2, 0), rows([1, 4, 1], 0, 2, 0, 0));
  // d = 1, -5, 2 and 0: 1/2, 2 (5 - 1), 4/2, 0.
  t.equal(value, (0.5 + 8 + 2 + 0) / 4);
  t.same(Array.from(loss.backward().data), [1 / 4, -2 / 4, 2 / 4, 0]);
  t.equal(new HuberLoss<Float64Array>().forward(rows([1, 1, 1], 3), rows([1, 1, 1], 0)), 2.5, "delta is 1 unless given");
});

void test("the Gaussian likelihood is that of mu and e^s, means first and then logarithms of variances", async (t) => {
  const loss = new GaussianNLL<Float64Array>();
  const [s0, s1] = [Math.log(4), Math.log(0.25)];
  const value = loss.forward(rows([1, 1, 4], 1, 2, s0, s1), rows([1, 1, 2], 3, 2));
  t.ok(Math.abs(value - (s0 + 4 / 4 + s1 + 0) / 4) < 1e-12);
  t.ok(near(loss.backward().data, [-2 / 4 / 2, 0, (1 - 1) / 4, (1 - 0) / 4]));
});

void test("no variance below 1e-6 counts, and the gradient passes through that bound as PyTorch's does", async (t) => {
  const loss = new GaussianNLL<Float64Array>();
  const s = Math.log(1e-7);
  const met = loss.forward(rows([1, 1, 2], 5, s), rows([1, 1, 1], 5));
  t.ok(Math.abs(met - Math.log(1e-6) / 2) < 1e-12);
  t.ok(near(loss.backward().data, [0, 0.5 * 0.1]));
  loss.forward(rows([1, 1, 2], 5, s), rows([1, 1, 1], 5 + 1e-2));
  t.ok(loss.backward().data[1]! < 0, "missed by ten standard deviations, the variance is pushed up");
  t.ok(Number.isFinite(loss.forward(rows([1, 1, 2], 0, -2000), rows([1, 1, 1], 0))));
});

void test("the cross entropy is -log of the softmax at the class, also where e^y would overflow", async (t) => {
  const loss = new CrossEntropy<Float64Array>();
  const value = loss.forward(rows([1, 2, 3], 0, Math.log(2), Math.log(5), 1000, 999, -1000), rows([1, 2, 1], 1, 0));
  const second = Math.log(1 + Math.exp(-1));
  t.ok(Math.abs(value - (-Math.log(2 / 8) + second) / 2) < 1e-12);
  const p = 1 / (1 + Math.exp(-1));
  t.ok(near(loss.backward().data, [1 / 16, (2 / 8 - 1) / 2, 5 / 16, (p - 1) / 2, (1 - p) / 2, 0]));
});

void test("the cross entropy of the last step sees no other, and gives no other a gradient", async (t) => {
  const loss = new CrossEntropy<Float64Array>({ steps: "last" });
  const ys = rows([2, 2, 2], 9, -9, 0, Math.log(3), 7, 7, Math.log(3), 0);
  const value = loss.forward(ys, rows([2, 1, 1], 1, 1));
  t.ok(Math.abs(value - (-Math.log(3 / 4) - Math.log(1 / 4)) / 2) < 1e-12);
  t.ok(near(loss.backward().data, [0, 0, 1 / 8, -1 / 8, 0, 0, 3 / 8, -3 / 8]));
  ys.data[0] = -100;
  t.equal(loss.forward(ys, rows([2, 1, 1], 1, 1)), value);
});

interface Case {
  readonly loss: () => Loss<Float64Array>;
  readonly outputs: number;
  readonly targets: number;
}

const cases: Record<string, Case> = {
  MeanSquaredError: { loss: () => new MeanSquaredError(), outputs: 2, targets: 2 },
  HuberLoss: { loss: () => new HuberLoss(), outputs: 2, targets: 2 },
  GaussianNLL: { loss: () => new GaussianNLL(), outputs: 2, targets: 1 },
  CrossEntropy: { loss: () => new CrossEntropy(), outputs: 2, targets: 1 },
};

for (const [name, { loss: build, outputs, targets: width }] of Object.entries(cases)) {
  void test(`${name}: a missing target takes no part, its output may be anything, and none left is a loss of 0`, async (t) => {
    const ys = rows([1, 3, outputs], ...Array.from({ length: 3 * outputs }, (_, i) => Math.sin(i + 1)));
    const targets = rows([1, 3, width], ...Array.from({ length: 3 * width }, (_, i) => i % 2));
    const [first, last] = [0, 2].map((step) => [
      rows([1, 1, outputs], ...ys.data.subarray(step * outputs, (step + 1) * outputs)),
      rows([1, 1, width], ...targets.data.subarray(step * width, (step + 1) * width)),
    ]) as [[Tensor64, Tensor64], [Tensor64, Tensor64]];
    const loss = build();
    const alone = (build().forward(...first) + build().forward(...last)) / 2;
    targets.data.fill(Number.NaN, width, 2 * width);
    ys.data.fill(Number.NaN, outputs, 2 * outputs);
    t.ok(Math.abs(loss.forward(ys, targets) - alone) < 1e-12);
    const dys = loss.backward().data;
    t.ok(dys.subarray(outputs, 2 * outputs).every((value) => value === 0));
    t.ok(dys.subarray(0, outputs).some((value) => value !== 0));
    targets.data.fill(Number.NaN);
    t.equal(loss.forward(ys, targets), 0);
    t.ok(loss.backward().data.every((value) => value === 0));
  });

  void test(`${name}: an output of NaN makes a loss and a gradient of NaN`, async (t) => {
    const loss = build();
    const ys = rows([1, 1, outputs], ...Array.from({ length: outputs }, () => 0.5));
    ys.data[0] = Number.NaN;
    t.ok(Number.isNaN(loss.forward(ys, rows([1, 1, width], ...Array.from({ length: width }, () => 1)))));
    t.ok(Number.isNaN(loss.backward().data[0]!));
  });

  void test(`${name}: a backward needs a forward of its own`, async (t) => {
    const loss = build();
    t.throws(() => loss.backward(), {
      code: "unavailable",
      message: `cannot run ${name} backward: no forward came before it; call forward first`,
    });
    loss.forward(rows([1, 1, outputs], 0, 0), rows([1, 1, width], ...[0, 0].slice(0, width)));
    loss.backward();
    t.throws(() => loss.backward(), {
      code: "unavailable",
      message: `cannot run ${name} backward: the last forward has had its backward; call forward again first`,
    });
  });

  void test(`${name}: takes no memory for a shape that it has seen`, measuresHeap, async (t) => {
    const loss = build();
    const ys = rows([2, 40, outputs], ...Array.from({ length: 80 * outputs }, (_, i) => Math.sin(i)));
    const targets = rows([2, 40, width], ...Array.from({ length: 80 * width }, (_, i) => i % 2));
    const growth = heapGrowth(() => {
      loss.forward(ys, targets);
      loss.backward();
    });
    // A number that leaves a function may be boxed, 16 bytes; one for each of the 80 rows would be 128,000.
    t.ok(growth - heapGrowth(() => {}) < 100 * 16 * 10, `100 calls took ${growth} bytes`);
  });
}

void test("losses refuse targets that do not fit, with the shape and the remedy", async (t) => {
  const refused: [() => unknown, string][] = [
    [() => new HuberLoss(0), "cannot build HuberLoss: delta is 0; it must be above 0 and finite"],
    [
      () => new HuberLoss().forward(zeros([1, 2, 1]), zeros([1, 2, 2])),
      "cannot take the Huber loss: targets has shape (1, 2, 2), not (1, 2, 1); pass one target for each output",
    ],
    [
      () => new GaussianNLL().forward(zeros([1, 2, 3]), zeros([1, 2, 1])),
      "cannot take the Gaussian likelihood: ys has shape (1, 2, 3), not (N, T, 2K); build the head with two outputs for each target",
    ],
    [
      () => new GaussianNLL().forward(zeros([1, 2, 4]), zeros([1, 2, 4])),
      "cannot take the Gaussian likelihood: targets has shape (1, 2, 4), not (1, 2, 2); pass one target for each mean",
    ],
    [
      () => new CrossEntropy().forward(zeros([1, 2, 3]), zeros([1, 2, 3])),
      "cannot take the cross entropy: targets has shape (1, 2, 3), not (1, 2, 1); pass the number of a class for each step",
    ],
    [
      () => new CrossEntropy({ steps: "last" }).forward(zeros([2, 4, 3]), zeros([2, 4, 1])),
      "cannot take the cross entropy: targets has shape (2, 4, 1), not (2, 1, 1); pass the number of a class for each sequence",
    ],
    [
      () => new CrossEntropy().forward(zeros([1, 2, 3]), tensor(Float32Array.of(0, 3), [1, 2, 1])),
      "cannot take the cross entropy: targets has 3 at 1, and there are 3 classes; " +
        "pass whole numbers from 0 to 2, or NaN where the class is not known",
    ],
    [
      () => new CrossEntropy().forward(zeros([1, 1, 3]), tensor(Float32Array.of(0.5), [1, 1, 1])),
      "cannot take the cross entropy: targets has 0.5 at 0, and there are 3 classes; " +
        "pass whole numbers from 0 to 2, or NaN where the class is not known",
    ],
  ];
  for (const [call, message] of refused) t.throws(call, { code: "bad_argument", message });
});
