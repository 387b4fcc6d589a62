// `hiddenstate run config.yaml`: the runtime as a service, until a signal ends it.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { parseConfig } from "../runtime/config.ts";
import type { Config } from "../runtime/config-schema.ts";
import { createRuntime } from "../runtime/runtime.ts";
import { stopSignal } from "./stop-signal.ts";

/** Throws `bad_config`. */
export async function readConfig(path: string, options: { readonly dev?: boolean } = {}): Promise<Config> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    throw new HiddenstateError("bad_config", `cannot read the config ${path}: ${reasonOf(thrown)}`, thrown);
  }
  return parseConfig(text, resolve(path), options);
}

export function runCommand(): Command {
  return new Command("run")
    .description("Subscribe to the config's streams, step them and publish predictions, until SIGTERM or SIGINT.")
    .argument("<config>", "the YAML config; docs/config.md describes it")
    .option("--dev", "take what only a developer's own machine should: mqtt.tls.verify: false")
    .action(async (path: string, options: { readonly dev?: true }) => {
      const stopped = stopSignal();
      const config = await readConfig(path, options);
      const runtime = await createRuntime(config);
      await Promise.race([stopped, runtime.failed]);
      await runtime.stop();
      // Sockets of a broker that has gone silent must not hold the process.
      process.exit(0);
    });
}
