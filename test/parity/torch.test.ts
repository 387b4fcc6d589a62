// The parity script on the cases that ship with the project, on cases that were tampered with, and on the whole set where it is at hand.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "tap";
import { sharedData } from "../support/shared-data.ts";
import { float32Tolerance, float64Tolerance, runTorchCase, torchCaseGap } from "./torch-case.ts";
import { parseTorchCase } from "./torch-format.ts";

const script = fileURLToPath(new URL("torch.js", import.meta.url));
const fixtures = fileURLToPath(new URL("../../../test/fixtures/torch", import.meta.url));
const tiny = "A002_rnn_tanh_L1_D1_H4_N1_T7_mse.json";

function runScript(...args: string[]): { lines: string[]; status: number | null } {
  const { stdout, status } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  return { lines: stdout.trimEnd().split("\n"), status };
}

void test("every fixture that can be run passes, and the others are named with what they need", async (t) => {
  const { lines, status } = runScript(fixtures);
  t.equal(status, 0);
  t.equal(lines.at(-1), "7 passed, 0 failed, 1 skipped");
  t.match(lines[0], /^pass {2}A001_rnn_tanh_L1_D1_H4_N1_T1_mse: float32 \S+ \(\S+ % of tolerance, .+\), float64 \S+ \(/);
  t.ok(lines.includes("skip  A003_rnn_tanh_L1_D3_H16_N3_T7_gaussian_nll: loss gaussian_nll is not there yet"));
});

void test("the script fails on a case that is off, on a file that is no case, and where there is none", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "torch-parity-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  t.match(runScript(folder), { status: 1, lines: [`no case file (*.json) in ${folder}`, "0 passed, 0 failed, 0 skipped"] });

  const torchCase = parseTorchCase(readFileSync(join(fixtures, tiny), "utf8"));
  if (torchCase.type !== "grad") throw new Error(`${tiny} is no grad case`);
  torchCase.chunks[1]!.expect.loss_f64 += 1e-4;
  writeFileSync(join(folder, "b-off.json"), JSON.stringify(torchCase));
  writeFileSync(join(folder, "c-strange.json"), '{"type":"speed"}');
  writeFileSync(join(folder, "index.json"), "not read");
  copyFileSync(join(fixtures, tiny), join(folder, "a-right.json"));
  const { lines, status } = runScript(folder);
  t.equal(status, 1);
  t.match(lines[0], /^pass {2}a-right: /);
  t.match(lines[1], /^FAIL {2}b-off: float32 .* chunk 2 loss\)/);
  t.match(lines[2], /^FAIL {2}c-strange: not a case: type: /);
  t.equal(lines[3], "1 passed, 2 failed, 0 skipped");

  t.match(runScript(join(folder, "nowhere")), { status: 1 });
  t.match(runScript(), { status: 1, lines: ["usage: npm run parity:torch -- DIR, where DIR holds PyTorch case files (*.json)"] });
});

void test("one wrong value anywhere in a case is seen", async (t) => {
  const text = readFileSync(join(fixtures, tiny), "utf8");
  const untouched = parseTorchCase(text);
  if (untouched.type !== "grad") throw new Error(`${tiny} is no grad case`);
  const chunk = untouched.chunks[1]!;
  const places = [
    ...Object.keys(chunk.expect)
      .filter((name) => name !== "loss_f64")
      .map((name) => ["expect", name] as const),
    ...Object.keys(chunk.grads).map((name) => ["grads", name] as const),
  ];
  t.equal(places.length, 5 + 6, "y, rnn_out, dx, hT, dh0 and six gradients");
  for (const [part, name] of places) {
    const torchCase = parseTorchCase(text);
    if (torchCase.type !== "grad") throw new Error(`${tiny} is no grad case`);
    const encoded = torchCase.chunks[1]![part][name];
    if (typeof encoded !== "object") throw new Error(`${name} is no tensor`);
    const bytes = Buffer.from(encoded.b64, "base64");
    bytes.writeFloatLE(bytes.readFloatLE(0) + 1e-3, 0);
    encoded.b64 = bytes.toString("base64");
    t.ok(runTorchCase(torchCase, Float64Array, float64Tolerance).ratio > 1, `${part}.${name}`);
  }
});

const wholeSet = sharedData("torch_vectors", "set_a");
const skip = wholeSet === undefined && "../shared/data/torch_vectors is not here; the fixtures above stand for it";

void test("every case of the whole set with a mean squared error passes", { skip }, async (t) => {
  const { lines, status } = runScript(wholeSet!);
  t.equal(status, 0);
  t.equal(lines.at(-1), "30 passed, 0 failed, 40 skipped");
});

void test("a case without biases keeps the layer's bias at zero, and compares no gradient of it", async (t) => {
  // PyTorch's own such cases have losses that are not there yet; with zero biases the two are the same network.
  const torchCase = parseTorchCase(readFileSync(join(fixtures, "A013_rnn_tanh_L1_D3_H4_N1_T50_mse_zero.json"), "utf8"));
  if (torchCase.type !== "grad") throw new Error("A013 is no grad case");
  const encoded = torchCase.params["rnn.bias_ih_l0"]!;
  encoded.b64 = Buffer.alloc(16).toString("base64");
  const withZeros = structuredClone(torchCase);
  withZeros.params["rnn.bias_hh_l0"] = encoded;
  const without = { ...structuredClone(withZeros), bias: false };
  for (const name of ["rnn.bias_ih_l0", "rnn.bias_hh_l0"]) {
    delete without.params[name];
    for (const { grads } of without.chunks) delete grads[name];
  }
  t.equal(torchCaseGap(without), undefined);
  const [a, b] = [withZeros, without].map((each) => runTorchCase(each, Float32Array, float32Tolerance));
  t.equal(a!.count - b!.count, 2 * 2 * 4, "two biases of four in two chunks");
  t.equal(a!.error, b!.error);
});
