// tanh and the logistic sigmoid, four at a time. Absolute errors against float64, worst of all floats (tested):
// tanh 2.1e-7 (and 3.8e-7 relative), sigmoid 1.3e-7, in both builds; neither ever leaves its range. NaN stays NaN in its own lane,
// infinities give the limits exactly, and tanh(-0) is -0.
//
// tanh(x) is made of t = tanh(x / 2) = N / D by the double angle: 2 t / (1 + t^2) = 2 N D / (N^2 + D^2). Near |tanh| = 1 that quotient
// hardly moves with t, so the roundings of N and D, which a plain quotient of polynomials passes on in full, die out, and low degrees
// do: N = x P(x^2) and D = Q(x^2), P of degree 2 and Q of degree 3, are 4.7e-9 from tanh on |x| <= 7.9 (fitted to the whole expression
// by Lawson's weights). From 8.875 on, where 1 - tanh is 4e-8, both builds come to exactly 1.
import { multiplyAdd } from "./multiply-add";

// limit, -limit, P(0) = 1/2, p1, p2, Q(0) = 1, q1, q2, q3. As vectors they are loaded by each use: kept in registers they would drive
// the values out, and an immediate vector costs V8 more than a load.
const TANH = memory.data<f32>([
  8.875, -8.875, 0.5, 0.014916325, 5.77748287e-5, 1, 0.113165952, 1.21274206e-3, 1.25696647e-6,
]);
// The same for x / 2: coefficients times powers of two, which is exact. sigmoid(x) = 1/2 + tanh(x / 2) / 2.
const SIGMOID = memory.data<f32>([
  17.75, -17.75, 0.25, 0.014916325 / 8, 5.77748287e-5 / 32, 1, 0.113165952 / 4, 1.21274206e-3 / 16, 1.25696647e-6 / 64,
]);

@inline
function constant(table: usize, index: usize): v128 {
  return v128.load32_splat(table + 4 * index);
}

/** N D / (N^2 + D^2), or `twice` that: N D is doubled before the division, where nothing waits for it, to the same bits. */
@inline
function halfTanh(x: v128, table: usize, twice: bool): v128 {
  // pmin and pmax return their first operand where one is NaN, and are one instruction each on x86, which min and max are not.
  const a = f32x4.pmax(f32x4.pmin(x, constant(table, 0)), constant(table, 1));
  const u = f32x4.mul(a, a);
  const p = multiplyAdd(multiplyAdd(constant(table, 4), u, constant(table, 3)), u, constant(table, 2));
  const q = multiplyAdd(multiplyAdd(constant(table, 8), u, constant(table, 7)), u, constant(table, 6));
  const d = multiplyAdd(q, u, constant(table, 5));
  const n = f32x4.mul(a, p);
  const product = f32x4.mul(n, d);
  return f32x4.div(twice ? f32x4.add(product, product) : product, multiplyAdd(n, n, f32x4.mul(d, d)));
}

@inline
export function tanh4(x: v128): v128 {
  return halfTanh(x, TANH, true);
}

@inline
export function sigmoid4(x: v128): v128 {
  return f32x4.add(constant(TANH, 2), halfTanh(x, SIGMOID, false));
}
