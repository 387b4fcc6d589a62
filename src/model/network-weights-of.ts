// From a model to the network that the kernels step: its numbers, and what its spec says of the head.
import { HiddenstateError } from "../base/errors.ts";
import type { NetworkWeights } from "../kernels/network-weights.ts";
import type { FloatArray } from "../kernels/tensor.ts";
import { outputFeatures } from "./forecast-outputs.ts";
import type { ModelWeights } from "./model.ts";
import { nativeRefusal } from "./native-problem.ts";
import type { ModelSpec } from "./spec.ts";

/**
 * The tensors are the model's own. Throws `bad_model` where the kernels lack one of its activations, or an output's feature is not in the
 * spec.
 */
export function networkWeightsOf<A extends FloatArray>(spec: ModelSpec, weights: ModelWeights<A>): NetworkWeights<A> {
  const refusal = nativeRefusal(spec);
  if (refusal !== undefined) throw new HiddenstateError("bad_model", refusal);
  return { ...weights, headKind: spec.head.kind, residual: Int32Array.from(spec.head.residual ? outputFeatures(spec) : []) };
}
