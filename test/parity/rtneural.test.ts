// The RTNeural script on networks made here, in Keras' layout with formulas written out, and on RTNeural's own where they are at hand.
// Theirs are not part of this project.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "tap";
import { sharedData } from "../support/shared-data.ts";

const script = fileURLToPath(new URL("rtneural.js", import.meta.url));

function runScript(...args: string[]): { lines: string[]; status: number | null } {
  const { stdout, status } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  return { lines: stdout.trimEnd().split("\n"), status };
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const xs = [0.5, -1, 2, 0.25, -0.75];

/** One unit of Keras: gates z, r, h; with two rows of biases `reset_after`. Then a dense layer of sigmoid. */
function kerasGru(biases: number[] | number[][]): { file: object; ys: number[] } {
  const [kz, kr, kh] = [0.3, -0.6, 0.9];
  const [uz, ur, uh] = [0.2, 0.7, -0.5];
  const [input, state] = (Array.isArray(biases[0]) ? biases : [biases, [0, 0, 0]]) as [number[], number[]];
  const [bz, br, bh] = input as [number, number, number];
  const [sz, sr, sh] = state as [number, number, number];
  let h = 0;
  const ys = xs.map((x) => {
    const z = sigmoid(kz * x + bz + uz * h + sz);
    const r = sigmoid(kr * x + br + ur * h + sr);
    const product = Array.isArray(biases[0]) ? r * (uh * h + sh) : uh * (r * h);
    h = z * h + (1 - z) * Math.tanh(kh * x + bh + product);
    return sigmoid(2 * h - 0.5);
  });
  const shape = [null, null, 1];
  const layers = [
    { type: "gru", activation: "tanh", shape, weights: [[[kz, kr, kh]], [[uz, ur, uh]], biases] },
    { type: "dense", activation: "sigmoid", shape, weights: [[[2]], [-0.5]] },
  ];
  return { file: { in_shape: shape, layers }, ys };
}

void test("networks in Keras' layout pass, with the reset gate after and before; what is off, strange or unknown is told", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rtneural-parity-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "models"));
  mkdirSync(join(folder, "test_data"));
  t.match(runScript(folder), { status: 1, lines: [`no network (models/*.json) in ${folder}`, "0 passed, 0 failed, 0 skipped"] });
  const write = (name: string, file: object, ys: readonly number[]): void => {
    writeFileSync(join(folder, "models", `${name}.json`), JSON.stringify(file));
    writeFileSync(join(folder, "test_data", `${name}_x_python.csv`), `${xs.join("\n")}\n`);
    writeFileSync(join(folder, "test_data", `${name}_y_python.csv`), `${ys.join("\n")}\n`);
  };
  const after = kerasGru([
    [0.1, -0.2, 0.3],
    [0.4, 0.5, -0.6],
  ]);
  const before = kerasGru([0.1, -0.2, 0.3]);
  write("a-after", after.file, after.ys);
  write("b-before", before.file, before.ys);
  write("c-off", after.file, [...after.ys.slice(0, 4), after.ys[4]! + 2e-5]);
  write("d-short", after.file, after.ys.slice(1));
  write("e-strange", { layers: 3 }, []);
  write("f-unknown", { in_shape: [1], layers: [{ type: "conv1d", activation: "", shape: [1], weights: [] }] }, []);
  const { lines, status } = runScript(folder);
  t.equal(status, 1);
  t.match(lines[0], /^pass {2}a-after: 5 outputs, float32 within \S+e-8, float64 within \S+e-1\d$/);
  t.match(lines[1], /^pass {2}b-before: 5 outputs, /);
  t.match(lines[2], /^FAIL {2}c-off: 5 outputs, float32 within 2\.0e-5, float64 within 2\.0e-5$/);
  t.equal(lines[3], "FAIL  d-short: 5 outputs, and 4 are expected");
  t.equal(lines[4], "FAIL  e-strange: neither a list of layers nor a state dictionary");
  t.equal(lines[5], "skip  f-unknown: layer conv1d is not there yet");
  t.equal(lines[6], "2 passed, 3 failed, 1 skipped");
  t.match(runScript(), { status: 1, lines: [/^usage: npm run parity:rtneural -- DIR/] });
});

const theirs = sharedData("rtneural");
const skip = theirs === undefined && "../shared/data/rtneural is not here; its files may not be copied";

void test("RTNeural's six networks put out their series within 1e-5", { skip }, async (t) => {
  const { lines, status } = runScript(theirs!);
  t.equal(status, 0);
  t.equal(lines.at(-1), "6 passed, 0 failed, 0 skipped");
});
