// What `npm run test:arm64` and `npm run test:armv7` run: the tests of what a processor can change, under qemu's user emulation, beside the
// same arithmetic and simulation on this machine; then a production install for that processor, killed and started again. docs/arm.md says
// what is fetched. `-- WORD...` runs only what has one of the words in its name; `install` is the name of the last.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { emulatedNode, targets } from "./arm/emulated-node.mjs";
import { runJobs } from "./arm/run-tests.mjs";
import { tryInstall } from "./arm/try-install.mjs";
import { build } from "./build.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
/** Folders below test/, and single files of them; the long ones first, so that all processors have work to the end. */
const TESTS = {
  arm64: ["pipeline", "kernels", "nn", "engine", "onnx", "journal", "message"],
  armv7: ["kernels/simd.test.js", "engine", "journal"],
};
/** In sweeps of so many. */
const SEEDS = { arm64: [100, 100], armv7: [50] };
const [name, ...words] = process.argv.slice(2);
if (!Object.hasOwn(targets, name ?? "")) {
  console.error(`cannot run the tests of "${name}": there are ${Object.keys(targets).join(" and ")}`);
  process.exit(2);
}

const here = (args) => execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" });
/** The line of a sweep that is the same wherever it runs. */
const sweepLine = (output) => /^traces .*$/m.exec(output)?.[0];

function simulation(node, from, count) {
  const args = ["build/test/simulation/sim.js", "--from", `${from}`, "--seeds", `${count}`, "--no-shrink"];
  const check = (output) => {
    const [there, expected] = [output, here(args)].map(sweepLine);
    return there !== undefined && there === expected ? undefined : `"${there}" there, and "${expected}" on ${process.arch}`;
  };
  return { name: `simulation seeds ${from} to ${from + count - 1}`, node, args, check };
}

const filesOf = (entry) =>
  entry.endsWith(".js")
    ? [`build/test/${entry}`]
    : readdirSync(join(root, "build/test", entry))
        .filter((file) => file.endsWith(".test.js"))
        .map((file) => `build/test/${entry}/${file}`);

build();
const node = emulatedNode(name);
const machine = ["-p", "`Node ${process.version} on ${process.arch}`"];
console.log(`${execFileSync(node, machine, { encoding: "utf8" }).trim()} beside ${here(machine)}`);
const folder = mkdtempSync(join(tmpdir(), "hiddenstate-arithmetic-"));
let right = false;
try {
  const bits = join(folder, "bits.json");
  here(["build/test/arm/arithmetic.js", "write", bits]);
  let from = 1;
  const jobs = [
    { name: "arithmetic", node, args: ["build/test/arm/arithmetic.js", "compare", bits], tell: true },
    ...SEEDS[name].map((count) => simulation(node, (from += count) - count, count)),
    ...TESTS[name].flatMap(filesOf).map((file) => ({ name: file, node, args: [file] })),
  ];
  const isAsked = (job) => words.length === 0 || words.some((word) => job.includes(word));
  const chosen = jobs.filter((job) => isAsked(job.name));
  if (chosen.length > 0) right = await runJobs(chosen, root);
  else if (isAsked("install")) right = true;
  else console.error(`cannot run "${words.join(" ")}": no test has that in its name`);
  if (isAsked("install")) right = (await tryInstall(name, node, root)) && right;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(right ? 0 : 1);
