// A runtime as a process of its own that is there to be killed.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ControlClient } from "../../src/runtime/control-socket.ts";
import type { Status } from "../../src/runtime/status.ts";
import { asUser } from "../support/cli.ts";

const main = resolve(dirname(fileURLToPath(import.meta.url)), "../../src/cli/main.js");
const START_MS_MAX = 30_000;

export async function startRuntime(config: string, state: string): Promise<ChildProcess> {
  const { command, args, env } = asUser(process.execPath, [main, "run", config]);
  const child = spawn(command, args, { env, stdio: ["ignore", "ignore", "inherit"] });
  const until = Date.now() + START_MS_MAX;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the runtime ended with ${child.exitCode}`);
    const client = await ControlClient.connect(state).catch(() => undefined);
    client?.close();
    if (client !== undefined) return child;
    if (Date.now() > until) throw new Error("the runtime does not start");
    await sleep(20);
  }
}

/** Waits until readings can come in and predictions go out. */
export async function takesReadings(state: string): Promise<void> {
  const client = await ControlClient.connect(state);
  const until = Date.now() + START_MS_MAX;
  for (;;) {
    const status = (await client!.request("status", {}).catch(() => undefined)) as Status | undefined;
    if (status?.broker.intake === true && status.broker.sink) break;
    if (Date.now() > until) throw new Error("the runtime does not come to work");
    await sleep(20);
  }
  client!.close();
}

export async function end(child: ChildProcess, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}
