// The natural logarithm made of additions, multiplications and one division, which IEEE 754 fixes to the bit, as in tanh.ts and for its
// reason.

const bits = new DataView(new ArrayBuffer(8));
const SUBNORMAL_FACTOR = 2 ** 54;
/** ln(2) in two parts: the first times an exponent is exact. */
const LN2_HIGH = 0x162e42 / 2 ** 21;
const LN2_LOW = Math.LN2 - LN2_HIGH + 2.3190468138462996e-17;

/**
 * ln(x) with an error under 4 * 2^-52 of the larger of |ln x| and 2^-1; -Infinity for 0, NaN below 0 and for NaN. With x = m 2^e and m
 * between the roots of 1/2 and 2, ln(m) = 2 artanh((m - 1) / (m + 1)), whose series ends where it is below 2^-55.
 */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : Number.NaN;
  if (x === Infinity) return Infinity;
  let exponent = 0;
  let value = x;
  if (value < 2 ** -1022) {
    value *= SUBNORMAL_FACTOR;
    exponent = -54;
  }
  bits.setFloat64(0, value);
  const high = bits.getUint32(0);
  exponent += (high >>> 20) - 1023;
  bits.setUint32(0, (high & 0x000fffff) | 0x3ff00000);
  let m = bits.getFloat64(0);
  if (m > Math.SQRT2) {
    m /= 2;
    exponent++;
  }
  const s = (m - 1) / (m + 1);
  const v = s * s;
  let series = 1 / 23;
  for (let odd = 21; odd >= 1; odd -= 2) series = series * v + 1 / odd;
  return exponent * LN2_HIGH + (exponent * LN2_LOW + 2 * s * series);
}
