// Between units and standard deviations: the scaling inside a model's graph. Subtract then divide, never folded into weights:
// 101,325 Pa +- 5 would cancel.
import type { FloatArray, Tensor } from "./tensor.ts";

/** out = (x - mean) / scale, for one row of `mean.data.length` values. */
export function standardise<A extends FloatArray>(
  mean: Tensor<A>,
  scale: Tensor<A>,
  x: A,
  xAt: number,
  out: A,
  outAt: number,
): void {
  const means = mean.data;
  const scales = scale.data;
  for (let i = 0; i < means.length; i++) out[outAt + i] = (x[xAt + i]! - means[i]!) / scales[i]!;
}

/** out = y * scale + mean, for one row of `mean.data.length` values; `out` may be `y` itself. The mirror of `standardise`. */
export function restoreUnits<A extends FloatArray>(
  mean: Tensor<A>,
  scale: Tensor<A>,
  y: A,
  yAt: number,
  out: A,
  outAt: number,
): void {
  const means = mean.data;
  const scales = scale.data;
  for (let i = 0; i < means.length; i++) out[outAt + i] = y[yAt + i]! * scales[i]! + means[i]!;
}

/** out[i] += x[features[i]], for one row: what a residual head's outputs are changes of. Both in units. */
export function addResidual<A extends FloatArray>(features: Int32Array, x: A, xAt: number, out: A, outAt: number): void {
  for (let i = 0; i < features.length; i++) out[outAt + i] = out[outAt + i]! + x[xAt + features[i]!]!;
}
