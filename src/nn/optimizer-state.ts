// What an optimizer has gathered over its steps, taken out so that a training can stop and go on to the same bits. Options are not part
// of it: whoever goes on builds the optimizer with those it had.
import { HiddenstateError } from "../base/errors.ts";
import { copyTensor } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkRange } from "./optimizer.ts";
import { checkSameShape } from "./check-shape.ts";

/** Plain values and tensors, which `structuredClone` and `v8.serialize` take. */
export interface OptimizerState<A extends FloatArray = Float32Array> {
  /** The class that it came from. */
  readonly optimizer: string;
  readonly learningRate: number;
  readonly numbers: Readonly<Record<string, number>>;
  /** One tensor for each param, or none, under each name. */
  readonly moments: Moments<A>;
}

/** Tensors by the name of what they gather. */
export type Moments<A extends FloatArray> = Readonly<Record<string, readonly Tensor<A>[]>>;

/** Tensors of their own memory. */
export function copyMoments<A extends FloatArray>(moments: Moments<A>): Moments<A> {
  return Object.fromEntries(Object.entries(moments).map(([name, tensors]) => [name, tensors.map(copyTensor)]));
}

/**
 * Throws `bad_argument` unless `state` came from an optimizer of the class `optimizer` over params of the same shapes, whose numbers have
 * these names and moments are like `own`.
 */
export function checkState<A extends FloatArray>(
  optimizer: string,
  state: OptimizerState<A>,
  numbers: readonly string[],
  own: Moments<A>,
): void {
  const action = `restore ${optimizer}`;
  const remedy = "restore it into an optimizer of the same options over the same params";
  if (state.optimizer !== optimizer) {
    throw new HiddenstateError("bad_argument", `cannot ${action}: the state is one of ${state.optimizer}; build that optimizer`);
  }
  checkRange(action, "learningRate", state.learningRate, 0, Infinity);
  for (const name of numbers) checkRange(action, name, state.numbers[name] ?? Number.NaN, 0, Infinity);
  for (const [name, tensors] of Object.entries(own)) {
    const saved = state.moments[name] ?? [];
    if (saved.length !== tensors.length) {
      throw new HiddenstateError(
        "bad_argument",
        `cannot ${action}: ${name} has ${saved.length} tensors, not ${tensors.length}; ${remedy}`,
      );
    }
    saved.forEach((tensor, index) => checkSameShape(action, `${name}[${index}]`, tensor, tensors[index]!, remedy));
  }
}

/** Copies checked moments over an optimizer's own. */
export function restoreMoments<A extends FloatArray>(own: Moments<A>, saved: Moments<A>): void {
  for (const [name, tensors] of Object.entries(own)) {
    tensors.forEach(({ data }, index) => data.set(saved[name]![index]!.data));
  }
}
