// `npm run parity:rtneural -- DIR`: holds our layers against the series that RTNeural's example networks put out in the frameworks that
// trained them. DIR has the networks in models/NAME.json and their series in test_data/NAME_x_python.csv and NAME_y_python.csv. Fails
// where a series is off by more than 1e-5, a file cannot be read, or none is there.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "../../src/base/errors.ts";
import { tensor } from "../../src/kernels/tensor.ts";
import type { FloatArray } from "../../src/kernels/tensor.ts";
import { parseRtneuralNetwork, UnknownLayerError } from "./rtneural-network.ts";
import type { NumberFormat } from "./torch-format.ts";

/** The largest |a - b| of an output that is no failure. */
const ERROR_MAX = 1e-5;

type Verdict = "passed" | "failed" | "skipped";

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** All numbers of a CSV in order; rows and columns are the network's to say. */
function readSeries(path: string): number[] {
  return readFileSync(path, "utf8")
    .split(/[\s,]+/)
    .filter((field) => field !== "")
    .map((field) => {
      const value = Number(field);
      if (Number.isFinite(value)) return value;
      throw new Error(`${path} has ${field}, which is no number`);
    });
}

/** The largest |a - b| over a series of one stream from a zero state; infinite where an output is NaN. */
function errorOf<A extends FloatArray>(
  text: string,
  format: NumberFormat<A>,
  x: readonly number[],
  y: readonly number[],
): number {
  const network = parseRtneuralNetwork(text, format);
  const T = x.length / network.inputs;
  if (!Number.isInteger(T) || T === 0) throw new Error(`${x.length} inputs are no steps of ${network.inputs}`);
  const ys = network.forward(tensor(format.from(x), [1, T, network.inputs])).data;
  if (ys.length !== y.length) throw new Error(`${ys.length} outputs, and ${y.length} are expected`);
  return y.reduce((most, expected, i) => {
    const error = Math.abs(ys[i]! - expected);
    return Number.isNaN(error) ? Infinity : Math.max(most, error);
  }, 0);
}

function judge(folder: string, name: string): Verdict {
  try {
    const text = readFileSync(join(folder, "models", `${name}.json`), "utf8");
    const [x, y] = ["x", "y"].map((axis) => readSeries(join(folder, "test_data", `${name}_${axis}_python.csv`)));
    const single = errorOf(text, Float32Array, x!, y!);
    const double = errorOf(text, Float64Array, x!, y!);
    const passed = single <= ERROR_MAX && double <= ERROR_MAX;
    const [float32, float64] = [single, double].map((error) => error.toExponential(1));
    print(`${passed ? "pass " : "FAIL "} ${name}: ${y!.length} outputs, float32 within ${float32}, float64 within ${float64}`);
    return passed ? "passed" : "failed";
  } catch (thrown) {
    if (thrown instanceof UnknownLayerError) {
      print(`skip  ${name}: ${thrown.message} is not there yet`);
      return "skipped";
    }
    print(`FAIL  ${name}: ${reasonOf(thrown)}`);
    return "failed";
  }
}

function listNetworks(folder: string): string[] {
  try {
    return readdirSync(join(folder, "models"))
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -".json".length))
      .toSorted();
  } catch (thrown) {
    print(`cannot list ${join(folder, "models")}: ${reasonOf(thrown)}`);
    return [];
  }
}

function main(folder: string | undefined): boolean {
  if (folder === undefined) {
    print("usage: npm run parity:rtneural -- DIR, where DIR holds models/ (*.json) and test_data/ (*.csv)");
    return false;
  }
  const names = listNetworks(folder);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const name of names) counts[judge(folder, name)]++;
  if (names.length === 0) print(`no network (models/*.json) in ${folder}`);
  print(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return names.length > 0 && counts.failed === 0;
}

if (!main(process.argv[2])) process.exitCode = 1;
