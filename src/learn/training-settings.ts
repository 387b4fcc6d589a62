// How a model is trained, with the defaults that `hiddenstate train` uses. docs/training.md says what they were chosen on.
import { HiddenstateError } from "../base/errors.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";

export const trainingCells = ["rnn_tanh", "rnn_relu", "gru", "lstm"] as const;
/** The cell of the recurrent layers. */
export type TrainingCell = (typeof trainingCells)[number];

/** How a network is trained. */
export interface TrainingSettings {
  /** Of every recurrent layer. A GRU is PyTorch's, with the reset gate behind the product. */
  readonly cell: TrainingCell;
  /** Hidden size of each recurrent layer, from the first up. */
  readonly hidden: readonly number[];
  /** `gaussian`: the head gives a mean and a standard deviation of each target, and is trained on their likelihood. */
  readonly head: "regression" | "gaussian";
  /** What errors cost a regression head: their square, or past one standard deviation their length. */
  readonly loss: "mse" | "huber";
  /** The part of the values between recurrent layers that is left out at random while training. */
  readonly dropout: number;
  /** Whether the head forecasts the change from the present reading instead of the value. */
  readonly residual: boolean;
  /** Passes over the training rows at most. */
  readonly epochsMax: number;
  /** Passes without a better validation loss after which training ends. */
  readonly patience: number;
  /** Steps that a gradient reaches back: the length of a chunk. */
  readonly chunkSteps: number;
  /** Sequences side by side; fewer where the training part is short. */
  readonly lanes: number;
  /** Adam's, decoupled weight decay per learning rate (AdamW), and the greatest length of a gradient. */
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly gradientNormMax: number;
  /** How much of itself the running average of weights keeps in a step; the average is the model. */
  readonly averaging: number;
  /** The same seed, rows, settings and kernel give the same model, to the byte. */
  readonly seed: number;
  /** What computes: the fastest that runs here unless given. */
  readonly kernel?: Kernel | undefined;
}

/** What `hiddenstate train` uses; docs/training.md says what it was chosen on. */
export const defaultTrainingSettings: TrainingSettings = {
  cell: "rnn_tanh",
  hidden: [32],
  head: "regression",
  loss: "mse",
  dropout: 0,
  residual: true,
  epochsMax: 200,
  patience: 30,
  chunkSteps: 32,
  lanes: 8,
  learningRate: 0.003,
  weightDecay: 0.1,
  gradientNormMax: 1,
  averaging: 0.995,
  seed: 1,
};

const HIDDEN_MAX = 4096;
const LAYERS_MAX = 8;
const EPOCHS_MAX = 100_000;
const CHUNK_STEPS_MAX = 4096;
const LANES_MAX = 1024;

function refuse(name: string, value: unknown, wanted: string): never {
  throw new HiddenstateError("bad_argument", `cannot train: ${name} is ${String(value)}; ${wanted} is expected`);
}

function checkWhole(name: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 1 || value > max) refuse(name, value, `a whole number from 1 to ${max}`);
}

/** Throws `bad_argument` naming the setting. */
export function checkTrainingSettings(settings: TrainingSettings): void {
  const { hidden, head, loss, dropout, learningRate, weightDecay, gradientNormMax, averaging, seed } = settings;
  if (hidden.length < 1 || hidden.length > LAYERS_MAX) refuse("the number of layers", hidden.length, `1 to ${LAYERS_MAX}`);
  for (const size of hidden) checkWhole("a hidden size", size, HIDDEN_MAX);
  if (!(dropout >= 0 && dropout < 1)) refuse("the dropout", dropout, "a number from 0, below 1,");
  if (dropout > 0 && hidden.length === 1)
    refuse("the dropout", dropout, "0, for a single layer has nothing above it to drop values to,");
  if (head === "gaussian" && loss !== "mse") refuse("the loss", loss, "none, for a Gaussian head is trained on its likelihood,");
  checkWhole("the number of epochs", settings.epochsMax, EPOCHS_MAX);
  checkWhole("the patience", settings.patience, EPOCHS_MAX);
  checkWhole("the chunk length", settings.chunkSteps, CHUNK_STEPS_MAX);
  checkWhole("the number of lanes", settings.lanes, LANES_MAX);
  if (!(learningRate > 0 && Number.isFinite(learningRate))) refuse("the learning rate", learningRate, "a number above 0");
  if (!(weightDecay >= 0 && weightDecay * learningRate < 1)) {
    refuse("the weight decay", weightDecay, "a number from 0, below 1 / learning rate,");
  }
  if (!(gradientNormMax > 0)) refuse("the gradient's greatest length", gradientNormMax, "a number above 0");
  if (!(averaging >= 0 && averaging < 1)) refuse("the averaging", averaging, "a number from 0, below 1,");
  if (!Number.isSafeInteger(seed)) refuse("the seed", seed, "a whole number");
}
