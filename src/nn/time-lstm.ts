// The long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate of Gers et al., 2000) as a layer.
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { TimeLayer } from "./time-layer.ts";
import type { TimeLayerOptions } from "./time-layer.ts";

/** Both `(N, H)`. */
export interface LstmState<A extends FloatArray = Float32Array> {
  readonly h: Tensor<A>;
  readonly c: Tensor<A>;
}

/**
 * i, f, o = sigmoid(x_t Wx + h_{t-1} Wh + b), g = tanh(the same of its own), c_t = f c_{t-1} + i g, h_t = o tanh(c_t).
 */
export class TimeLSTM<A extends FloatArray = Float32Array> extends TimeLayer<A> {
  /**
   * Wx `(D, 4H)`, Wh `(H, 4H)`, b `(4H)`, gates in the order i, f, g, o, which become `params` themselves. Throws `bad_argument` where
   * they do not fit each other.
   */
  constructor(Wx: Tensor<A>, Wh: Tensor<A>, b: Tensor<A>, options: TimeLayerOptions = {}) {
    super("TimeLSTM", { cell: "lstm", Wx, Wh, b }, options);
  }

  /** The gradient by c before the first step. */
  get dc(): Tensor<A> {
    return this.stateGradients[1]!;
  }

  /**
   * Keeps copies of h and c, `(N, H)` each, from which the next forward of a stateful layer starts. Throws `bad_argument` on another
   * width or unequal batch sizes.
   */
  setState(h: Tensor<A>, c: Tensor<A>): void {
    this.setStates([h, c]);
  }

  /** Copies of the state after the last forward, or of what `setState` gave since; undefined where there is neither. */
  getState(): LstmState<A> | undefined {
    const states = this.getStates();
    return states === undefined ? undefined : { h: states[0]!, c: states[1]! };
  }
}
