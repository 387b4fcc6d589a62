// What the parts of a scorer have in common: each looks at a reading in its own way and says how unlikely it is. A part keeps nothing
// but what it needs between a judgement and the question what it rests on; all else lies in the row of the stream.

/** A reading on its way through the scorer: what was measured, and what the step of the network on it forecasts. */
export interface ScoredReading {
  /** Features `(D)`, from `xFrom`. */
  readonly x: ArrayLike<number>;
  readonly xFrom: number;
  /** Not 0 where a feature of `x` was not measured but filled in, from `missingFrom`; undefined where all were measured. */
  readonly missing: ArrayLike<number> | undefined;
  readonly missingFrom: number;
  /** Outputs `(O)`, from `yFrom`. */
  readonly y: ArrayLike<number>;
  readonly yFrom: number;
  /** In ms since 1970, as it stands in the journal. */
  readonly time: number;
  /** Readings before this one are missing. */
  readonly broken: boolean;
}

/** Nothing is unusual for a stream, or a feature, that has had fewer readings than this. */
export const WARM_UP_READINGS = 100;

/** What an alarm rests on: one feature's part of it. */
export interface Contribution {
  /** Its place among the features. */
  readonly feature: number;
  readonly expected: number;
  readonly seen: number;
  /** 0 to 1; over all features they add up to 1. */
  readonly share: number;
}

export interface ScorePart {
  readonly kind: string;
  /** A stream without a past. */
  begin(row: Float64Array): void;
  /** Takes the reading in; -ln of how probable something at least as unusual is, 0 where it cannot tell. */
  judge(row: Float64Array, reading: ScoredReading): number;
  /** Of the last judgement, feature by feature: how much it weighs, what was expected, what was seen. */
  readonly weights: Float64Array;
  readonly expected: Float64Array;
  readonly seen: Float64Array;
}

/** Whether feature d of a reading was measured, and is a number. */
export function isMeasured({ x, xFrom, missing, missingFrom }: ScoredReading, d: number): boolean {
  return (missing === undefined || missing[missingFrom + d] === 0) && Number.isFinite(x[xFrom + d]!);
}

const CONTRIBUTIONS_MAX = 5;

/** The largest first. */
export function contributionsOf({ weights, expected, seen }: ScorePart): Contribution[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!(total > 0)) return [];
  return Array.from(weights, (weight, feature) => ({
    feature,
    expected: expected[feature]!,
    seen: seen[feature]!,
    share: weight / total,
  }))
    .filter(({ share }) => share > 0)
    .toSorted((a, b) => b.share - a.share || a.feature - b.feature)
    .slice(0, CONTRIBUTIONS_MAX);
}
