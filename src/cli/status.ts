// `hiddenstate status`: what a running runtime says of itself: its broker, its groups and everything it has counted.
import { Command } from "commander";
import { HiddenstateError } from "../base/errors.ts";
import { ControlClient } from "../runtime/control-socket.ts";
import type { GroupStatus, Status } from "../runtime/status.ts";
import { budgetText } from "../score/budget.ts";
import { brokerLine } from "./broker-line.ts";

/** Throws `unavailable` where no runtime works on the directory. */
async function askStatus(directory: string): Promise<Status> {
  const client = await ControlClient.connect(directory);
  if (client === undefined) {
    throw new HiddenstateError(
      "unavailable",
      `cannot ask for the status: no runtime is working on ${directory}; start one, or name its state directory with --state`,
    );
  }
  try {
    return (await client.request("status", {})) as Status;
  } finally {
    client.close();
  }
}

function duration(seconds: number): string {
  const units: readonly (readonly [string, number])[] = [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  const first = Math.max(
    0,
    units.slice(0, -1).findIndex(([, length]) => seconds >= length),
  );
  const from = seconds < 60 ? units.length - 1 : first;
  let rest = seconds;
  const parts = units.slice(from, from + 2).map(([unit, length]) => {
    const count = Math.floor(rest / length);
    rest -= count * length;
    return `${count} ${unit}`;
  });
  return parts.join(" ");
}

/** What is not zero, by name; the gauges' high-water marks beside their values are for machines. */
function countLines(metrics: Status["metrics"]): string[] {
  const counts = Object.entries(metrics)
    .filter(([name, value]) => value !== 0 && !name.endsWith("_highest"))
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const width = Math.max(0, ...counts.map(([name]) => name.length));
  return counts.map(([name, value]) => `  ${name.padEnd(width)}  ${Number.isInteger(value) ? value : value.toPrecision(3)}`);
}

function streamsThat(count: number, one: string, several: string): string {
  return count === 1 ? `1 stream ${one}` : `${count} streams ${several}`;
}

/** Of a group that is scored. */
function alarmsLine({ budget, ownBudgets = 0, muted = 0 }: GroupStatus): string {
  if (budget === undefined) return "";
  const own = ownBudgets === 0 ? "" : `; ${streamsThat(ownBudgets, "has its own", "have their own")}`;
  const mutes = muted === 0 ? "" : `; ${streamsThat(muted, "is muted", "are muted")}`;
  return `\n  alarms: a budget of ${budgetText(budget)}${own}${mutes}`;
}

/** The status for people; every value of it is in `--json`. */
export function statusLines(status: Status): string[] {
  const { node, upSeconds, streams, groups, outbox, broker } = status;
  return [
    `${node}: up ${duration(upSeconds)}, ${streams} ${streams === 1 ? "stream" : "streams"}`,
    `broker: ${brokerLine(broker)}; ${outbox.messages} messages unconfirmed`,
    ...groups.map((group) => {
      const { name, engine, kernel, engineReason, version, learning, update } = group;
      const learns = learning === undefined ? "" : `\n  learning: ${learning}`;
      const came = update === undefined ? "" : `\n  update: ${update}`;
      return `group ${name}: ${group.streams} ${group.streams === 1 ? "stream" : "streams"} on model ${version.slice(0, 16)}, engine ${engine} (${kernel}; ${engineReason})${alarmsLine(group)}${learns}${came}`;
    }),
    "counted since the start:",
    ...countLines(status.metrics),
  ];
}

export function statusCommand(): Command {
  return new Command("status")
    .description("ask a running runtime how it does: broker, groups, and what it has counted, refusals by reason among it")
    .option("-s, --state <directory>", "the state directory", ".hiddenstate")
    .option("--json", "print JSON")
    .action(async (options: { readonly state: string; readonly json?: true }) => {
      const status = await askStatus(options.state);
      process.stdout.write(options.json === true ? `${JSON.stringify(status)}\n` : `${statusLines(status).join("\n")}\n`);
    });
}
