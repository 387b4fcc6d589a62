// An alarm in a sentence or two: what changed, and which features made it so.
import { moment, value } from "./words.js";

const KINDS = {
  range: "a value beyond what this stream has shown before",
  level: "values stay higher or lower than before",
  variance: "values vary more, or less, than before",
  flat: "a value repeats for longer than ever before",
  dropout: "a value is missing for longer than ever before",
  residual: "readings differ from what was predicted",
};

const SHOWN_MAX = 3;

/** `units` by feature. */
export function alarmWords({ open, time, kind, contributions }, units) {
  if (!open) return `The last alarm closed at ${moment(time)}.`;
  const what = `An alarm opened at ${moment(time)}: ${KINDS[kind] ?? kind}.`;
  const parts = contributions.slice(0, SHOWN_MAX).map(({ feature, expected, seen, share }) => {
    const unit = units.get(feature) ?? "";
    return `${feature} ${value(seen, unit)} where ${value(expected, unit)} was expected (${Math.round(100 * share)} % of it)`;
  });
  return parts.length === 0 ? what : `${what} ${parts.join("; ")}.`;
}
