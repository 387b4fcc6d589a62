// A forecaster that starts from nothing and learns from the readings of all streams of a group, in the order they came: one network, whose
// weights, moments and counters are nobody's own. A slot holds what is one stream's: statistics, hidden state, its last readings and the
// forecasts that wait for theirs. What a stream's numbers are is told to the network in its own deviations, bounded, so that no stream can
// teach it more than its share.
import { createRandom } from "../base/random.ts";
import type { WarmUp } from "../engine/engine.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import { LEARNER_LAYER, learnerSpec } from "./learner-spec.ts";
import { COUNTERS, LANES, OnlineNetwork, READINGS_PER_UPDATE, STEPS } from "./online-network.ts";
import type { OnlineWeights } from "./online-network.ts";
import type { OnlineForecasterSettings } from "./online-forecaster.ts";
import {
  averageIn,
  COUNT,
  giveForecasts,
  isFar,
  LOSS_COUNT,
  LOSS_READINGS,
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
import { OnlineState } from "./online-state.ts";
import type { StateLayout, StateTensor } from "./online-state.ts";
import { pieceLayout, PieceStore, READINGS_PER_PIECE } from "./piece-store.ts";
import { seasonNames, writeSeason } from "./season.ts";

/** Places in a slot's numbers behind those of any: the number that the stream goes by, from 1, and when it last counted for the group. */
const OWNER = NUMBERS;
const COUNTED_AT = NUMBERS + 1;
/** Places in the shared numbers: readings of all streams, how good their forecasts were, and the last number given to a stream. */
const READINGS = COUNTERS;
const SHARED_LOSSES = COUNTERS + 1;
const OWNERS = COUNTERS + 4;
const SHARED_NUMBERS = COUNTERS + 5;

/** After so many readings the network steps along, so that its state has settled when it is asked. */
export const READINGS_UNSTEPPED = READINGS_BEFORE - STEPS;
/** What the group says of a stream's forecasts counts like so many of its own readings, however bad it is. */
const GROUP_COUNTS = 100;
const GROUP_RATIO_MAX = 1.5;
/** What a stream's squared errors, all of them together, are held to be at least. */
const OWN_ERROR_MIN = 0.1;
/** Of a stream's own readings so many are remembered while the network is not worth more than the last value. */
const OWN_COUNT_COLD = 200;

type Settings = Required<Pick<OnlineForecasterSettings, "name" | "features" | "horizons" | "seed">> & {
  readonly kernel?: Kernel;
};

export class SharedForecaster {
  readonly #horizons: readonly number[];
  readonly #outputs: number;
  readonly #seed: number;
  readonly #network: OnlineNetwork;
  readonly #layout: StateLayout;
  readonly #shared: OnlineState;
  readonly #weights: OnlineWeights;
  readonly #numbers: Float64Array;
  readonly #pieces: PieceStore;
  readonly #pieceRows: number;
  readonly #slots: (Slot | undefined)[] = [];
  readonly #free: number[] = [];
  /** Slots whose stream goes by a number. */
  #streams = 0;
  readonly #errors = new Float64Array(2);

  constructor(settings: Settings) {
    const { horizons, features, seed } = settings;
    const D = features.length;
    this.#horizons = horizons;
    this.#outputs = 2 * D * horizons.length;
    this.#seed = seed;
    this.#network = new OnlineNetwork(learnerSpec({ layer: LEARNER_LAYER, ...settings }, seasonNames), seed, settings.kernel);
    const { size, states } = this.#network;
    // Forecasts are met, and pieces taken, from what a slot remembers: no more is.
    this.#pieceRows = STEPS + horizons[horizons.length - 1]!;
    const window = this.#pieceRows;
    this.#layout = slotLayout({ hidden: states, features: D, horizons, window, numbers: NUMBERS + 2 });
    const pieces = pieceLayout({ features: D, rows: this.#pieceRows, timed: STEPS });
    this.#shared = new OnlineState({
      float32: { ...weightsLayout(size), ...pieces.float32 },
      float64: { numbers: [SHARED_NUMBERS], ...pieces.float64 },
    });
    this.#weights = openWeights(this.#shared);
    this.#numbers = this.#shared.view64("numbers");
    this.#pieces = new PieceStore(this.#shared);
    this.#network.begin(this.#weights);
  }

  /** What made the bits. */
  get kernel(): Kernel {
    return this.#network.kernel;
  }

  /** A slot for a stream without a past. */
  allocate(): number {
    const index = this.#free.pop() ?? this.#slots.length;
    this.#slots[index] = openSlot(new OnlineState(this.#layout), this.#network.states.length);
    return index;
  }

  release(index: number): void {
    this.#count(index, -1);
    this.#slots[index] = undefined;
    this.#free.push(index);
  }

  /** What is remembered of the slot's stream alone: views, good until the slot is released. */
  tensors(index: number): readonly StateTensor[] {
    return this.#slots[index]!.state.tensors;
  }

  /** Puts back copies of what `tensors` gave, here or in another forecaster of the same settings. Throws `bad_state` where it does not fit. */
  write(index: number, tensors: readonly Pick<StateTensor, "name" | "data">[]): void {
    const { state } = this.#slots[index]!;
    state.expect(tensors);
    this.#count(index, -1);
    state.write(tensors);
    this.#count(index, 1);
  }

  /** Counts a slot's stream in or out, if it goes by a number. */
  #count(index: number, by: number): void {
    if (this.#slots[index]!.numbers[OWNER] !== 0) this.#streams += by;
  }

  /** What is remembered of all of them together: views. */
  get shared(): readonly StateTensor[] {
    return this.#shared.tensors;
  }

  /** As `write`, of what `shared` gave. */
  writeShared(tensors: readonly Pick<StateTensor, "name" | "data">[]): void {
    this.#shared.write(tensors);
    this.#pieces.refresh();
  }

  /**
   * Takes in the next reading of the slot's stream, x `(D)` from `xFrom`, and writes what is forecast after it, y `(O)` from `yFrom`, in
   * the features' units: NaN before reading 100. A reading without a time, NaN, is one of before from which the slot is built anew. It
   * teaches nothing, and there are at most `READINGS_UNSTEPPED` of them, so that they may be taken in at any time.
   */
  step(index: number, x: ArrayLike<number>, xFrom: number, time: number, y: Float32Array, yFrom: number): void {
    const slot = this.#slots[index]!;
    const isMet = meetForecasts(slot, this.#horizons, x, xFrom, this.#errors);
    // What a network gave that had yet to learn says little of the stream: less of it is remembered.
    if (isMet) averageIn(slot.numbers, LOSSES, this.#errors, 1, this.sharedWarmUp.warm ? LOSS_READINGS : OWN_COUNT_COLD);
    const counts = isMet && !isFar(slot, x, xFrom);
    takeIn(slot, x, xFrom, time);
    if (!Number.isNaN(time)) this.#teach(index, counts);
    y.fill(Number.NaN, yFrom, yFrom + this.#outputs);
    const count = slot.numbers[COUNT]!;
    if (count <= READINGS_UNSTEPPED) return;
    const network = this.#network;
    writeInput(slot, (count - 1) % this.#pieceRows, network.input, 0);
    network.step(this.#weights.averages, slot.hidden);
    if (count >= READINGS_BEFORE) giveForecasts(slot, this.#horizons, network.output, y, yFrom);
  }

  /** What the group makes of a reading that its stream has taken in; `counts`: its errors are the network's. */
  #teach(index: number, counts: boolean): void {
    const slot = this.#slots[index]!;
    const shared = this.#numbers;
    const readings = shared[READINGS]! + 1;
    shared[READINGS] = readings;
    if (slot.numbers[OWNER] === 0) {
      shared[OWNERS]!++;
      slot.numbers[OWNER] = shared[OWNERS]!;
      this.#streams++;
    }
    if (counts) {
      // A stream that measures more often than the others counts for less with each reading.
      averageIn(shared, SHARED_LOSSES, this.#errors, Math.min(1, (readings - slot.numbers[COUNTED_AT]!) / this.#streams));
      slot.numbers[COUNTED_AT] = readings;
    }
    const count = slot.numbers[COUNT]!;
    if (count >= Math.max(READINGS_BEFORE, this.#pieceRows) && count % READINGS_PER_PIECE === 0) this.#offer(slot, readings);
    if (readings % READINGS_PER_UPDATE === 0 && this.#pieces.count > 0) this.#learn(readings);
  }

  /** Puts the slot's last readings among the pieces, where there is a place for them. */
  #offer(slot: Slot, readings: number): void {
    const D = slot.mean.length;
    const random = createRandom(this.#seed ^ Math.imul(readings, 0x85ebca6b));
    const place = this.#pieces.take(slot.numbers[OWNER]!, this.#streams, readings, random);
    if (place < 0) return;
    const first = slot.numbers[COUNT]! - this.#pieceRows;
    const { values, times } = this.#pieces.at(place);
    for (let row = 0; row < this.#pieceRows; row++) writeDeviations(slot, (first + row) % this.#pieceRows, values, row * D);
    for (let step = 0; step < STEPS; step++) times[step] = slot.times[(first + step) % this.#pieceRows]!;
  }

  /** One update by pieces of whichever streams. */
  #learn(readings: number): void {
    const { xs, targets } = this.#network;
    const [width, K] = [xs.shape[2]!, targets.shape[2]!];
    const D = K / this.#horizons.length;
    const random = createRandom(this.#seed ^ Math.imul(readings, 0x9e3779b1));
    for (let lane = 0; lane < LANES; lane++) {
      const { values, times } = this.#pieces.at(Math.floor(random.next() * this.#pieces.count));
      for (let step = 0; step < STEPS; step++) {
        const row = lane * STEPS + step;
        xs.data.set(values.subarray(step * D, (step + 1) * D), row * width);
        writeSeason(times[step]!, xs.data, row * width + D);
        this.#horizons.forEach((horizon, h) => {
          const at = (step + horizon) * D;
          targets.data.set(values.subarray(at, at + D), row * K + h * D);
        });
      }
    }
    this.#network.update(this.#weights);
  }

  /** How far the network has come with the readings of all streams. */
  get sharedWarmUp(): WarmUp {
    return warmUpOf(this.#numbers, SHARED_LOSSES, this.#numbers[READINGS]!);
  }

  /**
   * How far a stream has come with that network. It has to be known what is usual of it, and the network has to do better than the last
   * value: on the readings of all, for as many readings as `GROUP_COUNTS`, and on the stream's own, which outweigh those in time.
   */
  warmUp(index: number): WarmUp {
    const { numbers } = this.#slots[index]!;
    const readings = numbers[COUNT]!;
    const { loss, persistenceLoss } = warmUpOf(numbers, LOSSES, readings);
    const group = this.sharedWarmUp;
    const judged = numbers[LOSSES + LOSS_COUNT]!;
    // Shares of the last value's error by which the network does worse, for so many readings. Of few readings that error may be next to 0.
    const own = judged === 0 ? 0 : (judged * (loss - persistenceLoss)) / (persistenceLoss + OWN_ERROR_MIN / judged);
    const others = GROUP_COUNTS * (Math.min(group.loss / group.persistenceLoss, GROUP_RATIO_MAX) - 1);
    const warm = readings >= READINGS_BEFORE && group.readings >= group.readingsNeeded && own + others < 0;
    return { readings, readingsNeeded: READINGS_BEFORE, loss, persistenceLoss, warm };
  }
}
