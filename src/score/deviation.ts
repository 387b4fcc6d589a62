// How large a difference usually is: a running root mean square that outliers cannot run away with.

/** How many came, and their mean square. */
export const DEVIATION_FIELDS = 2;
const DIFFERENCES_KEPT = 2000;
/** Before this many differences nothing is known of their size. */
const DIFFERENCES_MIN = 20;
/** A difference counts as no more than this many deviations. */
const OUTLIER = 4;

/** `difference` in deviations, of the statistic whose fields begin at `at`, and takes it in; 0 where its size is not known yet. */
export function inDeviations(row: Float64Array, at: number, difference: number): number {
  const count = row[at]! + 1;
  row[at] = count;
  const squares = row[at + 1]!;
  const deviation = Math.sqrt(squares);
  const size = Math.abs(difference);
  const counted = count > DIFFERENCES_MIN ? Math.min(size, OUTLIER * deviation) : size;
  row[at + 1] = squares + (counted * counted - squares) / Math.min(count, DIFFERENCES_KEPT);
  return count > DIFFERENCES_MIN && deviation > 0 ? difference / deviation : 0;
}

/** The square of a number of deviations, as much of it as a power over many may take from one. */
export function boundedSquare(deviations: number): number {
  return Math.min(deviations * deviations, POWER_MAX);
}

const POWER_MAX = 25;
/** Readings that a power is the mean of. */
export const POWER_READINGS = 64;
