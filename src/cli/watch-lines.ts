// What a watch has to tell, in lines for people.
import type { WatchNews } from "../runtime/watch.ts";

interface AlarmFields {
  readonly stream: string;
  readonly open: boolean;
  readonly kind?: string;
  readonly probability?: number;
  readonly extrapolated?: boolean;
  readonly contributions?: readonly { readonly feature: string; readonly expected: number; readonly seen: number }[];
}

const NAMES_SHOWN = 6;
const CONTRIBUTIONS_SHOWN = 3;

function figure(value: number): string {
  return Number(value.toPrecision(4)).toString();
}

function clockText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}

function alarmText({ stream, open, kind, probability, extrapolated, contributions = [] }: AlarmFields): string {
  if (!open) return `over     ${stream}`;
  const parts = contributions
    .slice(0, CONTRIBUTIONS_SHOWN)
    .map(({ feature, expected, seen }) => `${feature} ${figure(seen)}, expected ${figure(expected)}`);
  const rarity = probability === undefined ? "" : `, ${rarityText(probability)}`;
  return `ALARM    ${stream}: ${parts.join("; ")} (${kind}${rarity}${extrapolated === true ? ", as far as can be told" : ""})`;
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
      return `${time}  ${alarmText(news.alarm as AlarmFields)}`;
  }
}
