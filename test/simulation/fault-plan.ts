// Which faults a seed has, and how large everything is in it: swarm testing, in which each seed switches classes of faults on and off
// and turns every knob, finds what no single mixture does.
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import type { DurabilityMode } from "../../src/pipeline/durability.ts";
import type { GapPolicy, MissingPolicy, SwitchPolicy } from "../../src/pipeline/settings.ts";

export const faultClasses = [
  "kill",
  "power",
  "tornWrites",
  "bitFlips",
  "diskFull",
  "syncError",
  "writeError",
  "slowDisk",
  "shortOperations",
  "rot",
  "cuts",
  "sessionLoss",
  "queueDrop",
  "wideWindow",
  "lowestIds",
  "dupFlags",
  "ackDisorder",
  "reboots",
  "lostCounters",
  "duplicates",
  "gaps",
  "lateness",
  "badPayloads",
  "missingValues",
  "clockJumps",
  "configChanges",
  "spoiledCheckpoints",
  "refusals",
  "rateLimits",
  "expiry",
  "renames",
  "switches",
  "updates",
] as const;
export type FaultClass = (typeof faultClasses)[number];

/** After which a lower boot is believed. */
export const BOOT_SILENCE_MS = 20_000;
/** The wall clock has been set where it is off by so much. */
export const CLOCK_JUMP_MS = 1;

const SMALL_OUTBOX_BYTES = 1500;

export interface GroupPlan {
  readonly gap: GapPolicy;
  readonly missing: MissingPolicy;
  readonly holdReadingsMax: number;
  readonly codec: "json" | "protobuf";
  readonly format: "json" | "protobuf";
  readonly latest: boolean;
  readonly reorder: { readonly readings: number; readonly withinMs: number } | undefined;
  /** In force where the seed has rate limits. */
  readonly rate: { readonly perSecond: number; readonly burst: number };
  /** Values are held by time, and readings that lack some are kept; the same over all lives. */
  readonly holdMs: number | undefined;
  /** Then only a reading that brings the last feature is a step. */
  readonly stepsOnLast: boolean;
  /** The same over all lives: what streams remember of their readings depends on it. */
  readonly switch: SwitchPolicy;
  /** The variant of its model that the config names. */
  readonly model: number;
}

/** A variant of a group's model that may follow any other under its policy. */
export function drawModel(random: Random, policy: SwitchPolicy): number {
  return random.uint32() % (policy === "carry" ? 2 : 3);
}

export interface Plan {
  readonly seed: number;
  readonly faults: ReadonlySet<FaultClass>;
  readonly mode: DurabilityMode;
  readonly lingerMs: number;
  /** Of the first life; another with every start where the config changes. */
  readonly groups: readonly GroupPlan[];
  readonly segmentBytes: number;
  readonly blockBytesMax: number;
  readonly reserveBytes: number;
  readonly outboxBytesMax: number;
  readonly unsettledMessagesMax: number;
  readonly publishWindowMax: number;
  readonly streamsMax: number;
  /** In force where the seed has expiry. */
  readonly expiryMs: number;
  readonly expiryCheckMs: number;
  readonly bytesPerSecond: number;
  readonly devices: number;
  readonly messages: number;
  readonly batchMax: number;
  readonly intervalMs: number;
  readonly commands: number;
  /** Between two checkpoints that are asked for, about; those of the runtime's own come on top. */
  readonly checkpointMs: number;
  readonly checkpointAfterBytes: number;
  readonly crashMs: number;
  readonly switchMs: number;
  readonly cutMs: number;
  readonly brokerWindow: number;
  readonly brokerReceiveMax: number;
  readonly diskMs: number;
  readonly networkMs: number;
}

/** About 2^(low..high), evenly in the exponent. */
function around(random: Random, low: number, high: number): number {
  return 2 ** (low + (high - low) * random.next());
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.uint32() % values.length]!;
}

export function groupPlan(random: Random, bigOutbox: boolean): GroupPlan {
  const gap = pick<GapPolicy>(random, [{ policy: "carry" }, { policy: "reset" }, { policy: "decay", tauMs: 1500 }]);
  const reorder = bigOutbox && random.next() < 0.3;
  return {
    gap,
    missing: pick(random, ["hold", "mean", "refuse"]),
    holdReadingsMax: 1 + (random.uint32() % 4),
    codec: pick(random, ["json", "protobuf"]),
    format: pick(random, ["json", "protobuf"]),
    latest: random.next() < 0.2,
    rate: { perSecond: around(random, 3, 9), burst: 1 + (random.uint32() % 12) },
    switch: pick(random, ["replay", "replay", "carry", "reset"]),
    model: 0,
    reorder: reorder ? { readings: 1 + (random.uint32() % 5), withinMs: Math.round(around(random, 7, 12)) } : undefined,
    holdMs: undefined,
    stepsOnLast: false,
  };
}

/** Rates and silences are those of whoever takes messages: where an outbox may hold them up, they follow from what it does. */
export function hasRateLimits({ faults, outboxBytesMax }: Plan): boolean {
  return faults.has("rateLimits") && outboxBytesMax > SMALL_OUTBOX_BYTES;
}

export function hasExpiry({ faults, outboxBytesMax }: Plan): boolean {
  return faults.has("expiry") && outboxBytesMax > SMALL_OUTBOX_BYTES;
}

/** The group with what stays the same over all lives. */
function holding(group: GroupPlan, random: Random): GroupPlan {
  const holdMs = random.next() < 0.3 ? Math.round(around(random, 9, 13)) : undefined;
  return { ...group, holdMs, stepsOnLast: random.next() < 0.3 };
}

/** `without`: classes that are left off although the seed has them; nothing else changes. */
export function planOf(seed: number, without: ReadonlySet<FaultClass> = new Set()): Plan {
  const random = createRandom(seed);
  // Of their own: what else a seed draws stays as it was.
  const holds = createRandom(seed).fork();
  const share = [0.15, 0.35, 0.6][random.uint32() % 3]!;
  const hasUpdates = createRandom(seed ^ 0x0a1d).next() < share;
  const drawn = faultClasses.filter((name) => (name === "updates" ? hasUpdates : random.next() < share));
  const faults = new Set(drawn.filter((name) => !without.has(name)));
  const smallOutbox = random.next() < 0.2;
  const blockBytesMax = 4096 * (1 + (random.uint32() % 3));
  return {
    seed,
    faults,
    mode: pick(random, ["strict", "strict", "strict", "relaxed", "volatile"]),
    lingerMs: random.next() < 0.3 ? Math.round(around(random, 2, 8)) : 0,
    groups: Array.from({ length: random.next() < 0.3 ? 2 : 1 }, () => groupPlan(random, !smallOutbox)).map((group) =>
      holding(group, holds),
    ),
    segmentBytes: 4096 + blockBytesMax * (1 + (random.uint32() % 3)),
    blockBytesMax,
    reserveBytes: 16_384,
    outboxBytesMax: smallOutbox ? SMALL_OUTBOX_BYTES : 1024 * 1024,
    unsettledMessagesMax: Math.round(around(random, 1, 6)),
    publishWindowMax: Math.round(around(random, 0, 6)),
    streamsMax: random.next() < 0.1 ? 2 : 100,
    expiryMs: Math.round(around(random, 9, 12)),
    expiryCheckMs: Math.round(around(random, 7, 10)),
    bytesPerSecond: random.next() < 0.3 ? Math.round(around(random, 12, 16)) : Infinity,
    devices: 1 + (random.uint32() % 5),
    messages: Math.round(around(random, 4, 7.33)),
    batchMax: pick(random, [1, 2, 4, 8]),
    intervalMs: around(random, 3, 9),
    commands: random.next() < 0.4 ? 1 + (random.uint32() % 5) : 0,
    checkpointMs: random.next() < 0.7 ? around(random, 8, 13) : Infinity,
    checkpointAfterBytes: random.next() < 0.5 ? Math.round(around(random, 11, 14)) : 2 ** 24,
    crashMs: around(random, 9, 13),
    switchMs: around(random, 7, 12),
    cutMs: around(random, 7, 12),
    brokerWindow: Math.round(around(random, 0, 6)),
    brokerReceiveMax: Math.round(around(random, 0, 5)),
    diskMs: around(random, -4, 3),
    networkMs: around(random, -2, 4),
  };
}
