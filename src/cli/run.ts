// `hiddenstate run config.yaml`: the runtime as a service, until a signal ends it.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { parseConfig, placeFault } from "../runtime/config.ts";
import { createRuntime } from "../runtime/runtime.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { stopSignal } from "./stop-signal.ts";

async function readConfig(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    throw new HiddenstateError("bad_config", `cannot read the config ${path}: ${reasonOf(thrown)}`, thrown);
  }
}

/** Starts what the config at `path` says. What is wrong with it is told with file, line and column. */
async function startFrom(path: string, options: { readonly dev?: boolean }): Promise<Runtime> {
  const text = await readConfig(path);
  const config = parseConfig(text, resolve(path), options);
  try {
    return await createRuntime(config);
  } catch (thrown) {
    throw placeFault(thrown, text, resolve(path));
  }
}

export function runCommand(): Command {
  return new Command("run")
    .description("subscribe to the config's streams, step them and publish predictions, until SIGTERM or SIGINT")
    .argument("<config>", "the YAML config; docs/config.md describes it")
    .option("--dev", "take what only a developer's own machine should: mqtt.tls.verify: false")
    .action(async (path: string, options: { readonly dev?: true }) => {
      const stopped = stopSignal();
      const runtime = await startFrom(path, options);
      await Promise.race([stopped, runtime.failed]);
      await runtime.stop();
      // Sockets of a broker that has gone silent must not hold the process.
      process.exit(0);
    });
}
