// The simple recurrent layer of the textbook (Elman, 1990), with tanh or relu.
import type { RnnActivation } from "../kernels/step-rnn.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { TimeLayer } from "./time-layer.ts";
import type { TimeLayerOptions } from "./time-layer.ts";

/** How a TimeRNN steps. */
export interface TimeRnnOptions extends TimeLayerOptions {
  /** Default tanh. */
  readonly activation?: RnnActivation;
}

/** h_t = tanh(h_{t-1} Wh + x_t Wx + b), or max(0, ...) with relu. */
export class TimeRNN<A extends FloatArray = Float32Array> extends TimeLayer<A> {
  /** Wx `(D, H)`, Wh `(H, H)`, b `(H)`, which become `params` themselves. Throws `bad_argument` where they do not fit each other. */
  constructor(Wx: Tensor<A>, Wh: Tensor<A>, b: Tensor<A>, options: TimeRnnOptions = {}) {
    super("TimeRNN", { cell: "rnn", Wx, Wh, b, activation: options.activation ?? "tanh" }, options);
  }

  /** Keeps a copy of h `(N, H)`, from which the next forward of a stateful layer starts. Throws `bad_argument` on another width. */
  setState(h: Tensor<A>): void {
    this.setStates([h]);
  }

  /** A copy `(N, H)` of the state after the last forward, or of what `setState` gave since; undefined where there is neither. */
  getState(): Tensor<A> | undefined {
    return this.getStates()?.[0];
  }
}
