// The mean squared error in WebAssembly, to the bits of the plain loop in every build: which of them runs changes no result, so nobody
// chooses it.
import { fastestKernel } from "./open-network.ts";
import { createTrainingInstance } from "./simd-module.ts";
import type { SimdInstance, TrainingExports } from "./simd-module.ts";

export class SimdSquaredError {
  readonly count: number;
  readonly #instance: SimdInstance<TrainingExports>;
  readonly #ys: Float32Array;
  readonly #targets: Float32Array;
  readonly #dys: Float32Array;
  /** One number, through memory: as a result it would be boxed. */
  readonly #squares: Float64Array;

  private constructor(instance: SimdInstance<TrainingExports>, count: number) {
    const { exports, memory } = instance;
    exports.openSquaredError(count);
    const view = (name: number): Float32Array => {
      const at = exports.squaredErrorArray(name) / 4;
      return memory.floats.subarray(at, at + count);
    };
    this.count = count;
    this.#instance = instance;
    this.#ys = view(0);
    this.#targets = view(1);
    this.#dys = view(2);
    this.#squares = new Float64Array(memory.floats.buffer, exports.squaredErrorArray(3), 1);
  }

  /** Room for `count` values; undefined where WebAssembly SIMD is missing. `replaces` is one that nobody uses any more. */
  static open(count: number, replaces?: SimdSquaredError): SimdSquaredError | undefined {
    if (replaces !== undefined) return new SimdSquaredError(replaces.#instance, count);
    const kernel = fastestKernel();
    return kernel === "scalar" ? undefined : new SimdSquaredError(createTrainingInstance(kernel), count);
  }

  /** sum((y - target)^2) / known, and 2 (y - target) / known into `dys`; missing targets, NaN, are not known, and at least 1 is. */
  forward(ys: Float32Array, targets: Float32Array, dys: Float32Array): number {
    this.#ys.set(ys);
    this.#targets.set(targets);
    const { exports } = this.#instance;
    const known = Math.max(exports.countKnown(), 1);
    exports.sumSquaredErrors(known);
    dys.set(this.#dys);
    return this.#squares[0]! / known;
  }
}
