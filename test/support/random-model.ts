// Models of random weights for tests: any number of features, layers and outputs, in units far from standard ones. The same options
// give the same numbers on every machine.
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { countOf, tensor } from "../../src/kernels/tensor.ts";
import type { Tensor } from "../../src/kernels/tensor.ts";
import type { Model, ModelWeights } from "../../src/model/model.ts";
import type { ModelSpec } from "../../src/model/spec.ts";
import { decodeModel } from "../../src/onnx/decode-model.ts";
import { encodeModel } from "../../src/onnx/encode-model.ts";
import { stateSpecs } from "../../src/onnx/state-specs.ts";

export interface RandomModelOptions {
  readonly seed?: number;
  readonly features?: number;
  readonly outputs?: number;
  /** The hidden size of each layer. */
  readonly hidden?: readonly number[];
  readonly residual?: boolean;
  /** The recurrence's spectral radius, about: from 2 on the network is chaotic. */
  readonly gain?: number;
}

function uniform(random: Random, shape: readonly number[], low: number, high: number): Tensor {
  return tensor(
    Float32Array.from({ length: countOf(shape) }, () => low + (high - low) * random.next()),
    shape,
  );
}

/** Feature 0 is a pressure, 101,325 +- 5 or so: what folding the scaling into the weights would ruin. */
export function randomWeights(options: RandomModelOptions): { spec: ModelSpec; weights: ModelWeights } {
  const { seed = 1, features: D = 2, outputs: O = 1, hidden = [8], residual = false, gain = 0.9 } = options;
  const random = createRandom(seed);
  const layers = hidden.map((H) => ({ cell: "rnn_tanh" as const, hidden: H }));
  const widths = [D, ...hidden];
  const around = (count: number): Tensor =>
    tensor(
      Float32Array.from({ length: count }, (_, d) => (d === 0 ? 101_325 : 40 * random.next() - 20)),
      [count],
    );
  const weights: ModelWeights = {
    xMean: around(D),
    xScale: uniform(random, [D], 0.5, 6),
    layers: hidden.map((H, index) => {
      const width = widths[index]!;
      const [x, h] = [Math.sqrt(3 / width), gain * Math.sqrt(3 / H)];
      return {
        cell: "rnn" as const,
        activation: "tanh" as const,
        Wx: uniform(random, [width, H], -x, x),
        Wh: uniform(random, [H, H], -h, h),
        b: uniform(random, [H], -0.2, 0.2),
      };
    }),
    head: { W: uniform(random, [hidden.at(-1)!, O], -0.8, 0.8), b: uniform(random, [O], -0.1, 0.1) },
    yMean: residual ? uniform(random, [O], -0.5, 0.5) : around(O),
    yScale: uniform(random, [O], 0.5, 6),
  };
  const spec: ModelSpec = {
    format: 1,
    name: "random",
    task: "forecast",
    features: Array.from({ length: D }, (_, d) => ({ name: `feature${d}`, unit: d === 0 ? "Pa" : "" })),
    outputs: Array.from({ length: O }, (_, o) => ({
      name: `output${o}`,
      unit: "",
      feature: `feature${(D - 1 + o) % D}`,
      horizon: 1,
      deviation: weights.yScale.data[o]!,
    })),
    layers,
    head: { kind: "regression", residual },
    states: stateSpecs(layers),
  };
  return { spec, weights };
}

/** The same as a model that has gone through its file. */
export function randomModel(options: RandomModelOptions): Model {
  const { spec, weights } = randomWeights(options);
  return decodeModel(encodeModel(spec, weights), "random.onnx");
}
