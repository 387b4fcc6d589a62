// Packages as npm packs them, and commands as a user gives them in the folder where they are installed.
import { spawnSync } from "node:child_process";
import type { SpawnSyncReturns } from "node:child_process";
import { asUser } from "./cli.ts";

/** Runs a command in a folder to its end; kills it where that takes longer than `timeout` milliseconds. */
export function startIn(folder: string, command: string, args: readonly string[], timeout?: number): SpawnSyncReturns<string> {
  const user = asUser(command, args);
  const env = { ...user.env, ONNXRUNTIME_NODE_INSTALL: "skip" };
  return spawnSync(user.command, user.args, { cwd: folder, encoding: "utf8", env, timeout });
}

/** What a command prints. Throws, with all that it printed, where it fails. */
export function runIn(folder: string, command: string, args: readonly string[], timeout?: number): string {
  const { status, stdout, stderr } = startIn(folder, command, args, timeout);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}

export interface Packed {
  readonly filename: string;
  /** Paths within the package. */
  readonly files: readonly string[];
}

/** Packs the package in `source` into `folder`. */
export function packInto(folder: string, source: string): Packed {
  type Listed = { filename: string; files: { path: string }[] };
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const packed = JSON.parse(runIn(source, "npm", args)) as Listed[] | Record<string, Listed>;
  const [{ filename, files }] = Object.values(packed) as [Listed];
  return { filename, files: files.map(({ path }) => path) };
}
