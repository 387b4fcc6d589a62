// The one place where the two builds differ. The relaxed build, compiled with --enable relaxed-simd, rounds a multiply-add once where
// the processor has an instruction for it; the plain build always rounds the product and then the sum.

/** a * b + c, lane by lane. */
@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Four weights at `weights + offset` times the value that all lanes of `value` hold, plus `sum`. */
@inline
export function plus(sum: v128, value: v128, weights: usize, offset: usize): v128 {
  return multiplyAdd(v128.load(weights + offset), value, sum);
}
