// A script of this folder in a process of its own, which reads a model file and prints JSON: what takes long, or needs onnxruntime, stays out
// of a runtime that way. Bounded in time and output; what fails says why and changes nothing.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { reasonOf } from "../base/errors.ts";

const OUTPUT_BYTES_MAX = 64 * 1024;

/** What the child said of itself, where it could say anything. */
function childReason(thrown: unknown): string {
  const said = thrown instanceof Error && "stderr" in thrown ? String(thrown.stderr).trim() : "";
  return said === "" ? reasonOf(thrown) : said;
}

/** The JSON it printed. Throws an Error that says why it cannot be started, takes too long, or fails. */
export async function runScript(name: string, args: readonly string[], timeoutMs: number): Promise<unknown> {
  const script = fileURLToPath(new URL(`${name}.js`, import.meta.url));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], {
      timeout: timeoutMs,
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    return JSON.parse(stdout);
  } catch (thrown) {
    throw new Error(childReason(thrown), { cause: thrown });
  }
}
