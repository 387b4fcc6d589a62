// The rows that are not about messages a second: what a start takes after a kill, what an idle runtime costs, what a day writes to the disk.
import { fork } from "node:child_process";
import { once } from "node:events";
import { open, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { limits } from "../../src/base/limits.ts";
import type { Box, RunningRuntime } from "./contenders.ts";
import type { FillAnswer, Filled, FillOptions } from "./fill-state.ts";
import { usageOf } from "./process-usage.ts";

const DAY_SECONDS = 86_400;
const MIB = 2 ** 20;
const PAGE_BYTES = 4096;
const SYNCS = 500;
/** The load connects and everything is compiled. */
const SETTLE_MS = 4000;
/** Checkpoints that a day has at least: one an hour. */
const CHECKPOINTS_A_DAY_MIN = 24;

/** What the disk takes to make 100 bytes durable in a file written before, milliseconds: below it no prediction can be, in strict mode. */
export interface SyncRow {
  readonly p50: number;
  readonly p99: number;
}

export async function measureSync(folder: string): Promise<SyncRow> {
  const path = join(folder, "sync");
  await writeFile(path, new Uint8Array(MIB), { flush: true });
  const file = await open(path, "r+");
  const bytes = new Uint8Array(100).fill(1);
  const times: number[] = [];
  for (let i = 0; i < SYNCS; i++) {
    const from = performance.now();
    await file.write(bytes, 0, bytes.length, i * bytes.length);
    await file.datasync();
    times.push(performance.now() - from);
  }
  await file.close();
  const rising = times.toSorted((a, b) => a - b);
  return { p50: rising[SYNCS >> 1]!, p99: rising[Math.floor(SYNCS * 0.99)]! };
}

export interface RecoveryRow extends Filled {
  readonly streams: number;
  readonly readingsPerMessage: number;
  readonly checkpointBytes: number;
  /** From the start of the process until the broker has granted the subscription. */
  readonly startMs: number;
  /** Processor time until then: what it would be with a core of its own and an instant disk. */
  readonly startCpuMs: number;
  /** Of that, reading checkpoint and journal and repeating the steps. */
  readonly recoveryMs: number;
}

async function fillState(options: FillOptions): Promise<Filled> {
  const child = fork(join(dirname(fileURLToPath(import.meta.url)), "fill-state.js"), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  child.send(options);
  const gone = once(child, "exit").then((): FillAnswer => ({ failed: "the process that fills the state ended" }));
  const answer = await Promise.race([once(child, "message").then(([message]) => message as FillAnswer), gone]);
  await gone;
  if ("failed" in answer) throw new Error(answer.failed);
  return answer.filled;
}

/** Starts after a kill: `streams` streams, and a journal behind their checkpoint, of messages of so many readings. */
export async function measureRecovery(box: Box, streams: number, readings: number): Promise<RecoveryRow> {
  await box.renewBroker();
  const state = box.newState();
  const filled = await fillState({
    config: box.writeConfig(state),
    features: box.features,
    streams,
    readings,
    journalBytes: limits.segmentBytes - MIB / 4,
  });
  const checkpointBytes = box.checkpointBytes(state);
  const runtime = await box.runtime(state);
  const startCpuMs = usageOf(runtime.pid).cpuMs;
  const { startMs, recoveryMs } = runtime;
  const { streams: found, metrics } = await runtime.status();
  await runtime.stop();
  box.removeState(state);
  if (found !== streams || metrics["replay_mismatch"] !== 0) throw new Error(`${found} streams recovered, with mismatches`);
  return { streams, readingsPerMessage: readings, ...filled, checkpointBytes, startMs, startCpuMs, recoveryMs };
}

export interface IdleRow {
  readonly streams: number;
  /** Of one core. */
  readonly cpuShare: number;
  readonly rssBytes: number;
}

export interface DayPlan {
  readonly streams: number;
  /** Readings of each stream. */
  readonly perSecond: number;
  readonly lingerMs: number;
}

/** One reading a message, at the rate assumed in the plan. */
export interface DailyRow extends DayPlan {
  /** What the runtime writes. */
  readonly journalGb: number;
  readonly checkpointGb: number;
  readonly checkpoints: number;
  /** What the journal's writes come to in whole pages: each touches one more than it fills, on average. */
  readonly journalPagesGb: number;
  readonly rssBytes: number;
}

interface Sample {
  readonly atMs: number;
  readonly metrics: Readonly<Record<string, number>>;
}

async function sample(runtime: RunningRuntime): Promise<Sample> {
  const { metrics } = await runtime.status();
  return { atMs: performance.now(), metrics };
}

/** What a day of such streams writes, from `measureMs` of it; and what the idle runtime costs after. */
export async function measureDay(box: Box, plan: DayPlan, measureMs: number): Promise<{ day: DailyRow; idle: IdleRow }> {
  const { streams, perSecond, lingerMs } = plan;
  await box.renewBroker();
  const state = box.newState();
  const runtime = await box.runtime(state, `mode: strict, linger: ${lingerMs}ms`);
  const settleMs = SETTLE_MS + 1000 / perSecond;
  const load = box.load(
    {
      streams,
      readings: 1,
      predictions: runtime.predictions,
      pace: { perSecond: streams * perSecond },
      // Every stream has sent something by then.
      warmMs: settleMs,
      measureMs: measureMs + 1000,
    },
    runtime,
  );
  await sleep(settleMs);
  const from = await sample(runtime);
  await sleep(measureMs);
  const to = await sample(runtime);
  await load;
  await sleep(1000);
  const [busy, idleFrom] = [usageOf(runtime.pid), performance.now()];
  await sleep(measureMs);
  const idleCpuMs = usageOf(runtime.pid).cpuMs - busy.cpuMs;
  const idle = { streams, cpuShare: idleCpuMs / (performance.now() - idleFrom), rssBytes: busy.rssBytes };
  await runtime.stop();
  const size = box.checkpointBytes(state);
  box.removeState(state);
  return { day: dayOf({ plan, from, to, size, rssBytes: busy.rssBytesHighest }), idle };
}

function dayOf(found: {
  readonly plan: DayPlan;
  readonly from: Sample;
  readonly to: Sample;
  readonly size: number;
  readonly rssBytes: number;
}): DailyRow {
  const { plan, from, to, size, rssBytes } = found;
  const counted = (name: string): number => (to.metrics[name] ?? 0) - (from.metrics[name] ?? 0);
  const perDay = DAY_SECONDS / ((to.atMs - from.atMs) / 1000);
  const journalBytes = counted("journal_bytes_written") * perDay;
  const pages = journalBytes + counted("journal_writes") * PAGE_BYTES * perDay;
  // As the checkpointer decides: by the journal's size, by the time of a replay, by the hour.
  const events = counted("readings_accepted");
  const replayMsPerEvent = to.metrics["replay_ms_per_event"] ?? 0;
  const checkpoints = Math.max(
    CHECKPOINTS_A_DAY_MIN,
    journalBytes / Math.max(limits.checkpointAfterBytes, 4 * size),
    (events * perDay * replayMsPerEvent) / limits.replayMsMax,
  );
  return {
    ...plan,
    journalGb: journalBytes / 1e9,
    checkpointGb: (checkpoints * size) / 1e9,
    checkpoints: Math.round(checkpoints),
    journalPagesGb: pages / 1e9,
    rssBytes,
  };
}
