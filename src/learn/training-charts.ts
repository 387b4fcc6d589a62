// The two pictures of a model card: how training went, and what the model says of rows it has not seen.
import { forecastOutputs } from "../model/forecast-outputs.ts";
import { Persistence } from "./baselines.ts";
import { forecastWalk } from "./evaluate.ts";
import { ModelForecaster } from "./model-forecaster.ts";
import { drawChart } from "./svg-chart.ts";
import type { ChartLine, ChartPanel } from "./svg-chart.ts";
import type { TrainingOutcome } from "./train-on-table.ts";

/** Rows of the test part that a picture shows. */
const WINDOW_ROWS = 160;
/** Outputs that get a panel. */
const PANELS_MAX = 4;
/** A loss that falls by more than this is drawn on a logarithmic axis. */
const LOGARITHMIC_FROM = 3;

export function lossChart({ model, training }: TrainingOutcome): string {
  const { epochs, bestEpoch } = training;
  const train = epochs.map((epoch) => epoch.trainLoss);
  const validation = epochs.map((epoch) => epoch.validationLoss);
  const all = [...train, ...validation];
  const panel: ChartPanel = {
    title: "Loss by epoch, in squared standard deviations",
    xName: "epoch",
    height: 220,
    logarithmic: Math.min(...all) > 0 && Math.max(...all) / Math.min(...all) > LOGARITHMIC_FROM,
    lines: [
      { name: "training, while the weights change", tone: "truth", shape: "line", x: 1, values: train },
      { name: "validation", tone: "model", shape: "line", x: 1, values: validation },
    ],
    ...(bestEpoch === 0 ? {} : { mark: { x: bestEpoch, name: `kept: epoch ${bestEpoch}` } }),
  };
  return drawChart(`Training and validation loss of ${model.spec.name} over ${epochs.length} epochs`, [panel]);
}

/** Of a stretch in the middle of the test part's longest stream: each output beside the truth, and how far off it was beside persistence. */
export function predictionChart({ model, longestWalk, layout }: TrainingOutcome): string {
  const { spec } = model;
  const O = forecastOutputs(spec).length;
  const { count, targets, key } = longestWalk.series;
  const forecasts = forecastWalk(new ModelForecaster(model), longestWalk, O);
  const stays = forecastWalk(new Persistence(layout), longestWalk, O);
  const from = Math.max(0, Math.floor((count - WINDOW_ROWS) / 2));
  const rows = Array.from({ length: Math.min(WINDOW_ROWS, count) }, (_, index) => from + index);
  const where = key === "" ? "row of the test part" : `row of ${key} in the test part`;
  const panels = forecastOutputs(spec)
    .slice(0, PANELS_MAX)
    .flatMap(({ feature, unit, horizon }, o): ChartPanel[] => {
      const ahead = horizon === 1 ? "one row ahead" : `${horizon} rows ahead`;
      const inUnit = unit === "" ? "" : ` (${unit})`;
      // Everything stands at the row that it is about.
      const x = from + horizon;
      const truth = rows.map((row) => targets[row * O + o]!);
      const said = rows.map((row) => forecasts[row * O + o]!);
      const line = (name: string, tone: ChartLine["tone"], shape: ChartLine["shape"], values: number[]): ChartLine => {
        return { name, tone, shape, x, values };
      };
      const errorsOf = (by: Float64Array): number[] => rows.map((row, index) => by[row * O + o]! - truth[index]!);
      return [
        {
          title: `${feature}${inUnit}, ${ahead}`,
          xName: where,
          height: 200,
          lines: [line("truth", "truth", "dots", truth), line("model", "model", "line", said)],
        },
        {
          title: `How far off${inUnit}: forecast minus truth`,
          xName: where,
          height: 110,
          lines: [line("persistence", "rule", "line", errorsOf(stays)), line("model", "model", "line", errorsOf(forecasts))],
        },
      ];
    });
  return drawChart(`Predictions of ${spec.name} beside what was measured`, panels);
}
