// A model as it runs: its spec, its version and, where this project understands its graph, its numbers.
import type { NetworkWeights } from "../kernels/network-weights.ts";
import type { FloatArray } from "../kernels/tensor.ts";
import type { ModelSpec } from "./spec.ts";

/** A model's numbers: those of the kernels' network, without what the spec says already. */
export type ModelWeights<A extends FloatArray = Float32Array> = Omit<NetworkWeights<A>, "headKind" | "residual">;

/** A model file, read; or that model rolled forward (rolled-model.ts), whose spec is another. */
export interface Model {
  readonly spec: ModelSpec;
  /** SHA-256 of `bytes`, lower-case hex. */
  readonly version: string;
  /** The ONNX file. */
  readonly bytes: Uint8Array;
  readonly weights: ModelWeights;
  /** Of a model that is rolled forward: the one in the file, and how many readings ahead, rising. */
  readonly rolled?: { readonly file: Model; readonly horizons: readonly number[] };
}

/** The version as messages and file names show it: its first 16 hex digits. */
export function shortVersion(version: string): string {
  return version.slice(0, 16);
}
