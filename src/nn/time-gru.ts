// The gated recurrent unit (Cho et al., 2014) as a layer.
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { TimeLayer } from "./time-layer.ts";
import type { TimeLayerOptions } from "./time-layer.ts";

/** How a TimeGRU steps. */
export interface TimeGruOptions extends TimeLayerOptions {
  /** Whether r meets the state after its product with Wh, as in PyTorch and cuDNN (the default), or before, as in the paper. */
  readonly linearBeforeReset?: boolean;
}

/**
 * r, z = sigmoid(x_t Wx + h_{t-1} Wh + b), n = tanh(x_t Wx_n + b_n + r (h_{t-1} Wh_n + bn)), h_t = n + z (h_{t-1} - n); without
 * `linearBeforeReset` n = tanh(x_t Wx_n + b_n + (r h_{t-1}) Wh_n + bn).
 */
export class TimeGRU<A extends FloatArray = Float32Array> extends TimeLayer<A> {
  /**
   * Wx `(D, 3H)`, Wh `(H, 3H)`, b `(3H)`, gates in the order r, z, n, and bn `(H)`, which become `params` themselves. PyTorch's two biases
   * of r and z are added to make b's. Throws `bad_argument` where they do not fit each other.
   */
  constructor(Wx: Tensor<A>, Wh: Tensor<A>, b: Tensor<A>, bn: Tensor<A>, options: TimeGruOptions = {}) {
    super("TimeGRU", { cell: "gru", Wx, Wh, b, bn, linearBeforeReset: options.linearBeforeReset ?? true }, options);
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
