// How an optimizer's learning rate goes over a training. Schedules are functions of the number of steps taken, so that a resumed training
// needs only that number; only the one that watches a loss has something to remember. Whoever trains sets `optimizer.learningRate`.
import { HiddenstateError } from "../base/errors.ts";
import { checkRange } from "./optimizer.ts";

/** The learning rate of step `step`, counted from 0: optimizer steps or epochs, as the caller counts. */
export type LearningRate = (step: number) => number;

/** The same rate at every step. Throws `bad_argument` where it is negative. */
export function constantRate(rate: number): LearningRate {
  checkRange("make a learning rate", "rate", rate, 0, Infinity);
  return () => rate;
}

/** `rate` times `factor` once every `every` steps. */
export function stepRate(rate: number, every: number, factor: number): LearningRate {
  checkRange("make a learning rate", "rate", rate, 0, Infinity);
  checkRange("make a learning rate", "factor", factor, 0, Infinity);
  checkCount("every", every);
  return (step) => rate * factor ** Math.floor(step / every);
}

/** Half a cosine from `rate` at step 0 down to `least` at step `steps`, and `least` from there on (Loshchilov and Hutter, 2017). */
export function cosineRate(rate: number, steps: number, least = 0): LearningRate {
  checkRange("make a learning rate", "rate", rate, 0, Infinity);
  checkRange("make a learning rate", "least", least, 0, Infinity);
  checkCount("steps", steps);
  return (step) => least + ((rate - least) * (1 + Math.cos((Math.PI * Math.min(step, steps)) / steps))) / 2;
}

/** A straight line up to `after`'s start over the first `steps` steps, 1 / (steps + 1) of it at step 0; then `after`, from its step 0. */
export function warmUp(steps: number, after: LearningRate): LearningRate {
  checkCount("steps", steps);
  return (step) => (step < steps ? (after(0) * (step + 1)) / (steps + 1) : after(step - steps));
}

/** When a rate falls, and by how much. */
export interface PlateauOptions {
  /** What the rate is multiplied by. Default 0.1. */
  readonly factor?: number;
  /** How many losses in a row that are no better than the best are borne. Default 10. */
  readonly patience?: number;
  /** The share of the best loss by which a loss has to be lower to be better. Default 1e-4. */
  readonly threshold?: number;
  /** The rate never falls below it. Default 0. */
  readonly least?: number;
}

/** What ReduceOnPlateau remembers, to go on from. */
export interface PlateauState {
  readonly rate: number;
  readonly best: number;
  readonly worse: number;
}

/** Lowers the rate when a loss, usually that of the validation rows after each epoch, has stopped falling, as PyTorch's ReduceLROnPlateau. */
export class ReduceOnPlateau {
  readonly #factor: number;
  readonly #patience: number;
  readonly #threshold: number;
  readonly #least: number;
  #rate: number;
  #best = Infinity;
  /** Losses in a row that were no better. */
  #worse = 0;

  /** Throws `bad_argument` on options out of range. */
  constructor(rate: number, { factor = 0.1, patience = 10, threshold = 1e-4, least = 0 }: PlateauOptions = {}) {
    checkRange("build ReduceOnPlateau", "rate", rate, 0, Infinity);
    checkRange("build ReduceOnPlateau", "factor", factor, 0, 1);
    checkRange("build ReduceOnPlateau", "patience", patience, 0, Infinity);
    checkRange("build ReduceOnPlateau", "threshold", threshold, 0, 1);
    checkRange("build ReduceOnPlateau", "least", least, 0, Infinity);
    this.#factor = factor;
    this.#patience = patience;
    this.#threshold = threshold;
    this.#least = least;
    this.#rate = rate;
  }

  get rate(): number {
    return this.#rate;
  }

  /** Takes note of a loss, and returns the rate from here on. A loss of NaN is no better than any. */
  watch(loss: number): number {
    const bar = this.#best === Infinity ? Infinity : this.#best - Math.abs(this.#best) * this.#threshold;
    if (loss < bar) {
      this.#best = loss;
      this.#worse = 0;
    } else if (++this.#worse > this.#patience) {
      this.#rate = Math.max(this.#least, this.#rate * this.#factor);
      this.#worse = 0;
    }
    return this.#rate;
  }

  getState(): PlateauState {
    return { rate: this.#rate, best: this.#best, worse: this.#worse };
  }

  /** Goes on from what `getState` gave. */
  setState({ rate, best, worse }: PlateauState): void {
    this.#rate = rate;
    this.#best = best;
    this.#worse = worse;
  }
}

function checkCount(name: string, count: number): void {
  if (Number.isInteger(count) && count >= 1) return;
  throw new HiddenstateError(
    "bad_argument",
    `cannot make a learning rate: ${name} is ${count}; it must be a whole number from 1`,
  );
}
