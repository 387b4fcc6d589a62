// Float32 values as decimal numbers for JSON: the shortest that reads back as the same float32. A float32 printed as the double it also
// is carries up to 17 digits, of which the last eight say nothing.

const SMALLEST_NORMAL = 2 ** -126;

/**
 * The double with the shortest decimal among those that round to the float32 `value`; NaN and the infinities as they are. Six digits
 * always tell a normal float32's shorter decimals, nine are always enough (IEEE 754-2019, 5.12.2).
 */
export function shortestFloat32(value: number): number {
  if (Number.isInteger(value) && Math.abs(value) <= 2 ** 24) return value;
  if (!Number.isFinite(value)) return value;
  for (let digits = Math.abs(value) < SMALLEST_NORMAL ? 1 : 6; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return Number(value.toPrecision(9));
}
