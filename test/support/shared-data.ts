// Where the references lie that nobody on this project wrote. The project passes its tests without them: who asks for one skips plainly
// where this answers undefined.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Seen from build/test/support. */
const repository = fileURLToPath(new URL("../../..", import.meta.url));

/** A path below ../shared/data; undefined where nothing is there. */
export function sharedData(...path: string[]): string | undefined {
  const found = join(repository, "..", "shared", "data", ...path);
  return existsSync(found) ? found : undefined;
}
