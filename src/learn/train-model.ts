// Fits one model's weights to series by stateful truncated backpropagation with Adam, and keeps those that did best on the validation
// series. It reads no file and prints nothing; with the same arguments it gives the same bits, however often it lets others run.
import type { Clock } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import { createRandom } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import type { ModelScaling } from "../model/initial-weights.ts";
import type { ModelWeights } from "../model/model.ts";
import { SequenceModel } from "../model/sequence-model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { Adam } from "../nn/adam.ts";
import { clipGradients } from "../nn/clip-gradients.ts";
import { HuberLoss } from "../nn/huber-loss.ts";
import type { Loss } from "../nn/loss.ts";
import { packChunks } from "./pack-chunks.ts";
import type { Chunk } from "./pack-chunks.ts";
import type { Series } from "./series.ts";
import { startingWeights } from "./starting-weights.ts";
import type { TrainingSettings } from "./training-settings.ts";
import { WeightAverage } from "./weight-average.ts";

/**
 * Losses are of what the head says, in standard deviations: mean squared errors, of which with a residual head 1 is about what persistence
 * does, or Huber's; of a Gaussian head the mean negative log-likelihood without its constant, of which 0.5 is about what persistence does.
 */
export interface Epoch {
  /** Over the pass, while the weights were changing. */
  readonly trainLoss: number;
  /** After it, of the averaged weights, from blank states. */
  readonly validationLoss: number;
}

/** How far a training has come. */
export interface TrainingProgress {
  /** Passes that are complete, and how far the present one is, 0 to 1. */
  readonly epochs: number;
  readonly part: number;
  /** Over the present pass so far, or over the last one at its very beginning. */
  readonly loss: number;
  /** Of the best pass so far; NaN before the first. */
  readonly bestLoss: number;
  /** Which pass that was, counted from 1; 0 before the first. */
  readonly bestEpoch: number;
}

/** `settled`: no better for `patience` passes. `stopped`: by the signal. `diverged`: the loss was no number any more. */
export type TrainingEnd = "settled" | "epochs" | "stopped" | "diverged";

/** How a training went, and the weights it ended with. */
export interface Training {
  /** The best weights, and the network that they are for. */
  readonly weights: ModelWeights;
  readonly epochs: readonly Epoch[];
  /** The pass that gave the best weights, counted from 1; 0 where the signal came before the first was complete. */
  readonly bestEpoch: number;
  readonly end: TrainingEnd;
}

export interface TrainModelOptions {
  readonly spec: ModelSpec;
  readonly scaling: ModelScaling;
  /** Where training goes on; from weights drawn by the seed where absent. */
  readonly from?: ModelWeights;
  /** Both with targets in them. */
  readonly train: readonly Series[];
  readonly validation: readonly Series[];
  readonly settings: TrainingSettings;
  readonly clock: Clock;
  /** Ends training at once, with the best so far. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  /** `from` has been trained before: it is the best until a pass does better. */
  readonly goesOn?: boolean;
  /** Gets the weights of each pass that did better than all before, and how many passes there were. */
  readonly onBest?: ((weights: ModelWeights, epochs: number) => Promise<void>) | undefined;
}

/** How long the loop may go on before others get their turn. */
const TURN_MS = 40;
/** A lane of fewer chunks would hardly carry a state. */
const CHUNKS_PER_LANE_MIN = 2;

class Trainer {
  readonly #options: TrainModelOptions;
  /** What the optimizer changes, and what the averaged weights are judged in. */
  readonly #model: SequenceModel;
  readonly #judge: SequenceModel;
  readonly #optimizer: Adam;
  readonly #average: WeightAverage;
  readonly #lanes: number;
  /** Where streams are cut, pass by pass. */
  readonly #cuts: Random;
  readonly #validation: readonly Chunk[];
  readonly #epochs: Epoch[] = [];
  #best: ModelWeights;
  #passLoss = Number.NaN;
  #bestLoss = Number.NaN;
  #bestEpoch = 0;
  #turnAtMs: number;

  constructor(options: TrainModelOptions) {
    this.#options = options;
    const { spec, scaling, settings } = options;
    const random = createRandom(settings.seed);
    const drawn = startingWeights(spec, scaling, random.fork());
    const weights = options.from ?? drawn;
    this.#cuts = random.fork();
    const { kernel, learningRate, weightDecay, averaging, chunkSteps: steps, lanes: lanesMax, dropout: rate } = settings;
    const dropout = rate > 0 ? { dropout: { rate, random: random.fork() } } : {};
    this.#model = new SequenceModel(spec, weights, { stateful: true, kernel, ...lossOf(settings), ...dropout });
    this.#judge = new SequenceModel(spec, weights, { stateful: true, kernel, ...lossOf(settings) });
    this.#optimizer = new Adam(this.#model.params, { learningRate, weightDecay, decayOf: "param", kernel });
    this.#average = new WeightAverage(this.#model.params, averaging);
    const rows = options.train.reduce((sum, { count }) => sum + count, 0);
    this.#lanes = Math.min(lanesMax, Math.max(1, Math.floor(rows / (CHUNKS_PER_LANE_MIN * steps))));
    this.#validation = packChunks(options.validation, this.#model, { lanes: lanesMax, steps });
    this.#best = weights;
    this.#turnAtMs = options.clock.monotonicMs();
  }

  async run(): Promise<Training> {
    const { epochsMax, patience } = this.#options.settings;
    let end: TrainingEnd = "epochs";
    if (this.#options.goesOn === true) this.#keepBest(await this.#judgeLoss());
    while (this.#epochs.length < epochsMax) {
      const trainLoss = await this.#runEpoch();
      if (this.#isStopped) {
        // What the pass has learned up to here may already be the best.
        this.#keepBest(await this.#judgeLoss());
        end = "stopped";
        break;
      }
      const validationLoss = Number.isFinite(trainLoss) ? await this.#judgeLoss() : Number.NaN;
      if (!Number.isFinite(validationLoss)) {
        end = "diverged";
        break;
      }
      this.#epochs.push({ trainLoss, validationLoss });
      this.#keepBest(validationLoss);
      if (this.#bestEpoch === this.#epochs.length) await this.#options.onBest?.(this.#best, this.#bestEpoch);
      this.#report(0);
      if (this.#epochs.length - this.#bestEpoch >= patience) {
        end = "settled";
        break;
      }
    }
    if (end === "diverged" && Number.isNaN(this.#bestLoss)) this.#refuseDiverged();
    return { weights: this.#best, epochs: this.#epochs, bestEpoch: this.#bestEpoch, end };
  }

  get #isStopped(): boolean {
    return this.#options.signal?.aborted === true;
  }

  /** One pass from blank states; returns its mean loss, not a number as soon as the loss or the gradient is none. */
  async #runEpoch(): Promise<number> {
    const { settings, train } = this.#options;
    const packing = { lanes: this.#lanes, steps: settings.chunkSteps, cutAt: this.#cuts.next() };
    const chunks = packChunks(train, this.#model, packing);
    let squares = 0;
    let count = 0;
    for (const [index, chunk] of chunks.entries()) {
      restart(this.#model, chunk);
      const loss = this.#model.loss(chunk.xs, chunk.targets);
      squares += loss * chunk.targetCount;
      count += chunk.targetCount;
      if (chunk.targetCount > 0) {
        this.#model.backwardParams();
        const norm = clipGradients(this.#model.grads, settings.gradientNormMax, settings);
        if (!Number.isFinite(norm) || !Number.isFinite(loss)) return Number.NaN;
        this.#optimizer.step(this.#model.grads);
        this.#average.add();
      }
      if (count > 0) this.#passLoss = squares / count;
      if (await this.#takeTurn((index + 1) / chunks.length)) break;
    }
    return squares / count;
  }

  /** Now and then lets others run; returns whether to stop. */
  async #takeTurn(part: number): Promise<boolean> {
    const { clock } = this.#options;
    if (clock.monotonicMs() - this.#turnAtMs >= TURN_MS) {
      this.#report(part);
      await new Promise<void>((resolve) => clock.soon(resolve));
      this.#turnAtMs = clock.monotonicMs();
    }
    return this.#isStopped;
  }

  #report(part: number): void {
    const [epochs, loss] = [this.#epochs.length, this.#passLoss];
    this.#options.onProgress?.({ epochs, part, loss, bestLoss: this.#bestLoss, bestEpoch: this.#bestEpoch });
  }

  /** The averaged weights' loss on the validation series. */
  async #judgeLoss(): Promise<number> {
    this.#average.copyTo(this.#judge.params);
    let squares = 0;
    let count = 0;
    for (const chunk of this.#validation) {
      restart(this.#judge, chunk);
      squares += this.#judge.loss(chunk.xs, chunk.targets) * chunk.targetCount;
      count += chunk.targetCount;
      await this.#takeTurn(1);
    }
    return squares / count;
  }

  #keepBest(loss: number): void {
    if (!Number.isFinite(loss) || loss >= this.#bestLoss) return;
    this.#best = this.#judge.getWeights();
    this.#bestLoss = loss;
    this.#bestEpoch = this.#epochs.length;
  }

  #refuseDiverged(): never {
    throw new HiddenstateError(
      "unavailable",
      `cannot train: the loss was no number any more in epoch ${this.#epochs.length + 1}; lower the learning rate ` +
        `(it is ${this.#options.settings.learningRate}), or look for values that are no measurements and name them as missing`,
    );
  }
}

/** The head's own loss, unless another was asked for. */
function lossOf({ loss }: TrainingSettings): { readonly loss?: Loss } {
  return loss === "huber" ? { loss: new HuberLoss() } : {};
}

/** Blank states for the lanes in which a piece begins. */
function restart(model: SequenceModel, { starts, xs }: Chunk): void {
  if (starts.length === 0) return;
  if (starts.length === xs.shape[0]) {
    model.resetState();
    return;
  }
  const states = model.getState()!;
  for (const { data, shape } of states) {
    const H = shape[1]!;
    for (const lane of starts) data.fill(0, lane * H, (lane + 1) * H);
  }
  model.setState(states);
}

/**
 * Throws `unavailable` where the loss stops being a number in the first pass. A later divergence ends training with the best weights
 * before it, as the signal does.
 */
export function trainModel(options: TrainModelOptions): Promise<Training> {
  return new Trainer(options).run();
}
