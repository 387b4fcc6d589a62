// Recurrent layers of every cell with random weights, for tests that hold all cells to one promise.
import type { Random } from "../../src/base/random.ts";
import type { FloatArray, Tensor } from "../../src/kernels/tensor.ts";
import { TimeGRU } from "../../src/nn/time-gru.ts";
import type { TimeLayer } from "../../src/nn/time-layer.ts";
import { TimeLSTM } from "../../src/nn/time-lstm.ts";
import { TimeRNN } from "../../src/nn/time-rnn.ts";

export const cellNames = ["tanh", "relu", "gru", "gru reset before", "lstm"] as const;
export type CellName = (typeof cellNames)[number];

type Draw<A extends FloatArray> = (random: Random, shape: readonly number[], bound?: number) => Tensor<A>;

/** A layer on weights from `draw`: `randomTensor` or `randomTensor64`. Its Wh neither dies out nor explodes over some 50 steps. */
export function randomLayer<A extends FloatArray>(
  cell: CellName,
  draw: Draw<A>,
  random: Random,
  D: number,
  H: number,
  stateful = true,
): TimeLayer<A> {
  const gates = cell === "lstm" ? 4 : cell.startsWith("gru") ? 3 : 1;
  const gain = (cell === "relu" ? 1 : 1.5) / Math.sqrt(H);
  const Wx = draw(random, [D, gates * H]);
  const Wh = draw(random, [H, gates * H], gain);
  const b = draw(random, [gates * H]);
  switch (cell) {
    case "tanh":
    case "relu":
      return new TimeRNN(Wx, Wh, b, { stateful, activation: cell });
    case "gru":
      return new TimeGRU(Wx, Wh, b, draw(random, [H]), { stateful });
    case "gru reset before":
      return new TimeGRU(Wx, Wh, b, draw(random, [H]), { stateful, linearBeforeReset: false });
    case "lstm":
      return new TimeLSTM(Wx, Wh, b, { stateful });
  }
}
