// The state that a recurrent layer keeps between calls. Copied in and copied out, never aliased; its memory is taken once for a batch
// size.
import { HiddenstateError } from "../base/errors.ts";
import { copyTensor, describeShape, zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkRows } from "./check-shape.ts";

export class KeptState<A extends FloatArray> {
  readonly #layer: string;
  readonly #H: number;
  #rows: Tensor<A>;
  #held = false;

  /** `layer` is the name that errors use; `like` gives the number format. */
  constructor(layer: string, H: number, like: Tensor<A>) {
    this.#layer = layer;
    this.#H = H;
    this.#rows = zerosLike(like, [0, H]);
  }

  /** Keeps a copy of `h` `(N, H)`. Throws `bad_argument` on another width. */
  set(h: Tensor<A>): void {
    checkRows(`set ${this.#layer} state`, "h", h, this.#H);
    this.keep(h.data, 0, h.shape[0]!);
  }

  /** Keeps nothing: the next start is from zeros, with any batch size. */
  reset(): void {
    this.#held = false;
  }

  /** A copy `(N, H)`, or undefined where nothing is kept. */
  get(): Tensor<A> | undefined {
    return this.#held ? copyTensor(this.#rows) : undefined;
  }

  /** Throws `bad_argument` where a state of another batch size than that of `xs` is kept. */
  checkBatch(xs: Tensor<A>): void {
    const kept = this.#rows.shape[0]!;
    const N = xs.shape[0]!;
    if (!this.#held || kept === N) return;
    throw new HiddenstateError(
      "bad_argument",
      `cannot run ${this.#layer} forward: the kept state has batch size ${kept}, and ${describeShape(xs.shape)} has ${N}; ` +
        `call resetState() to start from zeros, or setState(h) with h of shape ${describeShape([N, this.#H])}`,
    );
  }

  /** Writes the kept rows, or zeros where nothing is kept, to the first N * H values of `into`. N has passed `checkBatch`. */
  start(into: A, N: number): void {
    const count = N * this.#H;
    if (!this.#held) {
      into.fill(0, 0, count);
      return;
    }
    const rows = this.#rows.data;
    for (let i = 0; i < count; i++) into[i] = rows[i]!;
  }

  /** Keeps a copy of the N rows of `from` that start at `at`. */
  keep(from: A, at: number, N: number): void {
    if (this.#rows.shape[0] !== N) this.#rows = zerosLike(this.#rows, [N, this.#H]);
    const rows = this.#rows.data;
    for (let i = 0; i < rows.length; i++) rows[i] = from[at + i]!;
    this.#held = true;
  }
}
