// The project's own scripts as a user runs them, and what Debian calls the processor of this machine.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { asUser, repository } from "./cli.ts";

/** Undefined where there is no package with a Node of its own for it. */
export const debianArchitecture = ({ x64: "amd64", arm64: "arm64" } as Readonly<Record<string, string>>)[process.arch];

/** `words`: the script, by its path in the repository, and its arguments. Rejects, with all that it printed, where it fails. */
export function runScript(...words: readonly string[]): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const { command, args, env } = asUser(process.execPath, words);
  return promisify(execFile)(command, args, { cwd: repository, env });
}
