// What keeps a model from being fine-tuned on readings. Asked wherever a fine-tune is offered, so it loads nothing that learns.
import { HiddenstateError } from "../base/errors.ts";
import { valueOutputs } from "./forecast-outputs.ts";
import type { ModelSpec } from "./spec.ts";

/** Undefined where nothing does. */
export function tuningProblem(spec: ModelSpec): string | undefined {
  const targets = valueOutputs(spec);
  if (targets.length === 0) return "it is a classifier, and readings carry no classes";
  const names = new Set(spec.features.map(({ name }) => name));
  const unknown = targets.find(({ feature, horizon }) => horizon === undefined || feature === undefined || !names.has(feature));
  if (unknown !== undefined) return `its output ${unknown.name} forecasts none of its features, or does not say how far ahead`;
  return new Set(targets.map(({ horizon }) => horizon)).size > 1 ? "its outputs have several horizons" : undefined;
}

/** Throws `bad_argument` for a model that something keeps from being fine-tuned. */
export function requireTunable(spec: ModelSpec): void {
  const problem = tuningProblem(spec);
  if (problem !== undefined) throw new HiddenstateError("bad_argument", `cannot fine-tune model ${spec.name}: ${problem}`);
}
