// Budgets as people write them: how many alarms a stream may raise where nothing is wrong. Inside they are numbers of alarms a week.
import { limits } from "../base/limits.ts";

const BUDGET = /^(\d+(?:\.\d+)?)\s*\/\s*(hour|day|week|month|year)$/;
const PER_WEEK: Readonly<Record<string, number>> = { hour: 168, day: 7, week: 1, month: 12 / 52.18, year: 1 / 52.18 };
const DIGITS = 4;

/** What is said where a budget is none. */
export const BUDGET_EXPECTED =
  "expected a number of alarms per hour, day, week, month or year, such as 1/week, " +
  `and that from ${limits.alarmsPerWeekMin} to ${limits.alarmsPerWeekMax} a week`;

/** `1/week`, `2/day`: false alarms a week. Undefined where the text is no budget, or one out of bounds. */
export function parseBudget(text: string): number | undefined {
  const [, count, unit] = BUDGET.exec(text) ?? [];
  if (unit === undefined) return undefined;
  const perWeek = Number(count) * PER_WEEK[unit]!;
  return perWeek >= limits.alarmsPerWeekMin && perWeek <= limits.alarmsPerWeekMax ? perWeek : undefined;
}

/** A budget in words: `1/week`. */
export function budgetText(perWeek: number): string {
  return `${Number(perWeek.toPrecision(DIGITS))}/week`;
}
