// The state that a recurrent layer keeps between calls: h and, for an LSTM, c. Copied in and copied out, never aliased; its memory is
// taken once for a batch size.
import { HiddenstateError } from "../base/errors.ts";
import { copyTensor, describeShape, zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkRows } from "./check-shape.ts";

export class KeptState<A extends FloatArray> {
  readonly #layer: string;
  readonly #names: readonly string[];
  readonly #H: number;
  /** `(N, H)` each, one for each name. */
  #rows: readonly Tensor<A>[];
  #held = false;

  /** `layer` and `names`, those of the tensors in order, are what errors use; `like` gives the number format. */
  constructor(layer: string, names: readonly string[], H: number, like: Tensor<A>) {
    this.#layer = layer;
    this.#names = names;
    this.#H = H;
    this.#rows = names.map(() => zerosLike(like, [0, H]));
  }

  /** Keeps copies of `states`, `(N, H)` each. Throws `bad_argument` on another number, width or batch size; nothing has changed then. */
  set(states: readonly Tensor<A>[]): void {
    const action = `set ${this.#layer} state`;
    if (states.length !== this.#names.length) {
      throw new HiddenstateError(
        "bad_argument",
        `cannot ${action}: it has ${states.length} tensors, not ${this.#names.length}; pass ${this.#names.join(" and ")}`,
      );
    }
    states.forEach((state, index) => checkRows(action, this.#names[index]!, state, this.#H));
    const N = states[0]!.shape[0]!;
    const other = states.findIndex(({ shape }) => shape[0] !== N);
    if (other >= 0) {
      const [first, second] = [states[0]!, states[other]!].map(({ shape }) => describeShape(shape));
      throw new HiddenstateError(
        "bad_argument",
        `cannot ${action}: ${this.#names[0]} has shape ${first} and ${this.#names[other]} ${second}; pass as many rows of both`,
      );
    }
    this.keep(
      states.map(({ data }) => data),
      N,
    );
  }

  /** Keeps nothing: the next start is from zeros, with any batch size. */
  reset(): void {
    this.#held = false;
  }

  /** Copies, `(N, H)` each, or undefined where nothing is kept. */
  get(): Tensor<A>[] | undefined {
    return this.#held ? this.#rows.map(copyTensor) : undefined;
  }

  /** Throws `bad_argument` where a state of another batch size than that of `xs` is kept. */
  checkBatch(xs: Tensor<A>): void {
    const kept = this.#rows[0]!.shape[0]!;
    const N = xs.shape[0]!;
    if (!this.#held || kept === N) return;
    throw new HiddenstateError(
      "bad_argument",
      `cannot run ${this.#layer} forward: the kept state has batch size ${kept}, and ${describeShape(xs.shape)} has ${N}; ` +
        `call resetState() to start from zeros, or setState(${this.#names.join(", ")}) with ${this.#names.join(" and ")} ` +
        `of shape ${describeShape([N, this.#H])}`,
    );
  }

  /** Writes the kept rows, or zeros where nothing is kept, over `into`. Its batch size has passed `checkBatch`. */
  start(into: readonly A[]): void {
    for (let index = 0; index < into.length; index++) {
      if (this.#held) into[index]!.set(this.#rows[index]!.data);
      else into[index]!.fill(0);
    }
  }

  /** Keeps copies of `states`, N rows each. */
  keep(states: readonly A[], N: number): void {
    if (this.#rows[0]!.shape[0] !== N) this.#rows = this.#rows.map((rows) => zerosLike(rows, [N, this.#H]));
    for (let index = 0; index < states.length; index++) this.#rows[index]!.data.set(states[index]!);
    this.#held = true;
  }
}
