// The rules that a model must beat to be worth running. They see the rows before a walk where there are any, which a model that starts
// from a blank state does not: a comparison favours them.
import { valueAt } from "./forecaster.ts";
import type { Forecaster, Walk } from "./forecaster.ts";
import { LeastSquares } from "./least-squares.ts";
import type { Series } from "./series.ts";

/** How rows are laid out: D features, and the feature that each of O outputs forecasts. */
export interface RowLayout {
  readonly features: number;
  readonly targets: readonly number[];
  readonly horizon: number;
}

/** It stays as it is. */
export class Persistence implements Forecaster {
  readonly name = "persistence";
  readonly #layout: RowLayout;
  #walk: Walk | undefined;

  constructor(layout: RowLayout) {
    this.#layout = layout;
  }

  begin(walk: Walk): void {
    this.#walk = walk;
  }

  forecast(row: number, into: Float64Array): void {
    const { features, targets } = this.#layout;
    for (let o = 0; o < targets.length; o++) into[o] = valueAt(this.#walk!, features, targets[o]!, row);
  }
}

/** It is as it was one period before, or as it is now where that is not known. */
export class SeasonalNaive implements Forecaster {
  readonly name: string;
  readonly #layout: RowLayout;
  /** Rows from the present one to the latest that is whole periods before the target. */
  readonly #offset: number;
  #walk: Walk | undefined;

  /** `period` in rows, from 1. */
  constructor(layout: RowLayout, period: number) {
    this.name = `seasonal-naive (${period})`;
    this.#layout = layout;
    this.#offset = layout.horizon - Math.ceil(layout.horizon / period) * period;
  }

  begin(walk: Walk): void {
    this.#walk = walk;
  }

  forecast(row: number, into: Float64Array): void {
    const { features, targets } = this.#layout;
    for (let o = 0; o < targets.length; o++) {
      const before = valueAt(this.#walk!, features, targets[o]!, row + this.#offset);
      into[o] = Number.isNaN(before) ? valueAt(this.#walk!, features, targets[o]!, row) : before;
    }
  }
}

const RIDGE = 1e-8;

/** One output's regression on the last values of its own feature, which are standardised for the sake of the ridge. */
interface Regression {
  readonly mean: number;
  readonly deviation: number;
  /** For the latest value, the ones before it, and a constant. */
  readonly weights: Float64Array;
}

/** A linear function of the last `order` values of the output's own feature, fitted by least squares on the training rows. */
export class Autoregression implements Forecaster {
  readonly name: string;
  readonly #layout: RowLayout;
  readonly #order: number;
  readonly #lags: Float64Array;
  readonly #regressions: readonly Regression[];
  #walk: Walk | undefined;

  /** `train` has targets for each output. Rows without `order` values behind them are not fitted. */
  constructor(layout: RowLayout, order: number, train: readonly Series[]) {
    this.name = `autoregression (${order})`;
    this.#layout = layout;
    this.#order = order;
    this.#lags = new Float64Array(order + 1);
    this.#regressions = layout.targets.map((_, o) => this.#fit(o, train));
  }

  begin(walk: Walk): void {
    this.#walk = walk;
  }

  forecast(row: number, into: Float64Array): void {
    for (let o = 0; o < this.#regressions.length; o++) {
      const { mean, deviation, weights } = this.#regressions[o]!;
      this.#readLags(this.#walk!, o, row, mean, deviation);
      let sum = 0;
      for (let k = 0; k <= this.#order; k++) sum += weights[k]! * this.#lags[k]!;
      into[o] = mean + deviation * sum;
    }
  }

  /** A value that is not known is taken for the one after it. Returns whether all were known. */
  #readLags(walk: Walk, output: number, row: number, mean: number, deviation: number): boolean {
    const { features, targets } = this.#layout;
    let known = true;
    for (let k = 0; k < this.#order; k++) {
      const value = valueAt(walk, features, targets[output]!, row - k);
      if (Number.isNaN(value)) known = false;
      this.#lags[k] = Number.isNaN(value) ? this.#lags[k - 1]! : (value - mean) / deviation;
    }
    this.#lags[this.#order] = 1;
    return known;
  }

  #fit(output: number, train: readonly Series[]): Regression {
    const O = this.#layout.targets.length;
    const values: number[] = [];
    for (const { targets } of train) {
      for (let at = output; at < targets.length; at += O) if (!Number.isNaN(targets[at]!)) values.push(targets[at]!);
    }
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / values.length;
    const deviation = Math.sqrt(variance) || 1;
    const equations = new LeastSquares(this.#order + 1);
    const fitted = this.#addRows(equations, output, train, { mean, deviation, wholeOnly: true });
    // Where values are so often missing that no row has all its lags, rows with stand-ins are better than none.
    if (fitted === 0) this.#addRows(equations, output, train, { mean, deviation, wholeOnly: false });
    return { mean, deviation, weights: equations.solve(RIDGE) };
  }

  #addRows(
    equations: LeastSquares,
    output: number,
    train: readonly Series[],
    { mean, deviation, wholeOnly }: { mean: number; deviation: number; wholeOnly: boolean },
  ): number {
    const O = this.#layout.targets.length;
    let fitted = 0;
    for (const series of train) {
      for (let row = 0; row < series.count; row++) {
        const target = series.targets[row * O + output]!;
        if (Number.isNaN(target)) continue;
        const known = this.#readLags({ series, past: undefined }, output, row, mean, deviation);
        if (wholeOnly && !known) continue;
        equations.add(this.#lags, (target - mean) / deviation);
        fitted++;
      }
    }
    return fitted;
  }
}
