// `npm run sim:mutants [-- --seeds N] [--only text]`: whether the simulator finds what is wrong. Each mutant is a copy of the compiled
// files with one edit; seeds are run on it until one fails. Exits with 1 where a mutant survives or does not apply.
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mutants, mutated } from "./mutant-list.ts";
import type { Mutant } from "./mutant-list.ts";

const build = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10000" },
    only: { type: "string", default: "" },
    jobs: { type: "string", default: "1" },
  },
});

function applied(mutant: Mutant): string {
  return mutated(readFileSync(join(build, "src", mutant.file), "utf8"), mutant);
}

/** A copy for each that works at the same time: a mutant is put in, and what stood there is put back. */
function copyBuild(): string {
  const folder = mkdtempSync(join(tmpdir(), "mutant-"));
  for (const part of ["src", "test/simulation", "test/support"]) {
    cpSync(join(build, part), join(folder, "build", part), { recursive: true });
  }
  cpSync(join(build, "../package.json"), join(folder, "package.json"));
  symlinkSync(join(build, "../node_modules"), join(folder, "node_modules"));
  return folder;
}

function run(folder: string): Promise<{ readonly status: number | null; readonly output: string }> {
  const args = [join(folder, "build/test/simulation/sim.js"), "--seeds", values.seeds, "--no-shrink"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (output += bytes.toString()));
  return new Promise((done) => {
    child.on("close", (status) => done({ status, output }));
  });
}

/** How many seeds it took; undefined where none failed. */
async function seedsNeeded(
  folder: string,
  file: string,
  text: string,
): Promise<{ readonly seeds: number; readonly what: string } | undefined> {
  const path = join(folder, "build/src", file);
  const before = readFileSync(path);
  try {
    writeFileSync(path, text);
    const { status, output } = await run(folder);
    if (status === 0) return undefined;
    const found = /^seed (\d+): (.*)/m.exec(output);
    if (found === null) return { seeds: NaN, what: `IT DOES NOT RUN: ${output.slice(0, 1000)}` };
    return { seeds: Number(found[1]), what: found[2]! };
  } finally {
    writeFileSync(path, before);
  }
}

const chosen = mutants.filter(({ name }) => name.includes(values.only)).map((mutant) => ({ mutant, text: applied(mutant) }));
let survived = 0;
async function work(folder: string): Promise<void> {
  for (let next = chosen.shift(); next !== undefined; next = chosen.shift()) {
    const found = await seedsNeeded(folder, next.mutant.file, next.text);
    if (found === undefined || Number.isNaN(found.seeds)) survived++;
    const result = found === undefined ? `SURVIVES ${values.seeds}` : String(found.seeds).padStart(6);
    console.log(`${result}  ${next.mutant.name}${found === undefined ? "" : `: ${found.what.slice(0, 90)}`}`);
  }
}
const count = chosen.length;
const folders = Array.from({ length: Number(values.jobs) }, copyBuild);
await Promise.all(folders.map(work));
for (const folder of folders) rmSync(folder, { recursive: true });
console.log(`${count - survived} of ${count} mutants found, each within ${values.seeds} seeds`);
process.exit(survived === 0 ? 0 : 1);
