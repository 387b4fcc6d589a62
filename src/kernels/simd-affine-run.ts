// Training one dense layer on a WebAssembly build: a forward copies the weights in, a backward their gradients out.
import type { AffineRun } from "./affine-run.ts";
import type { AffineWeights } from "./affine.ts";
import { createTrainingInstance } from "./simd-module.ts";
import type { SimdInstance, SimdKernel, TrainingExports } from "./simd-module.ts";

/** The arrays of a run as affine.ts of the assembly numbers them. */
const ARRAYS = ["W", "b", "dW", "db", "xs", "ys", "dys", "dxs"] as const;

export class SimdAffineRun implements AffineRun {
  readonly kernel: SimdKernel;
  readonly rows: number;
  readonly xs: Float32Array;
  readonly ys: Float32Array;
  readonly dys: Float32Array;
  readonly dxs: Float32Array;
  readonly #instance: SimdInstance<TrainingExports>;
  readonly #W: Float32Array;
  readonly #b: Float32Array;
  readonly #dW: Float32Array;
  readonly #db: Float32Array;

  /**
   * A run of `rows` rows through weights of these shapes. `replaces` is a run that nobody uses any more: its memory is taken over where it
   * is of the same kernel. That the kernel runs here is the caller's word.
   */
  constructor(kernel: SimdKernel, { W, b }: AffineWeights, rows: number, replaces?: AffineRun) {
    this.kernel = kernel;
    this.rows = rows;
    const old = replaces instanceof SimdAffineRun && replaces.kernel === kernel ? replaces : undefined;
    this.#instance = old === undefined ? createTrainingInstance(kernel) : old.#instance;
    const { exports, memory } = this.#instance;
    const H = W.shape[0]!;
    const O = b.data.length;
    exports.openAffine(H, O, rows);
    const view = (name: (typeof ARRAYS)[number], length: number): Float32Array => {
      const at = exports.affineArray(ARRAYS.indexOf(name)) / 4;
      return memory.floats.subarray(at, at + length);
    };
    this.xs = view("xs", rows * H);
    this.ys = view("ys", rows * O);
    this.dys = view("dys", rows * O);
    this.dxs = view("dxs", rows * H);
    this.#W = view("W", H * O);
    this.#b = view("b", O);
    this.#dW = view("dW", H * O);
    this.#db = view("db", O);
  }

  forward(weights: AffineWeights): void {
    this.#W.set(weights.W.data);
    this.#b.set(weights.b.data);
    this.#instance.exports.forwardAffine();
  }

  backward(_weights: AffineWeights, grads: AffineWeights): void {
    this.#instance.exports.backwardAffine();
    grads.W.data.set(this.#dW);
    grads.b.data.set(this.#db);
  }
}
