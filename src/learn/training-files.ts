// What a training leaves behind: the model, its card and the card's pictures, side by side under one name.
import { basename, dirname, join } from "node:path";
import { replaceFile } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { modelCard } from "./model-card.ts";
import type { TrainingOutcome } from "./train-on-table.ts";
import { lossChart, predictionChart } from "./training-charts.ts";

const EXTENSION = ".onnx";

export interface TrainingPaths {
  /** The model's name: its file's, without the extension. */
  readonly name: string;
  readonly model: string;
  readonly card: string;
  readonly loss: string;
  readonly prediction: string;
}

/** The files that belong to a model at `path`. Throws `bad_argument` unless it ends in .onnx. */
export function trainingPaths(path: string): TrainingPaths {
  const name = basename(path, EXTENSION);
  if (!path.endsWith(EXTENSION) || basename(path) === EXTENSION) {
    throw new HiddenstateError("bad_argument", `cannot write a model to ${path}: its name must end in ${EXTENSION}`);
  }
  const beside = (suffix: string): string => join(dirname(path), `${name}${suffix}`);
  return { name, model: path, card: beside(".md"), loss: beside("-loss.svg"), prediction: beside("-prediction.svg") };
}

/**
 * Writes the pictures, the card and last the model, each in place of what was there. `command` is what makes it again, as one types it.
 * Returns the files written. Throws `disk_failed`.
 */
export async function saveTraining(
  disk: Disk,
  paths: TrainingPaths,
  outcome: TrainingOutcome,
  command: string,
): Promise<readonly string[]> {
  const card = modelCard(outcome, {
    modelFile: basename(paths.model),
    lossFile: basename(paths.loss),
    predictionFile: basename(paths.prediction),
    command,
  });
  const encoder = new TextEncoder();
  const files: (readonly [path: string, bytes: Uint8Array])[] = [
    ...(outcome.training.epochs.length === 0 ? [] : [[paths.loss, encoder.encode(lossChart(outcome))] as const]),
    [paths.prediction, encoder.encode(predictionChart(outcome))],
    [paths.card, encoder.encode(card)],
    [paths.model, outcome.model.bytes],
  ];
  try {
    await disk.makeDirectory(dirname(paths.model));
    for (const [path, bytes] of files) await replaceFile(disk, path, bytes);
  } catch (thrown) {
    throw new HiddenstateError("disk_failed", `cannot write ${paths.model} and what lies beside it: ${reasonOf(thrown)}`, thrown);
  }
  return files.map(([path]) => path);
}
