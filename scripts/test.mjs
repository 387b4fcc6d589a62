// What `npm test` runs: build, make sure of mosquitto, Chromium and what else tests run, then tap. In CI on Debian, as root, what is missing is
// installed; elsewhere the suites that need it are reported as skipped, with the line that installs it.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";

build();
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const isCi = process.env.CI === "true";

const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
const has = (program) => folders.some((folder) => folder !== "" && existsSync(join(folder, program)));

/** What tests look for, the packages that bring it, and what is skipped without it. */
const wanted = [
  { program: "mosquitto", packages: ["mosquitto", "mosquitto-clients"], tests: "the tests that need a broker" },
  { program: "chromium", packages: ["chromium", "fonts-dejavu-core"], tests: "the tests that look at the dashboard's page" },
  { program: "promtool", packages: ["prometheus"], tests: "two checks of the metrics' format" },
  { program: "zsh", packages: ["zsh"], tests: "the test of zsh's completion" },
  { program: "systemd-analyze", packages: ["systemd"], tests: "the tests of the systemd unit" },
];
const missing = wanted.filter(({ program }) => !has(program));
if (missing.length > 0 && isCi && existsSync("/etc/debian_version") && process.getuid?.() === 0) {
  const quiet = { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  const packages = missing.flatMap((one) => one.packages);
  spawnSync("apt-get", ["update"], quiet);
  execFileSync("apt-get", ["install", "--yes", "--no-install-recommends", ...packages], quiet);
} else {
  for (const { program, packages, tests } of missing) {
    console.log(`${program} is missing, so ${tests} are skipped; this installs it: apt-get install --yes ${packages.join(" ")}`);
  }
}

const tap = join(root, "node_modules", ".bin", "tap");
const reporter = isCi || !process.stdout.isTTY ? ["--reporter=tap"] : [];
const { status } = spawnSync(process.execPath, [tap, "run", ...reporter, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exit(status ?? 1);
