// What a watch has to tell, in lines for people.
import type { Alarm, OpenedAlarm } from "../message/alarm.ts";
import type { WatchNews } from "../runtime/watch.ts";

const NAMES_SHOWN = 6;
const CONTRIBUTIONS_SHOWN = 3;

function figure(value: number): string {
  return Number(value.toPrecision(4)).toString();
}

function clockText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}

const CALLED = { normal: ", called normal", fault: ", called a fault" } as const;

function alarmText(alarm: Alarm): string {
  const { stream, open, muted, said } = alarm;
  const called = said === undefined ? "" : CALLED[said];
  if (open) return `ALARM    ${stream}: ${causeText(alarm)}${called}`;
  if (muted === 0) return `unmuted  ${stream}`;
  if (muted !== undefined) return `muted    ${stream}: no alarms until ${clockText(muted)}`;
  return `over     ${stream}${called}`;
}

type AlarmCause = Partial<Pick<OpenedAlarm, "kind" | "probability" | "extrapolated" | "contributions">>;

/** What was unusual, the largest share first, and how. */
export function causeText({ kind, probability, extrapolated, contributions = [] }: AlarmCause): string {
  const parts = contributions
    .slice(0, CONTRIBUTIONS_SHOWN)
    .map(({ feature, expected, seen }) => `${feature} ${figure(seen)}, expected ${figure(expected)}`);
  const rarity = probability === undefined ? "" : `, ${rarityText(probability)}`;
  return `${parts.join("; ")} (${kind}${rarity}${extrapolated === true ? ", as far as can be told" : ""})`;
}

/** Beyond a million nobody can tell, and nobody cares. */
function rarityText(probability: number): string {
  return probability < 1e-6 ? "less than one reading in a million" : `one reading in ${Math.round(1 / probability)}`;
}

/** One line, with the time in UTC in front. */
export function newsLine(news: WatchNews, nowMs: number): string {
  const time = clockText(nowMs);
  switch (news.what) {
    case "found": {
      const { topic, features } = news;
      const more = features.length > NAMES_SHOWN ? `, and ${features.length - NAMES_SHOWN} more` : "";
      return `${time}  found    ${topic}: ${features.slice(0, NAMES_SHOWN).join(", ")}${more}`;
    }
    case "new field":
      return `${time}  new      ${news.topic}: ${news.field} is not part of its model; stop, and start with --forget '${news.topic}' to take it in`;
    case "alarm":
      return `${time}  ${alarmText(news.alarm as Alarm)}`;
  }
}
