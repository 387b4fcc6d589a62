// The logistic sigmoid out of the hyperbolic tangent, so that it too is fixed to the bit.
import { tanh } from "./tanh.ts";

/** 1 / (1 + e^-x) = 1/2 + tanh(x / 2) / 2, with an absolute error under 2^-52; NaN gives NaN. */
export function sigmoid(x: number): number {
  return 0.5 + 0.5 * tanh(0.5 * x);
}

/** sigmoid of `values` in place, from `from` to before `to`. */
export function sigmoidInPlace(values: Float64Array, from: number, to: number): void {
  for (let i = from; i < to; i++) values[i] = sigmoid(values[i]!);
}
