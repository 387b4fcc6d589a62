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
import type { Detector } from "./nab-detectors.ts";
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
  /** With one threshold, chosen before any label was seen. */
  readonly fixed: NabScores;
  readonly baselines: Readonly<Record<string, NabScores & { readonly fixed?: NabScores }>>;
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
  const scoresOf = (name: string, detector: Detector): Float64Array[] =>
    corpus.map((series) => {
      const scores = detector(series);
      if (out !== undefined) writeResults(out, name, series, scores);
      return scores;
    });
  const ours = scoresOf("hiddenstate", withNetwork());
  const alone = scoresOf("hiddenstateWithoutNetwork", withoutNetwork);
  const gaussian = scoresOf("windowedGaussian", windowedGaussian);
  const random = scoresOf("random", randomDetector(1));
  return {
    ...scoreCorpus(corpus, ours),
    fixed: scoreCorpus(corpus, ours, FIXED_THRESHOLD),
    baselines: {
      withoutNetwork: { ...scoreCorpus(corpus, alone), fixed: scoreCorpus(corpus, alone, FIXED_THRESHOLD) },
      windowedGaussian: scoreCorpus(corpus, gaussian),
      random: scoreCorpus(corpus, random),
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
  print(describe("without the network", alone!));
  print(describe(`without the network, fixed threshold ${FIXED_THRESHOLD}`, alone!.fixed!));
  print(describe("windowed Gaussian", gaussian!));
  print(describe("random", random!));
  return true;
}

if (process.argv[1]?.endsWith("nab.js") === true && !main()) process.exitCode = 1;
