// Values of command line options, from what was typed. Each throws what commander prints as the option's own error.
import { InvalidArgumentError } from "commander";
import type { CsvDelimiter } from "../message/csv-rows.ts";

/** A number from `min` to `max`. */
export function numberIn(min: number, max: number, isWhole: boolean): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= min && value <= max) || (isWhole && !Number.isInteger(value))) {
      throw new InvalidArgumentError(`A ${isWhole ? "whole " : ""}number from ${min} to ${max} is expected.`);
    }
    return value;
  };
}

/** Words between commas. */
export function words(text: string): string[] {
  return text.split(",").map((word) => word.trim());
}

/** Numbers between commas, each as `one` takes it. */
export function numbers(one: (text: string) => number): (text: string) => number[] {
  return (text) => text.split(",").map(one);
}

const DELIMITERS: ReadonlyMap<string, CsvDelimiter> = new Map([
  ["comma", ","],
  [",", ","],
  ["semicolon", ";"],
  [";", ";"],
  ["tab", "\t"],
]);

/** The sign between two fields of a CSV file, by its name or as it is. */
export function delimiter(text: string): CsvDelimiter {
  const found = DELIMITERS.get(text);
  if (found === undefined) throw new InvalidArgumentError("Write comma, semicolon or tab.");
  return found;
}

const MS_BY_UNIT = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of `500ms`, `30s`, `10m`, `12h`, `7d`. */
export function duration(text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError("A number with a unit is expected: 500ms, 30s, 10m, 12h or 7d.");
  return Number(count) * MS_BY_UNIT[unit as keyof typeof MS_BY_UNIT];
}
