// From a model to the network that the kernels step: its numbers, and what its spec says of the head.
import type { NetworkWeights } from "../kernels/network-weights.ts";
import type { FloatArray } from "../kernels/tensor.ts";
import { outputFeatures } from "./forecast-outputs.ts";
import type { ModelWeights } from "./model.ts";
import type { ModelSpec } from "./spec.ts";

/** The tensors are the model's own. Throws `bad_model` where an output's feature is not in the spec. */
export function networkWeightsOf<A extends FloatArray>(spec: ModelSpec, weights: ModelWeights<A>): NetworkWeights<A> {
  return { ...weights, headKind: spec.head.kind, residual: Int32Array.from(spec.head.residual ? outputFeatures(spec) : []) };
}
