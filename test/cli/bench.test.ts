import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { benchLines } from "../../src/cli/bench.ts";
import type { BenchReport } from "../../src/cli/bench.ts";
import { quantile, spreadOf } from "../../src/cli/spread.ts";
import type { Spread } from "../../src/cli/spread.ts";
import { runCli } from "../support/cli.ts";
import { randomModel } from "../support/random-model.ts";

t.setTimeout(120_000);

/** Measured, and in order. */
function isMeasured({ median, least, most }: Spread): boolean {
  return least > 0 && least <= median && median <= most;
}

t.test("engines, disk and the whole way are measured with the config's models, and nothing is left behind", async (t) => {
  const folder = t.testdir({});
  writeFileSync(join(folder, "model.onnx"), randomModel({ features: 2, hidden: [8], seed: 3 }).bytes);
  const path = join(folder, "config.yaml");
  const groups = [
    "  - { name: given, preset: tasmota, model: model.onnx, score: {} }",
    "  - { name: plain, preset: ttn, model: model.onnx, kernel: plain }",
    '  - { name: learned, topic: "s/{device}/r", codec: csv, features: [a, b], score: {} }',
  ];
  const durability = "durability: { mode: relaxed, linger: 0ms }\n";
  writeFileSync(path, `node: n\nstate: state\nmqtt: { url: "mqtt://127.0.0.1:1" }\n${durability}groups:\n${groups.join("\n")}\n`);
  const short = ["--rounds", "2", "--seconds", "0.1", "--streams", "7", "--batches", "1,4"];
  const { code, stdout, stderr } = await runCli(["bench", path, ...short, "--json"]);
  t.equal(code, 0, stderr);
  const report = JSON.parse(stdout) as BenchReport;
  const measured = new Set(report.engines.map(({ group, engine, batch }) => `${group} ${engine} ${batch}`));
  for (const one of ["given native 1", "given native 4", "learned learning 1", "learned learning 4"])
    t.ok(measured.has(one), one);
  t.ok(measured.has("given onnx 4") || report.notes.some((note) => note.startsWith("group given: onnxruntime was not measured")));
  t.strictSame(
    [...measured].filter((one) => one.startsWith("plain")),
    ["plain native 1", "plain native 4"],
  );
  t.ok(
    report.engines.every(({ group, kernel }) => group !== "plain" || kernel.startsWith("plain")),
    "on the kernel that the config names",
  );
  t.ok(report.engines.every(({ ns }) => isMeasured(ns)));
  t.strictSame(
    report.syncs.map(({ bytes }) => bytes),
    [4096, 262_144],
  );
  const { way } = report;
  t.match(way, { streams: 7, durability: "relaxed", underWay: 1000 });
  t.ok([way.readingsPerSecond, way.aloneMsP50, way.aloneMsP99].every(isMeasured), stdout);
  t.strictSame(readdirSync(folder).toSorted(), ["config.yaml", "model.onnx"]);
  const lines = benchLines(report);
  t.match(lines[0], /^Node v\d.*; medians of 2 rounds, with the least and the most of them$/);
  t.ok(
    lines.some((line) =>
      /^ {2}given, native \(\w+-\d+\), 4 streams together: \d+ \(\d+ to \d+\) ns a reading, [\d,]+ steps\/s$/.test(line),
    ),
  );
});

t.test("a mistake in what is asked for is told before anything is measured", async (t) => {
  const folder = t.testdir({ "config.yaml": "node: n\n" });
  t.match(await runCli(["bench", join(folder, "config.yaml")]), { code: 78, stdout: "", stderr: /config\.yaml:1:1: / });
  t.match(await runCli(["bench", "--batches", "1,x"]), { code: 64, stderr: /'--batches <counts>' argument '1,x' is invalid/ });
});

t.test("a median is the middle, and a quantile one of the values", (t) => {
  t.strictSame(spreadOf([3, 1, 2]), { median: 2, least: 1, most: 3 });
  t.strictSame(spreadOf([4, 1, 2, 3]), { median: 2.5, least: 1, most: 4 });
  const rising = Array.from({ length: 200 }, (_, i) => i + 1);
  t.strictSame(
    [0.5, 0.99, 1].map((share) => quantile(rising, share)),
    [100, 198, 200],
  );
  t.equal(quantile([7], 0.99), 7);
  t.end();
});
