// Records: a statistic beyond all that it has ever been. Among n values in any order the last is the largest or the least with probability
// 2 / n; how far beyond the others it lies is measured in the span of the others, which asks nothing of their distribution.
import { log } from "../kernels/log.ts";
import { WARM_UP_READINGS } from "./score-part.ts";

/** The least and the largest value so far. */
export const RECORD_FIELDS = 2;
/**
 * This part of the span beyond it makes a value e times less probable. Of normal values a record lies beyond the others by a part between
 * 1/50 of their span (a long series) and 1/10 (of a few dozen); on the benchmark's series anything from 0.01 to 0.03 does as well.
 */
const SPAN_PART = 0.02;
const SPAN_PART_OF_FEW = 0.1;
/** The least span, as a part of the values' size: below it a difference is rounding. */
const SPAN_MIN = 1e-9;
/** Readings of a block. */
export const BLOCK_READINGS = 32;
/** Fewer values of a block have no span to speak of. */
const BLOCKS_MIN = 16;

/** -ln P of `value`, the `count`th of the statistic whose fields begin at `at`, and takes it in; 0 where it is no record. */
export function recordSurprise(row: Float64Array, at: number, value: number, count: number): number {
  return surpriseOf(row, at, value, count, WARM_UP_READINGS, SPAN_PART);
}

/** The same for a statistic that comes once in a block of readings. */
export function blockRecordSurprise(row: Float64Array, at: number, value: number, count: number): number {
  return surpriseOf(row, at, value, count, BLOCKS_MIN, SPAN_PART_OF_FEW);
}

function surpriseOf(row: Float64Array, at: number, value: number, count: number, countMin: number, spanPart: number): number {
  if (count <= 1) {
    row[at] = value;
    row[at + 1] = value;
    return 0;
  }
  const least = row[at]!;
  const most = row[at + 1]!;
  if (value >= least && value <= most) return 0;
  const beyond = value > most ? value - most : least - value;
  if (value > most) row[at + 1] = value;
  else row[at] = value;
  if (count <= countMin) return 0;
  const span = Math.max(most - least, SPAN_MIN * Math.max(Math.abs(most), Math.abs(least)), Number.MIN_VALUE);
  return log(count / 2) + beyond / (spanPart * span);
}
