// The score of the Numenta Anomaly Benchmark (Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", 2015): what the rows
// that a detector marks are worth, for every threshold at once. It knows series only as scores and windows of row indices; reading the
// benchmark's files and running detectors is not done here.

/** What a found window, a missed one and a false alarm weigh. */
export interface NabProfile {
  readonly tpWeight: number;
  readonly fnWeight: number;
  readonly fpWeight: number;
}

export const nabProfiles = {
  standard: { tpWeight: 1, fnWeight: 1, fpWeight: 0.11 },
  reward_low_FP_rate: { tpWeight: 1, fnWeight: 1, fpWeight: 0.22 },
  reward_low_FN_rate: { tpWeight: 1, fnWeight: 2, fpWeight: 0.11 },
} as const satisfies Record<string, NabProfile>;

/** A score for each row, and the windows [first row, last row] with an anomaly: in order, none overlapping another. */
export interface ScoredSeries {
  readonly scores: ArrayLike<number>;
  readonly windows: readonly (readonly [number, number])[];
}

/** The outcome where every row whose score is at least `threshold` is a detection; the counts are of rows. */
export interface ThresholdOutcome {
  readonly threshold: number;
  readonly score: number;
  readonly truePositives: number;
  readonly trueNegatives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
}

/** Above every score, so that nothing is detected. */
const THRESHOLD_OF_NOTHING = 1.1;

interface WeighedRow {
  readonly score: number;
  readonly weight: number;
  /** Index over the windows of all series; -1 outside. */
  readonly window: number;
}

/** The first rows of a series, of which no detection counts: 15 %, and no more than 750. */
export function probationRows(rows: number): number {
  return Math.min(Math.floor(0.15 * rows), 750);
}

/** 1 far before position 0, 0 at it, -1 far behind it. */
function sigmoid(position: number): number {
  return position > 3 ? -1 : 2 / (1 + Math.exp(5 * position)) - 1;
}

/** What a detection at each row weighs: `tpWeight` at the start of a window and less towards its end, then down to -`fpWeight`. */
export function rowWeights(rows: number, windows: ScoredSeries["windows"], profile: NabProfile): Float64Array {
  const weights = new Float64Array(rows).fill(-profile.fpWeight);
  windows.forEach(([first, last], index) => {
    const width = last - first + 1;
    for (let row = first; row <= last; row++) {
      weights[row] = (profile.tpWeight * sigmoid(-(last - row + 1) / width)) / sigmoid(-1);
    }
    const next = windows[index + 1]?.[0] ?? rows;
    for (let row = last + 1; row < next; row++) weights[row] = profile.fpWeight * sigmoid((row - last) / (width - 1));
  });
  return weights;
}

function weighRows(corpus: readonly ScoredSeries[], profile: NabProfile): WeighedRow[] {
  const weighed: WeighedRow[] = [];
  let windowsBefore = 0;
  for (const { scores, windows } of corpus) {
    const weights = rowWeights(scores.length, windows, profile);
    for (let row = probationRows(scores.length); row < scores.length; row++) {
      const index = windows.findIndex(([first, last]) => first <= row && row <= last);
      weighed.push({ score: scores[row]!, weight: weights[row]!, window: index < 0 ? -1 : windowsBefore + index });
    }
    windowsBefore += windows.length;
  }
  return weighed;
}

/**
 * The outcome of each threshold, highest first: 1.1, then every distinct score of a row behind the probation. A window counts with its
 * best detection, or -`fnWeight` without one; every detection outside windows is paid for. A window wholly in the probation counts nowhere.
 */
export function sweepThresholds(corpus: readonly ScoredSeries[], profile: NabProfile): ThresholdOutcome[] {
  const rows = weighRows(corpus, profile).toSorted((a, b) => b.score - a.score);
  const windowRows = rows.filter((row) => row.window >= 0);
  const windowWorth = new Map(windowRows.map((row) => [row.window, -profile.fnWeight]));
  let score = -profile.fnWeight * windowWorth.size;
  let truePositives = 0;
  let falsePositives = 0;
  const outcome = (threshold: number): ThresholdOutcome => ({
    threshold,
    score,
    truePositives,
    trueNegatives: rows.length - windowRows.length - falsePositives,
    falsePositives,
    falseNegatives: windowRows.length - truePositives,
  });
  const outcomes = [outcome(THRESHOLD_OF_NOTHING)];
  rows.forEach((row, index) => {
    if (row.window < 0) {
      falsePositives++;
      score += row.weight;
    } else {
      truePositives++;
      const worth = windowWorth.get(row.window)!;
      if (row.weight > worth) {
        windowWorth.set(row.window, row.weight);
        score += row.weight - worth;
      }
    }
    if (rows[index + 1]?.score !== row.score) outcomes.push(outcome(row.score));
  });
  return outcomes;
}

/** The best of a sweep; of equal ones that of the highest threshold. */
export function bestOutcome(outcomes: readonly ThresholdOutcome[]): ThresholdOutcome {
  return outcomes.reduce((best, next) => (next.score > best.score ? next : best));
}

/** The outcome of a threshold fixed beforehand: that of the lowest one in the sweep which is not below it. */
export function outcomeAt(outcomes: readonly ThresholdOutcome[], threshold: number): ThresholdOutcome {
  return outcomes.findLast((outcome) => outcome.threshold >= threshold) ?? outcomes[0]!;
}

/** 100 for every window found at its first row and no false alarm, 0 for a detector that says nothing. */
export function normalisedScore(score: number, windows: number, profile: NabProfile): number {
  const silent = -profile.fnWeight * windows;
  return (100 * (score - silent)) / (profile.tpWeight * windows - silent);
}
