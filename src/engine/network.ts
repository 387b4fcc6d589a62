// A whole network stepping one row: scaling, recurrent layers, head. Over Float32Array it is what the native engine runs, over
// Float64Array the reference that judges parity. It keeps scratch, never a state.
import { affine } from "../kernels/affine.ts";
import { addResidual, restoreUnits, standardise } from "../kernels/standardise.ts";
import { stepRnn } from "../kernels/step-rnn.ts";
import { zerosLike } from "../kernels/tensor.ts";
import type { FloatArray } from "../kernels/tensor.ts";
import type { ModelWeights } from "../model/model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { outputFeatures } from "../model/standardisation.ts";

export class Network<A extends FloatArray> {
  /** The present row in standard deviations, `(D)`: `standardise` writes it, `stepStandardised` reads it. */
  readonly standardised: A;
  readonly #weights: ModelWeights<A>;
  /** Where each layer's state starts in a stream's row of states. */
  readonly #stateAt: readonly number[];
  readonly #sums: Float64Array;
  /** Where each output's own feature stands; empty where the head is not residual. */
  readonly #residual: Int32Array;

  constructor(spec: ModelSpec, weights: ModelWeights<A>) {
    this.#weights = weights;
    this.standardised = zerosLike(weights.xMean, weights.xMean.shape).data;
    let at = 0;
    this.#stateAt = spec.layers.map(({ hidden }) => {
      at += hidden;
      return at - hidden;
    });
    this.#sums = new Float64Array(Math.max(spec.outputs.length, ...spec.layers.map((layer) => layer.hidden)));
    this.#residual = Int32Array.from(spec.head.residual ? outputFeatures(spec) : []);
  }

  /** Reads x `(D)` from `xAt`, in the sensors' units. */
  standardise(x: A, xAt: number): void {
    const { xMean, xScale } = this.#weights;
    standardise(xMean, xScale, x, xAt, this.standardised, 0);
  }

  /**
   * Steps the row of states that starts at `at`, layer after layer in place, and writes y `(O)` from `yAt`, in the targets' units. `x`
   * from `xAt` is the row that was standardised: a residual head adds to it.
   */
  stepStandardised(x: A, xAt: number, states: A, at: number, y: A, yAt: number): void {
    const { layers, head, yMean, yScale } = this.#weights;
    let input = this.standardised;
    let inputAt = 0;
    for (let layer = 0; layer < layers.length; layer++) {
      const h = at + this.#stateAt[layer]!;
      stepRnn(layers[layer]!, input, inputAt, states, h, states, h, this.#sums);
      // The next layer's input is this layer's new state, where it lies.
      input = states;
      inputAt = h;
    }
    affine(head, input, inputAt, y, yAt, this.#sums);
    restoreUnits(yMean, yScale, y, yAt, y, yAt);
    addResidual(this.#residual, x, xAt, y, yAt);
  }
}
