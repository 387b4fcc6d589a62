// What a person says of a stream's alarms, as events: that they are muted for a while, or no longer, what the open or last one was, and how many
// are few enough. An event that changes what stands on the broker brings the message, so that it is the same after a crash.
import { HiddenstateError } from "../base/errors.ts";
import type { AlarmCommandEvent, CommandFields } from "../journal/events.ts";
import type { OpenedAlarm, Verdict } from "../message/alarm.ts";
import { decodeAlarm } from "../message/alarm.ts";
import { TIME_MAX } from "../message/field-time.ts";
import { BUDGET_EXPECTED, parseBudget } from "../score/budget.ts";
import type { Fold, StreamRef } from "./fold.ts";
import type { AlarmChange, ReadingLabel } from "./group-scores.ts";

export type AlarmCommandName = "mute" | "unmute" | "budget" | Verdict;
export const alarmCommandNames: readonly AlarmCommandName[] = ["mute", "unmute", "normal", "fault", "budget"];

/** What a command on alarms has beside its name. */
export interface AlarmCommandDetails {
  readonly stream: string;
  /** Of `mute`: milliseconds since 1970. */
  readonly until?: unknown;
  /** Of `budget`: such as 1/week; null: the config's. */
  readonly budget?: unknown;
}

function labelOf(stream: string, { group, row }: StreamRef): ReadingLabel {
  const { boot, nonce, sequence, time } = group.columns;
  return { stream, boot: boot[row]!, nonce: nonce[row]!, sequence: sequence[row]!, time: time[row]! };
}

/** A command on alarms in words, for what is refused. */
export function alarmPhrase(command: AlarmCommandName, stream: string): string {
  if (command === "budget") return `set the alarm budget of "${stream}"`;
  return command === "mute" || command === "unmute" ? `${command} "${stream}"` : `call an alarm of "${stream}" ${command}`;
}

/** What is wrong with the time until when a stream is to be muted: it must be later than its last message, by the box's clock. */
function untilProblem(until: unknown, { group, row }: StreamRef): string | undefined {
  if (typeof until !== "number" || !(until <= TIME_MAX))
    return `"until" must be milliseconds since 1970, over MQTT also an ISO 8601 time with zone`;
  return until <= group.columns.receivedAt[row]! ? `"until" is past: readings that came later are there already` : undefined;
}

/** False alarms a week, 0 for the config's budget; undefined where it is none. */
function perWeekOf(budget: unknown): number | undefined {
  if (budget === null) return 0;
  return typeof budget === "string" ? parseBudget(budget) : undefined;
}

/** Why a command on a stream's alarms means nothing. */
function problemOf(command: AlarmCommandName, { until, budget }: AlarmCommandDetails, ref: StreamRef): string | undefined {
  const { settings, scores } = ref.group;
  if (scores === undefined) return `group "${settings.name}" has no scores; add "score: {}" to it in the config`;
  switch (command) {
    case "mute":
      return untilProblem(until, ref);
    case "unmute":
      return undefined;
    case "budget":
      return perWeekOf(budget) === undefined ? `${BUDGET_EXPECTED}; or null for the config's budget` : undefined;
    default:
      return scores.notes.noteOf(ref.row) === undefined ? "it has had none" : undefined;
  }
}

/** The event of a command on alarms. Nothing may be staged. Throws `bad_argument` where it means nothing. */
export function alarmEventOf(
  command: AlarmCommandName,
  details: AlarmCommandDetails,
  ref: StreamRef,
  fields: CommandFields,
): AlarmCommandEvent {
  const { stream } = details;
  const problem = problemOf(command, details, ref);
  if (problem !== undefined) throw new HiddenstateError("bad_argument", `cannot ${alarmPhrase(command, stream)}: ${problem}`);
  if (command === "budget") return { kind: "budgetSet", ...fields, perWeek: perWeekOf(details.budget)! };
  const { group, row } = ref;
  const standing = (change: AlarmChange): Uint8Array =>
    group.scores!.standing(row, labelOf(stream, ref), fields.transaction, change);
  if (command === "mute" || command === "unmute") {
    const muted = command === "mute" ? Math.floor(details.until as number) : 0;
    return { kind: "alarmMuted", ...fields, until: muted, alarm: standing({ muted }) };
  }
  return { kind: "alarmCalled", ...fields, verdict: command, alarm: standing({ said: command }) };
}

/** How the alarms of a stream stand that has had one, is muted or has a budget of its own. */
export interface ListedAlarm extends Partial<
  Pick<OpenedAlarm, "score" | "kind" | "probability" | "extrapolated" | "contributions">
> {
  readonly stream: string;
  readonly group: string;
  /** Whether one is open, muted or not. */
  readonly open: boolean;
  /** When the open or last one began and ended, by the stream's readings; absent where there was none, and as long as it is open. */
  readonly since?: number;
  readonly closed?: number;
  /** Until when, by the box's clock. */
  readonly muted?: number;
  readonly said?: Verdict;
  /** How many a week it may raise where nothing is wrong; absent where it may as many as its group. */
  readonly budget?: number;
}

/** Undefined where there has been none, the stream is not muted and has its group's budget. */
export function alarmStanding({ group, row }: StreamRef): ListedAlarm | undefined {
  const { scores, columns, settings } = group;
  const note = scores?.notes.noteOf(row);
  const muted = scores?.notes.mutedUntil(row) ?? 0;
  const budget = scores?.notes.budgetOf(row);
  if (scores === undefined || (note === undefined && muted === 0 && budget === undefined)) return undefined;
  const open = scores.isAlarming(row);
  const changed = { ...(muted > 0 && { muted }), ...(budget !== undefined && { budget }) };
  const stands = { stream: columns.keys[row]!, group: settings.name, open, ...changed };
  if (note === undefined) return stands;
  const { time, score, kind, probability, extrapolated, contributions } = decodeAlarm(note.opened) as OpenedAlarm;
  return {
    ...stands,
    since: time,
    ...(!Number.isNaN(note.closedAt) && { closed: note.closedAt }),
    ...(note.said !== undefined && { said: note.said }),
    score,
    kind,
    probability,
    extrapolated,
    contributions,
  };
}

/** Of all streams that have had an alarm, are muted or have a budget of their own: the open ones first, the newest first. */
export function listAlarms({ groups }: Fold): ListedAlarm[] {
  const all = groups.flatMap((group) => Array.from(group.scores?.notes.rows() ?? [], (row) => alarmStanding({ group, row })!));
  return all.toSorted((a, b) => Number(b.open) - Number(a.open) || (b.since ?? 0) - (a.since ?? 0));
}
