// The parity script on the cases that ship with the project, on cases that were tampered with, and on the whole set where it is at hand.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "tap";
import { sharedData } from "../support/shared-data.ts";
import { CrossEntropy } from "../../src/nn/cross-entropy.ts";
import { float64Tolerance, runTorchCase } from "./torch-case.ts";
import { decodeTargets, parseTorchCase } from "./torch-format.ts";
import type { NumberFormat } from "./torch-format.ts";
import { TorchTraining } from "./torch-training.ts";
import type { SavedTraining } from "./torch-training.ts";

const script = fileURLToPath(new URL("torch.js", import.meta.url));
const fixtures = fileURLToPath(new URL("../../../test/fixtures/torch", import.meta.url));
const tiny = "A002_rnn_tanh_L1_D1_H4_N1_T7_mse.json";

function runScript(...args: string[]): { lines: string[]; status: number | null } {
  const { stdout, status } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  return { lines: stdout.trimEnd().split("\n"), status };
}

void test("every fixture passes, a line for each", async (t) => {
  const { lines, status } = runScript(fixtures);
  t.equal(status, 0);
  t.equal(lines.at(-1), "19 passed, 0 failed, 0 skipped");
  t.match(lines[0], /^pass {2}A001_rnn_tanh_L1_D1_H4_N1_T1_mse: float32 \S+ \(\S+ % of tolerance, .+\), float64 \S+ \(/);
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
  writeFileSync(join(folder, "d-later.json"), JSON.stringify({ ...torchCase, loss_kind: "hinge" }));
  writeFileSync(join(folder, "e-later.json"), JSON.stringify({ ...torchCase, cell: "sru" }));
  writeFileSync(join(folder, "index.json"), "not read");
  copyFileSync(join(fixtures, tiny), join(folder, "a-right.json"));
  const { lines, status } = runScript(folder);
  t.equal(status, 1);
  t.match(lines[0], /^pass {2}a-right: /);
  t.match(lines[1], /^FAIL {2}b-off: float32 .* chunk 2 loss\)/);
  t.match(lines[2], /^FAIL {2}c-strange: not a case: type: /);
  t.equal(lines[3], "skip  d-later: loss hinge is not there yet");
  t.equal(lines[4], "skip  e-later: cell sru is not there yet");
  t.equal(lines[5], "1 passed, 2 failed, 2 skipped");

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

void test("every case of the whole set passes", { skip }, async (t) => {
  const { lines, status } = runScript(wholeSet!);
  t.equal(status, 0);
  t.equal(lines.at(-1), "70 passed, 0 failed, 0 skipped");
});

void test("a training that is resumed with another momentum, learning rate or state is seen", async (t) => {
  const text = readFileSync(join(fixtures, "A068_opt_adam_lstm_L1_D3_H8_N2_T8_ce_stateful.json"), "utf8");
  const torchCase = parseTorchCase(text);
  if (torchCase.type !== "opt") throw new Error("A068 is no opt case");
  const double: NumberFormat<Float64Array> = Float64Array;
  const run = (change: (saved: SavedTraining<Float64Array>) => SavedTraining<Float64Array>): number => {
    const training = new TorchTraining(double, torchCase);
    const loss = new CrossEntropy<Float64Array>();
    training.step(0, loss);
    training.step(1, loss);
    const resumed = new TorchTraining(double, torchCase, change(training.save()));
    const [straight, again] = [training, resumed].map((each) => {
      each.step(2, loss);
      return each.network.params.flatMap(({ value }) => Array.from(value.data));
    });
    return straight!.filter((value, i) => !Object.is(value, again![i])).length;
  };
  t.equal(run(structuredClone), 0);
  const fresh = new TorchTraining(double, torchCase).save();
  t.ok(run((saved) => ({ ...saved, optimizer: fresh.optimizer })) > 0, "the optimizer's state");
  t.ok(run((saved) => ({ ...saved, states: fresh.states })) > 0, "the hidden states");
  t.ok(run((saved) => ({ ...saved, params: fresh.params })) > 0, "the parameters");
});

void test("a case without biases compares no gradient of one, and has a mask's or a class's targets decoded", async (t) => {
  const read = (name: string): ReturnType<typeof parseTorchCase> => parseTorchCase(readFileSync(join(fixtures, name), "utf8"));
  const without = read("A012_rnn_tanh_L2_D8_H33_N3_T1_ce_nobias.json");
  if (without.type !== "grad") throw new Error("A012 is no grad case");
  t.notOk(Object.keys(without.chunks[0]!.grads).some((name) => name.includes("rnn.bias")));
  const classes = decodeTargets(Float32Array, without.chunks[0]!);
  t.same(classes.shape, [3, 1, 1]);
  t.ok(classes.data.every((value) => Number.isInteger(value) && value >= 0 && value < 4));
  const masked = read("A023_rnn_relu_L1_D8_H16_N3_T50_mse_masked.json");
  if (masked.type !== "grad") throw new Error("A023 is no grad case");
  const targets = decodeTargets(Float32Array, masked.chunks[0]!);
  t.same(targets.shape, [3, 50, 8]);
  const missing = targets.data.filter(Number.isNaN).length;
  t.ok(missing > 0 && missing < 3 * 50 * 8, `${missing} are missing`);
});
