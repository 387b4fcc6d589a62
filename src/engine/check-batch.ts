// What every engine refuses before it touches a state: a batch whose buffers are shorter than its counts say.
import { HiddenstateError } from "../base/errors.ts";
import { describeShape } from "../kernels/tensor.ts";
import type { ModelSpec } from "../model/spec.ts";
import type { StepBatch } from "./engine.ts";

function expectCount(value: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new HiddenstateError("bad_argument", `cannot step a batch: it has ${value} ${what}, and takes at least 1`);
  }
}

function expectLength(length: number, name: string, T: number, N: number, width: number): void {
  if (length < T * N * width) {
    const shape = describeShape([T, N, width]);
    throw new HiddenstateError("bad_argument", `cannot step a batch: ${name} has ${length} values, and its shape is ${shape}`);
  }
}

/** Throws `bad_argument` where `slots`, `x` `(T, N, D)` or `y` `(T, N, O)` is shorter than the batch says, or a count is no count. */
export function checkBatch(spec: ModelSpec, { slots, count, steps, x, y }: StepBatch): void {
  expectCount(count, "streams");
  expectCount(steps, "steps");
  if (slots.length < count) {
    throw new HiddenstateError("bad_argument", `cannot step a batch: it has ${count} streams and ${slots.length} slots`);
  }
  expectLength(x.length, "x", steps, count, spec.features.length);
  expectLength(y.length, "y", steps, count, spec.outputs.length);
}
