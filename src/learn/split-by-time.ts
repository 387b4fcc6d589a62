// Cuts a table into what a model learns from, what it is chosen on and what it is judged on: the past, what came after, and what came last.
// The parts are views of separate rows, so that whoever holds one cannot see another.
import { HiddenstateError } from "../base/errors.ts";
import { sliceStream } from "../message/reading-table.ts";
import type { ReadingTable, TableStream } from "../message/reading-table.ts";

/** Fractions of all rows; above 0, and 1 together. */
export interface Split {
  readonly train: number;
  readonly validation: number;
  readonly test: number;
}

export interface TableParts {
  readonly train: ReadingTable;
  readonly validation: ReadingTable;
  readonly test: ReadingTable;
}

/** Fractions such as 0.6 + 0.1 + 0.3 do not add up to the last bit. */
const ROUNDING = 1e-6;

/** The time of each row, or of the latest row before it where that is later: rows that go back in time stay behind those they follow. */
function risingTimes({ times }: TableStream): Float64Array {
  let latest = Number.NEGATIVE_INFINITY;
  return times.map((time) => (latest = Math.max(latest, time)));
}

/** How many rows of each stream are among the first `rank` of all. Rows of one moment are taken stream by stream. */
function rowsBefore(rising: readonly Float64Array[], sorted: Float64Array, rank: number): number[] {
  const moment = sorted[rank] ?? Number.POSITIVE_INFINITY;
  const before = rising.map((times) => countWhile(times, (time) => time < moment));
  let left = rank - before.reduce((sum, count) => sum + count, 0);
  return rising.map((times, index) => {
    const atMoment = countWhile(times, (time) => time <= moment) - before[index]!;
    const taken = Math.min(left, atMoment);
    left -= taken;
    return before[index]! + taken;
  });
}

/** How many values at the front of `times` hold, by bisection: those that hold come first. */
function countWhile(times: Float64Array, holds: (time: number) => boolean): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(times[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function checkSplit({ train, validation, test }: Split): void {
  const all = [train, validation, test];
  if (all.every((fraction) => fraction > 0) && Math.abs(train + validation + test - 1) <= ROUNDING) return;
  throw new HiddenstateError(
    "bad_argument",
    `cannot split by ${all.join(", ")}: the fractions of training, validation and test must be above 0 and add up to 1, as 0.6, 0.2, 0.2`,
  );
}

/**
 * One moment ends the training part of all streams, and another the validation part, so that no stream's model has seen what happened to
 * another later on. In one stream these are its first rows, in their order. A stream without rows in a part is not in it. Throws
 * `bad_argument` on fractions that cannot be.
 */
export function splitByTime(table: ReadingTable, split: Split): TableParts {
  checkSplit(split);
  const rising = table.streams.map(risingTimes);
  const total = rising.reduce((sum, times) => sum + times.length, 0);
  const sorted = new Float64Array(total);
  let at = 0;
  for (const times of rising) {
    sorted.set(times, at);
    at += times.length;
  }
  sorted.sort();
  const rankOf = (fraction: number): number => Math.floor(total * fraction + ROUNDING);
  const trainEnds = rowsBefore(rising, sorted, rankOf(split.train));
  const validationEnds = rowsBefore(rising, sorted, rankOf(split.train + split.validation));
  const part = (from: (index: number) => number, to: (index: number) => number): ReadingTable => ({
    features: table.features,
    streams: table.streams
      .map((stream, index) => sliceStream(stream, from(index), to(index)))
      .filter((stream) => stream.count > 0),
  });
  return {
    train: part(
      () => 0,
      (index) => trainEnds[index]!,
    ),
    validation: part(
      (index) => trainEnds[index]!,
      (index) => validationEnds[index]!,
    ),
    test: part(
      (index) => validationEnds[index]!,
      (index) => table.streams[index]!.count,
    ),
  };
}
