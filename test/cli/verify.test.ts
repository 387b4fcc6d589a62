import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { systemDisk } from "../../src/base/disk.ts";
import { verifyCommand, verifyModel } from "../../src/cli/verify.ts";
import { fastestKernel } from "../../src/kernels/open-network.ts";
import { kernelVersions } from "../../src/kernels/recurrent-network.ts";
import type { Kernel } from "../../src/kernels/recurrent-network.ts";
import { hasKernel } from "../../src/kernels/simd-module.ts";
import { needsOnnxruntime } from "../support/onnxruntime.ts";
import { randomModel } from "../support/random-model.ts";

const folder = await mkdtemp(join(tmpdir(), "hiddenstate-verify-"));
t.teardown(() => rm(folder, { recursive: true }));
const path = join(folder, "a.onnx");
const model = randomModel({ seed: 2, features: 2, outputs: 1, hidden: [7, 4], residual: true });
await writeFile(path, model.bytes);

async function verify(json: boolean, file = path, kernel?: Kernel): Promise<{ passed: boolean; text: string }> {
  let text = "";
  const passed = await verifyModel(file, { json, kernel, disk: systemDisk, write: (more) => (text += more) });
  return { passed, text };
}

t.test(
  "it prints the worst differences of outputs and states for every part, and that it passed",
  needsOnnxruntime,
  async (t) => {
    const { passed, text } = await verify(false);
    t.ok(passed);
    const lines = text.split("\n");
    t.equal(lines[0], `${path}: 2 features, 1 output, rnn_tanh 7, rnn_tanh 4, version ${model.version.slice(0, 16)}`);
    t.match(
      lines[1],
      /^(relaxed|plain|scalar)-1 against onnxruntime-\S+, 1000 steps a part: the worst \|a - b\| \/ max\(scale, \|b\|\), at most 0\.00001$/u,
    );
    const figures = /\s+(0|\d\.\de-\d+)\s+(0|\d\.\de-\d+)\s+passed$/u;
    const parts = [
      "  single steps from the same state",
      "  carried, one step at a time",
      "  carried, chunks of 50",
      "  carried, 3 streams in a batch",
    ];
    t.strictSame(
      lines.slice(2).map((line) => line.replace(figures, "")),
      [
        "",
        "usual inputs                        outputs   states",
        ...parts,
        "",
        "extreme inputs                      outputs   states",
        ...parts,
        "",
        "passed",
        "",
      ],
    );
  },
);

t.test("as JSON it is one object on one line", needsOnnxruntime, async (t) => {
  const { passed, text } = await verify(true);
  t.ok(passed);
  t.equal(text.indexOf("\n"), text.length - 1);
  const report: unknown = JSON.parse(text);
  t.match(report, {
    model: path,
    version: model.version,
    kernels: [kernelVersions[fastestKernel()], /^onnxruntime-/u],
    tolerance: 1e-5,
    passed: true,
    parts: [
      { name: "single steps from the same state", inputs: "usual", steps: 1000, outputs: Number, states: Number, unresolved: 0 },
      { name: "carried, one step at a time", inputs: "usual", verdict: "passed" },
      { name: "carried, chunks of 50", inputs: "usual", verdict: "passed" },
      { name: "carried, 3 streams in a batch", inputs: "usual", verdict: "passed" },
      { name: "single steps from the same state", inputs: "extreme", verdict: "passed" },
      { name: "carried, one step at a time", inputs: "extreme", verdict: "passed" },
      { name: "carried, chunks of 50", inputs: "extreme", verdict: "passed" },
      { name: "carried, 3 streams in a batch", inputs: "extreme", verdict: "passed" },
    ],
  });
});

t.test("the shipped model passes on every kernel", needsOnnxruntime, async (t) => {
  const shipped = fileURLToPath(new URL("../../../models/bearing.onnx", import.meta.url));
  for (const kernel of ["relaxed", "plain", "scalar"] as const) {
    if (!hasKernel(kernel)) continue;
    const { passed, text } = await verify(false, shipped, kernel);
    t.ok(passed, text);
    t.ok(text.includes(`\n${kernel}-1 against onnxruntime-`), kernel);
  }
});

t.test("it covers gated cells, stacks and heads, on every kernel", needsOnnxruntime, async (t) => {
  const stacked = join(folder, "stacked.onnx");
  const cells = ["lstm", "gru", "gru_reset_first"] as const;
  await writeFile(stacked, randomModel({ seed: 5, features: 3, outputs: 2, hidden: [9, 6, 4], cells, head: "gaussian" }).bytes);
  for (const kernel of ["relaxed", "plain", "scalar"] as const) {
    if (!hasKernel(kernel)) continue;
    const { passed, text } = await verify(false, stacked, kernel);
    t.ok(passed, text);
    t.ok(text.startsWith(`${stacked}: 3 features, 4 outputs, lstm 9, gru 6, gru 4, a gaussian head, version `), text);
    t.equal(text.match(/ passed$/gmu)?.length, 8);
  }
});

t.test("a file that is no model is one error, and nothing is printed", async (t) => {
  const html = join(folder, "page.onnx");
  await writeFile(html, "<!doctype html>");
  await t.rejects(verify(false, html), {
    code: "bad_model",
    message: /^cannot use model .*page\.onnx: it is not an ONNX file, or is cut short/u,
  });
  await t.rejects(verifyCommand().parseAsync([join(folder, "none.onnx")], { from: "user" }), {
    code: "bad_model",
    message: /none\.onnx: there is no such file$/u,
  });
});
