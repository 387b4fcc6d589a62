// The report of bench/e2e.ts as tables for people.
import type { E2eReport, LatencyRow } from "../e2e.ts";
import type { DailyRow, IdleRow, RecoveryRow } from "./disk-rows.ts";
import type { MessageRow } from "./message-rows.ts";

const MIB = 2 ** 20;
const whole = (value: number): string => Math.round(value).toLocaleString("en-US");
const mib = (bytes: number): string => (bytes / MIB).toFixed(bytes < 100 * MIB ? 1 : 0);
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ");
  for (const cells of [header, ...rows]) console.log(line(cells));
  console.log("");
}

const NAMES = {
  ours: "hiddenstate, strict",
  homeMade: "home-made, one call a reading",
  homeMadeOneCall: "home-made, one call a message",
  client: "mosquitto_sub, receives only",
} as const;

function printSaturation(title: string, rows: Readonly<Partial<Record<keyof typeof NAMES, MessageRow>>>): void {
  const cells = Object.entries(rows).map(([name, row]) => [
    NAMES[name as keyof typeof NAMES],
    whole(row.readingsPerSecond),
    whole(row.messagesPerSecond),
    row.cpuUsPerReading === 0 ? "-" : row.cpuUsPerReading.toFixed(2),
    percent(row.cpuShare.contender),
    percent(row.cpuShare.broker),
    percent(row.cpuShare.load),
    row.rssBytes === 0 ? "-" : mib(row.rssBytes),
    row.journalBytesPerReading === 0 ? "-" : row.journalBytesPerReading.toFixed(1),
  ]);
  printTable(
    [title, "readings/s", "messages/s", "CPU us/reading", "CPU", "broker", "load", "RSS MiB", "journal B/reading"],
    cells,
  );
}

function printLatency(rows: readonly LatencyRow[]): void {
  const cells = rows.flatMap(({ messagesPerSecond, ours, homeMade }) =>
    (["ours", "homeMade"] as const).map((name) => {
      const { latencyMs, messagesPerSecond: got, cpuUsPerReading } = { ours, homeMade }[name];
      const quantiles = [latencyMs.p50, latencyMs.p99, latencyMs.p999].map((ms) => ms.toFixed(2));
      return [`${whole(messagesPerSecond)}/s, ${NAMES[name]}`, whole(got), ...quantiles, cpuUsPerReading.toFixed(1)];
    }),
  );
  printTable(["sensor to prediction, ms", "got/s", "p50", "p99", "p99.9", "CPU us/reading"], cells);
}

function printRecovery(rows: readonly RecoveryRow[]): void {
  const cells = rows.map((row) => [
    `${whole(row.streams)} streams, ${row.readingsPerMessage} readings a message`,
    mib(row.checkpointBytes),
    mib(row.journalBytes),
    whole(row.events),
    whole(row.recoveryMs),
    whole(row.startMs),
    whole(row.startCpuMs),
  ]);
  printTable(
    ["restart after a kill", "checkpoint MiB", "journal MiB", "messages", "recovery ms", "ready after ms", "its CPU ms"],
    cells,
  );
}

function printDay(day: readonly DailyRow[], idle: readonly IdleRow[]): void {
  const cells = day.map((row, i) => [
    `${whole(row.streams)} streams, ${row.perSecond}/s each, linger ${row.lingerMs} ms`,
    row.journalGb.toFixed(2),
    row.journalPagesGb.toFixed(2),
    row.checkpointGb.toFixed(2),
    whole(row.checkpoints),
    mib(row.rssBytes),
    mib(idle[i]!.rssBytes),
    `${(100 * idle[i]!.cpuShare).toFixed(2)} %`,
  ]);
  const header = [
    "a day, 1 reading a message",
    "journal GB",
    "in pages GB",
    "checkpoint GB",
    "checkpoints",
    "RSS MiB",
    "idle MiB",
    "idle CPU",
  ];
  printTable(header, cells);
}

export function printReport(report: E2eReport): void {
  console.log(`${report.processor}, ${report.cores} cores for publisher, broker, runtime and subscriber; Node ${report.node}`);
  console.log(`${report.model}, ${whole(report.streams)} streams, QoS 1, strict\n`);
  const { one, batch, latency, recovery, day, idle } = report;
  if (one !== undefined) printSaturation("1 reading a message", one);
  if (batch !== undefined) printSaturation("32 readings a message", batch);
  if (report.ratioOne !== undefined) {
    console.log(`ours / home-made, 1 a message: ${report.ratioOne.toFixed(2)}`);
    console.log(`ours / home-made, 32 a message: ${report.ratioBatch!.toFixed(2)}`);
    console.log(`ours / mosquitto's client, 32 a message: ${percent(report.shareOfClient!)}\n`);
  }
  const syncs = report.sync.map(({ p50, p99 }) => `p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms`);
  console.log(`making 100 bytes durable by itself: before ${syncs[0]}, after ${syncs[1]}\n`);
  if (latency !== undefined) printLatency(latency);
  if (recovery !== undefined) printRecovery(recovery);
  if (day !== undefined && idle !== undefined) printDay(day, idle);
}
