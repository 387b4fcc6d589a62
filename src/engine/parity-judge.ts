// The float64 reference that says how much of a difference float32 itself explains. Two engines sum in different orders; where the
// network or a step magnifies that rounding past the tolerance, no float32 engine can be held to it. It never sees an engine.
import { createRandom } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import { RowNetwork } from "../kernels/row-network.ts";
import { countOf, toFloat64 } from "../kernels/tensor.ts";
import { mapWeights } from "../model/map-weights.ts";
import type { Model } from "../model/model.ts";
import { networkWeightsOf } from "../model/network-weights-of.ts";
import type { ModelSpec } from "../model/spec.ts";
import type { StateTensors } from "./engine.ts";
import { outputScales, worstDifference } from "./parity.ts";
import type { ParityDifference } from "./parity.ts";

/** What the first state of a run is nudged by. */
const STATE_NUDGE = 1e-7;
/**
 * What an input or state is nudged by at each step, relative: two units in the last place of a float32. Engines that sum and take the
 * tanh in their own ways were seen to differ by up to ten in one step.
 */
const ROUNDING = 2 ** -22;
/** Draws of the nudges' signs: a few for a run, which mixes them by itself, more for one step, where they may cancel. */
const RUN_DRAWS = 4;
const STEP_DRAWS = 16;
const STATE_SCALE = Float64Array.of(1);

export class ParityJudge {
  readonly #spec: ModelSpec;
  readonly #scales: Float64Array;
  readonly #network: RowNetwork<Float64Array>;
  readonly #random: Random;
  readonly #x: Float64Array;
  /** The undisturbed stream and the nudged one. */
  readonly #states: readonly [Float64Array, Float64Array];
  readonly #y: readonly [Float64Array, Float64Array];

  constructor(model: Model, seed = 1) {
    const { spec } = model;
    const width = spec.states.reduce((sum, state) => sum + countOf(state.shape), 0);
    this.#spec = spec;
    this.#scales = outputScales(spec);
    this.#network = new RowNetwork(networkWeightsOf(spec, mapWeights(model.weights, toFloat64)));
    this.#random = createRandom(seed);
    this.#x = new Float64Array(spec.features.length);
    this.#states = [new Float64Array(width), new Float64Array(width)];
    this.#y = [new Float64Array(spec.outputs.length), new Float64Array(spec.outputs.length)];
  }

  /** How far one step from `state` moves where its input and state are off by their last places; x `(D)` from `xAt`. */
  roundingOfStep(x: Float32Array, xAt: number, state: StateTensors): ParityDifference {
    const worst = { outputs: 0, states: 0 };
    for (let draw = 0; draw < STEP_DRAWS; draw++) {
      let at = 0;
      for (const { name } of this.#spec.states) {
        for (const states of this.#states) states.set(state[name]!, at);
        at += state[name]!.length;
      }
      this.#stepBoth(x, xAt, worst);
    }
    return worst;
  }

  /**
   * How far stream `n` of x `(T, N, D)`, from a blank state, moves over its run where its first state is off by 1e-7 and each step's
   * input and state by their last places.
   */
  growthOfRun(x: Float32Array, steps: number, count: number, n: number): ParityDifference {
    const worst = { outputs: 0, states: 0 };
    for (let draw = 0; draw < RUN_DRAWS; draw++) {
      this.#states[0].fill(0);
      this.#states[1].fill(STATE_NUDGE);
      for (let t = 0; t < steps; t++) this.#stepBoth(x, (t * count + n) * this.#x.length, worst);
    }
    return worst;
  }

  #stepBoth(x: Float32Array, xAt: number, worst: ParityDifference): void {
    for (let d = 0; d < this.#x.length; d++) this.#x[d] = x[xAt + d]!;
    const [plain, nudged] = this.#states;
    const [yPlain, yNudged] = this.#y;
    this.#network.standardise(this.#x, 0);
    this.#network.stepStandardised(this.#x, 0, plain, 0, yPlain, 0);
    // The input is nudged in standard deviations: in the sensor's units its last place is no rounding of the network's.
    this.#nudge(this.#network.standardised);
    this.#nudge(nudged);
    this.#network.stepStandardised(this.#x, 0, nudged, 0, yNudged, 0);
    worst.outputs = Math.max(worst.outputs, worstDifference(yNudged, 0, yPlain, 0, yPlain.length, this.#scales));
    worst.states = Math.max(worst.states, worstDifference(nudged, 0, plain, 0, plain.length, STATE_SCALE));
  }

  #nudge(values: Float64Array): void {
    for (let i = 0; i < values.length; i++) {
      values[i] = values[i]! * (1 + (this.#random.next() < 0.5 ? -ROUNDING : ROUNDING));
    }
  }
}
