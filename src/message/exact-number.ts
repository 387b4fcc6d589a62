// 64-bit integers as protobufjs hands them out, a number or a Long, turned into numbers: identities and times without ever rounding.

interface LongBits {
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

/** The exact value; undefined where it is further from 0 than 2^53 - 1. */
export function exactNumber(value: number | LongBits): number | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : undefined;
  const high = value.unsigned ? value.high >>> 0 : value.high;
  // Beyond 21 bits of high word the product is rounded, but then the sum is out of range, too.
  const exact = high * 2 ** 32 + (value.low >>> 0);
  return Number.isSafeInteger(exact) ? exact : undefined;
}

/** The nearest number. `signed`: in two's complement. */
export function roundedNumber(value: number | LongBits, signed = false): number {
  if (typeof value === "number") return value;
  return (signed ? value.high | 0 : value.high >>> 0) * 2 ** 32 + (value.low >>> 0);
}
