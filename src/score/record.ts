// Records: a statistic beyond all that it has ever been. Among n values in any order the last is the largest or the least with probability
// 2 / n; how far beyond the others it lies is measured in the span of the others, which asks nothing of their distribution.
import { log } from "../kernels/log.ts";
import { WARM_UP_READINGS } from "./score-part.ts";

/** The least and the largest value so far. */
export const RECORD_FIELDS = 2;
/**
 * This part of the span beyond it makes a value e times less probable. Normal values lie in between 1/50 (a long series) and 1/25; on the
 * benchmark's series anything from 0.01 to 0.03 does as well.
 */
const SPAN_PART = 0.02;
/** The least span, as a part of the values' size: below it a difference is rounding. */
const SPAN_MIN = 1e-9;

/**
 * -ln P of `value`, the `count`th of the statistic whose fields begin at `at`, and takes it in; 0 where it is no record, or
 * one of the first `countMin`.
 */
export function recordSurprise(row: Float64Array, at: number, value: number, count: number, countMin = WARM_UP_READINGS): number {
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
  return log(count / 2) + beyond / (SPAN_PART * span);
}
