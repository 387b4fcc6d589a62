// What is put through the benchmark: the scorer behind an online forecaster, as `hiddenstate run` has them, the same scorer alone, and
// two that everybody is held against. Each judges a row having seen nothing but the rows up to it.
import { createRandom } from "../../src/base/random.ts";
import { OnlineForecaster } from "../../src/learn/online-forecaster.ts";
import { Scorer } from "../../src/score/scorer.ts";
import type { NabSeries } from "./nab-corpus.ts";

export interface Detection {
  /** Of each row. */
  readonly scores: Float64Array;
  /** 1 for a row that opens an alarm, 0 for others; all 0 where a detector has none. */
  readonly alarms: Float64Array;
}

export type Detector = (series: NabSeries) => Detection;

function scoresAlone(values: Float64Array, score: (value: number) => number): Detection {
  return { scores: Float64Array.from(values, score), alarms: new Float64Array(values.length) };
}

const features = ["value"];
const settings = { falseAlarmsPerWeek: 1 };

function judgeRows(series: NabSeries, forecaster: OnlineForecaster | undefined): Detection {
  const scorer = new Scorer({ features, forecasts: forecaster?.forecasts ?? [] }, settings);
  const row = new Float64Array(scorer.rowSize);
  scorer.begin(row);
  const slot = forecaster?.allocate() ?? 0;
  const x = new Float32Array(1);
  const y = new Float32Array(forecaster?.outputs ?? 0);
  const detection = scoresAlone(series.values, () => 0);
  series.values.forEach((value, index) => {
    x[0] = value;
    const time = series.times[index]!;
    forecaster?.step(slot, x, 0, time, y, 0);
    scorer.judge(row, { x, xFrom: 0, missing: undefined, missingFrom: 0, y, yFrom: 0, time, broken: false });
    detection.scores[index] = scorer.event;
    if (scorer.opened !== undefined) detection.alarms[index] = 1;
  });
  return detection;
}

/** The same network for every series, from the same seed. */
export function withNetwork(seed = 1): Detector {
  return (series) => judgeRows(series, new OnlineForecaster({ name: "nab", features, seed }));
}

export const withoutNetwork: Detector = (series) => judgeRows(series, undefined);

/** A uniform draw for each row. */
export function randomDetector(seed: number): Detector {
  const random = createRandom(seed);
  return ({ values }) => scoresAlone(values, () => random.next());
}

/** The complementary error function within 1.2e-7 of its value, for x >= 0 (a Chebyshev fit). */
function erfc(x: number): number {
  const t = 2 / (2 + x);
  const terms = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277,
  ];
  const sum = terms.reduceRight((inner, term) => term + t * inner, 0);
  return t * Math.exp(sum - x * x);
}

const GAUSSIAN_WINDOW = 6400;
const GAUSSIAN_STEP = 100;

/**
 * The benchmark's windowed Gaussian, from its description: the tail probability of a value under the mean and deviation of a window of
 * 6,400 values, which first fills value by value and then moves on by 100 at a time.
 */
export const windowedGaussian: Detector = ({ values }) => {
  const window: number[] = [];
  let waiting: number[] = [];
  let [mean, deviation] = [0, 1];
  const fit = (): void => {
    mean = window.reduce((sum, value) => sum + value, 0) / window.length;
    deviation = Math.sqrt(window.reduce((sum, value) => sum + (value - mean) ** 2, 0) / window.length) || 1e-6;
  };
  let [sum, squares] = [0, 0];
  return scoresAlone(values, (value) => {
    const score = window.length === 0 ? 0 : 1 - 0.5 * erfc(Math.abs(value - mean) / deviation / Math.SQRT2);
    if (window.length < GAUSSIAN_WINDOW) {
      window.push(value);
      sum += value;
      squares += value * value;
      mean = sum / window.length;
      deviation = Math.sqrt(Math.max(squares / window.length - mean * mean, 0)) || 1e-6;
      return score;
    }
    waiting.push(value);
    if (waiting.length === GAUSSIAN_STEP) {
      window.splice(0, GAUSSIAN_STEP, ...waiting);
      waiting = [];
      fit();
    }
    return score;
  });
};
