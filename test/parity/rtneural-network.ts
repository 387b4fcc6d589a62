// RTNeural's two kinds of network files as stacks of our layers: JSON that Keras models are exported to (layer after layer, weights
// input-major), and PyTorch's state dictionaries (by name, weights output-major). It knows the files, not how they are judged.
import { z } from "zod";
import { countOf, tensor } from "../../src/kernels/tensor.ts";
import type { FloatArray, Tensor } from "../../src/kernels/tensor.ts";
import { TimeAffine } from "../../src/nn/time-affine.ts";
import { TimeGRU } from "../../src/nn/time-gru.ts";
import { TimeLSTM } from "../../src/nn/time-lstm.ts";
import { TimeRNN } from "../../src/nn/time-rnn.ts";
import { transposed } from "./torch-format.ts";
import type { NumberFormat } from "./torch-format.ts";

/** xs `(N, T, D)` -> `(N, T, O)` */
type Stage<A extends FloatArray> = (xs: Tensor<A>) => Tensor<A>;

export interface RtneuralNetwork<A extends FloatArray> {
  readonly inputs: number;
  readonly forward: Stage<A>;
}

type Nested = number[] | number[][];
const nestedSchema = z.union([z.array(z.number()), z.array(z.array(z.number()))]);

const kerasSchema = z.object({
  in_shape: z.array(z.int().nullable()).min(1),
  layers: z
    .array(
      z.object({
        type: z.string(),
        activation: z.string().default(""),
        shape: z.array(z.int().nullable()),
        weights: z.array(nestedSchema),
      }),
    )
    .min(1),
});
const torchSchema = z.record(z.string(), nestedSchema);

const activations: Readonly<Record<string, (x: number) => number>> = {
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  relu: (x) => Math.max(0, x),
};

/** The layer of a file that has none of ours; its message is the reason to skip. */
export class UnknownLayerError extends Error {}

/** Throws where the text is no network of either kind, and `UnknownLayerError` where one of its layers is not there. */
export function parseRtneuralNetwork<A extends FloatArray>(text: string, format: NumberFormat<A>): RtneuralNetwork<A> {
  const value: unknown = JSON.parse(text);
  const keras = kerasSchema.safeParse(value);
  if (keras.success) return kerasNetwork(keras.data, format);
  const torch = torchSchema.safeParse(value);
  if (torch.success && Object.keys(torch.data).length > 0) return torchNetwork(torch.data, format);
  throw new Error("neither a list of layers nor a state dictionary");
}

function nestedTensor<A extends FloatArray>(format: NumberFormat<A>, nested: Nested | undefined, name: string): Tensor<A> {
  if (nested === undefined) throw new Error(`there is no ${name}`);
  const values = nested.flat();
  const [first] = nested;
  const shape = Array.isArray(first) ? [nested.length, first.length] : [nested.length];
  if (countOf(shape) !== values.length) throw new Error(`${name} has rows of unequal length`);
  return tensor(format.from(values), shape);
}

/** What a GRU's two biases, b of the inputs and of the state, are in a TimeGRU: b, with bn apart. */
function gruBiases<A extends FloatArray>(format: NumberFormat<A>, input: Tensor<A>, state: Tensor<A>): [Tensor<A>, Tensor<A>] {
  const shared = (2 * input.data.length) / 3;
  const b = Array.from(input.data, (value, j) => value + (j < shared ? state.data[j]! : 0));
  const bn = Array.from(state.data).slice(shared);
  return [tensor(format.from(b), [b.length]), tensor(format.from(bn), [bn.length])];
}

/** Keras has a GRU's gates in the order z, r, h, and its h' = z h + (1 - z) n is ours. Columns [0, H) and [H, 2H) change places. */
function fromKerasGates<A extends FloatArray>(format: NumberFormat<A>, { shape, data }: Tensor<A>): Tensor<A> {
  const columns = shape.at(-1)!;
  const H = columns / 3;
  const moved = Array.from(data, (_, i) => {
    const column = i % columns;
    return data[i + (column < H ? H : column < 2 * H ? -H : 0)]!;
  });
  return tensor(format.from(moved), shape);
}

function kerasNetwork<A extends FloatArray>(file: z.output<typeof kerasSchema>, format: NumberFormat<A>): RtneuralNetwork<A> {
  const stages = file.layers.flatMap(({ type, activation, weights }, index): Stage<A>[] => {
    const take = (at: number): Tensor<A> => nestedTensor(format, weights[at], `layers[${index}].weights[${at}]`);
    switch (type) {
      case "dense":
      case "time-distributed-dense":
        return denseStages(new TimeAffine(take(0), take(1)), activation);
      case "gru":
        return [kerasGru(format, take)];
      case "lstm": {
        // The gates stand as i, f, c, o, which is our order.
        const layer = new TimeLSTM(take(0), take(1), take(2));
        return [(xs) => layer.forward(xs)];
      }
      default:
        throw new UnknownLayerError(`layer ${type}`);
    }
  });
  return { inputs: file.in_shape.at(-1)!, forward: inOrder(stages) };
}

/** With two rows of biases the reset gate comes after the product (`reset_after`), with one before it. */
function kerasGru<A extends FloatArray>(format: NumberFormat<A>, take: (at: number) => Tensor<A>): Stage<A> {
  const [Wx, Wh, bias] = [0, 1, 2].map((at) => fromKerasGates(format, take(at))) as [Tensor<A>, Tensor<A>, Tensor<A>];
  const linearBeforeReset = bias.shape.length === 2;
  const columns = Wx.shape[1]!;
  const row = (at: number): Tensor<A> => tensor(format.from(Array.from(bias.data).slice(at, at + columns)), [columns]);
  const state = linearBeforeReset ? row(columns) : tensor(format.from(new Float64Array(columns)), [columns]);
  const layer = new TimeGRU(Wx, Wh, ...gruBiases(format, row(0), state), { linearBeforeReset });
  return (xs) => layer.forward(xs);
}

function denseStages<A extends FloatArray>(layer: TimeAffine<A>, activation: string): Stage<A>[] {
  const dense: Stage<A> = (xs) => layer.forward(xs);
  if (activation === "") return [dense];
  const activate = activations[activation];
  if (activate === undefined) throw new UnknownLayerError(`activation ${activation}`);
  return [
    dense,
    (ys) => {
      ys.data.forEach((value, i) => (ys.data[i] = activate(value)));
      return ys;
    },
  ];
}

/** Modules in the order of the file; a recurrent one has as many layers as it has `weight_ih_l0`, `_l1`, ... */
function torchNetwork<A extends FloatArray>(file: z.output<typeof torchSchema>, format: NumberFormat<A>): RtneuralNetwork<A> {
  const take = (name: string): Tensor<A> => transposed(format, nestedTensor(format, file[name], name));
  const stages: Stage<A>[] = [];
  let inputs: number | undefined;
  for (const name of Object.keys(file)) {
    const [, module, kind, layer] = /^(.+)\.weight(_ih_l(\d+))?$/.exec(name) ?? [];
    if (module === undefined) continue;
    const stage = kind === undefined ? torchDense(module, take) : torchCell(module, layer!, take, format);
    inputs ??= take(name).shape[0]!;
    stages.push(stage);
  }
  if (inputs === undefined) throw new UnknownLayerError("a state dictionary without a weight");
  return { inputs, forward: inOrder(stages) };
}

function torchDense<A extends FloatArray>(module: string, take: (name: string) => Tensor<A>): Stage<A> {
  const layer = new TimeAffine(take(`${module}.weight`), take(`${module}.bias`));
  return (xs) => layer.forward(xs);
}

function torchCell<A extends FloatArray>(
  module: string,
  index: string,
  take: (name: string) => Tensor<A>,
  format: NumberFormat<A>,
): Stage<A> {
  const [Wx, Wh, input, state] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map((kind) =>
    take(`${module}.${kind}_l${index}`),
  ) as [Tensor<A>, Tensor<A>, Tensor<A>, Tensor<A>];
  const gates = Wh.shape[1]! / Wh.shape[0]!;
  const sum = tensor(format.from(Array.from(input.data, (value, j) => value + state.data[j]!)), input.shape);
  const layer =
    gates === 3
      ? new TimeGRU(Wx, Wh, ...gruBiases(format, input, state))
      : gates === 4
        ? new TimeLSTM(Wx, Wh, sum)
        : new TimeRNN(Wx, Wh, sum);
  return (xs) => layer.forward(xs);
}

function inOrder<A extends FloatArray>(stages: readonly Stage<A>[]): Stage<A> {
  return (xs) => stages.reduce((values, stage) => stage(values), xs);
}
