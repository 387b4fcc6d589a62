// The middle of an odd number of values; of an even number, the upper of the two in the middle.
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
