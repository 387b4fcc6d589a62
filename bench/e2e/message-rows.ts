// The rows about messages a second and the time a prediction takes: this runtime, the home-made version and mosquitto's own client in turns,
// a round after the other, since a clock that changes its pace would else look like a better program. Medians over rounds.
import { median } from "../median.ts";
import type { Box, Contender, RunningRuntime } from "./contenders.ts";
import type { Report } from "./load.ts";

/** Streams of every row here. */
export const STREAMS = 1000;
/** Messages sent and not yet come back at saturation: more than the 1,000 that the broker has in flight to a client, so there is always one. */
const AHEAD = 2000;

export interface Times {
  readonly rounds: number;
  readonly warmMs: number;
  readonly measureMs: number;
}

/** What is measured in one run of one contender. */
export interface MessageRow {
  readonly messagesPerSecond: number;
  readonly readingsPerSecond: number;
  /** Microseconds of the contender's processor time; 0 for mosquitto's client. */
  readonly cpuUsPerReading: number;
  /** Share of one core that each took. */
  readonly cpuShare: { readonly contender: number; readonly broker: number; readonly load: number };
  readonly rssBytes: number;
  readonly latencyMs: Report["latencyMs"];
  /** What the runtime wrote to its journal a reading; 0 for the others. */
  readonly journalBytesPerReading: number;
}

export type ContenderName = "ours" | "homeMade" | "homeMadeOneCall" | "client";

/** The median of each of the rows' numbers. */
export function medianRow(rows: readonly MessageRow[]): MessageRow {
  const merge = (values: readonly unknown[]): unknown => {
    const [first] = values;
    if (typeof first === "number") return median(values as number[]);
    return Object.fromEntries(
      Object.keys(first as object).map((key) => [key, merge(values.map((value) => (value as Record<string, unknown>)[key]))]),
    );
  };
  return merge(rows) as MessageRow;
}

function rowOf(report: Report, readings: number, journalBytesPerReading: number): MessageRow {
  const { messages, seconds, latencyMs, usage } = report;
  const cpuMs = (name: string): number => {
    const found = usage[name];
    return found === undefined ? 0 : found[1].cpuMs - found[0].cpuMs;
  };
  const share = (name: string): number => cpuMs(name) / (seconds * 1000);
  return {
    messagesPerSecond: messages / seconds,
    readingsPerSecond: (messages * readings) / seconds,
    cpuUsPerReading: (1000 * cpuMs("contender")) / (messages * readings),
    cpuShare: { contender: share("contender"), broker: share("broker"), load: share("load") },
    rssBytes: usage["contender"]?.[1].rssBytesHighest ?? 0,
    latencyMs,
    journalBytesPerReading,
  };
}

async function journalBytesPerReading(contender: Contender | undefined): Promise<number> {
  if (contender === undefined || !("status" in contender)) return 0;
  const { metrics } = await (contender as RunningRuntime).status();
  return metrics["journal_bytes_written"]! / metrics["readings_accepted"]!;
}

async function start(box: Box, name: ContenderName): Promise<Contender | undefined> {
  await box.renewBroker();
  switch (name) {
    case "ours":
      return box.runtime(box.newState());
    case "homeMade":
      return box.homeMade("one");
    case "homeMadeOneCall":
      return box.homeMade("all");
    case "client":
      return undefined;
  }
}

/** One run: a process started, warmed, measured and ended. `perSecond` absent: as fast as it goes. */
export async function measureMessages(
  box: Box,
  name: ContenderName,
  readings: number,
  times: Times,
  perSecond?: number,
): Promise<MessageRow> {
  const contender = await start(box, name);
  try {
    const report = await box.load(
      {
        streams: STREAMS,
        readings,
        predictions: contender?.predictions,
        pace: perSecond === undefined ? { ahead: AHEAD } : { perSecond },
        warmMs: times.warmMs,
        measureMs: times.measureMs,
      },
      contender,
    );
    return rowOf(report, readings, await journalBytesPerReading(contender));
  } catch (thrown) {
    const log = contender !== undefined && "log" in contender ? (contender as RunningRuntime).log() : "";
    throw new Error(`cannot measure ${name} with ${readings} readings a message: ${String(thrown)}\n${log}`, { cause: thrown });
  } finally {
    await contender?.stop();
  }
}

/** Rounds in which each contender has its turn: by contender a row a round. */
export async function race<Name extends ContenderName>(
  box: Box,
  names: readonly Name[],
  readings: number,
  times: Times,
  perSecond?: number,
): Promise<Record<Name, MessageRow[]>> {
  const rows = Object.fromEntries(names.map((name): [string, MessageRow[]] => [name, []])) as Record<Name, MessageRow[]>;
  for (let round = 0; round < times.rounds; round++) {
    for (const name of names) rows[name].push(await measureMessages(box, name, readings, times, perSecond));
  }
  return rows;
}
