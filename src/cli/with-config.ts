// A config from its file, for the commands that take one: whatever is wrong with it is told with file, line and column.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { parseConfig, placeFault } from "../runtime/config.ts";
import type { Config } from "../runtime/config-schema.ts";

async function readConfig(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    throw new HiddenstateError("bad_config", `cannot read the config ${path}: ${reasonOf(thrown)}`, thrown);
  }
}

/** Does something by the config at `path`. What turns out to be wrong with it then is told with its place, too. */
export async function withConfig<T>(
  path: string,
  options: { readonly dev?: boolean },
  use: (config: Config) => Promise<T>,
): Promise<T> {
  const text = await readConfig(path);
  const config = parseConfig(text, resolve(path), options);
  try {
    return await use(config);
  } catch (thrown) {
    throw placeFault(thrown, text, resolve(path));
  }
}
