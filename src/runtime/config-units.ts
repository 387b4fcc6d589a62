// Quantities as people write them in a config, with their units: durations, sizes and budgets.
import { z } from "zod";
import { BUDGET_EXPECTED, parseBudget } from "../score/budget.ts";

const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const DURATION_EXPECTED = "expected a number with a unit, such as 500ms, 30s, 10m, 12h or 7d";

/** `30s`, `10m`, `1.5h`: milliseconds. */
export const duration = z
  .string(DURATION_EXPECTED)
  .regex(DURATION, DURATION_EXPECTED)
  .transform((text) => {
    const [, count, unit] = DURATION.exec(text)!;
    return Number(count) * UNIT_MS[unit!]!;
  });

/** `1/week`, `2/day`: false alarms a week. */
export const budget = z.string(BUDGET_EXPECTED).transform((text, context) => {
  const perWeek = parseBudget(text);
  if (perWeek !== undefined) return perWeek;
  context.addIssue(BUDGET_EXPECTED);
  return z.NEVER;
});

const SIZE = /^(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB)$/;
const UNIT_BYTES: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const SIZE_EXPECTED = "expected a number with a unit, such as 64MiB or 2GiB";

/** `256MiB`: bytes. */
export const size = z
  .string(SIZE_EXPECTED)
  .regex(SIZE, SIZE_EXPECTED)
  .transform((text) => {
    const [, count, unit] = SIZE.exec(text)!;
    return Math.floor(Number(count) * UNIT_BYTES[unit!]!);
  });
