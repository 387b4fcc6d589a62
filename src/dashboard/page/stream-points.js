// From readings to the columns of a chart: what was measured, and at the same times what had been predicted for them.

/** Half the width of an interval that holds nine of ten draws of a normal distribution, in standard deviations. */
const NINE_OF_TEN = 1.645;

/** The time from one reading to the next, as the last ones have it. */
function stepOf(points) {
  const steps = points
    .slice(-17)
    .map(({ time }, i, all) => (i === 0 ? 0 : time - all[i - 1].time))
    .slice(1)
    .filter((step) => step > 0)
    .toSorted((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)] ?? 0;
}

/**
 * [seconds, measured, predicted, low, high] of one output. A prediction stands at the time of the reading that it is for, `horizon`
 * readings later; those for readings still to come stand at the end. Where readings are missing in between it is for none of them.
 */
export function forecastColumns(points, { feature, horizon, deviation }, output) {
  const times = points.map(({ time }) => time);
  const step = stepOf(points);
  const ahead = step === 0 ? 0 : Math.min(horizon, points.length);
  for (let i = 1; i <= ahead; i++) times.push(points.at(-1).time + i * step);
  const measured = times.map((_, i) => (feature < 0 ? null : (points[i]?.values[feature] ?? null)));
  const predicted = times.map(() => null);
  const low = times.map(() => null);
  const high = times.map(() => null);
  for (const [i, { sequence, outputs }] of points.entries()) {
    const at = i + horizon;
    if (at >= times.length) break;
    if (at < points.length && points[at].sequence !== sequence + horizon) continue;
    predicted[at] = outputs[output];
    if (deviation < 0 || outputs[deviation] === null || outputs[output] === null) continue;
    low[at] = outputs[output] - NINE_OF_TEN * outputs[deviation];
    high[at] = outputs[output] + NINE_OF_TEN * outputs[deviation];
  }
  return [times.map((time) => time / 1000), measured, predicted, low, high];
}

/** [seconds, value] of a column of every point. */
export function columnOf(points, valueOf) {
  return [points.map(({ time }) => time / 1000), points.map((point) => valueOf(point) ?? null)];
}

/** How many readings were missing, and in how many gaps. */
export function gapsOf(points) {
  const gaps = points.filter(({ missed }) => missed > 0);
  return { gaps: gaps.length, missed: gaps.reduce((sum, { missed }) => sum + missed, 0) };
}

/** In units: the mean distance of predictions from what came; undefined where nothing can be compared. */
export function meanError([, measured, predicted]) {
  const errors = measured.flatMap((value, i) =>
    value === null || predicted[i] === null ? [] : [Math.abs(value - predicted[i])],
  );
  return errors.length === 0 ? undefined : errors.reduce((sum, error) => sum + error, 0) / errors.length;
}
