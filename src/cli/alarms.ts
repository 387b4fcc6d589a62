// `hiddenstate alarms ...`: which alarms there are, and what a person says of them: to a running runtime through its control socket, or to a
// stopped one on its directory.
import { Command } from "commander";
import { systemClock } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import type { Verdict } from "../message/alarm.ts";
import type { ListedAlarm } from "../pipeline/alarm-commands.ts";
import { budgetText } from "../score/budget.ts";
import { addControlCommand, print, withControl } from "./control-command.ts";
import type { ControlOptions } from "./control-command.ts";
import { duration } from "./option-values.ts";
import { tableLines, timeText } from "./table-lines.ts";
import { causeText } from "./watch-lines.ts";

interface ListOptions extends ControlOptions {
  readonly all?: true;
}

interface MuteOptions extends ControlOptions {
  readonly for?: number;
  readonly off?: true;
}

/** Alarms that opened this long ago are still told of. */
const LATELY_DAYS = 7;
const DAY_MS = 24 * 3_600_000;

interface BudgetOptions extends ControlOptions {
  readonly off?: true;
}

/** What is open, muted, or was open lately, and what has a budget of its own. */
function isOfNow({ open, muted = 0, since = -Infinity, budget }: ListedAlarm, nowMs: number): boolean {
  return open || muted > nowMs || budget !== undefined || nowMs - since < LATELY_DAYS * DAY_MS;
}

function stateText({ open, muted = 0, since }: ListedAlarm, nowMs: number): string {
  if (muted > nowMs) return open ? "open, muted" : "muted";
  return open ? "open" : since === undefined ? "none" : "closed";
}

/** The alarms as a table. */
export function alarmLines(alarms: readonly ListedAlarm[], nowMs: number): string[] {
  const rows = alarms.map((alarm) => [
    alarm.stream,
    stateText(alarm, nowMs),
    timeText(alarm.since),
    alarm.score?.toFixed(2) ?? "",
    alarm.said ?? "",
    (alarm.muted ?? 0) > nowMs ? timeText(alarm.muted) : "",
    alarm.budget === undefined ? "" : budgetText(alarm.budget),
    alarm.kind === undefined ? "" : causeText(alarm),
  ]);
  return tableLines(["stream", "", "since", "score", "called", "muted until", "budget", "because"], rows);
}

async function list(options: ListOptions): Promise<void> {
  const alarms = (await withControl(options, (control) => control.request("alarms", {}))) as ListedAlarm[];
  const nowMs = systemClock.wallMs();
  const shown = options.all ? alarms : alarms.filter((alarm) => isOfNow(alarm, nowMs));
  if (options.json) print(shown);
  else if (shown.length > 0) for (const line of alarmLines(shown, nowMs)) print(line);
  else
    print(options.all ? "there has been no alarm" : `no alarm is open, and none was in the last ${LATELY_DAYS} days; see --all`);
}

async function mute(stream: string, options: MuteOptions): Promise<void> {
  if ((options.for === undefined) === (options.off === undefined)) {
    throw new HiddenstateError("bad_argument", `cannot mute "${stream}": say either --for 2h, or --off`);
  }
  const until = options.for === undefined ? undefined : systemClock.wallMs() + options.for;
  await withControl(options, (control) => control.request(until === undefined ? "unmute" : "mute", { stream, until }));
  if (options.json) print({ ok: true, stream, until });
  else print(until === undefined ? `"${stream}" raises alarms again` : `"${stream}" raises no alarm until ${timeText(until)}`);
}

async function setBudget(stream: string, rate: string | undefined, options: BudgetOptions): Promise<void> {
  if ((rate === undefined) === (options.off === undefined)) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot set the alarm budget of "${stream}": say either a budget, such as 1/week, or --off`,
    );
  }
  await withControl(options, (control) => control.request("budget", { stream, budget: rate ?? null }));
  if (options.json) print({ ok: true, stream, budget: rate });
  else print(rate === undefined ? `"${stream}" has its group's alarm budget` : `"${stream}" has an alarm budget of ${rate}`);
}

async function call(stream: string, verdict: Verdict, options: ControlOptions): Promise<void> {
  await withControl(options, (control) => control.request(verdict, { stream }));
  if (options.json) print({ ok: true, stream, said: verdict });
  else if (verdict === "normal")
    print(`the alarm of "${stream}" was nothing: it is closed, and its readings may be learned from`);
  else print(`the alarm of "${stream}" was a fault: its readings are never learned from`);
}

export function alarmsCommand(): Command {
  const command = new Command("alarms").description(
    "show alarms, mute a stream's, say what one was and how many are few enough, whether the runtime is running or not",
  );
  const add = (name: string, description: string, action: (...args: never[]) => Promise<void>): Command =>
    addControlCommand(command, name, description, action);
  add("list", `alarms that are open, muted, or opened in the last ${LATELY_DAYS} days, and budgets of streams' own`, list).option(
    "--all",
    "of each stream the last alarm ever",
  );
  add("mute <stream>", "raise no alarm of a stream for a while; its scores go on", mute)
    .option("--for <duration>", "how long: 30m, 2h, 1d", duration)
    .option("--off", "raise them again");
  add(
    "normal <stream>",
    "the stream's open or last alarm was nothing: it closes, and is learned from",
    (stream: string, options: ControlOptions) => call(stream, "normal", options),
  );
  add(
    "fault <stream>",
    "the stream's open or last alarm was a fault: it is never learned from",
    (stream: string, options: ControlOptions) => call(stream, "fault", options),
  );
  add(
    "budget <stream> [rate]",
    "how many false alarms of a stream are few enough, in place of its group's: a number per hour, day, week, month or year",
    setBudget,
  ).option("--off", "as many as the config says again");
  return command;
}
