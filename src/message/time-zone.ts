// Local times to UTC, for readings whose times name no zone. Rules come from the system's zone database through Intl.
import { HiddenstateError } from "../base/errors.ts";
import { zoneOffsetMinutes } from "./iso-time.ts";

export interface TimeZone {
  /**
   * The moment at which this zone's clocks show `localMs` (a clock's face counted as if it were UTC). Where clocks are put back and show
   * it twice, the first; where they are put forward and never show it, the moment after the jump by as much.
   */
  toUtcMs(localMs: number): number;
}

/** Offsets have only ever changed on quarter hours. */
const SLOT_MS = 900_000;
const SLOTS_MAX = 65_536;
const DAY_MS = 86_400_000;

/** The zone's offset at a moment, in milliseconds east, through the parts of a formatted date. */
function createOffsetReader(format: Intl.DateTimeFormat): (utcMs: number) => number {
  const bySlot = new Map<number, number>();
  return (utcMs) => {
    const slot = Math.floor(utcMs / SLOT_MS);
    let offset = bySlot.get(slot);
    if (offset === undefined) {
      const at = slot * SLOT_MS;
      const parts: Record<string, number> = {};
      for (const { type, value } of format.formatToParts(at)) if (type !== "literal") parts[type] = Number(value);
      const { year, month, day, hour, minute, second } = parts as Record<
        "year" | "month" | "day" | "hour" | "minute" | "second",
        number
      >;
      offset = Date.UTC(year, month - 1, day, hour, minute, second) - at;
      if (bySlot.size >= SLOTS_MAX) bySlot.clear();
      bySlot.set(slot, offset);
    }
    return offset;
  };
}

/** `UTC`, an offset (`+01:00`) or a zone's name (`Europe/Berlin`). Throws `bad_argument` for anything else. */
export function createTimeZone(name: string): TimeZone {
  const minutes = name.toUpperCase() === "UTC" ? 0 : zoneOffsetMinutes(name);
  if (minutes !== undefined) return { toUtcMs: (localMs) => localMs - minutes * 60_000 };
  let format: Intl.DateTimeFormat;
  try {
    const numeric = {
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    } as const;
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      calendar: "gregory",
      numberingSystem: "latn",
      ...numeric,
    });
  } catch (thrown) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot use time zone "${name}": write UTC, an offset as +01:00 or a name as Europe/Berlin`,
      thrown,
    );
  }
  const offsetAt = createOffsetReader(format);
  return {
    toUtcMs(localMs) {
      // Both sides of a change are near enough to a day away; the earlier moment that shows this face wins.
      const before = offsetAt(localMs - DAY_MS);
      const after = offsetAt(localMs + DAY_MS);
      const first = localMs - before;
      if (before === after || offsetAt(first) === before) return first;
      const second = localMs - after;
      return offsetAt(second) === after ? second : first;
    },
  };
}
