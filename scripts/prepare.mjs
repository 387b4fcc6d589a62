// What `npm ci` runs: build, and fit tap's plugins. An install without development packages has nothing to build with. `npx hiddenstate` in
// this folder links it into npx's own and runs this too: what is built then stays, for a process may be running from it.
import { existsSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const modules = join(root, "node_modules");
const isBuilt = existsSync(join(root, "build", "src", "cli", "main.js"));
if (process.env.npm_command === "exec" && isBuilt) {
  // Nothing to do.
} else if (!existsSync(join(modules, "typescript"))) {
  console.log("hiddenstate: no development packages, so nothing is built here");
} else {
  const { build } = await import("./build.mjs");
  build();
  const bin = join(modules, ".bin", "tap");
  if (existsSync(bin)) execFileSync(process.execPath, [bin, "build"], { stdio: "inherit" });
}
