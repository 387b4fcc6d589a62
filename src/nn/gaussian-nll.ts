// The negative log-likelihood of targets under normal distributions whose mean and variance a network puts out (Nix and Weigend, 1994).
import { HiddenstateError } from "../base/errors.ts";
import { describeShape } from "../kernels/tensor.ts";
import type { FloatArray, Tensor } from "../kernels/tensor.ts";
import { checkTargets } from "./check-shape.ts";
import { countKnown, LossGradient } from "./loss-gradient.ts";
import type { Loss } from "./loss.ts";

/** Below it no variance counts, so that a target met exactly does not earn an infinite likelihood; PyTorch's `eps`. */
const VARIANCE_MIN = 1e-6;

/** The negative log-likelihood of targets under normal distributions whose mean and variance a network puts out; missing targets are NaN. */
export class GaussianNLL<A extends FloatArray = Float32Array> implements Loss<A> {
  readonly #gradient = new LossGradient<A>("GaussianNLL");

  /**
   * ys `(N, T, 2K)`, in each row K means mu and then K logarithms s of variances, and targets `(N, T, K)`: the mean over the known targets
   * of (log v + (target - mu)^2 / v) / 2 with v = max(e^s, 1e-6), PyTorch's GaussianNLLLoss without its constant. As there, the gradient
   * passes through the bound on v. Memory is taken when the shape changes.
   */
  forward(ys: Tensor<A>, targets: Tensor<A>): number {
    const K = targetsOf(ys);
    checkTargets("take the Gaussian likelihood", targets, ys, undefined, K, "pass one target for each mean");
    const dys = this.#gradient.roomFor(ys);
    const count = countKnown(targets);
    let sum = 0;
    for (let i = 0; i < targets.data.length; i++) {
      const mu = i + K * Math.floor(i / K);
      const s = mu + K;
      const target = targets.data[i]!;
      if (Number.isNaN(target)) {
        dys[mu] = 0;
        dys[s] = 0;
        continue;
      }
      const variance = Math.exp(ys.data[s]!);
      const bounded = variance < VARIANCE_MIN ? VARIANCE_MIN : variance;
      const difference = ys.data[mu]! - target;
      const squares = (difference * difference) / bounded;
      sum += (Math.log(bounded) + squares) / 2;
      dys[mu] = difference / bounded / count;
      dys[s] = ((1 - squares) / 2 / count) * (variance / bounded);
    }
    this.#gradient.give();
    return sum / count;
  }

  /** dL/dy of the last forward. */
  backward(): Tensor<A> {
    return this.#gradient.take();
  }
}

/** K. */
function targetsOf({ shape }: Tensor<FloatArray>): number {
  const O = shape[shape.length - 1] ?? 0;
  if (O >= 2 && O % 2 === 0) return O / 2;
  throw new HiddenstateError(
    "bad_argument",
    `cannot take the Gaussian likelihood: ys has shape ${describeShape(shape)}, not (N, T, 2K); build the head with two outputs for each target`,
  );
}
