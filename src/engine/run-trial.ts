// Runs a trial in a child process and reads its figures.
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { runScript } from "./child-script.ts";
import type { EngineTrial, RunTrial } from "./engine-trial.ts";

/** Throws `unavailable` where the child cannot be started, takes too long, or fails: where onnxruntime-node is not installed, above all. */
export const runTrial: RunTrial = async (file, batches) => {
  try {
    return (await runScript("trial-process", [file, JSON.stringify(batches)], limits.engineTrialMsMax)) as EngineTrial;
  } catch (thrown) {
    throw new HiddenstateError("unavailable", `cannot measure the engines: ${reasonOf(thrown)}`, thrown);
  }
};
