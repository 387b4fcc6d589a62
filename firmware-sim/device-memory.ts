// What simulated devices keep while they are switched off: how often each has booted, and when their world began. On disk in one file,
// or nowhere, and then boot numbers come from the clock, as on devices without flash memory.
import { join } from "node:path";
import type { Clock } from "../src/base/clock.ts";
import { readWhole, replaceFile } from "../src/base/disk.ts";
import type { Disk } from "../src/base/disk.ts";
import { HiddenstateError } from "../src/base/errors.ts";

export interface DeviceMemory {
  /** When the devices' world began, in milliseconds since 1970: what they measure goes on while they are off. */
  readonly worldStartedAt: number;
  /** The next boot number of each named device, higher than all before, kept for good once this resolves. */
  nextBoots(names: readonly string[]): Promise<number[]>;
}

const FILE_NAME = "devices.json";
/** 2020-01-01. Seconds since then stay within 32 bits until 2156. */
const FIRST_BOOT_MS = Date.UTC(2020, 0, 1);

/** Boot numbers are the seconds since 2020 at which a device boots, or one more than its last. */
export function clockDeviceMemory(clock: Clock): DeviceMemory {
  const boots = new Map<string, number>();
  return {
    worldStartedAt: clock.wallMs(),
    nextBoots: (names) => {
      const fromClock = Math.max(1, Math.floor((clock.wallMs() - FIRST_BOOT_MS) / 1000));
      const next = names.map((name) => Math.max(fromClock, (boots.get(name) ?? 0) + 1));
      names.forEach((name, index) => boots.set(name, next[index]!));
      return Promise.resolve(next);
    },
  };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

interface Kept {
  readonly worldStartedAt: number;
  readonly boots: ReadonlyMap<string, number>;
}

function parseKept(text: string): Kept | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("worldStartedAt" in value) || !("boots" in value)) return undefined;
  const { worldStartedAt, boots } = value;
  if (!isCount(worldStartedAt) || typeof boots !== "object" || boots === null) return undefined;
  const entries: [string, unknown][] = Object.entries(boots);
  const counted = new Map<string, number>();
  for (const [name, boot] of entries) {
    if (!isCount(boot)) return undefined;
    counted.set(name, boot);
  }
  return { worldStartedAt, boots: counted };
}

/**
 * Boot numbers count 1, 2, 3 in a file of `folder`, which is made where it is absent. Throws `foreign_state` where the file is not one
 * of ours, and `disk_failed`.
 */
export async function openDeviceMemory(disk: Disk, folder: string, clock: Clock): Promise<DeviceMemory> {
  await disk.makeDirectory(folder);
  const path = join(folder, FILE_NAME);
  const bytes = await readWhole(disk, path);
  const kept =
    bytes === undefined
      ? { worldStartedAt: clock.wallMs(), boots: new Map<string, number>() }
      : parseKept(Buffer.from(bytes).toString());
  if (kept === undefined) {
    throw new HiddenstateError(
      "foreign_state",
      `cannot read ${path}: it does not hold boot counters; choose another folder or remove it`,
    );
  }
  const { worldStartedAt } = kept;
  const boots = new Map(kept.boots);
  let last: Promise<void> = Promise.resolve();
  return {
    worldStartedAt,
    async nextBoots(names) {
      const next = names.map((name) => (boots.get(name) ?? 0) + 1);
      names.forEach((name, index) => boots.set(name, next[index]!));
      const text = JSON.stringify({ worldStartedAt, boots: Object.fromEntries(boots) });
      // One write after the other: the last one holds all counters.
      last = last.then(() => replaceFile(disk, path, Buffer.from(text)));
      await last;
      return next;
    },
  };
}
