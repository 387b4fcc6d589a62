// An alarm (docs/message-format.md) in the words of a line of the log.
import type { Alarm } from "../message/alarm.ts";

const CONTRIBUTIONS_MAX = 3;

/** For a line of the log: what was unusual, the largest share first. */
export function alarmDetails(alarm: Alarm): Record<string, string> {
  const { stream, score } = alarm;
  if (!alarm.open) return { stream, score: String(score) };
  const shares = alarm.contributions
    .slice(0, CONTRIBUTIONS_MAX)
    .map(({ feature, share }) => `${feature} ${Math.round(100 * share)} %`);
  return { stream, score: String(score), kind: alarm.kind, ...(shares.length > 0 && { because: shares.join(", ") }) };
}
