// The tensor that a loss hands back, and whose turn it is: what all losses keep between forward and backward.
import { sameShape, zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { BackwardTurn } from "./backward-turn.ts";

export class LossGradient<A extends FloatArray> {
  readonly #turn: BackwardTurn;
  #dys: Tensor<A> | undefined;

  /** `loss` is the name that errors use. */
  constructor(loss: string) {
    this.#turn = new BackwardTurn(loss);
  }

  /** Room for a gradient by `ys`, with what the last forward left in it. Memory is taken when the shape changes. */
  roomFor(ys: Tensor<A>): A {
    if (this.#dys === undefined || !sameShape(this.#dys.shape, ys.shape)) this.#dys = zerosLike(ys, ys.shape);
    return this.#dys.data;
  }

  /** The room has been filled: a forward has completed. */
  give(): void {
    this.#turn.give();
  }

  /** Throws `unavailable` where no forward waits for its backward. */
  take(): Tensor<A> {
    this.#turn.take();
    return this.#dys!;
  }
}

/** How many targets are there, at least 1, for a mean over them. */
export function countKnown({ data }: Tensor<FloatArray>): number {
  let count = 0;
  for (let i = 0; i < data.length; i++) if (!Number.isNaN(data[i]!)) count++;
  return Math.max(count, 1);
}
