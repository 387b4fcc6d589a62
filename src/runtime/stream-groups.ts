// The groups that an epoch's settings name, each on the engine and the model version that stand there. Where a version changes, this is the
// switch: live, at the start and in a replay alike.
import { HiddenstateError } from "../base/errors.ts";
import type { Engine } from "../engine/engine.ts";
import { kernelOfVersion } from "../engine/native-engine.ts";
import { openEngine } from "../engine/open-engine.ts";
import type { Model } from "../model/model.ts";
import { shortVersion } from "../model/model.ts";
import { fileModelOf, rolledModel } from "../model/rolled-model.ts";
import { switchProblem } from "../model/switch-problem.ts";
import type { EpochSettings, GroupSettings } from "../pipeline/settings.ts";
import { sameHorizons } from "../pipeline/settings.ts";
import { StreamGroup } from "../pipeline/stream-group.ts";
import type { ModelShelf } from "./model-shelf.ts";

/** A group as it is to be, with what it needs for that. */
interface Prepared {
  readonly wanted: GroupSettings;
  readonly present: StreamGroup | undefined;
  readonly model: Model;
  /** Undefined where it steps on as it does. */
  readonly engine: Engine | undefined;
}

/**
 * The engine that an epoch names; where this processor lacks its kernel, or onnxruntime is gone, the native engine on the fastest, whose
 * replay is held to a looser measure.
 */
export async function engineOf(
  model: Model,
  { engine, kernel: version }: Pick<GroupSettings, "engine" | "kernel">,
): Promise<Engine> {
  if (engine === "learning") {
    const { learningKernelOf, LearningEngine } = await import("../learn/learning-engine.ts");
    return new LearningEngine(model, learningKernelOf(version));
  }
  const kernel = kernelOfVersion(version);
  try {
    return await openEngine(model, kernel === undefined ? { engine } : { engine, kernel });
  } catch (thrown) {
    if (!(thrown instanceof HiddenstateError && thrown.code === "missing_package")) throw thrown;
    return openEngine(model, { engine: "native" });
  }
}

async function prepare(models: ModelShelf, wanted: GroupSettings, present: StreamGroup | undefined): Promise<Prepared> {
  const model = rolledModel(await models.get(wanted.version), wanted.horizons);
  if (present === undefined) return { wanted, present, model, engine: await engineOf(model, wanted) };
  const isOther = present.settings.version !== wanted.version;
  const carries = wanted.switch === "carry";
  const problem = isOther ? switchProblem(fileModelOf(present.model).spec, fileModelOf(model).spec, carries) : undefined;
  if (problem !== undefined) {
    throw new HiddenstateError(
      "foreign_state",
      `cannot continue group "${wanted.name}" with model ${shortVersion(wanted.version)}: ${problem}`,
    );
  }
  const steps =
    present.engine.name === wanted.engine && present.engine.kernel === wanted.kernel && sameHorizons(present.settings, wanted);
  return { wanted, present, model, engine: isOther || !steps ? await engineOf(model, wanted) : undefined };
}

async function bringAbout({ wanted, present, model, engine }: Prepared, index: number): Promise<StreamGroup> {
  if (present === undefined) return new StreamGroup(index, wanted, model, engine!);
  // Before the model changes: a state that is carried over must be there, whether or not anyone has looked at it since the last switch.
  if (wanted.switch !== "replay") await present.forgetRecent();
  else if (!sameHorizons(present.settings, wanted)) await present.rebuild();
  if (engine !== undefined) {
    await present.moveTo(model, engine, model.version === present.model.version ? "carry" : wanted.switch);
  }
  present.follow(wanted);
  return present;
}

/**
 * Opens all that the settings need, and returns what puts it in place. Throws `foreign_state` where a model does not fit a group's streams,
 * `bad_model`, `missing_package` or `unavailable`, and has then changed nothing.
 */
export async function prepareGroups(
  models: ModelShelf,
  settings: EpochSettings,
  groups: readonly StreamGroup[],
): Promise<() => Promise<StreamGroup[]>> {
  const prepared: Prepared[] = [];
  try {
    for (const [index, wanted] of settings.groups.entries()) prepared.push(await prepare(models, wanted, groups[index]));
  } catch (thrown) {
    for (const { engine } of prepared) await engine?.close();
    throw thrown;
  }
  return async () => {
    const made: StreamGroup[] = [];
    for (const [index, group] of prepared.entries()) made.push(await bringAbout(group, index));
    return made;
  };
}
