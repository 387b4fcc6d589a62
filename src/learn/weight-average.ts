// The running average of weights over the steps of an optimizer (Polyak and Juditsky, 1992, with exponential weights): it lies in the
// middle of what single steps jump around, and so does better on readings that were not trained on.
import type { Tensor } from "../kernels/tensor.ts";

export class WeightAverage {
  readonly #params: readonly Tensor[];
  readonly #averages: readonly Float64Array[];
  readonly #keep: number;
  #steps = 0;

  /** `params` are lent and read at each `add`. An average keeps the part `keep` of itself, less in its first steps. */
  constructor(params: readonly Tensor[], keep: number) {
    this.#params = params;
    this.#averages = params.map(({ data }) => Float64Array.from(data));
    this.#keep = keep;
  }

  /** Takes in the params as they stand after an optimizer's step. */
  add(): void {
    this.#steps++;
    const keep = Math.min(this.#keep, (1 + this.#steps) / (10 + this.#steps));
    for (let index = 0; index < this.#averages.length; index++) {
      const average = this.#averages[index]!;
      const param = this.#params[index]!.data;
      for (let i = 0; i < average.length; i++) average[i] = keep * average[i]! + (1 - keep) * param[i]!;
    }
  }

  /** Writes the averages over `params`, tensors of the same shapes. */
  copyTo(params: readonly Tensor[]): void {
    for (let index = 0; index < params.length; index++) params[index]!.data.set(this.#averages[index]!);
  }
}
