// A figure that was measured several times: the middle, and how far apart the others lie.

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Of at least one value. */
export function spreadOf(values: readonly number[]): Spread {
  const rising = values.toSorted((a, b) => a - b);
  const middle = rising.length >> 1;
  const median = rising.length % 2 === 1 ? rising[middle]! : (rising[middle - 1]! + rising[middle]!) / 2;
  return { median, least: rising[0]!, most: rising.at(-1)! };
}

/** The value below which a share of them lies; they rise. */
export function quantile(rising: readonly number[], share: number): number {
  return rising[Math.min(rising.length - 1, Math.ceil(share * rising.length) - 1)]!;
}
