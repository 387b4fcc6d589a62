// The end of a head: from its sums, a row of O values, to outputs in the targets' units. What each kind of head means by its values.
import { exp } from "./exp.ts";
import { targetsOf } from "./network-weights.ts";
import type { NetworkWeights } from "./network-weights.ts";
import { addResidual, restoreUnits } from "./standardise.ts";
import type { FloatArray } from "./tensor.ts";

/** Softmax of `count` values in place, the greatest taken off first, as ONNX's Softmax. */
function softmax(y: FloatArray, at: number, count: number): void {
  let greatest = y[at]!;
  for (let i = 1; i < count; i++) if (y[at + i]! > greatest) greatest = y[at + i]!;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const value = exp(y[at + i]! - greatest);
    sum += value;
    y[at + i] = value;
  }
  for (let i = 0; i < count; i++) y[at + i] = y[at + i]! / sum;
}

/** y `(O)` from `yAt` in place, beside the reading x from `xAt`, in the sensors' units. */
export function headOutputs<A extends FloatArray>(weights: NetworkWeights<A>, x: A, xAt: number, y: A, yAt: number): void {
  const { headKind, yMean, yScale, residual } = weights;
  const O = weights.head.b.data.length;
  if (headKind === "classifier") {
    softmax(y, yAt, O);
    return;
  }
  restoreUnits(yMean, yScale, y, yAt, y, yAt);
  addResidual(residual, x, xAt, y, yAt);
  if (headKind === "regression") return;
  const K = targetsOf(headKind, O);
  for (let k = 0; k < K; k++) y[yAt + K + k] = exp(0.5 * y[yAt + K + k]!) * yScale.data[k]!;
}
