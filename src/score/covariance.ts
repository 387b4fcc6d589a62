// The running covariance of a vector of residuals, as its Cholesky factor: a rank-one update costs F^2 and never loses positive
// definiteness, and a squared Mahalanobis distance is one forward substitution. Above FULL_MAX values only variances are kept.
import type { RowLayout } from "./row-layout.ts";

/** Above it F^2 values a stream would be too many. */
const FULL_MAX = 64;
/** Readings that an average stands for. */
const READINGS_KEPT = 2000;
/** The part of a value's own variance that is put on the diagonal, so that values which always move together never become singular. */
const RIDGE = 1e-3;

export class Covariance {
  readonly #size: number;
  readonly #full: boolean;
  readonly #at: number;
  readonly #scratch: Float64Array;

  constructor(layout: RowLayout, size: number) {
    this.#size = size;
    this.#full = size <= FULL_MAX;
    this.#at = layout.take(1 + (this.#full ? (size * (size + 1)) / 2 : size));
    this.#scratch = new Float64Array(size);
  }

  /** Of values that have been standardised: they start as independent, with variance 1. */
  begin(row: Float64Array): void {
    const at = this.#at;
    row[at] = 0;
    if (!this.#full) row.fill(1, at + 1, at + 1 + this.#size);
    else for (let i = 0; i < this.#size; i++) for (let j = 0; j <= i; j++) row[this.#place(i, j)] = i === j ? 1 : 0;
  }

  #place(i: number, j: number): number {
    return this.#at + 1 + (i * (i + 1)) / 2 + j;
  }

  /** The squared Mahalanobis distance of `values` from 0; `parts` gets what each adds to it, given those before it. */
  distance(row: Float64Array, values: Float64Array, parts: Float64Array): number {
    let sum = 0;
    for (let i = 0; i < this.#size; i++) {
      let rest = values[i]!;
      if (this.#full) {
        for (let j = 0; j < i; j++) rest -= row[this.#place(i, j)]! * this.#scratch[j]!;
        rest /= row[this.#place(i, i)]!;
      } else rest /= Math.sqrt(row[this.#at + 1 + i]!);
      this.#scratch[i] = rest;
      parts[i] = rest * rest;
      sum += rest * rest;
    }
    return sum;
  }

  /** Takes `values` in, times `factor`. */
  add(row: Float64Array, values: Float64Array, factor: number): void {
    const count = row[this.#at]! + 1;
    row[this.#at] = count;
    const weight = 1 / (Math.min(count, READINGS_KEPT) + 2 * this.#size + 1);
    if (!this.#full) {
      for (let i = 0; i < this.#size; i++) {
        const value = values[i]! * factor;
        row[this.#at + 1 + i]! += (value * value + RIDGE - row[this.#at + 1 + i]!) * weight;
      }
      return;
    }
    const keep = Math.sqrt(1 - weight);
    const first = this.#place(0, 0);
    const end = first + (this.#size * (this.#size + 1)) / 2;
    for (let place = first; place < end; place++) row[place]! *= keep;
    const scale = Math.sqrt(weight) * factor;
    for (let i = 0; i < this.#size; i++) this.#scratch[i] = values[i]! * scale;
    this.#update(row, 0);
    // The ridge of one value at a time, in turn: after `size` readings each has had its own.
    const turn = count % this.#size;
    this.#scratch.fill(0);
    this.#scratch[turn] = Math.sqrt(weight * RIDGE * this.#size);
    this.#update(row, turn);
  }

  /** L L' + v v' = L' of the new factor, v in scratch and 0 before `from` (Gill, Golub, Murray and Saunders, 1974). */
  #update(row: Float64Array, from: number): void {
    const v = this.#scratch;
    for (let k = from; k < this.#size; k++) {
      const diagonal = row[this.#place(k, k)]!;
      const next = Math.sqrt(diagonal * diagonal + v[k]! * v[k]!);
      const cosine = next / diagonal;
      const sine = v[k]! / diagonal;
      row[this.#place(k, k)] = next;
      for (let i = k + 1; i < this.#size; i++) {
        const place = this.#place(i, k);
        row[place] = (row[place]! + sine * v[i]!) / cosine;
        v[i] = cosine * v[i]! - sine * row[place];
      }
    }
  }
}
