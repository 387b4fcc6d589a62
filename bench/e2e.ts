// The durable path's speed, from a publisher over mosquitto through this runtime and back over mosquitto to a subscriber, beside the version
// that people write themselves and mosquitto's own client: npm run bench:e2e -- [--json] [--quick] [--rounds 3] [--seconds 8]
// [--folder /tmp] [--only saturation,latency,recovery,day] [--cpu-prof folder]. The folder must lie on a real disk. bench/README.md says
// how each row is taken.
import { cpus, tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { randomModel } from "../test/support/random-model.ts";
import { Box } from "./e2e/contenders.ts";
import { measureDay, measureRecovery, measureSync } from "./e2e/disk-rows.ts";
import type { DailyRow, IdleRow, RecoveryRow, SyncRow } from "./e2e/disk-rows.ts";
import { medianRow, race, STREAMS } from "./e2e/message-rows.ts";
import type { MessageRow, Times } from "./e2e/message-rows.ts";
import { median } from "./median.ts";
import { printReport } from "./e2e/print-report.ts";

const BATCH = 32;
const HIDDEN = 32;
const FEATURES = 8;
const RECOVERED_STREAMS = 100_000;
const CARD_LINGER_MS = 250;
const RATES = [1000, 5000];

export interface Saturation {
  readonly one: Record<"ours" | "homeMade" | "client", MessageRow>;
  readonly batch: Record<"ours" | "homeMade" | "homeMadeOneCall" | "client", MessageRow>;
  /** Ours over the home-made version's readings/s, one a message and 32 a message: medians of the ratios of each round. */
  readonly ratioOne: number;
  readonly ratioBatch: number;
  /** Ours over what mosquitto's C client receives, 32 a message. */
  readonly shareOfClient: number;
}

export interface LatencyRow {
  readonly messagesPerSecond: number;
  readonly ours: MessageRow;
  readonly homeMade: MessageRow;
}

export interface E2eReport extends Partial<Saturation> {
  readonly model: string;
  readonly streams: number;
  readonly processor: string;
  readonly cores: number;
  readonly node: string;
  /** Of the disk by itself, before and after the messages. */
  readonly sync: SyncRow[];
  readonly latency?: LatencyRow[];
  readonly recovery?: RecoveryRow[];
  readonly day?: DailyRow[];
  readonly idle?: IdleRow[];
}

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    seconds: { type: "string" },
    folder: { type: "string", default: tmpdir() },
    only: { type: "string", default: "saturation,latency,recovery,day" },
    "cpu-prof": { type: "string" },
  },
});
const only = new Set(values.only.split(","));
const times: Times = {
  rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
  warmMs: values.quick ? 1500 : 4000,
  measureMs: 1000 * Number(values.seconds ?? (values.quick ? 2.5 : 8)),
};

const tell = (line: string): void => console.error(line);

/** The median of the ratios of the same round, for the machine's pace changes between rounds. */
function ratio(ours: readonly MessageRow[], theirs: readonly MessageRow[]): number {
  return median(ours.map((row, round) => row.readingsPerSecond / theirs[round]!.readingsPerSecond));
}

async function measureSaturation(box: Box): Promise<Saturation> {
  tell("saturation, one reading a message");
  const one = await race(box, ["ours", "homeMade", "client"], 1, times);
  tell(`saturation, ${BATCH} readings a message`);
  const batch = await race(box, ["ours", "homeMade", "homeMadeOneCall", "client"], BATCH, times);
  return {
    one: { ours: medianRow(one.ours), homeMade: medianRow(one.homeMade), client: medianRow(one.client) },
    batch: {
      ours: medianRow(batch.ours),
      homeMade: medianRow(batch.homeMade),
      homeMadeOneCall: medianRow(batch.homeMadeOneCall),
      client: medianRow(batch.client),
    },
    ratioOne: ratio(one.ours, one.homeMade),
    ratioBatch: ratio(batch.ours, batch.homeMade),
    shareOfClient: ratio(batch.ours, batch.client),
  };
}

async function measureLatency(box: Box): Promise<LatencyRow[]> {
  const rows: LatencyRow[] = [];
  for (const perSecond of RATES) {
    tell(`latency at ${perSecond} messages/s`);
    const { ours, homeMade } = await race(box, ["ours", "homeMade"], 1, times, perSecond);
    rows.push({ messagesPerSecond: perSecond, ours: medianRow(ours), homeMade: medianRow(homeMade) });
  }
  return rows;
}

async function measureRecoveries(box: Box): Promise<RecoveryRow[]> {
  const rows: RecoveryRow[] = [];
  for (const readings of values.quick ? [BATCH] : [BATCH, 1]) {
    tell(`recovery of ${RECOVERED_STREAMS} streams, ${readings} a message`);
    rows.push(await measureRecovery(box, RECOVERED_STREAMS, readings));
  }
  return rows;
}

async function measureDays(box: Box): Promise<{ day: DailyRow[]; idle: IdleRow[] }> {
  const [day, idle]: [DailyRow[], IdleRow[]] = [[], []];
  // Streams, readings a second of each, linger.
  const plans = [
    [20, 1, 0],
    [1000, 1, 0],
    [10_000, 1, 0],
    [10_000, 0.1, 0],
    [20, 1, CARD_LINGER_MS],
    [1000, 1, CARD_LINGER_MS],
    [10_000, 1, CARD_LINGER_MS],
  ] as const;
  for (const [streams, perSecond, lingerMs] of values.quick ? plans.slice(2, 4) : plans) {
    tell(`a day of ${streams} streams at ${perSecond}/s each, linger ${lingerMs} ms`);
    const found = await measureDay(box, { streams, perSecond, lingerMs }, times.measureMs);
    day.push(found.day);
    idle.push(found.idle);
  }
  return { day, idle };
}

async function measure(): Promise<E2eReport> {
  const model = randomModel({ features: FEATURES, outputs: 1, hidden: [HIDDEN], cells: ["gru"] });
  const box = await Box.open({ parent: values.folder, model, profileFolder: values["cpu-prof"] });
  try {
    const before = await measureSync(box.folder);
    const rows = {
      model: `${model.spec.layers[0]!.cell}, H = ${HIDDEN}, ${FEATURES} features, 1 output`,
      streams: STREAMS,
      processor: cpus()[0]?.model ?? "unknown",
      cores: cpus().length,
      node: process.version,
      ...(only.has("saturation") ? await measureSaturation(box) : {}),
      ...(only.has("latency") ? { latency: await measureLatency(box) } : {}),
    };
    return {
      ...rows,
      sync: [before, await measureSync(box.folder)],
      ...(only.has("recovery") ? { recovery: await measureRecoveries(box) } : {}),
      ...(only.has("day") ? await measureDays(box) : {}),
    };
  } finally {
    await box.close();
  }
}

const report = await measure();
if (values.json) console.log(JSON.stringify(report));
else printReport(report);
