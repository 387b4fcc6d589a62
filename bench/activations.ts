// The worst error of the kernels' tanh and sigmoid over every float32 there is, against float64: what src/kernels/assembly/activations.ts
// says of itself. Takes some minutes: node build/bench/activations.js
import { hasKernel, createSimdInstance } from "../src/kernels/simd-module.ts";
import { sigmoid } from "../src/kernels/sigmoid.ts";
import { tanh } from "../src/kernels/tanh.ts";

const COUNT = 1 << 16;
const X_AT = 1 << 16;
/** One beyond the pattern of the infinity of each sign. */
const RANGES = [
  [0, 0x7f80_0001],
  [0x8000_0000, 0xff80_0001],
] as const;

interface Worst {
  error: number;
  at: number;
  relative: number;
  largest: number;
  smallest: number;
}

function sweep(kernel: "relaxed" | "plain", name: "tanhAll" | "sigmoidAll", reference: (x: number) => number): Worst {
  const { exports, memory } = createSimdInstance(kernel);
  // The instance holds no network: the memory behind the first page is ours once there is some.
  exports.open(1, 1, 4 * COUNT);
  const at = exports.numbersAddress();
  const { buffer } = memory.floats;
  const words = new Uint32Array(buffer, at, COUNT);
  const x = new Float32Array(buffer, at, COUNT);
  const y = new Float32Array(buffer, at + 4 * X_AT, COUNT);
  const worst = { error: 0, at: 0, relative: 0, largest: -Infinity, smallest: Infinity };
  for (const [from, to] of RANGES) {
    for (let pattern = from; pattern < to; pattern += COUNT) {
      for (let i = 0; i < COUNT; i++) words[i] = Math.min(pattern + i, to - 1);
      exports[name](at, at + 4 * X_AT, COUNT / 4);
      for (let i = 0; i < COUNT; i++) {
        const expected = reference(x[i]!);
        const error = Math.abs(y[i]! - expected);
        if (error > worst.error) [worst.error, worst.at] = [error, x[i]!];
        // Subnormal numbers have fewer digits, and keep to the absolute error.
        if (Math.abs(x[i]!) > 2e-38) worst.relative = Math.max(worst.relative, error / Math.abs(expected));
        worst.largest = Math.max(worst.largest, y[i]!);
        worst.smallest = Math.min(worst.smallest, y[i]!);
      }
    }
  }
  return worst;
}

for (const kernel of ["relaxed", "plain"] as const) {
  if (!hasKernel(kernel)) continue;
  for (const [name, run, reference] of [
    ["tanh", "tanhAll", tanh],
    ["sigmoid", "sigmoidAll", sigmoid],
  ] as const) {
    const { error, at, relative, largest, smallest } = sweep(kernel, run, reference);
    const bounds = `values from ${smallest} to ${largest}`;
    const relatively = name === "tanh" ? `, relative ${relative.toExponential(3)}` : "";
    console.log(`${kernel} ${name}: ${error.toExponential(4)} at ${at}${relatively}; ${bounds}`);
  }
}
