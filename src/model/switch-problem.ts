// Whether one model may take another's place under its streams: it must take the same features and give the same outputs, for readings,
// predictions and scores go on as they were; and where states are carried over, they must be of the same shapes.
import type { ModelSpec, OutputSpec, StateSpec } from "./spec.ts";

interface Named {
  readonly name: string;
  readonly unit: string;
}

type ShapedOutput = Omit<OutputSpec, "deviation">;

/** What of a spec says whether one model can take another's place. */
export interface ModelShape {
  readonly features: readonly Named[];
  readonly outputs: readonly ShapedOutput[];
  readonly head: Pick<ModelSpec["head"], "kind">;
  readonly states: readonly Pick<StateSpec, "name" | "shape">[];
  /** What its streams remember is a learner's, and fits no other's. */
  readonly learner?: ModelSpec["learner"];
}

function described(parts: readonly string[]): string {
  return parts.join(", ");
}

function featureText({ name, unit }: Named): string {
  return unit === "" ? name : `${name} (${unit})`;
}

/** What an output means: two of one name may be of different features, or look differently far ahead. */
function outputText(output: ShapedOutput): string {
  const meaning = output.horizon === undefined ? "" : `: ${output.feature} ${output.horizon} ahead`;
  return `${featureText(output)}${meaning}`;
}

/** Units need only agree where both are given. */
function withUnitsOf<N extends Named>(parts: readonly N[], others: readonly Named[]): N[] {
  return parts.map((part, i) => (part.unit === "" || others[i]?.unit === "" ? { ...part, unit: "" } : part));
}

function shapesOf({ states }: ModelShape): string {
  return described(states.map(({ name, shape }) => `${name} of ${shape.join(" x ")}`));
}

function featuresText(spec: ModelShape, other: ModelShape): string {
  return described(withUnitsOf(spec.features, other.features).map((feature) => featureText(feature)));
}

function outputsText(spec: ModelShape, other: ModelShape): string {
  return described(withUnitsOf(spec.outputs, other.outputs).map((output) => outputText(output)));
}

/** Why `to` cannot take the place of `from`; undefined where it can. `carries`: states are to be carried over. */
export function switchProblem(from: ModelShape, to: ModelShape, carries: boolean): string | undefined {
  for (const [says, before, after] of [
    ["takes the features", featuresText(from, to), featuresText(to, from)],
    ["gives the outputs", outputsText(from, to), outputsText(to, from)],
    ["has the head", from.head.kind, to.head.kind],
  ] as const) {
    if (before !== after) return `it ${says} ${after}, and the model in force ${before}`;
  }
  if (!carries) return undefined;
  if (from.learner?.scope !== to.learner?.scope || (from.learner === undefined) !== (to.learner === undefined)) {
    return 'streams that learn by themselves remember other things, and "switch: carry" keeps what they remember';
  }
  if (shapesOf(from) === shapesOf(to)) return undefined;
  return `its state is ${shapesOf(to)}, that of the model in force ${shapesOf(from)}, and "switch: carry" needs them to be the same`;
}
