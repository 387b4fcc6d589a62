// What a model file holds, as `inspect` tells it: what goes in and out, of what it is made, where it came from, and what steps it.
import { defaultEngine, openEngine } from "../engine/open-engine.ts";
import { HiddenstateError } from "../base/errors.ts";
import type { Model } from "../model/model.ts";
import { namedWeights } from "../model/named-weights.ts";
import { nativeProblem } from "../model/native-problem.ts";
import type { ModelSpec } from "../model/spec.ts";

export interface ModelInspection {
  readonly kind: "model";
  readonly version: string;
  readonly bytes: number;
  readonly parameters: number;
  readonly spec: ModelSpec;
  readonly engine: {
    readonly name: "native" | "onnx";
    /** Undefined where that engine cannot be opened here. */
    readonly kernel: string | undefined;
    /** Why not the native engine, or why none. */
    readonly reason: string | undefined;
  };
}

async function engineOf(model: Model): Promise<ModelInspection["engine"]> {
  const problem = nativeProblem(model.spec);
  const name = defaultEngine(model);
  try {
    const engine = await openEngine(model, { engine: name });
    const { kernel } = engine;
    await engine.close();
    return { name, kernel, reason: problem };
  } catch (thrown) {
    if (!(thrown instanceof HiddenstateError)) throw thrown;
    return { name, kernel: undefined, reason: problem === undefined ? thrown.message : `${problem}; and ${thrown.message}` };
  }
}

export async function inspectModel(model: Model): Promise<ModelInspection> {
  const { spec, version, bytes, weights } = model;
  // Scaling is measured, not learned.
  const learned = namedWeights(weights).filter(([name]) => !/^[xy](Mean|Scale)$/.test(name));
  const parameters = learned.reduce((sum, [, { data }]) => sum + data.length, 0);
  return { kind: "model", version, bytes: bytes.length, parameters, spec, engine: await engineOf(model) };
}

function withUnit({ name, unit }: { readonly name: string; readonly unit: string }): string {
  return unit === "" ? name : `${name} (${unit})`;
}

function outputText(output: ModelSpec["outputs"][number]): string {
  const of = output.feature === undefined ? "" : ` of ${output.feature}`;
  return output.horizon === undefined ? withUnit(output) : `${withUnit(output)}: ${output.horizon} ahead${of}`;
}

function trainingLines({ training, learner }: ModelSpec): string[] {
  if (learner !== undefined) {
    const whose =
      learner.scope === "group" ? "all streams of the group learn one network" : "each stream learns a network of its own";
    return [`${whose}, from seed ${learner.seed}`];
  }
  if (training === undefined) return ["the file does not say how it was trained"];
  const { source, rows, epochs, seed, kernel, testRmse, persistenceRmse } = training;
  const errors = Object.entries(testRmse).map(([name, rmse]) => {
    const persistence = persistenceRmse[name];
    const beside = persistence === undefined ? "" : `, persistence ${persistence.toPrecision(4)}`;
    return `  ${name}: RMSE ${rmse.toPrecision(4)} on the test rows${beside}`;
  });
  const counts = `${rows.train} rows, ${rows.validation} for validation, ${rows.test} for the test`;
  return [`trained on ${source}: ${counts}; ${epochs} epochs, seed ${seed}, kernel ${kernel}`, ...errors];
}

function engineLine({ name, kernel, reason }: ModelInspection["engine"]): string {
  if (kernel === undefined) return `no engine here takes it: ${reason}`;
  const why = reason === undefined ? "" : `, since ${reason}`;
  return `stepped by the ${name} engine (${kernel})${why}`;
}

export function modelLines(path: string, { version, bytes, parameters, spec, engine }: ModelInspection): string[] {
  const layers = spec.layers.map((layer) => {
    const named = "activations" in layer && layer.activations !== undefined ? ` with ${layer.activations.join(", ")}` : "";
    return `${layer.cell} ${layer.hidden}${named}`;
  });
  const head = `${spec.head.kind} head${spec.head.residual ? " of changes" : ""}`;
  return [
    `${path}: model ${spec.name}, ${spec.task}, format ${spec.format}, ${bytes} bytes`,
    `version ${version}`,
    `features: ${spec.features.map(withUnit).join(", ")}`,
    `layers: ${[...layers, head].join(", ")}; ${parameters} parameters`,
    ...spec.states.map(({ name, shape, bound }) => {
      return `state ${name}: ${shape.join(" x ")}${bound === undefined ? "" : `, at most ${bound} either way`}`;
    }),
    ...spec.outputs.map((output) => `output ${outputText(output)}`),
    ...trainingLines(spec),
    engineLine(engine),
  ];
}
