// Times as CSV files write them: ISO 8601 with or without a zone, day-first and month-first dates, seconds or milliseconds since 1970.
// One file has one format; where its values leave two possible, that is an error and not a guess.
import { calendarMs, parseIsoTime } from "./iso-time.ts";
import type { TimeZone } from "./time-zone.ts";

/** How times are written. */
export type CsvTimeFormat = "iso" | "dmy" | "mdy" | "seconds" | "milliseconds";

export const csvTimeFormats: readonly CsvTimeFormat[] = ["iso", "dmy", "mdy", "seconds", "milliseconds"];

/** Digits of day, month and year, then hours, minutes and perhaps seconds parted by colons or dots. */
const NUMERIC_DATE = /^(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?:[ T](\d{1,2})[:.](\d\d)(?:[:.](\d\d)(?:[.,](\d{1,3}))?)?)?$/;
const NUMBER = /^-?\d+(?:\.\d+)?$/;
/** As milliseconds this is 1973, as seconds the year 5138. */
const SECONDS_BELOW = 1e11;

/** The formats that this one value leaves possible. */
export function csvTimeFormatsOf(text: string): readonly CsvTimeFormat[] {
  if (NUMBER.test(text)) return Math.abs(Number(text)) < SECONDS_BELOW ? ["seconds"] : ["milliseconds"];
  if (parseIsoTime(text) !== undefined) return ["iso"];
  const match = NUMERIC_DATE.exec(text);
  if (match === null) return [];
  const first = Number(match[1]);
  const second = Number(match[3]);
  // Dates parted by dots are day-first wherever they are in use.
  if (match[2] === ".") return ["dmy"];
  return [...(second <= 12 ? (["dmy"] as const) : []), ...(first <= 12 ? (["mdy"] as const) : [])];
}

/** Milliseconds since 1970, or undefined where the text is no such time. Times without a zone are of `zone`. */
export function parseCsvTime(text: string, format: CsvTimeFormat, zone: TimeZone): number | undefined {
  if (format === "iso") {
    const time = parseIsoTime(text);
    return time === undefined || time.zoned ? time?.ms : zone.toUtcMs(time.ms);
  }
  if (format === "seconds" || format === "milliseconds") {
    if (!NUMBER.test(text)) return undefined;
    return format === "seconds" ? Math.round(Number(text) * 1000) : Math.round(Number(text));
  }
  const match = NUMERIC_DATE.exec(text);
  if (match === null) return undefined;
  const [, first, , second, year, hour, minute, seconds, fraction] = match;
  const [day, month] = format === "dmy" ? [first, second] : [second, first];
  const ms = calendarMs(Number(year), Number(month), Number(day), Number(hour ?? 0), Number(minute ?? 0), Number(seconds ?? 0));
  return ms === undefined ? undefined : zone.toUtcMs(ms + Number((fraction ?? "").padEnd(3, "0")));
}
