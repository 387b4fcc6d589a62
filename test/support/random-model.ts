// Models of random weights for tests: any cells and head, any number of features, layers and outputs, in units far from standard ones. The
// same options give the same numbers on every machine.
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { targetsOf } from "../../src/kernels/network-weights.ts";
import type { HeadKind } from "../../src/kernels/network-weights.ts";
import { countOf, tensor } from "../../src/kernels/tensor.ts";
import type { Tensor } from "../../src/kernels/tensor.ts";
import { createCellLayer } from "../../src/model/cell-layers.ts";
import type { Model, ModelWeights } from "../../src/model/model.ts";
import type { LayerSpec, ModelSpec, OutputSpec } from "../../src/model/spec.ts";
import { decodeModel } from "../../src/onnx/decode-model.ts";
import { encodeModel } from "../../src/onnx/encode-model.ts";
import { stateSpecs } from "../../src/onnx/state-specs.ts";

export const cellNames = ["rnn_tanh", "rnn_relu", "gru", "gru_reset_first", "lstm"] as const;
export type CellName = (typeof cellNames)[number];

export interface RandomModelOptions {
  readonly seed?: number;
  readonly features?: number;
  /** Targets of a regression or Gaussian head, classes of a classifier. */
  readonly outputs?: number;
  /** The hidden size of each layer. */
  readonly hidden?: readonly number[];
  /** The cell of each layer; rnn_tanh unless given, and the last one from there on. */
  readonly cells?: readonly CellName[];
  readonly head?: HeadKind;
  readonly residual?: boolean;
  /** The recurrence's spectral radius, about: from 2 on an rnn_tanh network is chaotic. */
  readonly gain?: number;
}

function uniform(random: Random, shape: readonly number[], low: number, high: number): Tensor {
  return tensor(
    Float32Array.from({ length: countOf(shape) }, () => low + (high - low) * random.next()),
    shape,
  );
}

function layerSpec(cell: CellName, hidden: number): LayerSpec {
  if (cell === "gru" || cell === "gru_reset_first") return { cell: "gru", hidden, linearBeforeReset: cell === "gru" };
  return { cell, hidden };
}

function outputSpecs(kind: HeadKind, O: number, D: number, yScale: Float32Array): OutputSpec[] {
  const K = yScale.length;
  return Array.from({ length: O }, (_, o) => {
    if (kind === "classifier") return { name: `class${o}`, unit: "", deviation: 1 };
    const target = o % K;
    const name = o < K ? `output${o}` : `output${target} deviation`;
    return { name, unit: "", feature: `feature${(D - 1 + target) % D}`, horizon: 1, deviation: yScale[target]! };
  });
}

/** Feature 0 is a pressure, 101,325 +- 5 or so: what folding the scaling into the weights would ruin. */
export function randomWeights(options: RandomModelOptions): { spec: ModelSpec; weights: ModelWeights } {
  const { seed = 1, features: D = 2, outputs = 1, hidden = [8], cells = [], head: kind = "regression" } = options;
  const { residual = false, gain = 0.9 } = options;
  const random = createRandom(seed);
  const layers = hidden.map((H, index) => layerSpec(cells[index] ?? cells.at(-1) ?? "rnn_tanh", H));
  const widths = [D, ...hidden];
  const O = kind === "gaussian" ? 2 * outputs : outputs;
  const K = targetsOf(kind, O);
  const around = (count: number): Tensor =>
    tensor(
      Float32Array.from({ length: count }, (_, d) => (d === 0 ? 101_325 : 40 * random.next() - 20)),
      [count],
    );
  const weights: ModelWeights = {
    xMean: around(D),
    xScale: uniform(random, [D], 0.5, 6),
    layers: layers.map((layer, index) => {
      const width = widths[index]!;
      const ranges = { Wx: Math.sqrt(3 / width), Wh: gain * Math.sqrt(3 / layer.hidden), b: 0.2, bn: 0.2 };
      // Nothing bounds a relu.
      if (layer.cell === "rnn_relu") ranges.Wh /= 2;
      return createCellLayer(layer, width, (name, shape) => uniform(random, shape, -ranges[name], ranges[name]));
    }),
    head: { W: uniform(random, [hidden.at(-1)!, O], -0.8, 0.8), b: uniform(random, [O], -0.1, 0.1) },
    yMean: residual ? uniform(random, [K], -0.5, 0.5) : around(K),
    yScale: uniform(random, [K], 0.5, 6),
  };
  const spec: ModelSpec = {
    format: 1,
    name: "random",
    task: kind === "classifier" ? "classify" : "forecast",
    features: Array.from({ length: D }, (_, d) => ({ name: `feature${d}`, unit: d === 0 ? "Pa" : "" })),
    outputs: outputSpecs(kind, O, D, weights.yScale.data),
    layers,
    head: { kind, residual },
    states: stateSpecs(layers),
  };
  return { spec, weights };
}

/** The same as a model that has gone through its file. */
export function randomModel(options: RandomModelOptions): Model {
  const { spec, weights } = randomWeights(options);
  return decodeModel(encodeModel(spec, weights), "random.onnx");
}

/** A network that the native engine does not have: a GRU whose gates are hard sigmoids. */
export function hardSigmoidModel(): Model {
  const { spec, weights } = randomWeights({ seed: 4, features: 1, hidden: [1], cells: ["gru"] });
  const layers: LayerSpec[] = [{ cell: "gru", hidden: 1, linearBeforeReset: true, activations: ["HardSigmoid", "Tanh"] }];
  return decodeModel(encodeModel({ ...spec, layers, states: stateSpecs(layers) }, weights), "hard.onnx");
}
