// Runs a trial in a child process and reads its figures. Bounded in time and output; what fails says why and changes nothing.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { EngineTrial, RunTrial } from "./engine-trial.ts";

const SCRIPT = fileURLToPath(new URL("trial-process.js", import.meta.url));
const OUTPUT_BYTES_MAX = 64 * 1024;

/** What the child said of itself, where it could say anything. */
function childReason(thrown: unknown): string {
  const said = thrown instanceof Error && "stderr" in thrown ? String(thrown.stderr).trim() : "";
  return said === "" ? reasonOf(thrown) : said;
}

/** Throws `unavailable` where the child cannot be started, takes too long, or fails: where onnxruntime-node is not installed, above all. */
export const runTrial: RunTrial = async (file, batches) => {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, file, JSON.stringify(batches)], {
      timeout: limits.engineTrialMsMax,
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    return JSON.parse(stdout) as EngineTrial;
  } catch (thrown) {
    throw new HiddenstateError("unavailable", `cannot measure the engines: ${childReason(thrown)}`, thrown);
  }
};
