// Linear regression by its normal equations, in double precision, with a small ridge that keeps them solvable where inputs repeat each
// other.
import assert from "node:assert/strict";

/** Collects rows, then gives the weights that minimise sum((target - w x)^2) / rows + ridge * sum(w^2). */
export class LeastSquares {
  readonly #width: number;
  readonly #products: Float64Array;
  readonly #sums: Float64Array;
  #rows = 0;

  constructor(width: number) {
    this.#width = width;
    this.#products = new Float64Array(width * width);
    this.#sums = new Float64Array(width);
  }

  /** `x` has `width` values and is only read. */
  add(x: Float64Array, target: number): void {
    this.#rows++;
    for (let i = 0; i < this.#width; i++) {
      this.#sums[i]! += x[i]! * target;
      for (let j = 0; j <= i; j++) this.#products[i * this.#width + j]! += x[i]! * x[j]!;
    }
  }

  /** By Cholesky's decomposition of X'X / rows + ridge I, which is positive definite for a ridge above 0. Takes at least one row. */
  solve(ridge: number): Float64Array {
    assert(this.#rows > 0 && ridge > 0, "there are rows and a ridge");
    const n = this.#width;
    const lower = this.#products.map((product) => product / this.#rows);
    for (let i = 0; i < n; i++) lower[i * n + i]! += ridge;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = lower[i * n + j]!;
        for (let k = 0; k < j; k++) sum -= lower[i * n + k]! * lower[j * n + k]!;
        lower[i * n + j] = i === j ? Math.sqrt(Math.max(sum, ridge * Number.EPSILON)) : sum / lower[j * n + j]!;
      }
    }
    const weights = this.#sums.map((sum) => sum / this.#rows);
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < i; k++) weights[i]! -= lower[i * n + k]! * weights[k]!;
      weights[i]! /= lower[i * n + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      for (let k = i + 1; k < n; k++) weights[i]! -= lower[k * n + i]! * weights[k]!;
      weights[i]! /= lower[i * n + i]!;
    }
    return weights;
  }
}
