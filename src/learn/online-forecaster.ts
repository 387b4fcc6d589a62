// A forecaster that starts from nothing and learns from a stream's own readings as they come: part of the step, seeded, its cadence
// counted in readings, its memory bounded. Every slot is one stream with weights of its own; what is remembered of it are the named
// tensors of its slot, so that replayed readings give the same bits.
import { HiddenstateError } from "../base/errors.ts";
import type { WarmUp } from "../engine/engine.ts";
import { limits } from "../base/limits.ts";
import { createRandom } from "../base/random.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import type { ModelWeights } from "../model/model.ts";
import type { LayerSpec, ModelSpec } from "../model/spec.ts";
import type { JudgedForecast } from "../score/residual.ts";
import { defaultHorizons, LEARNER_LAYER, learnerSpec } from "./learner-spec.ts";
import { COUNTERS, LANES, OnlineNetwork, READINGS_PER_UPDATE, STEPS } from "./online-network.ts";
import type { OnlineWeights } from "./online-network.ts";
import { OnlineState } from "./online-state.ts";
import type { StateLayout, StateTensor } from "./online-state.ts";
import {
  averageIn,
  COUNT,
  deviationOf,
  giveForecasts,
  LOSSES,
  meetForecasts,
  NUMBERS,
  openSlot,
  openWeights,
  READINGS_BEFORE,
  slotLayout,
  takeIn,
  warmUpOf,
  weightsLayout,
  writeDeviations,
  writeInput,
} from "./online-slot.ts";
import type { Slot } from "./online-slot.ts";
import { seasonNames } from "./season.ts";

export interface OnlineForecasterSettings {
  readonly name: string;
  /** Names; D. */
  readonly features: readonly string[];
  /** Readings ahead, rising. Default: 1, 12 and 48, fewer where features are many. */
  readonly horizons?: readonly number[];
  /** Default: a GRU of 16. */
  readonly layer?: LayerSpec;
  readonly seed: number;
  readonly kernel?: Kernel;
}

/** The last readings, out of which pieces are drawn to learn from. */
const WINDOW = 1000;

interface LearningSlot extends Slot {
  readonly weights: OnlineWeights;
}

export class OnlineForecaster {
  /** Outputs `(O)`: for each horizon the means of all features, then in the same order the standard deviations. */
  readonly outputs: number;
  /** The same as a scorer takes them. */
  readonly forecasts: readonly JudgedForecast[];
  readonly horizons: readonly number[];
  readonly #features: number;
  readonly #seed: number;
  readonly #network: OnlineNetwork;
  readonly #layout: StateLayout;
  readonly #slots: (LearningSlot | undefined)[] = [];
  readonly #errors = new Float64Array(2);

  /** Throws `bad_argument` where features and horizons make more outputs than a model may have. */
  constructor(settings: OnlineForecasterSettings) {
    const D = settings.features.length;
    this.horizons = settings.horizons ?? defaultHorizons(D);
    const K = D * this.horizons.length;
    this.outputs = 2 * K;
    if (this.outputs > limits.featuresMax) {
      throw new HiddenstateError(
        "bad_argument",
        `cannot build a forecaster: ${D} features and ${this.horizons.length} horizons make ${this.outputs} outputs, at most ` +
          `${limits.featuresMax} are allowed; ask for fewer horizons`,
      );
    }
    const { horizons } = this;
    const spec = learnerSpec({ layer: LEARNER_LAYER, ...settings, horizons }, seasonNames);
    this.#features = D;
    this.#seed = settings.seed;
    this.#network = new OnlineNetwork(spec, settings.seed, settings.kernel);
    this.forecasts = this.horizons.flatMap((horizon, h) =>
      settings.features.map((_, feature) => ({ output: h * D + feature, feature, horizon, deviation: K + h * D + feature })),
    );
    const { size, states } = this.#network;
    const slot = slotLayout({ hidden: states, features: D, horizons, window: WINDOW, numbers: COUNTERS + NUMBERS });
    this.#layout = { ...slot, float32: { ...weightsLayout(size), ...slot.float32 } };
  }

  /** What made the bits. */
  get kernel(): Kernel {
    return this.#network.kernel;
  }

  /** A slot for a stream without a past. */
  allocate(): number {
    const free = this.#slots.findIndex((slot) => slot === undefined);
    const index = free < 0 ? this.#slots.length : free;
    this.#slots[index] = this.#createSlot();
    this.begin(index);
    return index;
  }

  release(slot: number): void {
    this.#slots[slot] = undefined;
  }

  /** The slot's stream has no past any more. */
  begin(index: number): void {
    const slot = this.#slots[index]!;
    for (const { data } of slot.state.tensors) data.fill(0);
    this.#network.begin(slot.weights);
  }

  /** All that is remembered of the slot's stream: views, good until the slot is released. */
  tensors(slot: number): readonly StateTensor[] {
    return this.#slots[slot]!.state.tensors;
  }

  /** Puts back copies of what `tensors` gave, here or in another forecaster of the same settings. Throws `bad_state` where it does not fit. */
  write(slot: number, tensors: readonly Pick<StateTensor, "name" | "data">[]): void {
    this.#slots[slot]!.state.write(tensors);
  }

  /**
   * Takes in the next reading of the slot's stream, x `(D)` from `xFrom`, and writes what is forecast after it, y `(O)` from `yFrom`, in
   * the features' units: NaN before reading 100. Where not `learn`, as while something is wrong, the weights stay as they are.
   */
  step(index: number, x: ArrayLike<number>, xFrom: number, time: number, y: Float32Array, yFrom: number, learn = true): void {
    const slot = this.#slots[index]!;
    if (meetForecasts(slot, this.horizons, x, xFrom, this.#errors)) averageIn(slot.numbers, LOSSES, this.#errors, 1);
    takeIn(slot, x, xFrom, time);
    const count = slot.numbers[COUNT]!;
    if (count < READINGS_BEFORE) {
      y.fill(Number.NaN, yFrom, yFrom + this.outputs);
      return;
    }
    const network = this.#network;
    if (learn && count % READINGS_PER_UPDATE === 0) this.#learn(slot, count);
    writeInput(slot, (count - 1) % WINDOW, network.input, 0);
    network.step(slot.weights.averages, slot.hidden);
    giveForecasts(slot, this.horizons, network.output, y, yFrom);
  }

  /** One update by pieces of the window, each with the values that come after its steps. */
  #learn(slot: LearningSlot, count: number): void {
    const { xs, targets } = this.#network;
    const longest = this.horizons[this.horizons.length - 1]!;
    const kept = Math.min(count, WINDOW);
    const starts = kept - longest - STEPS + 1;
    if (starts <= 0) return;
    const random = createRandom(this.#seed ^ Math.imul(count, 0x9e3779b1));
    const D = this.#features;
    const [width, K] = [xs.shape[2]!, targets.shape[2]!];
    for (let lane = 0; lane < LANES; lane++) {
      const start = count - kept + Math.floor(random.next() * starts);
      for (let step = 0; step < STEPS; step++) {
        const row = lane * STEPS + step;
        writeInput(slot, (start + step) % WINDOW, xs.data, row * width);
        for (let h = 0; h < this.horizons.length; h++) {
          writeDeviations(slot, (start + step + this.horizons[h]!) % WINDOW, targets.data, row * K + h * D);
        }
      }
    }
    this.#network.update(slot.weights);
  }

  #createSlot(): LearningSlot {
    const state = new OnlineState(this.#layout);
    return { ...openSlot(state, this.#network.states.length, COUNTERS), weights: openWeights(state) };
  }

  warmUp(index: number): WarmUp {
    const { numbers } = this.#slots[index]!;
    return warmUpOf(numbers, LOSSES, numbers[COUNT]!);
  }

  /**
   * The stream's network as a model: its features are the stream's and then those of `season.ts`. In the graph no input is bounded, as
   * deviations beyond 6 are here.
   */
  model(index: number): { readonly spec: ModelSpec; readonly weights: ModelWeights } {
    const slot = this.#slots[index]!;
    const { spec } = this.#network;
    const D = this.#features;
    const scale = (d: number): number => Math.fround(deviationOf(slot.variance[d]!));
    const width = spec.features.length;
    const K = this.outputs / 2;
    const weights = this.#network.weightsOf(slot.weights.averages, {
      xMean: { shape: [width], data: Float32Array.from({ length: width }, (_, i) => (i < D ? slot.mean[i]! : 0)) },
      xScale: { shape: [width], data: Float32Array.from({ length: width }, (_, i) => (i < D ? scale(i) : 1)) },
      yMean: { shape: [K], data: Float32Array.from({ length: K }, (_, k) => slot.mean[k % D]!) },
      yScale: { shape: [K], data: Float32Array.from({ length: K }, (_, k) => scale(k % D)) },
    });
    const outputs = spec.outputs.map((output, o) => ({ ...output, deviation: scale(o % D) }));
    return { spec: { ...spec, outputs }, weights };
  }
}
