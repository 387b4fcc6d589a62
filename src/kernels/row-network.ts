// A whole network stepping one row in plain TypeScript: scaling, recurrent layers, head. Over Float32Array it is what runs where there is
// no WebAssembly SIMD, over Float64Array the reference that judges the others. It keeps scratch, never a state.
import { affine } from "./affine.ts";
import { headOutputs } from "./head-outputs.ts";
import { gatesOf, hiddenOf } from "./network-weights.ts";
import type { CellLayer, NetworkWeights } from "./network-weights.ts";
import { standardise } from "./standardise.ts";
import { gruScratch, stepGru } from "./step-gru.ts";
import { lstmScratch, stepLstm } from "./step-lstm.ts";
import { stepRnn } from "./step-rnn.ts";
import { zerosLike } from "./tensor.ts";
import type { FloatArray } from "./tensor.ts";

export class RowNetwork<A extends FloatArray> {
  /** The present row in standard deviations, `(D)`: `standardise` writes it, `stepStandardised` reads it. */
  readonly standardised: A;
  readonly #weights: NetworkWeights<A>;
  readonly #gates: A;
  readonly #sums: Float64Array;

  constructor(weights: NetworkWeights<A>) {
    const { xMean, layers, head } = weights;
    const widest = Math.max(...layers.map(hiddenOf));
    this.#weights = weights;
    this.standardised = zerosLike(xMean, xMean.shape).data;
    this.#gates = zerosLike(xMean, [Math.max(gruScratch.gates, lstmScratch.gates) * widest]).data;
    this.#sums = new Float64Array(Math.max(head.b.data.length, ...layers.map((layer) => (gatesOf(layer) + 1) * hiddenOf(layer))));
  }

  /** Reads x `(D)` from `xAt`, in the sensors' units. */
  standardise(x: A, xAt: number): void {
    const { xMean, xScale } = this.#weights;
    standardise(xMean, xScale, x, xAt, this.standardised, 0);
  }

  /**
   * Steps the stream whose state tensors lie one after another in `states` from `at`, layer after layer in place, and writes y `(O)` from
   * `yAt`, in the targets' units. `x` from `xAt` is the row that was standardised: a residual head adds to it.
   */
  stepStandardised(x: A, xAt: number, states: A, at: number, y: A, yAt: number): void {
    const { layers, head } = this.#weights;
    let input = this.standardised;
    let inputAt = 0;
    let h = at;
    for (const layer of layers) {
      this.#stepLayer(layer, input, inputAt, states, h);
      // The next layer's input is this layer's new state, where it lies.
      input = states;
      inputAt = h;
      h += (layer.cell === "lstm" ? 2 : 1) * hiddenOf(layer);
    }
    affine(head, input, inputAt, y, yAt, this.#sums);
    headOutputs(this.#weights, x, xAt, y, yAt);
  }

  #stepLayer(layer: CellLayer<A>, x: A, xAt: number, states: A, h: number): void {
    switch (layer.cell) {
      case "rnn":
        stepRnn(layer, x, xAt, states, h, states, h, this.#sums, layer.activation);
        return;
      case "gru":
        stepGru(layer, layer.linearBeforeReset, x, xAt, states, h, states, h, this.#gates, 0, this.#sums);
        return;
      case "lstm": {
        const c = h + hiddenOf(layer);
        stepLstm(layer, x, xAt, states, h, states, c, states, h, states, c, this.#gates, 0, this.#sums);
      }
    }
  }
}
