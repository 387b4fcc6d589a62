// Between layers while training: zeroes a random share of what passes, so that no unit comes to rely on another (Hinton et al., 2012;
// between the layers of a recurrent network, not along its steps: Zaremba et al., 2014). Evaluating, it passes everything as it is.
import { HiddenstateError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { describeShape, sameShape, zerosLike } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { BackwardTurn } from "./backward-turn.ts";
import { checkSameShape } from "./check-shape.ts";
import type { Layer } from "./layer.ts";

interface DropoutBuffers<A extends FloatArray> {
  /** `(N, T, H)` each; `factors` are 0 or 1 / (1 - rate), and 1 where nothing is dropped. */
  readonly factors: A;
  readonly ys: Tensor<A>;
  readonly dxs: Tensor<A>;
}

/** Between layers while training: zeroes a random share of what passes (Hinton et al., 2012). Evaluating, it passes everything as it is. */
export class Dropout<A extends FloatArray = Float32Array> implements Layer<A> {
  readonly params: readonly Tensor<A>[] = [];
  readonly grads: readonly Tensor<A>[] = [];
  /** Whether a forward drops. May be switched between calls; a backward goes with its forward. */
  training = true;
  readonly #rate: number;
  readonly #random: Random;
  readonly #turn = new BackwardTurn("Dropout");
  #buffers: DropoutBuffers<A> | undefined;

  /**
   * `rate`, from 0 to below 1, is the probability that a value is dropped; those that stay are multiplied by 1 / (1 - rate), which keeps
   * their mean. `random` is drawn from once for each value in each forward that trains, whatever the rate. Throws `bad_argument` on
   * another rate.
   */
  constructor(rate: number, random: Random) {
    if (!(rate >= 0 && rate < 1)) {
      throw new HiddenstateError("bad_argument", `cannot build Dropout: rate is ${rate}; it must be at least 0 and below 1`);
    }
    this.#rate = rate;
    this.#random = random;
  }

  /** xs `(N, T, H)` -> the same shape, the layer's own tensor, overwritten by the next forward. Memory is taken when the shape changes. */
  forward(xs: Tensor<A>): Tensor<A> {
    const { factors, ys } = this.#fit(xs);
    if (this.training) {
      const kept = 1 / (1 - this.#rate);
      const dropped = this.#rate * 2 ** 32;
      for (let i = 0; i < factors.length; i++) factors[i] = this.#random.uint32() < dropped ? 0 : kept;
    } else {
      factors.fill(1);
    }
    for (let i = 0; i < factors.length; i++) ys.data[i] = factors[i] === 0 ? 0 : xs.data[i]! * factors[i]!;
    this.#turn.give();
    return ys;
  }

  /** dys -> dxs, the layer's own tensor, overwritten by the next backward. Once for each forward: throws `unavailable` otherwise. */
  backward(dys: Tensor<A>): Tensor<A> {
    this.#turn.check();
    const { factors, ys, dxs } = this.#buffers!;
    checkSameShape("run Dropout backward", "dys", dys, ys, "pass the gradient by the last forward's output");
    this.#turn.take();
    for (let i = 0; i < factors.length; i++) dxs.data[i] = factors[i] === 0 ? 0 : dys.data[i]! * factors[i]!;
    return dxs;
  }

  #fit(xs: Tensor<A>): DropoutBuffers<A> {
    const { shape, data } = xs;
    if (shape.length !== 3 || data.length === 0) {
      throw new HiddenstateError(
        "bad_argument",
        `cannot run Dropout forward: xs has shape ${describeShape(shape)}, not (N, T, H); pass what a recurrent layer put out`,
      );
    }
    if (this.#buffers === undefined || !sameShape(this.#buffers.ys.shape, shape)) {
      this.#buffers = { factors: zerosLike(xs, shape).data, ys: zerosLike(xs, shape), dxs: zerosLike(xs, shape) };
    }
    return this.#buffers;
  }
}
