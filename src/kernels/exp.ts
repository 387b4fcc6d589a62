// The exponential made of additions, multiplications and one division, which IEEE 754 fixes to the bit, as in tanh.ts and for its reason.

/** ln(2) / 2 in two parts. The first has 21 significant bits, so its product with a whole number below 2^32 is exact. */
const STEP_HIGH = 0x162e42 / 2 ** 22;
const STEP_LOW = Math.LN2 / 2 - STEP_HIGH + 1.1595234069231498e-17;
/** e^x is over the largest double above the first, and nearer to 0 than to the least one below the second. */
const OVERFLOW = 709.79;
const UNDERFLOW = -745.14;
/** 2^-538 to 2^512, the halves of every exponent there is. */
const POWERS_OF_TWO = new Float64Array(1051);
const ONE_AT = 538;
POWERS_OF_TWO[ONE_AT] = 1;
for (let n = ONE_AT; n + 1 < POWERS_OF_TWO.length; n++) POWERS_OF_TWO[n + 1] = 2 * POWERS_OF_TWO[n]!;
for (let n = ONE_AT; n > 0; n--) POWERS_OF_TWO[n - 1] = POWERS_OF_TWO[n]! / 2;

/**
 * e^x with a relative error under 4 * 2^-52, in the subnormal range to the last place; NaN gives NaN. With x = n ln(2) + 2 u and
 * |u| <= ln(2)/4, e^(2u) = (1 + tanh(u)) / (1 - tanh(u)), and tanh(u) is its continued fraction (Lambert) cut after u^2/11.
 */
export function exp(x: number): number {
  if (!(x < OVERFLOW)) return x >= OVERFLOW ? Infinity : Number.NaN;
  if (x < UNDERFLOW) return 0;
  const n = Math.floor(x / Math.LN2 + 0.5);
  const u = 0.5 * x - n * STEP_HIGH - n * STEP_LOW;
  const v = u * u;
  const p = u * (10395 + v * (1260 + v * 21));
  const q = 10395 + v * (4725 + v * (210 + v));
  const half = n >> 1;
  // In two steps: 2^1024 is no double, and 2^-1075 neither.
  return ((q + p) / (q - p)) * POWERS_OF_TWO[ONE_AT + half]! * POWERS_OF_TWO[ONE_AT + n - half]!;
}
