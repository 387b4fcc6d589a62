// `hiddenstate train` as a user has it, how it looks while it runs, and the model that ships with the package.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { systemDisk } from "../../src/base/disk.ts";
import { createRandom } from "../../src/base/random.ts";
import { shippedModelPath, shippedModelSignal } from "../../src/cli/shipped-model.ts";
import { commandLine } from "../../src/cli/train.ts";
import { progressBar, roughTime, TrainingLines } from "../../src/cli/training-lines.ts";
import { Persistence } from "../../src/learn/baselines.ts";
import { evaluate } from "../../src/learn/evaluate.ts";
import { ModelForecaster } from "../../src/learn/model-forecaster.ts";
import { buildSeries } from "../../src/learn/series.ts";
import { loadModel } from "../../src/onnx/load-model.ts";
import { generateRows } from "../../firmware-sim/generate-rows.ts";
import { runCli, startCli } from "../support/cli.ts";
import { FakeClock } from "../support/fake-clock.ts";

const folder = mkdtempSync(join(tmpdir(), "hiddenstate-train-"));
t.teardown(() => rmSync(folder, { recursive: true }));

/** Two machines, hour by hour: decimal commas, day-first dates in two columns, -200 where a sensor was silent. */
function europeanCsv(rows: number): string {
  const random = createRandom(1);
  const lines = ["Datum;Zeit;Anlage;Druck;Temperatur"];
  for (let row = 0; row < rows; row++) {
    const time = new Date(Date.UTC(2024, 2, 10) + row * 3_600_000).toISOString();
    const [year, month, day] = time.slice(0, 10).split("-");
    for (const [index, plant] of ["Nord", "Süd"].entries()) {
      const angle = (2 * Math.PI * (row + 5 * index)) / 24;
      const pressure = 6 + Math.sin(angle) + 0.02 * random.normal();
      const temperature = random.next() < 0.05 ? "-200" : (40 + 5 * Math.cos(angle)).toFixed(2).replace(".", ",");
      lines.push(
        `${day}/${month}/${year};${time.slice(11, 19)};${plant};${pressure.toFixed(3).replace(".", ",")};${temperature}`,
      );
    }
  }
  return `${lines.join("\r\n")}\r\n`;
}

const european = join(folder, "werk.csv");
writeFileSync(european, europeanCsv(500));
const format = ["--time", "Datum,Zeit", "--time-format", "dmy", "--stream", "Anlage", "--missing", "-200"];
const small = ["--hidden", "8", "--epochs", "20"];

void t.test("a CSV with decimal commas, marked gaps and several streams becomes a model, a card and a table", async (t) => {
  const out = join(folder, "models", "druck.onnx");
  const args = [
    "train",
    european,
    ...format,
    ...small,
    "--target",
    "Druck,Temperatur",
    "--period",
    "24",
    "--units",
    "bar,°C",
    "--out",
    out,
  ];
  const { code, stdout, stderr } = await runCli(args);
  t.equal(code, 0, stderr);
  t.match(stdout, /^Druck\+1 in bar: 198 forecasts of rows it had not seen, 2024-03-26 16:00 to 2024-03-30 19:00 UTC\n/);
  t.match(stdout, /\nTemperatur\+1 in °C: 1\d\d forecasts of rows/);
  for (const name of ["model", "persistence", "autoregression (6)", "seasonal-naive (24)"]) {
    t.equal(stdout.split("\n").filter((line) => line.startsWith(`  ${name} `)).length, 2, name);
  }
  t.match(stdout, new RegExp(`wrote ${out} \\(version [0-9a-f]{16}\\) and its card ${out.replace(".onnx", ".md")}\n$`));
  t.match(
    stderr,
    /^epoch [12]\/20  loss \d\.\d{4}(, validation at best \d\.\d{4} in epoch 1)?\n/,
    "plain lines where there is no terminal",
  );

  const model = await loadModel(systemDisk, out);
  t.same(model.spec.features, [
    { name: "Druck", unit: "bar" },
    { name: "Temperatur", unit: "°C" },
  ]);
  t.equal(model.spec.training!.source, "werk.csv");
  t.same(model.spec.training!.rows, { train: 600, validation: 200, test: 200 });
  t.ok(Math.abs(model.weights.xMean.data[1]! - 40) < 0.5, "-200 was taken for missing");
  const card = readFileSync(join(folder, "models", "druck.md"), "utf8");
  t.match(card, `hiddenstate train ${european} --time Datum,Zeit`);
  t.match(card, "--units 'bar,°C'");
  for (const file of ["druck.onnx", "druck.md", "druck-loss.svg", "druck-prediction.svg"]) {
    t.equal(statSync(join(folder, "models", file)).mode & 0o777, 0o644, file);
  }

  const again = await runCli([...args.slice(0, -1), join(folder, "again", "druck.onnx"), "--json"]);
  t.equal(again.code, 0, again.stderr);
  const summary = JSON.parse(again.stdout) as { version: string; scores: { forecaster: string; outputs: { count: number }[] }[] };
  t.equal(summary.version, model.version, "the same bytes");
  t.equal(summary.scores[0]!.outputs[0]!.count, 198);
});

void t.test("what cannot be is refused in a line, before anything is written", async (t) => {
  const out = join(folder, "none", "x.onnx");
  const refusals: [string[], number, string | RegExp][] = [
    [["--target", "Durck"], 64, 'cannot train: the target "Durck" is none of the features; they are Druck, Temperatur'],
    [
      ["--features", "Druck,Strom", "--target", "Druck"],
      64,
      `cannot read ${european}: it has no column "Strom"; its columns are Datum, Zeit, Anlage, Druck, Temperatur`,
    ],
    [["--target", "Druck", "--split", "0.5,0.5"], 64, "cannot split: there are 2 fractions; three are expected, as 0.6,0.2,0.2"],
    [
      ["--target", "Druck", "--units", "bar"],
      64,
      /^cannot train: there are 1 units for the features Druck, Temperatur; name one/,
    ],
    [["--target", "Druck", "--out", join(folder, "x.bin")], 64, /^cannot write a model to .*x\.bin: its name must end in \.onnx/],
    [["--target", "Druck", "--out", join(european, "x.onnx")], 70, /^cannot write .*werk\.csv\/x\.onnx: /],
  ];
  for (const [args, wanted, message] of refusals) {
    const { code, stdout, stderr } = await runCli(["train", european, ...format, "--out", out, ...args]);
    t.equal(code, wanted, stderr);
    t.equal(stdout, "");
    t.equal(stderr.split("\n").length, 2, "one line");
    t.match(stderr.replace(/^hiddenstate: /, ""), message);
  }
  const absent = await runCli(["train", join(folder, "absent.csv"), ...format, "--target", "a", "--out", out]);
  t.match(absent, { code: 64, stderr: /cannot read .*absent\.csv: there is no such file/ });
  const pause = await runCli(["train", european, ...format, "--target", "Druck", "--out", out, "--max-pause", "soon"]);
  t.match(pause, { code: 64, stderr: /A number with a unit is expected: 500ms, 30s, 10m, 12h or 7d\./ });
});

void t.test("Ctrl-C measures and writes the best so far", async (t) => {
  const out = join(folder, "stopped.onnx");
  const args = ["train", european, ...format, "--target", "Druck", "--out", out, "--epochs", "100000", "--patience", "100000"];
  const training = startCli(args);
  await training.printed("epoch ");
  training.child.kill("SIGINT");
  const { code, stdout, stderr } = await training.ended;
  t.equal(code, 0, stderr);
  t.match(stderr, /stopping: the best so far is measured and written; once more ends at once, without a model\n/);
  t.match(stdout, /\nstopped after \d+ epochs; the best so far: the weights of .* are kept\nwrote /);
  const { spec } = await loadModel(systemDisk, out);
  t.ok(Number.isFinite(spec.training!.testRmse["Druck+1"]));
});

void t.test("on a terminal a bar is drawn over itself, with the loss and the time left", async (t) => {
  const clock = new FakeClock();
  const written: string[] = [];
  const write = (text: string): void => void written.push(text);
  const lines = new TrainingLines({ isTTY: true, columns: 200, write }, clock, 200);
  lines.show({ epochs: 0, part: 0.5, loss: 1.25, bestLoss: Number.NaN, bestEpoch: 0 });
  lines.show({ epochs: 0, part: 0.6, loss: 1.25, bestLoss: Number.NaN, bestEpoch: 0 });
  clock.advance(20_000);
  lines.show({ epochs: 50, part: 0, loss: 0.75, bestLoss: 0.5, bestEpoch: 48 });
  lines.note("stopping");
  lines.close();
  t.same(written, [
    "\r                     epoch 1/200  loss 1.2500\u001b[K",
    "\r█████                epoch 51/200  loss 0.7500, validation at best 0.5000 in epoch 48  at most 60 s left\u001b[K",
    "\n",
    "stopping\n",
  ]);
  written.length = 0;
  new TrainingLines({ isTTY: true, columns: 30, write }, clock, 200).show({
    epochs: 0,
    part: 0,
    loss: 1,
    bestLoss: 1,
    bestEpoch: 0,
  });
  t.equal(written[0]!.length, 1 + 29 + 3, "a narrow terminal gets a shorter line, not two");

  const plain = new TrainingLines({ write }, clock, 10);
  written.length = 0;
  for (let second = 0; second < 12; second++) {
    plain.show({ epochs: 1, part: 0, loss: 0.25, bestLoss: 0.5, bestEpoch: 1 });
    clock.advance(1000);
  }
  t.equal(written.length, 3, "every five seconds");
  t.same([progressBar(0.45, 4), progressBar(2, 3), progressBar(0, 2)], ["█▊  ", "███", "  "]);
  t.same([900, 61_000, 170_000, 7_500_000].map(roughTime), ["1 s", "61 s", "3 min", "2 h"]);
});

void t.test("a command line is quoted where a shell needs it", async (t) => {
  const line = commandLine(["train", "my file.csv", "--target", "a,b", "--missing", "-200", "--units", "it's"]);
  t.equal(line, String.raw`hiddenstate train 'my file.csv' --target a,b --missing -200 --units 'it'\''s'`);
});

void t.test("the shipped model fits its simulated devices and forecasts unseen ones far better than persistence", async (t) => {
  const model = await loadModel(systemDisk, shippedModelPath);
  const rows = generateRows({ signal: shippedModelSignal, seed: 4711, devices: 10, steps: 1500 });
  t.same(
    model.spec.features,
    rows.features.map((name, d) => ({ name, unit: rows.units[d]! })),
  );
  const layout = {
    features: rows.features.length,
    targets: [rows.features.indexOf(model.spec.outputs[0]!.feature!)],
    horizon: 1,
  };
  const walks = rows.streams.map((stream) => ({ series: buildSeries(stream, layout), past: undefined }));
  const said = (await evaluate(new ModelForecaster(model), walks, 1, systemClock)).outputs[0]!;
  const stays = (await evaluate(new Persistence(layout), walks, 1, systemClock)).outputs[0]!;
  t.equal(said.count, 14_990);
  t.ok(said.rmse < stays.rmse / 3, `${said.rmse.toFixed(4)} beside ${stays.rmse.toFixed(4)}`);

  const beside = (suffix: string): string => join(dirname(shippedModelPath), `${basename(shippedModelPath, ".onnx")}${suffix}`);
  const card = readFileSync(beside(".md"), "utf8");
  t.match(card, createHash("sha256").update(readFileSync(shippedModelPath)).digest("hex"));
  t.match(card, "npm run train:models");
  for (const picture of ["-loss.svg", "-prediction.svg"]) {
    t.match(card, basename(beside(picture)));
    t.match(readFileSync(beside(picture), "utf8"), /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="/);
  }
});
