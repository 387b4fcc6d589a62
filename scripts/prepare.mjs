// What `npm ci` runs: build, and fit tap's plugins. An install without development packages has nothing to build with.
import { existsSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const modules = join(dirname(fileURLToPath(import.meta.url)), "..", "node_modules");
if (!existsSync(join(modules, "typescript"))) {
  console.log("hiddenstate: no development packages, so nothing is built here");
} else {
  const { build } = await import("./build.mjs");
  build();
  const bin = join(modules, ".bin", "tap");
  if (existsSync(bin)) execFileSync(process.execPath, [bin, "build"], { stdio: "inherit" });
}
