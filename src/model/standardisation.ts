// A model's way between the units of sensors and targets and the standard deviations that its layers see, for whole tensors. With a
// residual head what is standardised is the change of each output's feature from the present reading.
import { HiddenstateError } from "../base/errors.ts";
import { addResidual, restoreUnits, standardise } from "../kernels/standardise.ts";
import { describeShape } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import type { ModelWeights } from "./model.ts";
import type { ModelSpec } from "./spec.ts";

/** Tensors are `(..., features)` or `(..., outputs)` with the same leading axes; results go to `into`, which may be the first argument. */
export class Standardisation<A extends FloatArray = Float32Array> {
  readonly #weights: ModelWeights<A>;
  /** Where each output's feature stands among the features; undefined without a residual head. */
  readonly #residual: Int32Array | undefined;

  /** Reads the means and scales of `weights` as they stand at each call. Throws `bad_model` where an output's feature is not in the spec. */
  constructor(spec: ModelSpec, weights: ModelWeights<A>) {
    this.#weights = weights;
    this.#residual = spec.head.residual ? Int32Array.from(outputFeatures(spec)) : undefined;
  }

  /** Readings in units to what the first layer takes. */
  inputs(readings: Tensor<A>, into: Tensor<A>): void {
    const { xMean, xScale } = this.#weights;
    const width = xMean.data.length;
    const rows = this.#rowsOf(readings, width, into, width);
    for (let row = 0; row < rows; row++) standardise(xMean, xScale, readings.data, row * width, into.data, row * width);
  }

  /** Targets in units, beside the readings that they are forecast from, to what the head is trained on. */
  targets(targets: Tensor<A>, readings: Tensor<A>, into: Tensor<A>): void {
    const { yMean, yScale, xMean } = this.#weights;
    const width = yMean.data.length;
    const rows = this.#rowsOf(targets, width, into, width);
    this.#rowsOf(readings, xMean.data.length, into, width);
    if (this.#residual === undefined) {
      for (let row = 0; row < rows; row++) standardise(yMean, yScale, targets.data, row * width, into.data, row * width);
      return;
    }
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < width; i++) {
        const present = readings.data[row * xMean.data.length + this.#residual[i]!]!;
        into.data[row * width + i] = (targets.data[row * width + i]! - present - yMean.data[i]!) / yScale.data[i]!;
      }
    }
  }

  /** What the head puts out, beside the readings that went in, to outputs in units. */
  outputs(ys: Tensor<A>, readings: Tensor<A>, into: Tensor<A>): void {
    const { yMean, yScale, xMean } = this.#weights;
    const width = yMean.data.length;
    const features = xMean.data.length;
    const rows = this.#rowsOf(ys, width, into, width);
    this.#rowsOf(readings, features, into, width);
    for (let row = 0; row < rows; row++) {
      restoreUnits(yMean, yScale, ys.data, row * width, into.data, row * width);
      if (this.#residual !== undefined) addResidual(this.#residual, readings.data, row * features, into.data, row * width);
    }
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

/** Where each output's own feature stands among the features. Throws `bad_model` where it is none of them. */
export function outputFeatures(spec: ModelSpec): number[] {
  return spec.outputs.map(({ name, feature }) => {
    const index = spec.features.findIndex((candidate) => candidate.name === feature);
    if (index === -1) {
      throw new HiddenstateError(
        "bad_model",
        `cannot build model ${spec.name}: output ${name} forecasts ${feature}, which is no feature`,
      );
    }
    return index;
  });
}
