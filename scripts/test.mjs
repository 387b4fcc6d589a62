// What `npm test` runs: build, make sure of mosquitto, then tap. In CI on Debian, as root, a missing mosquitto is installed; elsewhere the
// suites that need it are reported as skipped, with the line that installs it.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";

build();
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const isCi = process.env.CI === "true";

const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
if (!folders.some((folder) => folder !== "" && existsSync(join(folder, "mosquitto")))) {
  const line = "apt-get install --yes mosquitto mosquitto-clients";
  if (isCi && existsSync("/etc/debian_version") && process.getuid?.() === 0) {
    const quiet = { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
    spawnSync("apt-get", ["update"], quiet);
    execFileSync("apt-get", ["install", "--yes", "--no-install-recommends", "mosquitto", "mosquitto-clients"], quiet);
  } else {
    console.log(`mosquitto is missing, so the tests that need a broker are skipped; this installs it: ${line}`);
  }
}

const tap = join(root, "node_modules", ".bin", "tap");
const reporter = isCi || !process.stdout.isTTY ? ["--reporter=tap"] : [];
const { status } = spawnSync(process.execPath, [tap, "run", ...reporter, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exit(status ?? 1);
