// What a model is, apart from its numbers: features, outputs, layers, states, where it came from. It travels as JSON inside the
// model file. Numbers (weights, scaling) stand in the graph only; the spec names them.
import { z } from "zod";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";

/** Where the spec lies in an ONNX file's `metadata_props`. */
export const SPEC_METADATA_KEY = "hiddenstate.spec";

const name = z.string().min(1).max(128);

const featureSchema = z.strictObject({ name, unit: z.string().max(32).default("") });

const outputSchema = z.strictObject({
  name,
  unit: z.string().max(32).default(""),
  /** The feature this output forecasts; classes have none. */
  feature: name.optional(),
  /** How many steps ahead. */
  horizon: z.int().min(1).optional(),
  /** The feature's standard deviation on the training rows: the scale of the parity measure, in the output's unit. 1 for a class. */
  deviation: z.number().positive(),
});

/** One state tensor, paired by name: the graph's input and output, its element type and shape at N = 1. */
const stateSchema = z.strictObject({
  name,
  input: name,
  output: name,
  type: z.literal("float32"),
  shape: z.array(z.int().min(1)).min(1).max(4),
  /** |value| is at most this where the cell bounds it: 1 for h, but for relu; none for an LSTM's c. */
  bound: z.number().positive().optional(),
});

const hidden = z.int().min(1).max(4096);
const CELLS = ["rnn_tanh", "rnn_relu", "rnn", "gru", "lstm"] as const;

/** ONNX's, with their default parameters. Which of them the native engine has: native-problem.ts. */
const activation = z.enum([
  "Affine",
  "Elu",
  "HardSigmoid",
  "LeakyRelu",
  "Relu",
  "ScaledTanh",
  "Sigmoid",
  "Softplus",
  "Softsign",
  "Tanh",
  "ThresholdedRelu",
]);

const layerSchema = z.discriminatedUnion(
  "cell",
  [
    z.strictObject({ cell: z.enum(["rnn_tanh", "rnn_relu"]), hidden }),
    z.strictObject({ cell: z.literal("rnn"), hidden, activations: z.tuple([activation]) }),
    z.strictObject({ cell: z.literal("lstm"), hidden, activations: z.tuple([activation, activation, activation]).optional() }),
    /** ONNX's linear_before_reset: true as PyTorch and cuDNN compute, false as in the paper. */
    z.strictObject({
      cell: z.literal("gru"),
      hidden,
      linearBeforeReset: z.boolean(),
      activations: z.tuple([activation, activation]).optional(),
    }),
  ],
  { error: ({ input }) => unknownCell(input) },
);

function unknownCell(layer: unknown): string {
  const cell = (layer as { cell?: unknown } | undefined)?.cell;
  return `there is no cell ${JSON.stringify(cell)?.slice(0, 64)}; export the model with one of ${CELLS.join(", ")}`;
}

const trainingSchema = z.strictObject({
  /** What the readings were: a file's name or `firmware-sim`. */
  source: z.string().max(512),
  seed: z.int(),
  /** What computed it: the seed repeats the bytes with this kernel. */
  kernel: z.string().max(64),
  epochs: z.int().min(0),
  rows: z.strictObject({ train: z.int(), validation: z.int(), test: z.int() }),
  /** Root mean squared error on the test rows, by output name, in the output's unit. */
  testRmse: z.record(z.string(), z.number()),
  persistenceRmse: z.record(z.string(), z.number()),
});

export const modelSpecSchema = z.strictObject({
  format: z.literal(1),
  name,
  /** `forecast`: outputs are later values of features, in their units. `classify`: outputs are the probabilities of classes. */
  task: z.enum(["forecast", "classify"]),
  features: z.array(featureSchema).min(1).max(limits.featuresMax),
  outputs: z.array(outputSchema).min(1).max(limits.featuresMax),
  layers: z.array(layerSchema).min(1).max(8),
  head: z.strictObject({
    /** `gaussian`: the outputs are means and then, in the same order, standard deviations. `classifier`: probabilities. */
    kind: z.enum(["regression", "gaussian", "classifier"]),
    /** The head predicts the change of each output's feature from the present reading. Not a classifier's. */
    residual: z.boolean(),
  }),
  states: z.array(stateSchema).min(1).max(64),
  /**
   * Every stream has a network of this shape of its own, or all of a group one together, which learns from the readings; what it starts from
   * follows from the seed.
   */
  learner: z.strictObject({ seed: z.int(), scope: z.literal("group").optional() }).optional(),
  training: trainingSchema.optional(),
});

/** What a model is, apart from its numbers, as JSON inside the model file: see docs/model-file.md. */
export type ModelSpec = z.output<typeof modelSpecSchema>;
/** An output: its name, its unit, and which feature it forecasts, how many steps ahead. */
export type OutputSpec = ModelSpec["outputs"][number];
/** A state tensor: its name, its shape at N = 1, and the bound of its values where the cell has one. */
export type StateSpec = ModelSpec["states"][number];
/** A recurrent layer: its cell and its hidden size. */
export type LayerSpec = ModelSpec["layers"][number];

/** A spec out of a model file's JSON. Throws `bad_model` naming the field. */
export function parseModelSpec(text: string, origin: string): ModelSpec {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw new HiddenstateError("bad_model", `cannot read the spec in ${origin}: it is not JSON`, thrown);
  }
  const parsed = modelSpecSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new HiddenstateError(
      "bad_model",
      `cannot read the spec in ${origin}: ${issue.path.join(".")}: ${issue.message}`,
      parsed.error,
    );
  }
  return parsed.data;
}
