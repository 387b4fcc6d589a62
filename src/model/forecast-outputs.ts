// The outputs of a model that are values in the targets' units: all of a regression's, the means of a Gaussian head, none of a classifier's.
import { HiddenstateError } from "../base/errors.ts";
import { targetsOf } from "../kernels/network-weights.ts";
import type { ModelSpec, OutputSpec } from "./spec.ts";

export interface ForecastOutput extends OutputSpec {
  readonly feature: string;
  readonly horizon: number;
}

/** The K outputs that are values, in order: not deviations of others, nor probabilities. */
export function valueOutputs({ outputs, head }: Pick<ModelSpec, "outputs" | "head">): readonly OutputSpec[] {
  return outputs.slice(0, targetsOf(head.kind, outputs.length));
}

/** The K outputs that forecast a feature, in order. Throws `bad_model` where one does not say which, or how far ahead. */
export function forecastOutputs(spec: ModelSpec): ForecastOutput[] {
  return valueOutputs(spec).map((output) => {
    const { name, feature, horizon } = output;
    if (feature !== undefined && horizon !== undefined) return { ...output, feature, horizon };
    throw new HiddenstateError("bad_model", `cannot build model ${spec.name}: output ${name} names no feature or horizon`);
  });
}

/** Where the feature that each of them forecasts stands among the features, `(K)`. Throws `bad_model` where it is none of them. */
export function outputFeatures(spec: ModelSpec): number[] {
  return forecastOutputs(spec).map(({ name, feature }) => {
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
