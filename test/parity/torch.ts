// `npm run parity:torch -- DIR`: holds our layers, losses and optimizers against every PyTorch case file in DIR, in float32 and in the
// float64 reference. Fails where a case is off, cannot be read, or none is there.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "../../src/base/errors.ts";
import { float32Tolerance, float64Tolerance, runTorchCase, torchCaseGap } from "./torch-case.ts";
import type { Deviation } from "./torch-case.ts";
import { parseTorchCase } from "./torch-format.ts";

type Verdict = "passed" | "failed" | "skipped";

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function describe({ error, ratio, at }: Deviation): string {
  return `${error.toExponential(1)} (${(100 * ratio).toPrecision(2)} % of tolerance, ${at})`;
}

function judge(path: string, name: string): Verdict {
  try {
    const torchCase = parseTorchCase(readFileSync(path, "utf8"));
    const gap = torchCaseGap(torchCase);
    if (gap !== undefined) {
      print(`skip  ${name}: ${gap} is not there yet`);
      return "skipped";
    }
    const single = runTorchCase(torchCase, Float32Array, float32Tolerance);
    const double = runTorchCase(torchCase, Float64Array, float64Tolerance);
    const passed = single.ratio <= 1 && double.ratio <= 1;
    print(`${passed ? "pass " : "FAIL "} ${name}: float32 ${describe(single)}, float64 ${describe(double)}`);
    return passed ? "passed" : "failed";
  } catch (thrown) {
    print(`FAIL  ${name}: ${reasonOf(thrown)}`);
    return "failed";
  }
}

function listCases(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith(".json") && file !== "index.json")
      .toSorted();
  } catch (thrown) {
    print(`cannot list ${folder}: ${reasonOf(thrown)}`);
    return [];
  }
}

function main(folder: string | undefined): boolean {
  if (folder === undefined) {
    print("usage: npm run parity:torch -- DIR, where DIR holds PyTorch case files (*.json)");
    return false;
  }
  const files = listCases(folder);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of files) counts[judge(join(folder, file), file.slice(0, -".json".length))]++;
  if (files.length === 0) print(`no case file (*.json) in ${folder}`);
  print(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return files.length > 0 && counts.failed === 0;
}

if (!main(process.argv[2])) process.exitCode = 1;
