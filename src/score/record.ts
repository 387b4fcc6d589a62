// Records: a statistic beyond all that it has ever been. Among n values in any order the last is the largest or the least with probability
// 2 / n; how far beyond the others it lies is measured in the span of the others, which asks nothing of their distribution.
import { log } from "../kernels/log.ts";
import { WARM_UP_READINGS } from "./score-part.ts";

/** The least and the largest value so far. */
export const RECORD_FIELDS = 2;
/**
 * P = 2 / n^(1 + steepness * r) for a record r spans beyond the others. Of n normal values the mean excess of a record is about 1 / (3 ln n)
 * of their span, which a steepness of 3 says; what sensors measure has ends, and falls off faster: on the benchmark's series 5 and 6 do
 * best. Means and powers of blocks are near to normal.
 */
const STEEPNESS = 5;
const STEEPNESS_OF_BLOCKS = 3;
/** The least span, as a part of the values' size: below it a difference is rounding. */
const SPAN_MIN = 1e-9;
/** An edge moves by no more than this many spans at once: a glitch, however far off, must not blind the check for good. */
const SPANS_TAKEN = 1;
/** Readings of a block. */
export const BLOCK_READINGS = 32;
/** Fewer values of a block have no span to speak of. */
const BLOCKS_MIN = 16;

/** -ln P of `value`, the `count`th of the statistic whose fields begin at `at`, and takes it in; 0 where it is no record. */
export function recordSurprise(row: Float64Array, at: number, value: number, count: number): number {
  return surpriseOf(row, at, value, count, WARM_UP_READINGS, STEEPNESS);
}

/** The same for a statistic that comes once in a block of readings. */
export function blockRecordSurprise(row: Float64Array, at: number, value: number, count: number): number {
  return surpriseOf(row, at, value, count, BLOCKS_MIN, STEEPNESS_OF_BLOCKS);
}

function surpriseOf(row: Float64Array, at: number, value: number, count: number, countMin: number, steepness: number): number {
  if (count <= 1) {
    row[at] = value;
    row[at + 1] = value;
    return 0;
  }
  const least = row[at]!;
  const most = row[at + 1]!;
  if (value >= least && value <= most) return 0;
  const beyond = value > most ? value - most : least - value;
  const span = Math.max(most - least, SPAN_MIN * Math.max(Math.abs(most), Math.abs(least)), Number.MIN_VALUE);
  // What never moved has no span to go by.
  const taken = count > countMin && most > least ? Math.min(beyond, SPANS_TAKEN * span) : beyond;
  if (value > most) row[at + 1] = most + taken;
  else row[at] = least - taken;
  return count > countMin ? log(count) * (1 + (steepness * beyond) / span) - Math.LN2 : 0;
}
