// A model's way between the units of sensors and targets and what its layers and head see, for whole tensors. With a residual head what
// is standardised is the change of each target's feature from the present reading; a classifier's targets have no units.
import { HiddenstateError } from "../base/errors.ts";
import { headOutputs } from "../kernels/head-outputs.ts";
import type { NetworkWeights } from "../kernels/network-weights.ts";
import { standardise } from "../kernels/standardise.ts";
import { describeShape } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import type { ModelWeights } from "./model.ts";
import { networkWeightsOf } from "./network-weights-of.ts";
import type { ModelSpec } from "./spec.ts";

/**
 * Tensors are `(..., features)`, `(..., outputs)` or, for targets, `(..., K)` with the same leading axes; results go to `into`, which may be the
 * first argument.
 */
export class Standardisation<A extends FloatArray = Float32Array> {
  readonly #network: NetworkWeights<A>;
  readonly #outputs: number;

  /** Reads the means and scales of `weights` as they stand at each call. Throws `bad_model` where an output's feature is not in the spec. */
  constructor(spec: ModelSpec, weights: ModelWeights<A>) {
    this.#network = networkWeightsOf(spec, weights);
    this.#outputs = spec.outputs.length;
  }

  /** Readings in units to what the first layer takes. */
  inputs(readings: Tensor<A>, into: Tensor<A>): void {
    const { xMean, xScale } = this.#network;
    const width = xMean.data.length;
    const rows = this.#rowsOf(readings, width, into, width);
    for (let row = 0; row < rows; row++) standardise(xMean, xScale, readings.data, row * width, into.data, row * width);
  }

  /**
   * Targets in units `(..., K)`, beside the readings that they are forecast from, to what the head's means are trained on. What a classifier
   * is trained on has no units, and is refused with `bad_argument`.
   */
  targets(targets: Tensor<A>, readings: Tensor<A>, into: Tensor<A>): void {
    const { yMean, yScale, xMean, residual, headKind } = this.#network;
    if (headKind === "classifier") {
      throw new HiddenstateError("bad_argument", "cannot standardise targets: a classifier's are classes; pass them as they are");
    }
    const width = yMean.data.length;
    const rows = this.#rowsOf(targets, width, into, width);
    this.#rowsOf(readings, xMean.data.length, into, width);
    if (residual.length === 0) {
      for (let row = 0; row < rows; row++) standardise(yMean, yScale, targets.data, row * width, into.data, row * width);
      return;
    }
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < width; i++) {
        const present = readings.data[row * xMean.data.length + residual[i]!]!;
        into.data[row * width + i] = (targets.data[row * width + i]! - present - yMean.data[i]!) / yScale.data[i]!;
      }
    }
  }

  /** What the head puts out, beside the readings that went in, to outputs: values in units, or probabilities. */
  outputs(ys: Tensor<A>, readings: Tensor<A>, into: Tensor<A>): void {
    const width = this.#outputs;
    const features = this.#network.xMean.data.length;
    const rows = this.#rowsOf(ys, width, into, width);
    this.#rowsOf(readings, features, into, width);
    if (into !== ys) into.data.set(ys.data);
    for (let row = 0; row < rows; row++) headOutputs(this.#network, readings.data, row * features, into.data, row * width);
  }

  #rowsOf(from: Tensor<A>, fromWidth: number, into: Tensor<A>, intoWidth: number): number {
    const rows = from.data.length / fromWidth;
    if (from.shape.at(-1) === fromWidth && into.shape.at(-1) === intoWidth && into.data.length === rows * intoWidth) return rows;
    throw new HiddenstateError(
      "bad_argument",
      `cannot standardise: ${describeShape(from.shape)} and ${describeShape(into.shape)} are not rows of ${fromWidth} and ${intoWidth}; ` +
        "pass tensors with the same leading axes",
    );
  }
}
