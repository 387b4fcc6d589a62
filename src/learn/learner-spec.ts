// The network of a stream that learns by itself: one recurrent layer and a Gaussian head with a mean and a deviation for each feature at each
// horizon.
import { limits } from "../base/limits.ts";
import type { LayerSpec, ModelSpec, OutputSpec } from "../model/spec.ts";
import { stateSpecs } from "../onnx/state-specs.ts";

export interface LearnerShape {
  readonly name: string;
  /** Names; D. */
  readonly features: readonly string[];
  /** Readings ahead, rising. */
  readonly horizons: readonly number[];
  readonly layer: LayerSpec;
}

export const LEARNER_LAYER: LayerSpec = { cell: "gru", hidden: 16, linearBeforeReset: true };

/** Readings ahead that fit among the outputs of a model of so many features: 1, 12 and 48, or the first of them. */
export function defaultHorizons(features: number): readonly number[] {
  const most = Math.floor(limits.featuresMax / (2 * features));
  return most >= 3 ? [1, 12, 48] : most === 2 ? [1, 12] : [1];
}

/** `more`: inputs that stand behind the features and are not forecast. */
export function learnerSpec({ name, features, horizons, layer }: LearnerShape, more: readonly string[] = []): ModelSpec {
  const outputs = (suffix: string): OutputSpec[] =>
    horizons.flatMap((horizon) =>
      features.map((feature) => ({ name: `${feature}+${horizon}${suffix}`, unit: "", feature, horizon, deviation: 1 })),
    );
  return {
    format: 1,
    name,
    task: "forecast",
    features: [...features, ...more].map((feature) => ({ name: feature, unit: "" })),
    outputs: [...outputs(""), ...outputs(" deviation")],
    layers: [layer],
    head: { kind: "gaussian", residual: false },
    states: stateSpecs([layer]),
  };
}
