// The ends of a network: the exponential, and what regression, Gaussian and classifier heads make of it, on every kernel.
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import { exp } from "../../src/kernels/exp.ts";
import type { HeadKind, NetworkWeights } from "../../src/kernels/network-weights.ts";
import { openNetwork } from "../../src/kernels/open-network.ts";
import { createSimdInstance, hasKernel } from "../../src/kernels/simd-module.ts";
import { tensor, zeros } from "../../src/kernels/tensor.ts";
import { randomNetwork, ReferenceStream } from "./network-fixture.ts";

const kernels = (["relaxed", "plain", "scalar"] as const).filter(hasKernel);

void test("exp is within 4 units of the last place of a double, and has its limits", async (t) => {
  let worst = 0;
  for (let x = -708; x < 709.7; x += 0.00391) {
    const expected = Math.exp(x);
    worst = Math.max(worst, Math.abs(exp(x) - expected) / expected);
  }
  t.ok(worst < 4 * 2 ** -52, `${worst / 2 ** -52} units`);
  for (const x of [Infinity, -Infinity, Number.NaN, 0, -0, 710, -746, 1e300]) t.ok(Object.is(exp(x), Math.exp(x)), `${x}`);
  // Where doubles end: the largest ones, and subnormals down to the least.
  for (const x of [709.78, -720.5, -740, -744.4]) t.ok(Math.abs(exp(x) / Math.exp(x) - 1) < (x > 0 ? 1e-15 : 0.3), `${x}`);
});

void test("the kernels' exp is within 1e-7 of float64 wherever it gives a normal number, and ends where float32 ends", async (t) => {
  for (const kernel of kernels) {
    if (kernel === "scalar") continue;
    const { exports, memory } = createSimdInstance(kernel);
    const count = 4096;
    const [x, y] = [memory.floats.subarray(4096, 4096 + count), memory.floats.subarray(8192, 8192 + count)];
    let worst = 0;
    for (let from = -87.3; from < 88.7; from += count * 2e-5) {
      for (let i = 0; i < count; i++) x[i] = Math.min(from + i * 2e-5, 88.72);
      exports.expAll(4 * 4096, 4 * 8192, count / 4);
      for (let i = 0; i < count; i++) {
        const expected = Math.exp(x[i]!);
        worst = Math.max(worst, Math.abs(y[i]! - expected) / expected);
      }
    }
    t.comment(`${kernel}: exp ${worst.toExponential(3)}`);
    t.ok(worst <= 1e-7, `${kernel}: ${worst}`);
    const limits = [Number.NaN, Infinity, -Infinity, 0, -0, 88.8, 3e38, -104, -3e38, 1e-40, -200, 100];
    x.set(limits);
    exports.expAll(4 * 4096, 4 * 8192, limits.length / 4);
    t.same(
      Array.from(y.subarray(0, limits.length)),
      limits.map((value) => Math.fround(Math.exp(value))),
    );
    x.set([-88, -95, -100, -103]);
    exports.expAll(4 * 4096, 4 * 8192, 1);
    for (let i = 0; i < 4; i++)
      t.ok(Math.abs(y[i]! - Math.exp(x[i]!)) <= 2e-45, `${kernel}: a subnormal to the last place or so`);
  }
});

void test("every head stays beside float64, whatever its number of outputs", async (t) => {
  const worst = { regression: 0, gaussian: 0, classifier: 0 };
  for (const headKind of ["regression", "gaussian", "classifier"] as const) {
    for (let outputs = 1; outputs <= 9; outputs++) {
      const O = headKind === "gaussian" ? 2 * outputs : outputs;
      const random = createRandom(outputs);
      const residual = headKind !== "classifier" && outputs % 2 === 0;
      const weights = randomNetwork(random, { D: 3, O, layers: [{ cell: "gru", H: 6 + outputs }], residual, headKind });
      const x = Float32Array.from({ length: 3 * 200 }, () => 3 * random.normal());
      const reference = new ReferenceStream(weights);
      const expected = Array.from({ length: 200 }, (_, step) => reference.step(x.subarray(3 * step, 3 * step + 3)));
      for (const kernel of kernels) {
        const network = openNetwork(weights, { kernel });
        network.reserve(1);
        const y = new Float32Array(200 * O);
        network.step(Int32Array.of(0), 1, 200, x, y);
        expected.flat().forEach((value, i) => {
          worst[headKind] = Math.max(worst[headKind], Math.abs(y[i]! - value) / Math.max(1, Math.abs(value)));
        });
      }
    }
    t.ok(worst[headKind] < 2e-6, `${headKind}: ${worst[headKind]}`);
  }
});

/** All weights are zero, so that the head gives its bias. */
function biasNetwork(headKind: HeadKind, b: readonly number[], targets: number): NetworkWeights {
  const O = b.length;
  const layer = { cell: "rnn", activation: "tanh", Wx: zeros([1, 3]), Wh: zeros([3, 3]), b: zeros([3]) } as const;
  return {
    xMean: zeros([1]),
    xScale: tensor(Float32Array.of(1), [1]),
    layers: [layer],
    head: { W: zeros([3, O]), b: tensor(Float32Array.from(b), [O]) },
    headKind,
    yMean: tensor(new Float32Array(targets).fill(100), [targets]),
    yScale: tensor(new Float32Array(targets).fill(8), [targets]),
    residual: new Int32Array(),
  };
}

void test("a Gaussian head gives means and standard deviations in units, out of logarithms of variances", async (t) => {
  const bias = [0.5, -1, 2, 0, 2 * Math.log(3), -4];
  for (const kernel of kernels) {
    const network = openNetwork(biasNetwork("gaussian", bias, 3), { kernel });
    network.reserve(2);
    const y = new Float32Array(13).fill(7);
    network.step(Int32Array.of(0, 1), 2, 1, new Float32Array(2), y);
    const expected = [104, 92, 116, 8, 24, 8 * Math.exp(-2)];
    [...expected, ...expected, 7].forEach((value, i) =>
      t.ok(Math.abs(y[i]! - value) < 1e-5, `${kernel}: output ${i} is ${y[i]}`),
    );
  }
});

void test("a classifier gives probabilities that add up to 1, however far its logits are apart", async (t) => {
  for (const kernel of kernels) {
    const probabilities = (...logits: number[]): number[] => {
      const network = openNetwork(biasNetwork("classifier", logits, 0), { kernel });
      network.reserve(1);
      const y = new Float32Array(logits.length + 1).fill(7);
      network.step(Int32Array.of(0), 1, 1, new Float32Array(1), y);
      t.equal(y.at(-1), 7, "what lies behind the classes is left alone");
      return Array.from(y.subarray(0, -1));
    };
    t.same(probabilities(3), [1]);
    t.same(probabilities(0, 0), [0.5, 0.5]);
    t.same(probabilities(-700, -700, -700, -700), [0.25, 0.25, 0.25, 0.25]);
    t.same(probabilities(3e38, 0, -3e38), [1, 0, 0]);
    const many = probabilities(1, 2, 3, 4, 5);
    t.ok(Math.abs(many.reduce((sum, value) => sum + value, 0) - 1) < 3e-7);
    t.ok(Math.abs(many[1]! / many[0]! - Math.E) < 1e-6);
  }
});

void test("a head whose scaling does not fit its outputs is refused", async (t) => {
  const cases: [NetworkWeights, string][] = [
    [
      biasNetwork("gaussian", [1, 2, 3], 1),
      "a gaussian head has a mean and a deviation for each target, and 3 outputs are not pairs",
    ],
    [biasNetwork("gaussian", [1, 2], 2), "yMean has shape (2), and must have (1)"],
    [biasNetwork("classifier", [1, 2], 2), "yMean has shape (2), and must have (0)"],
    [{ ...biasNetwork("classifier", [1, 2], 0), residual: Int32Array.of(0) }, "residual has 1 features for 0 outputs"],
  ];
  for (const [weights, reason] of cases) {
    for (const kernel of kernels) {
      t.throws(() => openNetwork(weights, { kernel }), { code: "bad_argument", message: `cannot build a network: ${reason}` });
    }
  }
});
