// A group of the config without a model file: each of its streams learns a network of its own, or all of them learn one. What such a group
// must say instead, and what makes no sense for it.
import { HiddenstateError } from "../base/errors.ts";
import type { Model } from "../model/model.ts";
import type { Fault } from "./config-fault.ts";
import type { GroupConfig } from "./config-schema.ts";

/** What is wrong with a group's horizons, whoever forecasts. */
function horizonFaults({ horizons = [] }: GroupConfig, path: readonly PropertyKey[]): Fault[] {
  const rises = horizons.every((horizon, index) => index === 0 || horizon > horizons[index - 1]!);
  return rises ? [] : [{ path: [...path, "horizons"], message: "the numbers must rise" }];
}

/** What keeps a group from learning by itself; where it names a model only what is wrong with its horizons. */
export function ownModelFaults(group: GroupConfig, path: readonly PropertyKey[]): Fault[] {
  const { model, features, gap, missing, engine, scope } = group;
  const faults = horizonFaults(group, path);
  if (model !== undefined) {
    if (scope !== undefined)
      faults.push({ path: [...path, "scope"], message: "a model file is one for all streams; leave this out, or the model" });
    return faults;
  }
  if (features === undefined)
    faults.push({ path, message: "give a model file, or the features that a model of its own is to learn from" });
  if (gap !== "carry")
    faults.push({ path: [...path, "gap"], message: "what a stream has learned would go with its state; only carry makes sense" });
  const isMean = missing === "mean" || (typeof missing !== "string" && Object.values(missing).includes("mean"));
  if (isMean) faults.push({ path: [...path, "missing"], message: "nothing was trained on, so there is no mean; hold or refuse" });
  if (engine !== "auto")
    faults.push({ path: [...path, "engine"], message: "without a model the group learns by itself; leave the engine out" });
  return faults;
}

/** What the streams of a group without a model file begin with. Throws `bad_config` where its features make no model. */
export async function ownModel({ name, features = [], horizons, scope = "stream" }: GroupConfig): Promise<Model> {
  const names = Array.isArray(features) ? features : Object.keys(features);
  const { startingModel } = await import("../learn/starting-model.ts");
  try {
    return startingModel({ name, features: names, horizons, scope });
  } catch (thrown) {
    if (!(thrown instanceof HiddenstateError)) throw thrown;
    throw new HiddenstateError("bad_config", thrown.message, thrown);
  }
}
