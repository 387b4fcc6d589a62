// What every layer of the textbook offers, so that networks, optimizers and the gradient check need not know which layer they hold.
import type { FloatArray, Tensor } from "../kernels/tensor.ts";

/**
 * Tensors that a layer returns are its own and are overwritten by its next call; tensors that it is given are read or copied during the
 * call and never kept.
 */
export interface Layer<A extends FloatArray = Float32Array> {
  /** The very tensors that the layer was built from: an optimizer changes them in place. */
  readonly params: readonly Tensor<A>[];
  /** One gradient for each of `params`, in their order; overwritten by each backward. */
  readonly grads: readonly Tensor<A>[];
  /** `(N, T, in)` -> `(N, T, out)`. */
  forward(xs: Tensor<A>): Tensor<A>;
  /** The gradient of the loss by the last forward's outputs -> by its inputs. Once for each forward. */
  backward(dys: Tensor<A>): Tensor<A>;
}

/**
 * A layer that carries a state along its steps and, where it is stateful, from one forward to the next. A state is one tensor or more,
 * `(N, H)` each: h, and for an LSTM then c.
 */
export interface RecurrentLayer<A extends FloatArray = Float32Array> extends Layer<A> {
  /** A backward that leaves out the gradient by the inputs, which nobody asks of a network's first layer. */
  backwardParams(dys: Tensor<A>): void;
  /** How many tensors a state is. */
  readonly stateCount: number;
  /** The gradients that reach the state before the first step. */
  readonly stateGradients: readonly Tensor<A>[];
  setStates(states: readonly Tensor<A>[]): void;
  resetState(): void;
  /** Copies, or undefined where no state is kept. */
  getStates(): Tensor<A>[] | undefined;
}
