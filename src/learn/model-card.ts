// The page that lies beside a model file: what it forecasts, how well, on what, and how to make it again. Markdown for people; programs read
// the spec in the model.
import { forecastOutputs } from "../model/forecast-outputs.ts";
import { INTERVAL } from "./evaluate.ts";
import type { OutputScore, Score } from "./evaluate.ts";
import { countWeights } from "./fit-network.ts";
import type { FeatureRange } from "./fit-scaling.ts";
import type { PartSummary, TrainingOutcome } from "./train-on-table.ts";
import type { TrainingEnd } from "./train-model.ts";
import type { TrainingCell, TrainingSettings } from "./training-settings.ts";

export interface CardOptions {
  /** File names of the model and its pictures, which lie in the card's folder. */
  readonly modelFile: string;
  readonly lossFile: string;
  readonly predictionFile: string;
  /** What makes the model again, as one types it. */
  readonly command: string;
}

/** As the field calls them. */
export const CELL_NAMES: Readonly<Record<TrainingCell, string>> = {
  rnn_tanh: "tanh RNN",
  rnn_relu: "ReLU RNN",
  gru: "GRU",
  lstm: "LSTM",
};

const ENDS: Readonly<Record<TrainingEnd, string>> = {
  settled: "ended when the validation loss fell no more",
  epochs: "ended at the greatest number of epochs",
  stopped: "was stopped by hand",
  diverged: "ended when the loss stopped being a number",
};

/** Four significant digits, without an exponent where people write none. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "none";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(3);
  const digits = size === 0 ? 0 : Math.max(0, 3 - Math.floor(Math.log10(size)));
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function whole(value: number): string {
  return value.toLocaleString("en-US");
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

/** The last `numbers` columns are set to the right. */
function table(head: readonly string[], numbers: number, rows: readonly (readonly string[])[]): string[] {
  const rule = head.map((_, index) => (index < head.length - numbers ? "---" : "---:"));
  return [row(head), row(rule), ...rows.map(row)];
}

/** `2026-01-12 02:40`, in UTC. */
export function moment(time: number): string {
  return new Date(time).toISOString().slice(0, 16).replace("T", " ");
}

function scoreRows(scores: readonly Score[], output: number): string[][] {
  const persistence = scores.find(({ forecaster }) => forecaster === "persistence")!.outputs[output]!.rmse;
  return scores.map(({ forecaster, outputs }) => {
    const { rmse, mae } = outputs[output]!;
    const ratio = persistence > 0 ? figure(rmse / persistence) : "none";
    return [forecaster, figure(rmse), figure(mae), ratio];
  });
}

/** How often a stated interval held, where one was stated: `87.3 % of them lay within ...`. */
export function describeCoverage({ coverage }: OutputScore): string | undefined {
  if (coverage === undefined) return undefined;
  const { share, deviations } = INTERVAL;
  const stated = `the model's ${100 * share} % interval, its mean and ${deviations.toFixed(3)} of its standard deviations to either side`;
  return `${(100 * coverage).toFixed(1)} % of what was measured lay within ${stated}.`;
}

function scoreSection({ model, scores, parts }: TrainingOutcome, { predictionFile }: CardOptions): string[] {
  const { name } = model.spec;
  const lines = forecastOutputs(model.spec).flatMap(({ name: output, unit }, o) => [
    `**${output}**${unit === "" ? "" : ` in ${unit}`}, ${whole(scores[0]!.outputs[o]!.count)} forecasts:`,
    "",
    ...table(["forecaster", "RMSE", "MAE", "RMSE / persistence"], 3, scoreRows(scores, o)),
    "",
    ...[describeCoverage(scores[0]!.outputs[o]!)].flatMap((said) => (said === undefined ? [] : [said, ""])),
  ]);
  return [
    "## On rows it had not seen",
    "",
    ...lines,
    `The test part runs from ${moment(parts.test.firstTime)} to ${moment(parts.test.lastTime)} UTC. The model was stepped through it one reading at a`,
    "time by the native engine, from a blank state. Persistence says that nothing changes; the autoregression is linear in the last six values,",
    "fitted on the training part. Both may look back before the test part, the model may not.",
    "",
    `![Predictions of ${name} beside what was measured](${predictionFile})`,
    "",
  ];
}

function errors({ outputs }: Score): string[] {
  return outputs.map(({ rmse }) => figure(rmse));
}

/** From what costs nothing to what costs most: RMSE of each output on the same rows. */
function ladderSection({ model, scores, ladder }: TrainingOutcome): string[] {
  if (ladder.length === 0) return [];
  const rules = scores.slice(1).map((score) => [score.forecaster, "", "", ...errors(score)]);
  const networks = ladder.map(({ cell, weights, epochs, score }) => {
    const name = `${CELL_NAMES[cell]}${score === scores[0] ? " (this model)" : ""}`;
    return [name, whole(weights), whole(epochs), ...errors(score)];
  });
  const outputs = forecastOutputs(model.spec).map(({ name }) => `RMSE ${name}`);
  return [
    "## Beside other cells",
    "",
    ...table(["forecaster", "weights", "epochs", ...outputs], 2 + outputs.length, [...rules, ...networks]),
    "",
    "All were trained on the same rows with the same settings and measured on the same test rows. Take the first that is good enough: what stands",
    "further up costs less to step.",
    "",
  ];
}

function featureRow({ name, unit }: { name: string; unit: string }, range: FeatureRange): string[] {
  return [name, unit, figure(range.mean), figure(range.deviation), figure(range.min), figure(range.max)];
}

function portsSection({ model, ranges }: TrainingOutcome): string[] {
  const { features, head } = model.spec;
  return [
    "## What goes in, what comes out",
    "",
    ...table(
      ["feature", "unit", "mean", "deviation", "least", "greatest"],
      4,
      features.map((feature, d) => featureRow(feature, ranges[d]!)),
    ),
    "",
    ...table(
      ["output", "unit", "feature", "rows ahead"],
      1,
      model.spec.outputs.map(({ name, unit, feature, horizon }) => [name, unit, feature ?? "", String(horizon ?? "")]),
    ),
    "",
    "The figures are of the training part. Beyond what was least and greatest there the model has learned nothing: the further off a reading, the",
    head.residual
      ? "less its forecast says, though it stays near the present reading, since the head forecasts the change from it."
      : "less its forecast says.",
    "",
  ];
}

function partRow(name: string, { rows, streams, firstTime, lastTime }: PartSummary): string[] {
  return [name, moment(firstTime), moment(lastTime), whole(rows), whole(streams)];
}

function headOf({ head, loss, dropout }: TrainingSettings): string {
  const kind = head === "gaussian" ? "Gaussian head trained on its likelihood" : `loss ${loss === "huber" ? "Huber" : "MSE"}`;
  return dropout === 0 ? kind : `${kind}, dropout ${dropout}`;
}

function trainingSection({ model, training, settings, parts }: TrainingOutcome, options: CardOptions): string[] {
  const { bestEpoch, epochs, end } = training;
  const kept = bestEpoch === 0 ? "those of the unfinished first epoch" : `those of epoch ${bestEpoch}`;
  const lines = [
    "## How it was trained",
    "",
    `On ${model.spec.training!.source}, split by time:`,
    "",
    ...table(["part", "first", "last", "rows", "streams"], 2, [
      partRow("training", parts.train),
      partRow("validation", parts.validation),
      partRow("test", parts.test),
    ]),
    "",
    `Training ${ENDS[end]}, after ${epochs.length} epochs; the weights are ${kept}. Seed ${settings.seed}, kernel ${model.spec.training!.kernel}, chunks of ${settings.chunkSteps} steps in up to ${settings.lanes} lanes,`,
    `${headOf(settings)}, learning rate ${settings.learningRate}, weight decay ${settings.weightDecay}, gradients no longer than ${settings.gradientNormMax}, averaging ${settings.averaging}, patience ${settings.patience}.`,
    "",
  ];
  const picture = [`![Training and validation loss of ${model.spec.name}](${options.lossFile})`, ""];
  return [...lines, ...(epochs.length === 0 ? [] : picture), "Again:", "", "```", options.command, "```", ""];
}

/** The card's text. The same outcome and options give the same text: it holds no date and no duration. */
export function modelCard(outcome: TrainingOutcome, options: CardOptions): string {
  const { model, settings } = outcome;
  const { spec } = model;
  const targets = forecastOutputs(spec)
    .map(({ feature }) => `\`${feature}\``)
    .join(", ");
  const features = spec.features.map(({ name }) => `\`${name}\``).join(", ");
  const { horizon } = forecastOutputs(spec)[0]!;
  const layers = spec.layers.map(({ hidden }) => hidden).join(" and ");
  return [
    `# ${spec.name}`,
    "",
    `Forecasts ${targets} ${horizon === 1 ? "one row" : `${horizon} rows`} ahead from ${features}: a recurrent network (${CELL_NAMES[settings.cell]}, hidden size ${layers}) of`,
    `${whole(countWeights(model.weights))} weights, ${whole(model.bytes.length)} bytes. The file is \`${options.modelFile}\`; its version, the SHA-256 of its bytes, is`,
    `\`${model.version}\`.`,
    "",
    ...scoreSection(outcome, options),
    ...ladderSection(outcome),
    ...portsSection(outcome),
    ...trainingSection(outcome, options),
  ].join("\n");
}
