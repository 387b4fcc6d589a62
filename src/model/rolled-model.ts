// A model that forecasts the next reading, rolled forward: its forecast is taken for that reading, and so on to the farthest horizon. Rolled,
// a model has the file, version and numbers that it had; its spec has an output for each feature at each horizon, each with a deviation, and
// in its state, beside the network's, the forecasts that wait for their readings and how wrong those before were.
import assert from "node:assert/strict";
import { limits } from "../base/limits.ts";
import { valueOutputs } from "./forecast-outputs.ts";
import type { Model } from "./model.ts";
import type { ModelSpec, OutputSpec, StateSpec } from "./spec.ts";

/** Of the features that no output forecasts one reading ahead, in their own unit: why the model cannot be fed with its own forecasts. */
function feedbackProblem(spec: ModelSpec): string | undefined {
  const forecasts = valueOutputs(spec);
  const next = spec.features.map(({ name }) => forecasts.find(({ feature, horizon }) => feature === name && horizon === 1));
  const lacking = spec.features.filter((_, d) => next[d] === undefined).map(({ name }) => name);
  if (lacking.length > 0) {
    const targets = spec.features.map(({ name }) => name).join(",");
    return (
      `no output of the model ${JSON.stringify(spec.name)} forecasts ${lacking.join(", ")} one reading ahead, and to roll it forward takes all of ` +
      `its features; train one with --target ${targets} and --horizon 1, or leave horizons out`
    );
  }
  const other = spec.features.findIndex(({ unit }, d) => unit !== "" && next[d]!.unit !== "" && next[d]!.unit !== unit);
  if (other !== -1) {
    const { name, unit } = spec.features[other]!;
    return (
      `the model ${JSON.stringify(spec.name)} takes ${name} in ${unit} and forecasts it in ${next[other]!.unit}, so it cannot take its own ` +
      "forecasts for readings; leave horizons out"
    );
  }
  const more = forecasts.filter((output) => !next.includes(output)).map(({ name }) => name);
  if (more.length === 0) return undefined;
  return (
    `the model ${JSON.stringify(spec.name)} has more outputs than one a feature, one reading ahead: ${more.join(", ")}; it cannot be rolled ` +
    "forward, leave horizons out"
  );
}

/** Why a model cannot be rolled forward to these horizons, and what to do instead; undefined where it can. */
export function rollProblem(spec: ModelSpec, horizons: readonly number[]): string | undefined {
  if (spec.learner !== undefined) return "its streams learn networks of their own, at horizons of theirs; leave horizons out";
  if (spec.task === "classify")
    return `the model ${JSON.stringify(spec.name)} is a classifier, and classes are no readings; leave horizons out`;
  const problem = feedbackProblem(spec);
  if (problem !== undefined) return problem;
  const [D, H] = [spec.features.length, horizons.length];
  if (2 * D * H <= limits.featuresMax) return undefined;
  return `${D} features at ${H} horizons make ${2 * D * H} outputs, at most ${limits.featuresMax} are allowed; name fewer horizons`;
}

/** Where a Gaussian head says how sure it is of the next reading, that stands; all other deviations are measured. */
export function measuredHorizons({ head }: ModelSpec, horizons: readonly number[]): readonly number[] {
  return horizons.filter((horizon) => horizon !== 1 || head.kind !== "gaussian");
}

/** What of a stream is remembered for a measured horizon: three tensors, see forecast-errors.ts. */
function errorStates(horizon: number, D: number): StateSpec[] {
  const shapes = { forecasts: [horizon, D], errors: [2, D], ring: [2] };
  return Object.entries(shapes).map(([what, shape]) => {
    const name = `${what}+${horizon}`;
    return { name, input: `${name}_in`, output: `${name}_out`, type: "float32", shape };
  });
}

/** For each feature, where the output that forecasts it stands among the base's, `(D)`. */
export function nextOutputs(spec: ModelSpec): number[] {
  const forecasts = valueOutputs(spec);
  return spec.features.map(({ name }) => forecasts.findIndex(({ feature }) => feature === name));
}

function rolledSpec(spec: ModelSpec, horizons: readonly number[]): ModelSpec {
  const next = nextOutputs(spec).map((output) => spec.outputs[output]!);
  const outputs = (suffix: string): OutputSpec[] =>
    horizons.flatMap((horizon) =>
      next.map(({ unit, deviation }, d) => {
        const feature = spec.features[d]!.name;
        return { name: `${feature}+${horizon}${suffix}`, unit, feature, horizon, deviation };
      }),
    );
  const measured = measuredHorizons(spec, horizons);
  return {
    ...spec,
    outputs: [...outputs(""), ...outputs(" deviation")],
    head: { ...spec.head, kind: "gaussian" },
    states: [...spec.states, ...measured.flatMap((horizon) => errorStates(horizon, next.length))],
  };
}

/** The model of a file as a group runs it: rolled forward where the group has horizons, rising. There must be no `rollProblem`. */
export function rolledModel(file: Model, horizons: readonly number[] | undefined): Model {
  if (horizons === undefined) return file;
  assert.equal(rollProblem(file.spec, horizons), undefined);
  return { ...file, spec: rolledSpec(file.spec, horizons), rolled: { file, horizons } };
}

/** The model as its file has it, and as another file's is compared with it. */
export function fileModelOf(model: Model): Model {
  return model.rolled?.file ?? model;
}
