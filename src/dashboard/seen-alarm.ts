// An alarm as its message has it (docs/message-format.md), for the page: it is told as it was published.
import type { ClosedAlarm, OpenedAlarm } from "../message/alarm.ts";

export type SeenAlarm = OpenedAlarm | ClosedAlarm;

/** The alarm in a message that this runtime has made. */
export function parseAlarm(bytes: Uint8Array): SeenAlarm {
  return JSON.parse(Buffer.from(bytes).toString()) as SeenAlarm;
}

const CONTRIBUTIONS_MAX = 3;

/** For a line of the log: what was unusual, the largest share first. */
export function alarmDetails(alarm: SeenAlarm): Record<string, string> {
  const { stream, score } = alarm;
  if (!alarm.open) return { stream, score: String(score) };
  const shares = alarm.contributions
    .slice(0, CONTRIBUTIONS_MAX)
    .map(({ feature, share }) => `${feature} ${Math.round(100 * share)} %`);
  return { stream, score: String(score), kind: alarm.kind, ...(shares.length > 0 && { because: shares.join(", ") }) };
}
