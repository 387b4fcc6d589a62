// The hyperbolic tangent made of additions, multiplications and one division, which IEEE 754 fixes to the bit. ECMA-262 leaves
// Math.tanh to the implementation (21.3.2), so a replayed journal could differ after an update of Node; with this one it cannot.

const INVERSE_STEP = 2 / Math.LN2;
/** ln(2) / 2 in two parts. The first has 21 significant bits, so its product with a whole number below 2^32 is exact. */
const STEP_HIGH = 0x162e42 / 2 ** 22;
const STEP_LOW = Math.LN2 / 2 - STEP_HIGH + 1.1595234069231498e-17;
/** From here on 1 - tanh(x) is under 2^-54, and 1 is the nearest double. */
const SATURATED_AT = 19.1;
const POWERS_OF_TWO = Float64Array.from({ length: 56 }, (_, n) => 2 ** n);

/**
 * tanh(x) with a relative error under 3 * 2^-52; NaN gives NaN. With |x| = n ln(2)/2 + u and |u| <= ln(2)/4, tanh(n ln(2)/2) is exactly
 * (2^n - 1) / (2^n + 1), tanh(u) is its continued fraction (Lambert) cut after u^2/11, a quotient p/q whose error is below 1e-17,
 * and the addition theorem joins the two in one division.
 */
export function tanh(x: number): number {
  const magnitude = x < 0 ? -x : x;
  if (!(magnitude < SATURATED_AT)) return magnitude >= SATURATED_AT ? (x < 0 ? -1 : 1) : Number.NaN;
  const n = (magnitude * INVERSE_STEP + 0.5) | 0;
  const u = magnitude - n * STEP_HIGH - n * STEP_LOW;
  const v = u * u;
  const p = u * (10395 + v * (1260 + v * 21));
  const q = 10395 + v * (4725 + v * (210 + v));
  const power = POWERS_OF_TWO[n]!;
  const value = ((power - 1) * q + (power + 1) * p) / ((power + 1) * q + (power - 1) * p);
  return x < 0 ? -value : value;
}

/** tanh of `values` in place, from `from` to before `to`. A whole row a call: a number that leaves a function may cost memory. */
export function tanhInPlace(values: Float64Array, from: number, to: number): void {
  for (let i = from; i < to; i++) values[i] = tanh(values[i]!);
}
