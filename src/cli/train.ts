// `hiddenstate train`: a model from the rows of a CSV file, with its card and what it is worth beside simple rules.
import { access, chmod, constants, mkdir } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { Command, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { kernelVersions } from "../kernels/recurrent-network.ts";
import type { Kernel } from "../kernels/recurrent-network.ts";
import { CELL_NAMES, describeCoverage, figure, moment } from "../learn/model-card.ts";
import { trainOnTable } from "../learn/train-on-table.ts";
import type { TrainingOutcome } from "../learn/train-on-table.ts";
import { saveTraining, trainingPaths } from "../learn/training-files.ts";
import { defaultTrainingSettings, trainingCells } from "../learn/training-settings.ts";
import type { TrainingCell, TrainingSettings } from "../learn/training-settings.ts";
import { forecastOutputs } from "../model/forecast-outputs.ts";
import { shortVersion } from "../model/model.ts";
import { duration, numberIn, numbers, words } from "./option-values.ts";
import { addFormatOptions, readTable } from "./read-table.ts";
import type { TableOptions } from "./read-table.ts";
import { stopSignal } from "./stop-signal.ts";
import { TrainingLines } from "./training-lines.ts";

/** As commander gives them. */
interface TrainOptions extends TableOptions {
  readonly target: readonly string[];
  readonly horizon: number;
  readonly out: string;
  readonly units?: readonly string[];
  readonly split: readonly number[];
  readonly period?: number;
  readonly maxPause?: number;
  readonly cell: TrainingCell;
  readonly hidden: readonly number[];
  readonly layers?: number;
  readonly head: TrainingSettings["head"];
  readonly loss: TrainingSettings["loss"];
  readonly dropout: number;
  readonly compare?: true;
  readonly residual: boolean;
  readonly seed: number;
  readonly kernel?: Kernel;
  readonly epochs: number;
  readonly patience: number;
  readonly chunk: number;
  readonly lanes: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly clip: number;
  readonly json?: true;
}

/** Models are read by services that run as someone else. */
const FILE_MODE = 0o644;

/** What was typed, as one may type it again. */
export function commandLine(args: readonly string[]): string {
  const quoted = args.map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", String.raw`'\''`)}'`));
  return ["hiddenstate", ...quoted].join(" ");
}

/** The table at the end: every forecaster's errors on the test part, output by output. */
export function formatScores({ model, settings, scores, ladder, parts }: TrainingOutcome): string {
  const others = ladder.filter(({ cell }) => cell !== settings.cell);
  const named = [
    ...scores.map((score) => ({ name: score.forecaster, score })),
    ...others.map(({ cell, score }) => ({ name: CELL_NAMES[cell], score })),
  ];
  const width = Math.max(...named.map(({ name }) => name.length)) + 2;
  const lines: string[] = [];
  forecastOutputs(model.spec).forEach(({ name, unit }, o) => {
    const { count, rmse } = scores[0]!.outputs[o]!;
    lines.push(
      `${name}${unit === "" ? "" : ` in ${unit}`}: ${count} forecasts of rows it had not seen, ${moment(parts.test.firstTime)} to ${moment(parts.test.lastTime)} UTC`,
      `  ${"".padEnd(width)}${"RMSE".padStart(10)}${"MAE".padStart(10)}`,
    );
    for (const { name: forecaster, score } of named) {
      const { rmse: error, mae } = score.outputs[o]!;
      lines.push(`  ${forecaster.padEnd(width)}${figure(error).padStart(10)}${figure(mae).padStart(10)}`);
    }
    const better = named.slice(1).filter(({ score }) => score.outputs[o]!.rmse <= rmse);
    const coverage = describeCoverage(scores[0]!.outputs[o]!);
    if (coverage !== undefined) lines.push(`  ${coverage}`);
    if (better.length > 0) lines.push(`  The model does no better than ${better.map((one) => one.name).join(" and ")}.`);
    lines.push("");
  });
  return lines.join("\n");
}

function describeEnd({ training }: TrainingOutcome): string {
  const { epochs, bestEpoch, end } = training;
  const kept =
    bestEpoch === 0 ? "the weights of the unfinished first epoch are kept" : `the weights of epoch ${bestEpoch} are kept`;
  if (end === "stopped") return `stopped after ${epochs.length} epochs; the best so far: ${kept}`;
  if (end === "diverged")
    return `the loss was no number any more after ${epochs.length} epochs: ${kept}; lower the learning rate`;
  return `${epochs.length} epochs; ${kept}`;
}

function summaryOf(outcome: TrainingOutcome, files: readonly string[]): string {
  const { model, training, parts, scores, ladder } = outcome;
  const { version, spec } = model;
  const { end, bestEpoch } = training;
  const outputs = forecastOutputs(spec).map(({ name }) => name);
  const summary = { version, outputs, scores, ladder, parts, end, bestEpoch };
  return `${JSON.stringify({ ...summary, epochs: training.epochs.length, files })}\n`;
}

/** The folder exists and can be written before hours go into a model. */
async function prepareFolder(path: string): Promise<void> {
  const folder = dirname(path);
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (thrown) {
    throw new HiddenstateError("disk_failed", `cannot write ${path}: ${reasonOf(thrown)}`, thrown);
  }
}

/** The hidden size of each layer: the sizes as they are named, or one size for all. */
function hiddenOf({ hidden, layers }: TrainOptions): readonly number[] {
  if (layers === undefined || hidden.length === layers) return hidden;
  if (hidden.length === 1) return Array.from({ length: layers }, () => hidden[0]!);
  const reason = `--hidden names ${hidden.length} sizes for ${layers} layers; name one for each, or one for all`;
  throw new HiddenstateError("bad_argument", `cannot train: ${reason}`);
}

function settingsOf(options: TrainOptions): TrainingSettings {
  return {
    ...defaultTrainingSettings,
    cell: options.cell,
    hidden: hiddenOf(options),
    head: options.head,
    loss: options.loss,
    dropout: options.dropout,
    residual: options.residual,
    seed: options.seed,
    kernel: options.kernel,
    epochsMax: options.epochs,
    patience: options.patience,
    chunkSteps: options.chunk,
    lanes: options.lanes,
    learningRate: options.learningRate,
    weightDecay: options.weightDecay,
    gradientNormMax: options.clip,
  };
}

async function runTraining(file: string, options: TrainOptions): Promise<void> {
  const paths = trainingPaths(options.out);
  const [train, validation, test] = options.split;
  if (options.split.length !== 3) {
    const reason = `there are ${options.split.length} fractions; three are expected, as 0.6,0.2,0.2`;
    throw new HiddenstateError("bad_argument", `cannot split: ${reason}`);
  }
  const table = await readTable(systemDisk, file, options);
  if (options.units !== undefined && options.units.length !== table.features.length) {
    const reason = `there are ${options.units.length} units for the features ${table.features.join(", ")}`;
    throw new HiddenstateError("bad_argument", `cannot train: ${reason}; name one for each, empty where there is none`);
  }
  await prepareFolder(paths.model);
  const stopping = new AbortController();
  const lines = new TrainingLines(process.stderr, systemClock, options.epochs);
  void stopSignal().then(() => {
    lines.note("stopping: the best so far is measured and written; once more ends at once, without a model");
    stopping.abort();
  });
  const outcome = await trainOnTable({
    table,
    name: paths.name,
    source: basename(file),
    units: options.units,
    targets: options.target,
    horizon: options.horizon,
    split: { train: train!, validation: validation!, test: test! },
    period: options.period,
    pauseMsMax: options.maxPause,
    settings: settingsOf(options),
    compare: options.compare,
    onNetwork: (cell) => {
      if (options.compare !== true) return;
      lines.note(`${CELL_NAMES[cell]}:`);
      lines.restart();
    },
    clock: systemClock,
    signal: stopping.signal,
    onProgress: (progress) => lines.show(progress),
  });
  lines.close();
  const files = await saveTraining(systemDisk, paths, outcome, commandLine(process.argv.slice(2)));
  for (const path of files) await chmod(path, FILE_MODE);
  if (options.json === true) {
    process.stdout.write(summaryOf(outcome, files));
    return;
  }
  const wrote = `wrote ${paths.model} (version ${shortVersion(outcome.model.version)}) and its card ${paths.card}`;
  process.stdout.write(`${formatScores(outcome)}\n${describeEnd(outcome)}\n${wrote}\n`);
}

/** The `train` command, to be added to a program. */
export function trainCommand(): Command {
  const command = new Command("train")
    .description("train a model on the rows of a CSV file, and measure it on rows it has not seen")
    .argument("<file>", "a CSV file with a header")
    .requiredOption("--time <column>", "its column of times, or several joined: Date,Time")
    .option("--features <columns>", "what the model reads, in this order (default: all other columns)", words)
    .requiredOption("--target <features>", "what it forecasts: one feature or several", words)
    .requiredOption("--out <path>", "the model file, ending in .onnx; its card and pictures go beside it")
    .option("--horizon <rows>", "how many rows ahead", numberIn(1, 10_000, true), 1)
    .option("--stream <column>", "its column that names each row's stream")
    .option("--units <units>", "of the features, in their order", words)
    .option("--json", "print one JSON object at the end");
  addMeasuringOptions(command);
  addTrainingOptions(command);
  return addFormatOptions(command).action((file: string, options: TrainOptions) => runTraining(file, options));
}

function addMeasuringOptions(command: Command): void {
  command
    .optionsGroup("What is measured:")
    .option("--split <fractions>", "of training, validation and test, by time", numbers(numberIn(0, 1, false)), [0.6, 0.2, 0.2])
    .option("--period <rows>", "of a season, to compare with the same moment one season ago", numberIn(1, 1e9, true))
    .option("--max-pause <duration>", "forecasts across a longer pause do not count: 30m, 2h", duration);
}

function addTrainingOptions(command: Command): void {
  const {
    cell,
    hidden,
    head,
    loss,
    dropout,
    seed,
    epochsMax,
    patience,
    chunkSteps,
    lanes,
    learningRate,
    weightDecay,
    gradientNormMax,
  } = defaultTrainingSettings;
  command
    .optionsGroup("How it is trained:")
    .option("--hidden <sizes>", "hidden size of each recurrent layer: 32, or 32,16", numbers(numberIn(1, 4096, true)), [
      ...hidden,
    ])
    .addOption(new Option("--cell <cell>", "of the recurrent layers").choices(trainingCells).default(cell))
    .option("--layers <n>", "how many recurrent layers, all of one hidden size", numberIn(1, 8, true))
    .addOption(
      new Option("--head <kind>", "gaussian: also how sure a forecast is").choices(["regression", "gaussian"]).default(head),
    )
    .addOption(
      new Option("--loss <loss>", "huber: a large error costs its length, not its square")
        .choices(["mse", "huber"])
        .default(loss),
    )
    .option(
      "--dropout <part>",
      "of the values between layers, left out at random while training",
      numberIn(0, 0.99, false),
      dropout,
    )
    .option("--compare", "train a tanh RNN, a GRU and an LSTM on the same rows, and put all into the table and the card")
    .option("--no-residual", "forecast the value itself, not its change from the present reading")
    .option("--seed <n>", "another seed starts from other weights", numberIn(0, 2 ** 32 - 1, true), seed)
    .addOption(
      new Option("--kernel <kernel>", "what computes; the fastest here unless given, and each gives bytes of its own").choices(
        Object.keys(kernelVersions),
      ),
    )
    .option("--epochs <n>", "passes over the training rows at most", numberIn(1, 100_000, true), epochsMax)
    .option("--patience <n>", "passes without a better validation loss before it ends", numberIn(1, 100_000, true), patience)
    .option("--chunk <steps>", "how far back in time gradients reach", numberIn(1, 4096, true), chunkSteps)
    .option("--lanes <n>", "sequences trained side by side", numberIn(1, 1024, true), lanes)
    .option("--learning-rate <rate>", "of Adam", numberIn(1e-9, 1e9, false), learningRate)
    .option("--weight-decay <part>", "how fast weights fade, per learning rate", numberIn(0, 1e6, false), weightDecay)
    .option("--clip <length>", "a longer gradient is cut to this", numberIn(1e-9, 1e9, false), gradientNormMax);
}
