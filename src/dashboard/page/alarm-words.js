// How a stream's alarms stand, in a few sentences: what changed, which features made it so, and what was said of it.
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

const SAID = { normal: "It was called normal.", fault: "It was called a fault." };

/** `standing` as `hiddenstate alarms list --json` has it; `units` by feature, `now` by the box's clock. */
export function alarmWords(standing, units, now) {
  const { since, closed, said, muted = 0 } = standing;
  const sentences = [
    since === undefined ? undefined : openedWords(standing, units),
    closed === undefined ? undefined : `It closed at ${moment(closed)}.`,
    SAID[said],
    muted > now ? `No alarms are raised until ${moment(muted)}.` : undefined,
  ];
  return sentences.filter((sentence) => sentence !== undefined).join(" ");
}

function openedWords({ open, since, kind, contributions }, units) {
  const what = `${open ? "An" : "The last"} alarm opened at ${moment(since)}: ${KINDS[kind] ?? kind}.`;
  const parts = contributions.slice(0, SHOWN_MAX).map(({ feature, expected, seen, share }) => {
    const unit = units.get(feature) ?? "";
    return `${feature} ${value(seen, unit)} where ${value(expected, unit)} was expected (${Math.round(100 * share)} % of it)`;
  });
  return parts.length === 0 ? what : `${what} ${parts.join("; ")}.`;
}
