// A prediction with everything in it that the wire has to carry: a gap in the sequence, times that go back, values at the ends of float32.
import type { Prediction } from "../../src/message/prediction.ts";

export const examplePrediction: Prediction = {
  stream: "line-1/press-4",
  boot: 3,
  nonce: 3_735_928_559,
  firstSequence: 120,
  version: "9f86d081884c7d65",
  engine: "native",
  count: 3,
  sequences: Float64Array.of(120, 121, 125),
  times: Float64Array.of(1_764_000_000_000, 1_764_000_000_100, 1_764_000_000_050),
  outputs: Float32Array.of(21.4, 0.1, 21.5, Number.NaN, -3.4028235e38, 1e-45),
  outputNames: ["temperature", "vibration"],
};
