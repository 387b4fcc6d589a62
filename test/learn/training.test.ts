// Training from a table to a model file and its card, on series small enough to learn in a second.
import { createHash } from "node:crypto";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { createRandom } from "../../src/base/random.ts";
import { fastestKernel } from "../../src/kernels/open-network.ts";
import { hasKernel } from "../../src/kernels/simd-module.ts";
import { kernelVersions } from "../../src/kernels/recurrent-network.ts";
import { featureRanges, fitScaling } from "../../src/learn/fit-scaling.ts";
import { modelCard } from "../../src/learn/model-card.ts";
import { buildSeries } from "../../src/learn/series.ts";
import { drawChart } from "../../src/learn/svg-chart.ts";
import { trainModel } from "../../src/learn/train-model.ts";
import type { TrainModelOptions, TrainingProgress } from "../../src/learn/train-model.ts";
import { lossChart, predictionChart } from "../../src/learn/training-charts.ts";
import { trainOnTable } from "../../src/learn/train-on-table.ts";
import type { TrainingOutcome } from "../../src/learn/train-on-table.ts";
import type { TrainOnTableOptions } from "../../src/learn/train-on-table-options.ts";
import { saveTraining, trainingPaths } from "../../src/learn/training-files.ts";
import { formatScores } from "../../src/cli/train.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { defaultTrainingSettings, trainingCells } from "../../src/learn/training-settings.ts";
import type { TrainingSettings } from "../../src/learn/training-settings.ts";
import type { ReadingTable } from "../../src/message/reading-table.ts";
import { SequenceModel } from "../../src/model/sequence-model.ts";
import type { ModelSpec } from "../../src/model/spec.ts";
import { decodeModel } from "../../src/onnx/decode-model.ts";
import { stateSpecs } from "../../src/onnx/state-specs.ts";
import { tensor } from "../../src/kernels/tensor.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryDisk } from "../support/memory-disk.ts";

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 1);
const split = { train: 0.6, validation: 0.2, test: 0.2 };
const quick: TrainingSettings = { ...defaultTrainingSettings, hidden: [8], epochsMax: 6 };

/** A sine of 25 rows a period around 50 with a little noise, and its cosine around -3. */
function sineTable(rows: number, seed: number, streams = 1, features = ["height", "speed"]): ReadingTable {
  const random = createRandom(seed);
  return {
    features,
    streams: Array.from({ length: streams }, (_, index) => {
      const phase = 6 * random.next();
      const values = new Float32Array(rows * features.length);
      for (let row = 0; row < rows; row++) {
        const angle = (2 * Math.PI * row) / 25 + phase;
        for (let d = 0; d < features.length; d++) {
          values[row * features.length + d] =
            (d === 0 ? 50 + 10 * Math.sin(angle) : -3 + Math.cos(angle)) * (1 + 0.002 * random.normal());
        }
      }
      const times = Float64Array.from({ length: rows }, (_, row) => START + row * MINUTE);
      return { key: streams === 1 ? "" : `mill-${index + 1}`, count: rows, times, values };
    }),
  };
}

function train(table: ReadingTable, options: Partial<TrainOnTableOptions> = {}): Promise<TrainingOutcome> {
  const required = { table, name: "mill", source: "mill.csv", targets: ["height"], horizon: 1, split, settings: quick };
  return trainOnTable({ ...required, clock: systemClock, ...options });
}

function rmseOf({ scores }: TrainingOutcome, forecaster: string, output = 0): number {
  return scores.find((score) => score.forecaster.startsWith(forecaster))!.outputs[output]!.rmse;
}

function withValues(table: ReadingTable, change: (value: number, row: number) => number): ReadingTable {
  const D = table.features.length;
  const streams = table.streams.map((one) => ({
    ...one,
    values: one.values.map((value, at) => change(value, Math.floor(at / D))),
  }));
  return { features: table.features, streams };
}

void t.test("a sine is learned far beyond persistence, from several streams and for several targets", async (t) => {
  const settings = { ...defaultTrainingSettings, hidden: [12], epochsMax: 60 };
  const outcome = await train(sineTable(2500, 1, 2), { targets: ["height", "speed"], period: 25, settings });
  t.same(
    outcome.scores.map(({ forecaster, outputs }) => [forecaster, outputs.map(({ count }) => count)]),
    ["model", "persistence", "autoregression (6)", "seasonal-naive (25)"].map((name) => [name, [998, 998]]),
  );
  for (const [o, name] of ["height", "speed"].entries()) {
    const [model, persistence] = [rmseOf(outcome, "model", o), rmseOf(outcome, "persistence", o)];
    t.ok(model < persistence / 5, `${name}: ${model} beside ${persistence}`);
    t.ok(rmseOf(outcome, "autoregression", o) < persistence / 5, `${name}: a sine is linear in its past`);
  }
  const { spec } = outcome.model;
  t.same(
    spec.outputs.map(({ name, feature, horizon }) => [name, feature, horizon]),
    [
      ["height+1", "height", 1],
      ["speed+1", "speed", 1],
    ],
  );
  t.same(spec.training, {
    source: "mill.csv",
    seed: 1,
    kernel: kernelVersions[fastestKernel()],
    epochs: outcome.training.epochs.length,
    rows: { train: 3000, validation: 1000, test: 1000 },
    testRmse: { "height+1": rmseOf(outcome, "model", 0), "speed+1": rmseOf(outcome, "model", 1) },
    persistenceRmse: { "height+1": rmseOf(outcome, "persistence", 0), "speed+1": rmseOf(outcome, "persistence", 1) },
  });
});

void t.test("the model file holds what was trained", async (t) => {
  const { model, training } = await train(sineTable(400, 2), { units: ["m", "m/s"], horizon: 3 });
  const loaded = decodeModel(model.bytes, "mill.onnx");
  t.same(loaded.weights, model.weights);
  t.same(
    loaded.weights.layers.map(({ Wh }) => Wh.data),
    training.weights.layers.map(({ Wh }) => Wh.data),
  );
  t.same(loaded.spec.outputs[0], {
    name: "height+3",
    unit: "m",
    feature: "height",
    horizon: 3,
    deviation: loaded.spec.outputs[0]!.deviation,
  });
  t.ok(Math.abs(loaded.spec.outputs[0]!.deviation - 10 / Math.SQRT2) < 0.2, "the sine's deviation");
  t.same(loaded.spec.states, stateSpecs([{ cell: "rnn_tanh", hidden: 8 }]));
});

/** A second passes between any two looks at it, so that every chance to let others run is taken. */
class HastyClock extends FakeClock {
  looks = 0;

  override monotonicMs(): number {
    return 1000 * this.looks++;
  }
}

void t.test("the same seed gives the same bytes, whoever gets a turn in between, and another seed others", async (t) => {
  const table = sineTable(600, 3, 3);
  const first = await train(table);
  t.same((await train(table)).model.bytes, first.model.bytes);
  const hasty = new HastyClock();
  const outcome = await train(table, { clock: hasty });
  t.ok(hasty.looks > 50);
  t.same(outcome.model.bytes, first.model.bytes);
  t.same(modelCard(outcome, cardOptions), modelCard(first, cardOptions));
  t.not(
    createHash("sha256")
      .update((await train(table, { settings: { ...quick, seed: 2 } })).model.bytes)
      .digest("hex"),
    first.model.version,
  );
});

void t.test("a kernel can be asked for, and each gives bytes of its own", async (t) => {
  const table = sineTable(400, 3);
  const kernels = (["relaxed", "plain", "scalar"] as const).filter(hasKernel);
  const outcomes = await Promise.all(kernels.map((kernel) => train(table, { settings: { ...quick, kernel } })));
  t.same(
    outcomes.map(({ model }) => model.spec.training?.kernel),
    kernels.map((kernel) => kernelVersions[kernel]),
  );
  t.equal(new Set(outcomes.map(({ model }) => model.version)).size, kernels.length);
  const again = await train(table, { settings: { ...quick, kernel: "scalar" } });
  t.same(again.model.bytes, outcomes.at(-1)!.model.bytes);
  t.match(modelCard(again, cardOptions), "kernel scalar-1");
});

void t.test("validation and test rows change nothing of the scaling, and test rows nothing of the weights", async (t) => {
  const table = sineTable(1000, 4);
  const base = await train(table);
  const weightsOf = ({ training }: TrainingOutcome): unknown => training.weights;
  const wildTest = await train(withValues(table, (value, row) => (row >= 800 ? 3 * value + 1000 : value)));
  t.same(weightsOf(wildTest), weightsOf(base));
  t.not(rmseOf(wildTest, "model"), rmseOf(base, "model"));
  t.same(wildTest.ranges, base.ranges);
  const wildValidation = await train(withValues(table, (value, row) => (row >= 600 ? 3 * value + 1000 : value)));
  const scalingOf = ({ model }: TrainingOutcome): unknown => {
    const { xMean, xScale, yMean, yScale } = model.weights;
    return [xMean, xScale, yMean, yScale];
  };
  t.same(scalingOf(wildValidation), scalingOf(base));
  t.same(
    wildValidation.training.epochs.map(({ trainLoss }) => trainLoss),
    base.training.epochs.map(({ trainLoss }) => trainLoss),
  );
  // And the other way round: the last training row counts.
  const changed = await train(withValues(table, (value, row) => (row === 599 ? value + 1 : value)));
  t.notSame(scalingOf(changed), scalingOf(base));
});

/** What `trainModel` is given for the first feature of a table. */
function prepare(table: ReadingTable, settings: TrainingSettings): TrainModelOptions {
  const layers = settings.hidden.map((hidden) => ({ cell: "rnn_tanh" as const, hidden }));
  const cut = Math.floor(table.streams[0]!.count * 0.7);
  const D = table.features.length;
  const part = (from: number, to: number): ReadingTable => ({
    features: table.features,
    streams: table.streams.map(({ key, times, values }) => ({
      key,
      count: to - from,
      times: times.subarray(from, to),
      values: values.subarray(from * D, to * D),
    })),
  });
  const build = ({ streams }: ReadingTable): ReturnType<typeof buildSeries>[] =>
    streams.map((one) => buildSeries(one, { features: D, targets: [0], horizon: 1 }));
  const trainPart = part(0, cut);
  const ranges = featureRanges(trainPart);
  const spec: ModelSpec = {
    format: 1,
    name: "mill",
    task: "forecast",
    features: table.features.map((name) => ({ name, unit: "" })),
    outputs: [{ name: "out", unit: "", feature: table.features[0]!, horizon: 1, deviation: 1 }],
    layers,
    head: { kind: "regression", residual: true },
    states: stateSpecs(layers),
  };
  const series = build(trainPart);
  const validation = build(part(cut, table.streams[0]!.count));
  const scaling = fitScaling(ranges, series, [0], true);
  return { spec, scaling, train: series, validation, settings, clock: systemClock };
}

/** The validation loss of weights, computed apart from the trainer: series by series, from blank states. */
function lossOf(weights: ReturnType<SequenceModel["getWeights"]>, { spec, validation }: TrainModelOptions): number {
  let [squares, count] = [0, 0];
  for (const series of validation) {
    const model = new SequenceModel(spec, weights);
    const readings = tensor(series.inputs, [1, series.count, spec.features.length]);
    const said = model.predict(readings).data;
    for (let row = 0; row + 1 < series.count; row++) {
      const error = (said[row]! - series.targets[row]!) / weights.yScale.data[0]!;
      squares += error * error;
      count++;
    }
  }
  return squares / count;
}

void t.test("training ends when validation gets no better, and the best epoch's weights are what is kept", async (t) => {
  // Few noisy rows and a large network: it soon learns the noise.
  const settings = { ...defaultTrainingSettings, hidden: [24], learningRate: 0.02, weightDecay: 0, patience: 5, epochsMax: 200 };
  const prepared = prepare(
    withValues(sineTable(300, 5, 2), (value, row) => value + 3 * Math.sin(row * row)),
    settings,
  );
  const { weights, epochs, bestEpoch, end } = await trainModel(prepared);
  t.equal(end, "settled");
  t.equal(epochs.length, bestEpoch + 5);
  const losses = epochs.map(({ validationLoss }) => validationLoss);
  t.equal(losses.indexOf(Math.min(...losses)), bestEpoch - 1);
  t.ok(losses.at(-1)! > losses[bestEpoch - 1]!, "what came after was worse");
  const kept = lossOf(weights, prepared);
  t.ok(Math.abs(kept / losses[bestEpoch - 1]! - 1) < 1e-4, `${kept} is the best epoch's ${losses[bestEpoch - 1]}`);
});

void t.test("a signal ends training with the best so far", async (t) => {
  const prepared = prepare(sineTable(900, 6), { ...quick, epochsMax: 1000, patience: 1000 });
  const stopping = new AbortController();
  const progress: TrainingProgress[] = [];
  const training = await trainModel({
    ...prepared,
    signal: stopping.signal,
    onProgress: (one) => {
      progress.push(one);
      if (one.epochs === 4) stopping.abort();
    },
  });
  t.equal(training.end, "stopped");
  t.ok(training.epochs.length >= 4 && training.epochs.length < 10, `after ${training.epochs.length} epochs`);
  t.ok(Math.abs(lossOf(training.weights, prepared) - Math.min(...training.epochs.map((one) => one.validationLoss))) < 0.05);
  t.ok(progress.every(({ part, epochs, bestEpoch }) => part >= 0 && part <= 1 && bestEpoch <= epochs));
  t.equal(progress.at(-1)!.bestEpoch > 0, true);

  const aborted = AbortSignal.abort();
  const early = await trainModel({ ...prepared, signal: aborted });
  t.match(early, { end: "stopped", epochs: [], bestEpoch: 0 });
  const start = new SequenceModel(prepared.spec, early.weights);
  t.ok(Number.isFinite(start.predict(tensor(Float32Array.of(50, -3), [1, 1, 2])).data[0]), "even at once there is a model");

  // Through the whole of it: the model is measured, and its card can be written.
  const outcome = await train(sineTable(900, 6), { signal: aborted });
  t.equal(outcome.training.end, "stopped");
  t.equal(outcome.scores[0]!.outputs[0]!.count, 179);
  t.match(
    modelCard(outcome, cardOptions),
    /Training was stopped by hand, after 0 epochs; the weights are those of the unfinished first epoch\./,
  );
});

void t.test(
  "a loss that is no number ends training: with advice in the first epoch, with the best before it later",
  async (t) => {
    const table = sineTable(900, 7);
    await t.rejects(trainModel(prepare(table, { ...quick, learningRate: 1e30, weightDecay: 0 })), {
      code: "unavailable",
      message:
        /^cannot train: the loss was no number any more in epoch 1; lower the learning rate \(it is 1e\+30\), or look for values/,
    });
  },
);

void t.test("what cannot be trained on is refused, with what is needed", async (t) => {
  const table = sineTable(1000, 8);
  const refusals: [Partial<TrainOnTableOptions>, string | RegExp][] = [
    [{ targets: ["depth"] }, 'cannot train: the target "depth" is none of the features; they are height, speed'],
    [{ targets: ["height", "height"] }, "cannot train: a target is named twice"],
    [{ targets: [] }, "cannot train: no target is named; name one of the features"],
    [{ horizon: 0 }, "cannot train: the horizon is 0; a whole number from 1 to 10000 is expected"],
    [{ period: 1.5 }, "cannot train: the period is 1.5; a whole number of rows from 1 is expected"],
    [{ settings: { ...quick, hidden: [] } }, "cannot train: the number of layers is 0; 1 to 8 is expected"],
    [{ settings: { ...quick, hidden: [0] } }, "cannot train: a hidden size is 0; a whole number from 1 to 4096 is expected"],
    [{ settings: { ...quick, learningRate: 0 } }, "cannot train: the learning rate is 0; a number above 0 is expected"],
    [{ name: "x".repeat(129) }, /^cannot export model "x+": its spec is not one: name/],
    [
      { table: sineTable(60, 9) },
      'cannot train: the training part has 35 rows whose "height" 1 rows on is known, and 50 are needed; ' +
        "with this split that takes a file of about 85 rows for each stream, or another split",
    ],
    [
      { table: withValues(table, (value, row) => (row >= 600 && row < 800 ? Number.NaN : value)) },
      /^cannot train: the validation part has 0 rows whose "height" 1 rows on is known, and 10 are needed; /,
    ],
    [
      { table: withValues(table, (value) => (value < 20 ? 4 : value)) },
      'cannot train: the feature "speed" never changes in the training part: it is always 4; leave it out of the features',
    ],
  ];
  for (const [options, message] of refusals) {
    await t.rejects(train(table, { settings: { ...quick, epochsMax: 1 }, ...options }), { code: "bad_argument", message });
  }
});

void t.test("missing values and refused rows are trained around", async (t) => {
  const random = createRandom(10);
  const whole = sineTable(1500, 10);
  const holes = withValues(whole, (value) => (random.next() < 0.1 ? Number.NaN : value));
  const outcome = await train(
    withValues(holes, (value, row) => (row >= 300 && row < 330 ? Number.NaN : value)),
    {
      settings: { ...quick, epochsMax: 40 },
    },
  );
  t.ok(rmseOf(outcome, "model") < 0.5 * rmseOf(outcome, "persistence"), `${rmseOf(outcome, "model")}`);
  const counts = outcome.scores.map(({ outputs }) => outputs[0]!.count);
  t.ok(
    counts.every((count) => count === counts[0]) && counts[0]! > 240 && counts[0]! < 290,
    `the same rows for each: ${counts.join()}`,
  );
});

const cardOptions = {
  modelFile: "mill.onnx",
  lossFile: "mill-loss.svg",
  predictionFile: "mill-prediction.svg",
  command: "hiddenstate train mill.csv",
};

void t.test("the card says what it forecasts, how well, on what and how to make it again", async (t) => {
  const table = { ...sineTable(600, 11), features: ["height | <b>", "speed"] };
  const outcome = await train(table, { targets: ["height | <b>"], units: ["m", "m/s"] });
  const card = modelCard(outcome, cardOptions);
  t.ok(
    card.startsWith(
      "# mill\n\nForecasts `height | <b>` one row ahead from `height | <b>`, `speed`: a recurrent network (tanh RNN, hidden size 8)",
    ),
  );
  for (const part of [
    outcome.model.version,
    "| forecaster | RMSE | MAE | RMSE / persistence |\n| --- | ---: | ---: | ---: |\n| model | ",
    "| persistence | ",
    "| training | 2026-01-01 00:00 | 2026-01-01 05:59 | 360 | 1 |",
    "| height \\| <b> | m | ",
    "![Training and validation loss of mill](mill-loss.svg)",
    "```\nhiddenstate train mill.csv\n```",
  ]) {
    t.ok(card.includes(part), part);
  }
  const loss = lossChart(outcome);
  t.equal(loss.match(/<polyline class="line/g)!.length, 4, "two curves and their samples in the legend");
  const prediction = predictionChart(outcome);
  t.match(prediction, /height \| &lt;b&gt; \(m\), one row ahead/);
  t.notMatch(prediction, /NaN|<b>/);
  t.equal(prediction.match(/<circle /g)!.length, 119 + 1, "a dot for each row that has a target, and one in the legend");
});

void t.test("charts leave gaps where there is nothing, and choose their ticks", async (t) => {
  const line = { name: "a", tone: "model", shape: "line", x: 0 } as const;
  const svg = drawChart("label", [
    { title: "t", xName: "x", height: 100, lines: [{ ...line, values: [Number.NaN, 1, 2, Number.NaN, 3, 4] }] },
  ]);
  t.equal(svg.match(/<polyline class="line model" points="[^"]+"/g)!.length, 3, "a sample and two runs");
  t.same(
    [...svg.matchAll(/text-anchor="end">([\d.]+)</g)].map((match) => match[1]),
    ["1", "2", "3", "4"],
  );
  const decades = drawChart("label", [
    { title: "t", xName: "x", height: 100, logarithmic: true, lines: [{ ...line, values: [1, 0.01] }] },
  ]);
  t.match(decades, />0\.01</);
  t.match(decades, />0\.10</);
  const flat = drawChart("label", [{ title: "t", xName: "x", height: 100, lines: [{ ...line, values: [5, 5] }] }]);
  t.notMatch(flat, /NaN|Infinity/);
});

void t.test("model, card and pictures are written side by side, the model last", async (t) => {
  const outcome = await train(sineTable(600, 12));
  const disk = new MemoryDisk();
  const paths = trainingPaths("/models/line-3/mill.onnx");
  t.equal(paths.name, "mill");
  const files = await saveTraining(disk, paths, outcome, "hiddenstate train");
  t.same(
    files,
    ["-loss.svg", "-prediction.svg", ".md", ".onnx"].map((end) => `/models/line-3/mill${end}`),
  );
  t.same(disk.paths, files.toSorted());
  t.same(disk.bytes(paths.model), outcome.model.bytes);
  t.throws(() => trainingPaths("/models/mill.bin"), {
    code: "bad_argument",
    message: "cannot write a model to /models/mill.bin: its name must end in .onnx",
  });
  t.throws(() => trainingPaths("/models/.onnx"), { code: "bad_argument" });

  const other = await train(sineTable(600, 13));
  disk.intercept = (call, path) => {
    if (call === "datasync" && path.includes(".md")) throw Object.assign(new Error("EIO: no"), { code: "EIO" });
  };
  await t.rejects(saveTraining(disk, paths, other, "hiddenstate train"), {
    code: "disk_failed",
    message: "cannot write /models/line-3/mill.onnx and what lies beside it: EIO: no",
  });
  t.same(disk.bytes(paths.model), outcome.model.bytes, "the model that was there is whole");
});

void t.test("every cell and head learns, and the file holds what was asked for", async (t) => {
  const table = sineTable(1200, 8, 2);
  const settings = { ...defaultTrainingSettings, hidden: [8, 6], epochsMax: 12, dropout: 0.1 };
  for (const cell of trainingCells) {
    for (const head of ["regression", "gaussian"] as const) {
      const outcome = await train(table, {
        settings: { ...settings, cell, head, loss: head === "regression" ? "huber" : "mse" },
      });
      const { spec } = outcome.model;
      t.same(
        spec.layers.map((layer) => [layer.cell, layer.hidden]),
        [
          [cell, 8],
          [cell, 6],
        ],
      );
      t.equal(spec.head.kind, head);
      t.same(
        spec.outputs.map(({ name }) => name),
        head === "gaussian" ? ["height+1", "height+1 deviation"] : ["height+1"],
      );
      const [model, persistence] = [rmseOf(outcome, "model"), rmseOf(outcome, "persistence")];
      t.ok(model < 0.9 * persistence, `${cell}, ${head}: ${model} beside ${persistence}`);
      t.match(
        modelCard(outcome, cardOptions),
        head === "gaussian" ? "Gaussian head trained on its likelihood, dropout 0.1" : "loss Huber, dropout 0.1",
      );
    }
  }
});

void t.test("a Gaussian head says how far off it may be", async (t) => {
  const table = withValues(sineTable(3000, 9, 1, ["height"]), (value, row) => value + 3 * Math.sin(row * row * 1.7));
  const settings: TrainingSettings = { ...defaultTrainingSettings, hidden: [12], head: "gaussian", epochsMax: 40 };
  const outcome = await train(table, { settings });
  const { model, longestWalk } = outcome;
  const engine = new NativeEngine(model, { kernel: "scalar" });
  const slots = Int32Array.of(engine.allocate());
  const y = new Float32Array(2);
  const { inputs, targets, count } = longestWalk.series;
  let within = 0;
  let inInterval = 0;
  let known = 0;
  for (let row = 0; row < count; row++) {
    engine.step({ slots, count: 1, steps: 1, x: inputs.subarray(row, row + 1), y });
    if (Number.isNaN(targets[row]!)) continue;
    known++;
    if (Math.abs(targets[row]! - y[0]!) < 1.96 * y[1]!) within++;
    if (Math.abs(targets[row]! - y[0]!) < 1.644853627 * y[1]!) inInterval++;
  }
  t.ok(within / known > 0.88 && within / known < 0.995, `${within} of ${known} lie within 1.96 deviations`);
  t.match(outcome.scores[0]!.outputs[0], { count: known, coverage: inInterval / known });
  const said =
    `${((100 * inInterval) / known).toFixed(1)} % of what was measured lay within the model's 90 % interval, ` +
    "its mean and 1.645 of its standard deviations to either side.";
  t.ok(modelCard(outcome, cardOptions).includes(`\n\n${said}\n\n`), said);
  t.ok(formatScores(outcome).includes(`\n  ${said}\n`), "and so does the table in the terminal");
});

void t.test("cells are compared on the same rows, from the simplest up", async (t) => {
  const seen: string[] = [];
  const settings: TrainingSettings = { ...quick, cell: "gru" };
  const outcome = await train(sineTable(600, 10), { settings, compare: true, onNetwork: (cell) => seen.push(cell) });
  t.same(seen, ["gru", "rnn_tanh", "lstm"]);
  t.same(
    outcome.ladder.map(({ cell, epochs, score }) => [cell, epochs, score.outputs[0]!.count]),
    [
      ["rnn_tanh", 6, 119],
      ["gru", 6, 119],
      ["lstm", 6, 119],
    ],
  );
  // 2 features, 8 units: G (2 + 8 + 1) 8, a GRU's second bias, and the head's 9.
  t.same(
    outcome.ladder.map(({ weights }) => weights),
    [97, 281, 361],
  );
  t.equal(outcome.ladder[1]!.score, outcome.scores[0], "the model's own rung is the model");
  const card = modelCard(outcome, cardOptions);
  t.match(card, /\| tanh RNN \| 97 \| 6 \| [\d.]+ \|\n\| GRU \(this model\) \| 281 \| 6 \| [\d.]+ \|\n\| LSTM \| 361 \| 6 \|/);
  const alone = await train(sineTable(600, 10), { settings });
  t.same(alone.model.bytes, outcome.model.bytes, "and comparing changes nothing about the model");
  t.same(alone.ladder, []);
  t.notMatch(modelCard(alone, cardOptions), "Beside other cells");
});

void t.test("settings that contradict each other are refused", async (t) => {
  const refused = (changes: Partial<TrainingSettings>, message: RegExp): Promise<unknown> =>
    t.rejects(train(sineTable(400, 2), { settings: { ...quick, ...changes } }), { code: "bad_argument", message });
  await refused({ dropout: 0.2 }, /the dropout is 0\.2; 0, for a single layer/);
  await refused({ hidden: [4, 4], dropout: 1 }, /the dropout is 1; a number from 0, below 1, is expected/);
  await refused({ head: "gaussian", loss: "huber" }, /the loss is huber; none, for a Gaussian head is trained on its likelihood/);
});
