// What keeps a well-formed spec from having a graph: names that clash, outputs that say nothing or two things, states that are not its
// layers'. Found in words, before a graph is written or read.
import { targetsOf } from "../kernels/network-weights.ts";
import type { ModelSpec } from "../model/spec.ts";
import { modelGraph } from "./model-graph.ts";
import { stateSpecs } from "./state-specs.ts";

function repeated(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index);
}

function quote(name: string): string {
  return JSON.stringify(name);
}

function classifierProblem({ task, outputs, head }: ModelSpec): string | undefined {
  if (task !== "classify") return `its task is ${task}, and a classifier's is classify`;
  if (head.residual) return "its head is residual, and a class is no change of a reading";
  const odd = outputs.find(({ feature, horizon }) => feature !== undefined || horizon !== undefined);
  return odd === undefined ? undefined : `output ${quote(odd.name)} is a class, and has a feature or a horizon`;
}

function forecastProblem({ task, features, outputs, head }: ModelSpec): string | undefined {
  if (task !== "forecast") return `its task is ${task}, which takes a classifier as its head`;
  for (const { name, feature, horizon } of outputs) {
    if (feature === undefined || horizon === undefined)
      return `output ${quote(name)} lacks the feature or the horizon that it forecasts`;
    if (features.every((candidate) => candidate.name !== feature)) {
      return `output ${quote(name)} forecasts ${quote(feature)}, which is no feature`;
    }
  }
  if (head.kind === "regression") return undefined;
  const K = targetsOf(head.kind, outputs.length);
  if (!Number.isInteger(K))
    return `a gaussian head has a mean and a deviation for each target, and ${outputs.length} outputs are not pairs`;
  for (let k = 0; k < K; k++) {
    const [mean, deviation] = [outputs[k]!, outputs[K + k]!];
    if (mean.feature !== deviation.feature || mean.horizon !== deviation.horizon) {
      return `output ${quote(deviation.name)} is the deviation of output ${quote(mean.name)}, and forecasts something else`;
    }
  }
  return undefined;
}

function stateProblem({ layers, states }: ModelSpec): string | undefined {
  const wanted = stateSpecs(layers);
  if (states.length !== wanted.length) {
    return `the spec has ${states.length} states, and its layers keep ${wanted.length}: ${wanted.map(({ name }) => name).join(", ")}`;
  }
  for (const [index, { name, shape, bound }] of states.entries()) {
    const { name: place, shape: meant, bound: limit } = wanted[index]!;
    if (shape.join() !== meant.join()) {
      return `state ${quote(name)} has shape (${shape.join(", ")}), where the layers keep ${place} of (${meant.join(", ")})`;
    }
    if (bound !== limit)
      return `state ${quote(name)} has the bound ${bound ?? "none"}, where the layers keep ${place} with ${limit ?? "none"}`;
  }
  return undefined;
}

/** What keeps a well-formed spec from having a graph; undefined where nothing does. */
export function specProblem(spec: ModelSpec): string | undefined {
  for (const [what, entries] of Object.entries({ feature: spec.features, output: spec.outputs, state: spec.states })) {
    const twice = repeated(entries.map((entry) => entry.name));
    if (twice !== undefined) return `two of the spec's ${what}s are named ${quote(twice)}`;
  }
  const problem = (spec.head.kind === "classifier" ? classifierProblem(spec) : forecastProblem(spec)) ?? stateProblem(spec);
  if (problem !== undefined) return problem;
  const { tensors, nodes, inputs } = modelGraph(spec);
  const twice = repeated([...tensors, ...inputs].map((entry) => entry.name).concat(nodes.flatMap((entry) => entry.outputs)));
  return twice === undefined ? undefined : `two tensors of its graph would be named ${quote(twice)}`;
}
