// Times of messages in the shapes that devices write: numbers of seconds, milliseconds, microseconds or nanoseconds since 1970, also as
// text, and ISO 8601 with or without a zone. `auto` tells the units of a number apart by its size, which holds from 1973 to 5138.
import { parseIsoTime } from "./iso-time.ts";
import type { TimeZone } from "./time-zone.ts";

export type FieldTimeShape = "auto" | "seconds" | "milliseconds" | "microseconds" | "nanoseconds";

export const fieldTimeShapes: readonly FieldTimeShape[] = ["auto", "seconds", "milliseconds", "microseconds", "nanoseconds"];

const PER_MS = { seconds: 1e-3, milliseconds: 1, microseconds: 1e3, nanoseconds: 1e6 } as const;
/** Below each bound a number is of that unit. */
const AUTO = [
  [1e11, "seconds"],
  [1e14, "milliseconds"],
  [1e17, "microseconds"],
  [Infinity, "nanoseconds"],
] as const;
const NUMBER = /^-?\d+(?:\.\d+)?$/;
/** The range of a Date (ECMA-262, 21.4.1.1), in milliseconds to either side of 1970. */
export const TIME_MAX = 8.64e15;

function ofNumber(value: number, shape: FieldTimeShape): number | undefined {
  const unit = shape === "auto" ? AUTO.find(([below]) => Math.abs(value) < below)?.[1] : shape;
  if (unit === undefined) return undefined;
  const ms = Math.round(unit === "seconds" ? value * 1000 : value / PER_MS[unit]);
  return Math.abs(ms) <= TIME_MAX ? ms : undefined;
}

/** Whole milliseconds since 1970; undefined for what is no time. Times without a zone are of `zone`. */
export function parseFieldTime(value: unknown, shape: FieldTimeShape, zone: TimeZone): number | undefined {
  if (typeof value === "number") return ofNumber(value, shape);
  if (typeof value === "bigint") return ofNumber(Number(value), shape);
  if (value instanceof Date) return ofNumber(value.getTime(), "milliseconds");
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  if (NUMBER.test(text)) return ofNumber(Number(text), shape);
  const time = parseIsoTime(text);
  return time === undefined || time.zoned ? time?.ms : zone.toUtcMs(time.ms);
}
