// ISO 8601 times: 2025-11-23T20:59:01.250Z, 2025-11-23 21:59+01:00, 2025-11-23. Read by one strict grammar, since what Date.parse takes
// differs between engines. Whether a time without a zone is welcome is for the caller.

export interface IsoTime {
  /** Milliseconds since 1970; of the local clock's face where `zoned` is false. A finer fraction is cut off. */
  readonly ms: number;
  readonly zoned: boolean;
}

const GRAMMAR = /^(\d{4})[-/](\d\d)[-/](\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)? ?([Zz]|[+-]\d\d:?(?:\d\d)?)?)?$/;

/** Milliseconds of a calendar date and time of day; undefined where there is no such day or time. */
export function calendarMs(year: number, month: number, day: number, hour = 0, minute = 0, second = 0): number | undefined {
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // February 30 turns up as a day of March.
  return date.getUTCDate() === day ? date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 : undefined;
}

/** Minutes east of Greenwich; undefined for anything that is not Z, +hh, +hhmm or +hh:mm. */
export function zoneOffsetMinutes(zone: string): number | undefined {
  if (zone === "Z" || zone === "z") return 0;
  const match = /^([+-])(\d\d):?(\d\d)?$/.exec(zone);
  if (match === null) return undefined;
  const hours = Number(match[2]);
  const minutes = Number(match[3] ?? 0);
  if (hours > 14 || minutes > 59) return undefined;
  return (match[1] === "-" ? -1 : 1) * (hours * 60 + minutes);
}

export function parseIsoTime(text: string): IsoTime | undefined {
  const match = GRAMMAR.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const ms = calendarMs(Number(year), Number(month), Number(day), Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0));
  if (ms === undefined) return undefined;
  const withFraction = ms + (fraction === undefined ? 0 : Math.floor(Number(`0.${fraction}`) * 1000));
  if (zone === undefined) return { ms: withFraction, zoned: false };
  const offset = zoneOffsetMinutes(zone);
  return offset === undefined ? undefined : { ms: withFraction - offset * 60_000, zoned: true };
}
