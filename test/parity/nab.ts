// `npm run nab -- [DIR] [--json] [--out DIR]`: every series of the Numenta Anomaly Benchmark in DIR (default ../shared/data/nab), row by
// row, through the forecaster and scorer of `hiddenstate run`: one configuration for all, from a cold start, without labels, without a
// value of later rows. Prints the benchmark's scores, with the threshold that suits the labels best, as its board has them, and with one
// fixed beforehand; writes the scores of each row in the benchmark's own layout. Fails where the series are missing.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readCorpus, writeResults } from "./nab-corpus.ts";
import type { NabSeries } from "./nab-corpus.ts";
import { randomDetector, windowedGaussian, withNetwork, withoutNetwork } from "./nab-detectors.ts";
import type { Detection, Detector } from "./nab-detectors.ts";
import { bestOutcome, nabProfiles, normalisedScore, outcomeAt, sweepThresholds } from "./nab-score.ts";
import type { NabProfile } from "./nab-score.ts";

/** One reading in 1,000: what docs/scores.md gives as the example of a score. */
export const FIXED_THRESHOLD = 0.3;

export interface ProfileScore {
  readonly score: number;
  readonly threshold: number;
}

/** By profile, with the threshold that is best on the labels. */
export interface NabScores {
  readonly standard: ProfileScore;
  readonly lowFP: ProfileScore;
  readonly lowFN: ProfileScore;
}

export interface NabReport extends NabScores {
  /** With one threshold, that of a score which docs/scores.md gives as its example. */
  readonly fixed: NabScores;
  /** Where a detection is an alarm that opens, at a budget of one a week. */
  readonly alarms: NabScores;
  readonly baselines: Readonly<Record<string, NabScores & Partial<Pick<NabReport, "fixed" | "alarms">>>>;
}

const profiles: Readonly<Record<keyof NabScores, NabProfile>> = {
  standard: nabProfiles.standard,
  lowFP: nabProfiles.reward_low_FP_rate,
  lowFN: nabProfiles.reward_low_FN_rate,
};

/** `threshold` undefined: the best one on the labels, for each profile by itself. */
export function scoreCorpus(corpus: readonly NabSeries[], scores: readonly Float64Array[], threshold?: number): NabScores {
  const scored = corpus.map(({ windows }, index) => ({ scores: scores[index]!, windows }));
  const count = corpus.reduce((sum, { windows }) => sum + windows.length, 0);
  const of = (profile: NabProfile): ProfileScore => {
    const outcomes = sweepThresholds(scored, profile);
    const outcome = threshold === undefined ? bestOutcome(outcomes) : outcomeAt(outcomes, threshold);
    return { score: normalisedScore(outcome.score, count, profile), threshold: threshold ?? outcome.threshold };
  };
  return { standard: of(profiles.standard), lowFP: of(profiles.lowFP), lowFN: of(profiles.lowFN) };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function describe(name: string, { standard, lowFP, lowFN }: NabScores): string {
  const numbers = [standard, lowFP, lowFN].map(({ score }) => score.toFixed(1).padStart(9));
  return `${name.padEnd(44)}${numbers.join("")}`;
}

function run(folder: string, out: string | undefined): NabReport {
  const corpus = readCorpus(folder);
  const detect = (name: string, detector: Detector): Detection[] =>
    corpus.map((series) => {
      const detection = detector(series);
      if (out !== undefined) writeResults(out, name, series, detection.scores);
      return detection;
    });
  const whole = (detections: readonly Detection[]): NabScores & Pick<NabReport, "fixed" | "alarms"> => {
    const scores = detections.map((detection) => detection.scores);
    const alarms = detections.map((detection) => detection.alarms);
    return {
      ...scoreCorpus(corpus, scores),
      fixed: scoreCorpus(corpus, scores, FIXED_THRESHOLD),
      alarms: scoreCorpus(corpus, alarms, 1),
    };
  };
  const scoresOf = (detections: readonly Detection[]): NabScores =>
    scoreCorpus(
      corpus,
      detections.map(({ scores }) => scores),
    );
  return {
    ...whole(detect("hiddenstate", withNetwork())),
    baselines: {
      withoutNetwork: whole(detect("hiddenstateWithoutNetwork", withoutNetwork)),
      windowedGaussian: scoresOf(detect("windowedGaussian", windowedGaussian)),
      random: scoresOf(detect("random", randomDetector(1))),
    },
  };
}

function main(): boolean {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "boolean", default: false }, out: { type: "string" } },
  });
  const folder = positionals[0] ?? join("..", "shared", "data", "nab");
  if (!existsSync(join(folder, "labels", "combined_windows.json"))) {
    print(
      `cannot read the benchmark in ${folder}: there is no labels/combined_windows.json; pass a folder with its data/ and labels/`,
    );
    return false;
  }
  const report = run(folder, values.out);
  if (values.json) {
    print(JSON.stringify(report, undefined, 2));
    return true;
  }
  const { withoutNetwork: alone, windowedGaussian: gaussian, random } = report.baselines;
  print(`${"".padEnd(44)}${["standard", "low FP", "low FN"].map((name) => name.padStart(9)).join("")}`);
  print(describe("hiddenstate", report));
  print(describe(`hiddenstate, fixed threshold ${FIXED_THRESHOLD}`, report.fixed));
  print(describe("hiddenstate, alarms at 1/week", report.alarms));
  print(describe("without the network", alone!));
  print(describe(`without the network, fixed threshold ${FIXED_THRESHOLD}`, alone!.fixed!));
  print(describe("without the network, alarms at 1/week", alone!.alarms!));
  print(describe("windowed Gaussian", gaussian!));
  print(describe("random", random!));
  return true;
}

if (process.argv[1]?.endsWith("nab.js") === true && !main()) process.exitCode = 1;
