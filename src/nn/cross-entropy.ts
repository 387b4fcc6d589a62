// The cross entropy of classes under the softmax of a network's outputs, at every step or at the last.
import { HiddenstateError } from "../base/errors.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkSequences, checkTargets } from "./check-shape.ts";
import { countKnown, LossGradient } from "./loss-gradient.ts";
import type { Loss } from "./loss.ts";

/** At which steps there is a class. */
export interface CrossEntropyOptions {
  /** Whether each step has a class (the default), or a sequence has one, which its last step is to name. */
  readonly steps?: "every" | "last";
}

/** The cross entropy of classes under the softmax of a network's outputs; missing targets are NaN. */
export class CrossEntropy<A extends FloatArray = Float32Array> implements Loss<A> {
  readonly #last: boolean;
  readonly #gradient = new LossGradient<A>("CrossEntropy");

  constructor({ steps = "every" }: CrossEntropyOptions = {}) {
    this.#last = steps === "last";
  }

  /**
   * ys `(N, T, O)`, the unnormalised logarithms of O classes' probabilities, and targets `(N, T, 1)`, or `(N, 1, 1)` for the last step
   * only, the numbers 0 to O - 1 of classes: the mean over the known targets of log(sum(e^y)) - y[target]. Throws `bad_argument` on a
   * number that is no class's. Memory is taken when the shape changes.
   */
  forward(ys: Tensor<A>, targets: Tensor<A>): number {
    const O = ys.shape[2] ?? 0;
    checkSequences("take the cross entropy", "ys", ys, O);
    const remedy = this.#last ? "pass the number of a class for each sequence" : "pass the number of a class for each step";
    checkTargets("take the cross entropy", targets, ys, this.#last ? 1 : undefined, 1, remedy);
    checkClasses(targets, O);
    const dys = this.#gradient.roomFor(ys);
    const count = countKnown(targets);
    const stride = this.#last ? ys.shape[1]! : 1;
    if (this.#last) dys.fill(0);
    let sum = 0;
    for (let i = 0; i < targets.data.length; i++) {
      const at = ((i + 1) * stride - 1) * O;
      const target = targets.data[i]!;
      if (Number.isNaN(target)) dys.fill(0, at, at + O);
      else sum += addRow(ys.data, dys, at, O, target, count);
    }
    this.#gradient.give();
    return sum / count;
  }

  /** dL/dy of the last forward. */
  backward(): Tensor<A> {
    return this.#gradient.take();
  }
}

/** The cross entropy of the row at `at`; dys there = (softmax(y) - one at the target) / count. */
function addRow<A extends FloatArray>(ys: A, dys: A, at: number, O: number, target: number, count: number): number {
  let largest = -Infinity;
  // Math.max keeps NaN. Differences from the largest keep e^y from overflowing.
  for (let j = 0; j < O; j++) largest = Math.max(largest, ys[at + j]!);
  let sum = 0;
  for (let j = 0; j < O; j++) sum += Math.exp(ys[at + j]! - largest);
  for (let j = 0; j < O; j++) {
    const probability = Math.exp(ys[at + j]! - largest) / sum;
    dys[at + j] = (probability - (j === target ? 1 : 0)) / count;
  }
  return Math.log(sum) + largest - ys[at + target]!;
}

function checkClasses({ data }: Tensor<FloatArray>, O: number): void {
  for (let i = 0; i < data.length; i++) {
    const target = data[i]!;
    if (Number.isNaN(target) || (target >= 0 && target < O && Number.isInteger(target))) continue;
    throw new HiddenstateError(
      "bad_argument",
      `cannot take the cross entropy: targets has ${target} at ${i}, and there are ${O} classes; ` +
        `pass whole numbers from 0 to ${O - 1}, or NaN where the class is not known`,
    );
  }
}
