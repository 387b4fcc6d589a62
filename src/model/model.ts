// A model as it runs: its spec, its version and, where this project understands its graph, its numbers.
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import type { ModelSpec } from "./spec.ts";

/** One recurrent layer: Wx `(D, H)`, Wh `(H, H)`, b `(H)`. */
export interface LayerWeights<A extends FloatArray = Float32Array> {
  readonly Wx: Tensor<A>;
  readonly Wh: Tensor<A>;
  readonly b: Tensor<A>;
}

/**
 * The numbers of y = (layers((x - xMean) / xScale) W + b) * yScale + yMean, plus, with a residual head, the present reading of each
 * output's feature.
 */
export interface ModelWeights<A extends FloatArray = Float32Array> {
  /** `(D)`, in the sensors' units. */
  readonly xMean: Tensor<A>;
  readonly xScale: Tensor<A>;
  readonly layers: readonly LayerWeights<A>[];
  /** The head's W `(H, O)` and b `(O)`. */
  readonly head: { readonly W: Tensor<A>; readonly b: Tensor<A> };
  /** `(O)`, in the targets' units. */
  readonly yMean: Tensor<A>;
  readonly yScale: Tensor<A>;
}

export interface Model {
  readonly spec: ModelSpec;
  /** SHA-256 of `bytes`, lower-case hex. */
  readonly version: string;
  /** The ONNX file. */
  readonly bytes: Uint8Array;
  readonly weights: ModelWeights;
}

/** The version as messages and file names show it: its first 16 hex digits. */
export function shortVersion(version: string): string {
  return version.slice(0, 16);
}
