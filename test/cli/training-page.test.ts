// Holds docs/training.md to what the program does: its commands are run as they are written, in an empty folder, and must print what it shows.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { hasKernel } from "../../src/kernels/simd-module.ts";
import { defaultTrainingSettings } from "../../src/learn/training-settings.ts";
import { repository } from "../support/cli.ts";

const page = readFileSync(join(repository, "docs", "training.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "hiddenstate-training-page-"));
t.teardown(() => rmSync(folder, { recursive: true }));

void t.test("the page's commands work as they are written, and its table is what they print", async (t) => {
  const blocks = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].map((match) => match[1]!);
  t.equal(blocks.length, 5);
  const main = join(repository, "build", "src", "cli", "main.js");
  const script = [`set -e`, `hiddenstate() { "${process.execPath}" "${main}" "$@"; }`, ...blocks].join("\n");
  const { stdout } = await promisify(execFile)("bash", ["-c", script], { cwd: folder, timeout: 60_000 });
  const shown = /^```\n(temperature\+1 in °C[^]*?)^```$/m.exec(page)![1]!;
  // The page shows what the relaxed kernel gives, which is what nearly every machine has.
  if (hasKernel("relaxed"))
    t.ok(stdout.startsWith(shown), `the first command prints what the page shows, not:\n${stdout.slice(0, shown.length)}`);
});

void t.test("the defaults that the page names are the defaults", async (t) => {
  const { chunkSteps, lanes, learningRate, weightDecay, gradientNormMax, patience, epochsMax, hidden } = defaultTrainingSettings;
  for (const option of [
    `--lanes ${lanes}`,
    `--chunk ${chunkSteps}`,
    `--learning-rate ${learningRate}`,
    `--weight-decay ${weightDecay}`,
    `--clip ${gradientNormMax}`,
    `--patience ${patience}`,
    `--epochs ${epochsMax}`,
    `--hidden ${hidden.join()}`,
  ]) {
    t.ok(page.includes(`\`${option}\``), option);
  }
});
