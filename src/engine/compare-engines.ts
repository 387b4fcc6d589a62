// Runs two engines of one model side by side and says how far apart they are, by the parity measure: step by step from the same state,
// and carrying their own states one at a time, in chunks and in a batch. What it returns are figures; printing is others' business.
import assert from "node:assert/strict";
import { createRandom } from "../base/random.ts";
import type { Model } from "../model/model.ts";
import { createStateTensors } from "./engine.ts";
import type { Engine, Slot, StateTensors } from "./engine.ts";
import { parityInputs } from "./parity-inputs.ts";
import type { ParityInputs } from "./parity-inputs.ts";
import { ParityJudge } from "./parity-judge.ts";
import { isWithin, outputScales, PARITY_TOLERANCE, worstDifference } from "./parity.ts";
import type { ParityDifference } from "./parity.ts";

/** `chaotic`: apart, and the float64 reference drifts as far by itself from a nudge of 1e-7. */
export type ParityVerdict = "passed" | "chaotic" | "failed";

export interface ParityPart extends Readonly<ParityDifference> {
  readonly name: string;
  readonly inputs: ParityInputs;
  /** Steps of each stream. */
  readonly steps: number;
  readonly verdict: ParityVerdict;
  /** How far the reference itself drifts; only where it was asked, which is where the engines are apart. */
  readonly growth?: number;
  /** Single steps that magnify their own input's rounding past the tolerance, and take no part in the figures. */
  readonly unresolved?: number;
}

export interface ParityReport {
  readonly tolerance: number;
  readonly parts: readonly ParityPart[];
  /** No part failed. */
  readonly passed: boolean;
}

interface Pair {
  readonly model: Model;
  readonly left: Engine;
  readonly right: Engine;
  readonly judge: ParityJudge;
  readonly scales: Float64Array;
}

const STATE_SCALE = Float64Array.of(1);

function statesApart(left: StateTensors, right: StateTensors): number {
  return Math.max(
    ...Object.keys(left).map((name) => worstDifference(left[name]!, 0, right[name]!, 0, left[name]!.length, STATE_SCALE)),
  );
}

function include(worst: ParityDifference, { outputs, states }: ParityDifference): void {
  worst.outputs = Math.max(worst.outputs, outputs);
  worst.states = Math.max(worst.states, states);
}

/** Single steps: the left engine carries its state, and the right one starts each step from that same state. */
async function compareSteps({ model, left, right, judge, scales }: Pair, x: Float32Array, steps: number) {
  const D = model.spec.features.length;
  const before = createStateTensors(model.spec.states);
  const [a, b] = [createStateTensors(model.spec.states), createStateTensors(model.spec.states)];
  const [yLeft, yRight] = [new Float32Array(scales.length), new Float32Array(scales.length)];
  const slots: [Slot, Slot] = [left.allocate(), right.allocate()];
  const worst = { outputs: 0, states: 0 };
  let unresolved = 0;
  for (let t = 0; t < steps; t++) {
    left.read(slots[0], before);
    right.write(slots[1], before);
    const row = x.subarray(t * D, (t + 1) * D);
    await left.step({ slots: Int32Array.of(slots[0]), count: 1, steps: 1, x: row, y: yLeft });
    await right.step({ slots: Int32Array.of(slots[1]), count: 1, steps: 1, x: row, y: yRight });
    left.read(slots[0], a);
    right.read(slots[1], b);
    const apart = { outputs: worstDifference(yLeft, 0, yRight, 0, scales.length, scales), states: statesApart(a, b) };
    if (isWithin(apart) || isWithin(judge.roundingOfStep(row, 0, before))) include(worst, apart);
    else unresolved += 1;
  }
  left.release(slots[0]);
  right.release(slots[1]);
  return { ...worst, unresolved };
}

/** Carried runs of `count` streams in chunks of `chunk` steps: the worst difference of each stream. */
async function compareCarried(
  { model, left, right, scales }: Pair,
  x: Float32Array,
  steps: number,
  count: number,
  chunk: number,
) {
  assert(steps % chunk === 0, "a run is a whole number of chunks");
  const D = model.spec.features.length;
  const O = scales.length;
  const [a, b] = [createStateTensors(model.spec.states), createStateTensors(model.spec.states)];
  const [yLeft, yRight] = [new Float32Array(chunk * count * O), new Float32Array(chunk * count * O)];
  // Taken in order by one engine and in reverse by the other: a row must not depend on its place.
  const leftSlots = Int32Array.from({ length: count }, () => left.allocate());
  const rightSlots = Int32Array.from({ length: count }, () => right.allocate()).toReversed();
  const worst = Array.from({ length: count }, (): ParityDifference => ({ outputs: 0, states: 0 }));
  for (let t = 0; t < steps; t += chunk) {
    const rows = x.subarray(t * count * D, (t + chunk) * count * D);
    await left.step({ slots: leftSlots, count, steps: chunk, x: rows, y: yLeft });
    await right.step({ slots: rightSlots, count, steps: chunk, x: rows, y: yRight });
    for (let row = 0; row < chunk * count; row++) {
      include(worst[row % count]!, { outputs: worstDifference(yLeft, row * O, yRight, row * O, O, scales), states: 0 });
    }
    for (let n = 0; n < count; n++) {
      left.read(leftSlots[n]!, a);
      right.read(rightSlots[n]!, b);
      include(worst[n]!, { outputs: 0, states: statesApart(a, b) });
    }
  }
  for (const slot of leftSlots) left.release(slot);
  for (const slot of rightSlots) right.release(slot);
  return worst;
}

/** The runs' figures and verdict: a stream that is apart is chaotic where the reference drifts past the tolerance by itself. */
function judgeRuns(judge: ParityJudge, streams: readonly ParityDifference[], x: Float32Array, steps: number) {
  const worst = { outputs: 0, states: 0 };
  let verdict: ParityVerdict = "passed";
  let growth: number | undefined;
  streams.forEach((apart, n) => {
    include(worst, apart);
    if (isWithin(apart)) return;
    const drift = judge.growthOfRun(x, steps, streams.length, n);
    growth = Math.max(growth ?? 0, drift.outputs, drift.states);
    if (isWithin(drift)) verdict = "failed";
    else if (verdict === "passed") verdict = "chaotic";
  });
  return { ...worst, verdict, ...(growth === undefined ? {} : { growth }) };
}

const RUNS = [
  { name: "carried, one step at a time", count: 1, chunk: 1 },
  { name: "carried, chunks of 50", count: 1, chunk: 50 },
  { name: "carried, 3 streams in a batch", count: 3, chunk: 1 },
] as const;

/**
 * Holds `left` against `right`, two engines of `model`, over `steps` steps (a multiple of 50) of usual and of extreme inputs. Takes and
 * gives back slots of both; the same seed gives the same inputs.
 */
export async function compareEngines(
  model: Model,
  left: Engine,
  right: Engine,
  { steps = 1000, seed = 1 }: { readonly steps?: number; readonly seed?: number } = {},
): Promise<ParityReport> {
  const random = createRandom(seed);
  const pair: Pair = { model, left, right, judge: new ParityJudge(model), scales: outputScales(model.spec) };
  const parts: ParityPart[] = [];
  for (const inputs of ["usual", "extreme"] as const) {
    const x = parityInputs(inputs, model.weights, random, steps, 1);
    const single = await compareSteps(pair, x, steps);
    const verdict = isWithin(single) ? "passed" : "failed";
    parts.push({ name: "single steps from the same state", inputs, steps, ...single, verdict });
    for (const { name, count, chunk } of RUNS) {
      const rows = count === 1 ? x : parityInputs(inputs, model.weights, random, steps, count);
      const streams = await compareCarried(pair, rows, steps, count, chunk);
      parts.push({ name, inputs, steps, ...judgeRuns(pair.judge, streams, rows, steps) });
    }
  }
  return { tolerance: PARITY_TOLERANCE, parts, passed: parts.every((part) => part.verdict !== "failed") };
}
