// One network fitted to the training part of a table: its spec and scaling, the training itself, and the model that comes of it. Which rows
// those are, and what the model is worth, is decided above.
import { createRandom } from "../base/random.ts";
import type { Model, ModelWeights } from "../model/model.ts";
import type { LayerSpec, ModelSpec, OutputSpec } from "../model/spec.ts";
import { decodeModel } from "../onnx/decode-model.ts";
import { encodeModel } from "../onnx/encode-model.ts";
import { stateSpecs } from "../onnx/state-specs.ts";
import type { RowLayout } from "./baselines.ts";
import { fitScaling } from "./fit-scaling.ts";
import type { FeatureRange } from "./fit-scaling.ts";
import type { Series } from "./series.ts";
import { startingWeights } from "./starting-weights.ts";
import { trainModel } from "./train-model.ts";
import type { Training } from "./train-model.ts";
import type { TrainingTask } from "./train-on-table-options.ts";
import type { TrainingSettings } from "./training-settings.ts";

/** What every network for a table has in common. */
export interface Problem {
  readonly options: TrainingTask;
  readonly layout: RowLayout;
  readonly ranges: readonly FeatureRange[];
  readonly train: readonly Series[];
  readonly validation: readonly Series[];
}

export interface Fit {
  readonly spec: ModelSpec;
  readonly training: Training;
  readonly model: Model;
}

function specOf({ options, layout, ranges }: Problem, settings: TrainingSettings): ModelSpec {
  const { table, name, units, targets, horizon } = options;
  const { cell, head } = settings;
  const layers = settings.hidden.map((hidden): LayerSpec =>
    cell === "gru" ? { cell, hidden, linearBeforeReset: true } : { cell, hidden },
  );
  const unitOf = (place: number): string => units?.[place] ?? "";
  const outputOf = (output: string, o: number): OutputSpec => {
    const place = layout.targets[o]!;
    return { name: output, unit: unitOf(place), feature: targets[o]!, horizon, deviation: ranges[place]!.deviation };
  };
  const means = targets.map((feature, o) => outputOf(`${feature}+${horizon}`, o));
  const deviations = targets.map((feature, o) => outputOf(`${feature}+${horizon} deviation`, o));
  return {
    format: 1,
    name,
    task: "forecast",
    features: table.features.map((feature, place) => ({ name: feature, unit: unitOf(place) })),
    outputs: head === "gaussian" ? [...means, ...deviations] : means,
    layers,
    head: { kind: head, residual: settings.residual },
    states: stateSpecs(layers),
  };
}

/** The model that a runtime would load: its weights have been through the file. */
export function modelOf(spec: ModelSpec, weights: ModelWeights): Model {
  return decodeModel(encodeModel(spec, weights), spec.name);
}

/** Numbers that training changes. */
export function countWeights({ layers, head }: ModelWeights): number {
  const tensors = [
    ...layers.flatMap((layer) => [layer.Wx, layer.Wh, layer.b, ...(layer.cell === "gru" ? [layer.bn] : [])]),
    head.W,
    head.b,
  ];
  return tensors.reduce((sum, { data }) => sum + data.length, 0);
}

/** Throws `bad_argument` where no model file can hold what the spec says, `unavailable` where training diverges in its first pass. */
export async function fitNetwork(problem: Problem, settings: TrainingSettings): Promise<Fit> {
  const { layout, ranges, train, validation } = problem;
  const { clock, signal, onProgress } = problem.options;
  const scaling = fitScaling(ranges, train, layout.targets, settings.residual);
  const spec = specOf(problem, settings);
  // What no file can hold (a name too long) is refused now and not when hours have gone into it.
  encodeModel(spec, startingWeights(spec, scaling, createRandom(settings.seed)));
  const training = await trainModel({ spec, scaling, train, validation, settings, clock, signal, onProgress });
  return { spec, training, model: modelOf(spec, training.weights) };
}
