// How probable a value is that is at least as large as the one seen, learnt from the values themselves. Up to a threshold the survival
// function is taken as exponential; above it, where data are few or none, excesses follow a generalised Pareto distribution
// (peaks over threshold: Pickands, 1975), fitted by its first two moments (Hosking and Wallis, 1987).
import { log } from "../kernels/log.ts";
import type { RowLayout } from "./row-layout.ts";

/** The part of the values that the threshold is meant to leave above it. */
const TAIL_RATE = 0.02;
/** The memory in values, and in excesses, of what is not exact counting. */
const VALUES_KEPT = 10_000;
const EXCESSES_KEPT = 400;
/** One value without equal must not widen the tail to its own measure at once: in means of the excesses. */
const EXCESS_MAX = 10;
/** Shapes beyond these come of chance in few excesses: below, the tail would end; above, variance would be infinite. */
const SHAPE_MIN = -0.1;
const SHAPE_MAX = 0.45;
const INSIDE_MIN = 0.1;
/** What is assumed before there are excesses, worth as many of them: exponential, with the mean that a half-normal value has there. */
const EXCESSES_ASSUMED = 4;

const COUNT = 0;
const THRESHOLD = 1;
const RATE = 2;
const EXCESSES = 3;
const MEAN = 4;
const SQUARES = 5;
const FIELDS = 6;

export class Tail {
  readonly #at: number;

  constructor(layout: RowLayout) {
    this.#at = layout.take(FIELDS);
  }

  /** Values are expected to be about 1 in size, as |z| is; others are learnt. */
  begin(row: Float64Array): void {
    const at = this.#at;
    row.fill(0, at, at + FIELDS);
    row[at + THRESHOLD] = 2.3;
    row[at + RATE] = TAIL_RATE;
    row[at + MEAN] = 0.4;
    row[at + SQUARES] = 0.32;
  }

  /** -ln P(a value >= `value`), by what was seen so far; 0 for a value that is no number. */
  surprise(row: Float64Array, value: number): number {
    const at = this.#at;
    if (!(value > 0)) return 0;
    const threshold = row[at + THRESHOLD]!;
    const atThreshold = -log(row[at + RATE]!);
    if (value <= threshold) return (atThreshold * value) / threshold;
    const mean = row[at + MEAN]!;
    const ratio = (mean * mean) / Math.max(row[at + SQUARES]! - mean * mean, 1e-12 * mean * mean);
    const shape = Math.min(Math.max((1 - ratio) / 2, SHAPE_MIN), SHAPE_MAX);
    const scale = mean * (1 - shape);
    const excess = (value - threshold) / scale;
    if (Math.abs(shape) < 1e-6) return atThreshold + excess;
    const inside = 1 + shape * excess;
    if (inside >= INSIDE_MIN) return atThreshold + log(inside) / shape;
    // Near the end of a tail that ends, the rest goes on as it would with a shape of 0.
    return atThreshold + log(INSIDE_MIN) / shape + (excess - (INSIDE_MIN - 1) / shape);
  }

  /** Takes a value in. */
  add(row: Float64Array, value: number): void {
    if (!(value >= 0 && value < Infinity)) return;
    const at = this.#at;
    const count = Math.min(row[at + COUNT]! + 1, VALUES_KEPT);
    row[at + COUNT] = count;
    const threshold = row[at + THRESHOLD]!;
    const above = value > threshold;
    row[at + RATE]! += ((above ? 1 : 0) - row[at + RATE]!) / (count + 200);
    if (row[at + RATE]! < 1e-4) row[at + RATE] = 1e-4;
    const mean = row[at + MEAN]!;
    if (above) {
      const excesses = Math.min(row[at + EXCESSES]! + 1, EXCESSES_KEPT);
      row[at + EXCESSES] = excesses;
      const excess = Math.min(value - threshold, EXCESS_MAX * mean);
      const weight = 1 / (excesses + EXCESSES_ASSUMED);
      row[at + MEAN]! += (excess - mean) * weight;
      row[at + SQUARES]! += (excess * excess - row[at + SQUARES]!) * weight;
    }
    // Robbins and Monro's search for the quantile, in steps of the tail's own size.
    const step = (mean * 40) / (count + 200);
    row[at + THRESHOLD] = Math.max(threshold + step * ((above ? 1 : 0) - TAIL_RATE), 1e-9);
  }
}
