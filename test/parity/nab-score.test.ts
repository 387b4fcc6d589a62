// The benchmark's score by hand on small series, and on the cases that were put through the original scorer, where they are at hand.
import { readFileSync } from "node:fs";
import { test } from "tap";
import { sharedData } from "../support/shared-data.ts";
import { bestOutcome, nabProfiles, normalisedScore, outcomeAt, probationRows, rowWeights, sweepThresholds } from "./nab-score.ts";
import type { ThresholdOutcome } from "./nab-score.ts";

/** The largest |a - b| of a score that is no failure. */
const ERROR_MAX = 1e-9;

/** [threshold, score, true positives, true negatives, false positives, false negatives, rows], as the original scorer gives them. */
type OutcomeRow = [number, number, number, number, number, number, number];

interface ScorerCase {
  name: string;
  profile: keyof typeof nabProfiles;
  windows: [number, number][];
  scores: number[];
  probationary_length: number;
  sweep_score_per_row: number[];
  thresholds: OutcomeRow[];
  best: OutcomeRow;
  /** null where every row is a detection: the original has no answer there, though its sweep has one, its last. */
  score_at_threshold: [number, OutcomeRow | null][];
}

function differs(ours: ThresholdOutcome | undefined, theirs: OutcomeRow): boolean {
  if (ours === undefined) return true;
  const { threshold, score, truePositives, trueNegatives, falsePositives, falseNegatives } = ours;
  const counts = [truePositives, trueNegatives, falsePositives, falseNegatives];
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const sameCounts = [...counts, rows].every((count, index) => count === theirs[index + 2]);
  return !(sameCounts && threshold === theirs[0] && Math.abs(score - theirs[1]) <= ERROR_MAX);
}

void test("a window counts once with its earliest detection, and every detection outside it is paid for", async (t) => {
  const scores = [1, 0, 0, 0, 0.9, 0.8, 0.7, 0, 0, 0.6];
  const series = { scores, windows: [[4, 6]] } as const;
  t.equal(probationRows(scores.length), 1);
  const outcomes = sweepThresholds([series], nabProfiles.standard);
  t.same(
    outcomes.map((outcome) => outcome.threshold),
    [1.1, 0.9, 0.8, 0.7, 0.6, 0],
    "the row in the probation gives no threshold",
  );
  t.equal(outcomes[0]!.score, -1);
  t.equal(outcomes[1]!.score, 1);
  t.equal(outcomes[3]!.score, 1);
  t.ok(Math.abs(outcomes[4]!.score - (1 + 0.11 * (2 / (1 + Math.exp(7.5)) - 1))) < 1e-12, "three rows after a window of three");
  t.equal(bestOutcome(outcomes).threshold, 0.9, "the highest of three equal ones");
  t.equal(outcomeAt(outcomes, 0.65).threshold, 0.7);
  t.equal(outcomeAt(outcomes, 2).threshold, 1.1);
});

void test("the corpus is scored as one: 100 for all windows at their first rows, 0 for silence, less for false alarms", async (t) => {
  const found = { scores: [0, 0, 1, 0], windows: [[2, 3]] } as const;
  const missed = { scores: [0, 0, 0, 0], windows: [[1, 2]] } as const;
  const quiet = { scores: [0, 1, 0, 0], windows: [] } as const;
  for (const profile of Object.values(nabProfiles)) {
    const percent = (...corpus: (typeof found | typeof missed | typeof quiet)[]): number => {
      const windows = corpus.reduce((sum, series) => sum + series.windows.length, 0);
      return normalisedScore(outcomeAt(sweepThresholds(corpus, profile), 1).score, windows, profile);
    };
    t.equal(percent(found), 100);
    t.equal(percent(missed), 0);
    t.equal(percent(found, missed), 50);
    const { tpWeight, fnWeight, fpWeight } = profile;
    t.ok(Math.abs(percent(found, quiet) - (100 - (100 * fpWeight) / (tpWeight + fnWeight))) < 1e-12);
  }
});

const vectors = sharedData("nab", "scorer_vectors.json");
const skip = vectors === undefined && "../shared/data/nab is not here; its files may not be copied";

void test("every case of the original scorer comes out the same, row by row and threshold by threshold", { skip }, async (t) => {
  const { cases } = JSON.parse(readFileSync(vectors!, "utf8")) as { cases: ScorerCase[] };
  t.equal(cases.length, 43);
  for (const expected of cases) {
    const { name, scores, windows } = expected;
    const profile = nabProfiles[expected.profile];
    t.equal(probationRows(scores.length), expected.probationary_length, `${name}: probation`);
    const weights = rowWeights(scores.length, windows, profile);
    t.equal(weights.length, expected.sweep_score_per_row.length, `${name}: a weight for each row`);
    const wrongRows = expected.sweep_score_per_row.flatMap((weight, row) =>
      Math.abs(weights[row]! - weight) <= ERROR_MAX ? [] : [row],
    );
    t.same(wrongRows, [], `${name}: what a detection at each row weighs`);
    const outcomes = sweepThresholds([{ scores, windows }], profile);
    t.equal(outcomes.length, expected.thresholds.length, `${name}: thresholds`);
    t.same(
      expected.thresholds.filter((row, index) => differs(outcomes[index], row)),
      [],
      `${name}: outcomes`,
    );
    t.notOk(differs(bestOutcome(outcomes), expected.best), `${name}: the best outcome`);
    t.same(
      expected.score_at_threshold.filter(([threshold, row]) =>
        differs(outcomeAt(outcomes, threshold), row ?? expected.thresholds.at(-1)!),
      ),
      [],
      `${name}: thresholds fixed beforehand`,
    );
  }
});
