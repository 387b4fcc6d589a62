// The examples as a user runs them, against the package's own name, and what they print.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { decodeModel } from "../src/index.ts";
import { repository } from "./support/cli.ts";
import { runIn } from "./support/packed.ts";

const folder = mkdtempSync(join(tmpdir(), "hiddenstate-examples-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

function run(name: string, ...args: string[]): string {
  return runIn(folder, process.execPath, [join(repository, "examples", name), ...args], 60_000);
}

t.test("train-and-export: the model beats the simple rules, and the file is that model's", async (t) => {
  const printed = run("train-and-export.mjs");
  const rmse = [...printed.matchAll(/RMSE ([\d.]+) cm/g)].map(([, figure]) => Number(figure));
  t.equal(rmse.length, 3);
  t.ok(
    rmse.slice(1).every((rule) => rmse[0]! < rule),
    printed,
  );
  const model = decodeModel(readFileSync(join(folder, "tank.onnx")), "tank.onnx");
  t.match(printed, `wrote tank.onnx: ${model.bytes.length} bytes, version ${model.version.slice(0, 16)}\n`);
  const apart = Number(/at most ([\d.e+-]+) cm apart/.exec(printed)?.[1]);
  t.ok(apart < 1e-3, printed);
});

t.test("step-a-stream: two runs give what one run gives, until the state is reset", async (t) => {
  const steps = (printed: string): string[] => printed.split("\n").filter((line) => line.startsWith("step "));
  const whole = steps(run("step-a-stream.mjs", "whole.json", "10"));
  const first = run("step-a-stream.mjs", "parts.json", "6");
  t.match(first, "begins in the model's initial state");
  const second = run("step-a-stream.mjs", "parts.json", "4");
  t.match(second, "goes on at step 6");
  t.strictSame([...steps(first), ...steps(second)], whole);
  t.equal(readFileSync(join(folder, "parts.json"), "utf8"), readFileSync(join(folder, "whole.json"), "utf8"), "to the bit");
  const reset = run("step-a-stream.mjs", "parts.json", "1", "--reset");
  t.match(reset, "the state is the initial one again");
  t.not(steps(reset)[0], steps(run("step-a-stream.mjs", "whole.json", "1"))[0]);
});

t.test("embed-the-runtime: every reading is predicted, and the next run goes on", async (t) => {
  const first = run("embed-the-runtime.mjs", "state", "1");
  const [, readings, predictions, steps] = /^(\d+) readings, (\d+) predictions; device-001 is at step (\d+)$/m.exec(first)!;
  t.ok(Number(readings) > 10, first);
  t.equal(predictions, readings);
  t.equal([...first.matchAll(/^device-00\d: vibration\+1 -?[\d.]+, score [\d.]+, alarm 0/gm)].length, 3, first);
  t.match(run("embed-the-runtime.mjs", "state", "1"), `device-001 goes on at step ${steps}\n`);
});

t.test("every example is described in docs/library.md", async (t) => {
  const page = readFileSync(join(repository, "docs/library.md"), "utf8");
  const examples = readdirSync(join(repository, "examples"));
  t.equal(examples.length, 3);
  for (const name of examples) t.ok(page.includes(`examples/${name}`), name);
});
