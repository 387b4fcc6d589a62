// What `npm run release-check` runs: the long forms of what `npm test` runs in short, and the benchmarks, one after another, all of them even
// where one fails. Hours; the machine should have nothing else to do. `--list` only says what it would run; `-- NAME...` runs those scripts alone.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const runs = [
  ["test"],
  ["check"],
  ["test:arm64"],
  ["test:armv7"],
  ["sim", "--seeds", "100000"],
  ["sim:mutants", "--seeds", "10000"],
  ["test:kill", "--rounds", "200", "--stop-seconds", "30"],
  ["test:switch-kill", "--rounds", "200"],
  ["corrupt", "--count", "100000"],
  ["fuzz", "--count", "10000000"],
  ["soak", "--minutes", "10"],
  ["test:node-red"],
  ["score-budget", "--learn"],
  ["size"],
  ["deb", "--arch", "amd64", "--out", "build", "--check"],
  ["deb", "--arch", "arm64", "--out", "build"],
  ["deb", "--arch", "armhf", "--out", "build"],
  ["addon", "--arch", "arm64", "--out", "build/addon"],
  ["test:image"],
  ["bench:kernels"],
  ["bench:training"],
  ["bench:e2e"],
  ["bench:learn"],
];

const names = process.argv.slice(2).filter((argument) => argument !== "--list");
const unknown = names.find((name) => !runs.some(([script]) => script === name));
if (unknown !== undefined) {
  console.error(`cannot run "${unknown}": a release check is ${runs.map(([script]) => script).join(", ")}`);
  process.exit(2);
}
const chosen = names.length === 0 ? runs : runs.filter(([script]) => names.includes(script));
const lineOf = ([script, ...args]) => `npm run ${script}${args.length === 0 ? "" : ` -- ${args.join(" ")}`}`;
if (process.argv.includes("--list")) {
  for (const run of chosen) console.log(lineOf(run));
  process.exit(0);
}
build();
const results = [];
for (const run of chosen) {
  console.log(`\n${lineOf(run)}`);
  const startedAt = performance.now();
  const [script, ...args] = run;
  const { status } = spawnSync("npm", ["run", script, "--", ...args], { cwd: root, stdio: "inherit" });
  results.push({ line: lineOf(run), status, minutes: (performance.now() - startedAt) / 60_000 });
}
console.log();
for (const { line, status, minutes } of results) {
  console.log(`${status === 0 ? "passed" : "FAILED"}  ${minutes.toFixed(1).padStart(6)} min  ${line}`);
}
process.exit(results.every(({ status }) => status === 0) ? 0 : 1);
