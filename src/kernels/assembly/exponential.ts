// e^x, four at a time: worst relative error against float64 1e-7 of all results that are normal floats (tested), in both builds. NaN
// stays NaN in its own lane, +Infinity gives +Infinity, -Infinity gives 0, and where float32 ends so does the result: to +Infinity above
// 88.72, over the subnormals to 0 below.
//
// x = n ln(2) + r with |r| <= ln(2) / 2; ln(2) in two parts, the first of which has 12 significant bits, so that its product with n is
// exact in the plain build too. e^r = 1 + r + r^2 P(r), P of degree 4 (relative error 3.1e-9, fitted by Lawson's weights), and 2^n is made
// in the exponent's bits.
import { multiplyAdd } from "./multiply-add";

// Limits, 1 / ln(2), -ln(2) in two parts, the coefficients of P from r^4 down, and 1. Loaded by each use, as in activations.ts.
const EXP = memory.data<f32>([
  89, -104, 1.44269504, -0.693115234375, -3.19461833e-5, 0.00138144754, 0.00836877618, 0.0416683927, 0.166665196, 0.49999994, 1,
]);

@inline
function constant(index: usize): v128 {
  return v128.load32_splat(EXP + 4 * index);
}

/** 2^n for whole numbers n from -126 to 127. */
@inline
function powerOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}

@inline
export function exp4(x: v128): v128 {
  // pmin and pmax return their first operand where one is NaN.
  const a = f32x4.pmax(f32x4.pmin(x, constant(0)), constant(1));
  const n = f32x4.nearest(f32x4.mul(a, constant(2)));
  const r = multiplyAdd(n, constant(4), multiplyAdd(n, constant(3), a));
  let p = multiplyAdd(constant(5), r, constant(6));
  p = multiplyAdd(p, r, constant(7));
  p = multiplyAdd(p, r, constant(8));
  p = multiplyAdd(p, r, constant(9));
  const value = f32x4.add(multiplyAdd(f32x4.mul(r, r), p, r), constant(10));
  // In two steps, for n goes from -150 to 128.
  const whole = i32x4.trunc_sat_f32x4_s(n), half = i32x4.shr_s(whole, 1);
  return f32x4.mul(f32x4.mul(value, powerOfTwo(half)), powerOfTwo(i32x4.sub(whole, half)));
}
