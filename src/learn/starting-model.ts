// What a group without a model begins with: a file that says which network its streams get, one each or one for all, and the seed that it
// starts from. The same features, horizons and scope give the same bytes, so the same version, on every box.
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { createRandom } from "../base/random.ts";
import { zeros } from "../kernels/tensor.ts";
import type { Tensor } from "../kernels/tensor.ts";
import { initialWeights } from "../model/initial-weights.ts";
import type { Model } from "../model/model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { decodeModel } from "../onnx/decode-model.ts";
import { encodeModel } from "../onnx/encode-model.ts";
import { defaultHorizons, LEARNER_LAYER, learnerSpec } from "./learner-spec.ts";

export interface StartingModelOptions {
  readonly name: string;
  /** Names; D. */
  readonly features: readonly string[];
  /** Readings ahead, rising; 1, 12 and 48 where absent, fewer where features are many. */
  readonly horizons?: readonly number[] | undefined;
  /** Whose network it is; `stream` where absent. */
  readonly scope?: "stream" | "group";
}

const SEED = 1;

function ones(count: number): Tensor {
  return { shape: [count], data: new Float32Array(count).fill(1) };
}

/** Throws `bad_argument` where features and horizons make more outputs than a model may have. */
export function startingModel(options: StartingModelOptions): Model {
  const { name, features, horizons = defaultHorizons(features.length), scope = "stream" } = options;
  const K = features.length * horizons.length;
  if (2 * K > limits.featuresMax || K === 0) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot begin a model: ${features.length} features at ${horizons.length} horizons make ${2 * K} outputs, 2 to ${limits.featuresMax} are allowed`,
    );
  }
  const spec: ModelSpec = {
    ...learnerSpec({ name, features, horizons, layer: LEARNER_LAYER }),
    learner: { seed: SEED, ...(scope === "group" && { scope }) },
  };
  const scaling = { xMean: zeros([features.length]), xScale: ones(features.length), yMean: zeros([K]), yScale: ones(K) };
  return decodeModel(encodeModel(spec, initialWeights(spec, scaling, createRandom(SEED))), name);
}
