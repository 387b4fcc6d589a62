// The disk under the state directory: how long a sync takes, how much room there is, and how long a flash card would last.
import { dirname } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { systemCodeOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Config } from "../runtime/config-schema.ts";
import { bad, good, note } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { quantile } from "./spread.ts";

const PROBE_BYTES = 4096;
const SYNCS = 60;
const PROBE_MS_MAX = 5000;
const SLOW_SYNC_MS = 500;
/** A journalled reading with its outputs, about. */
const READING_BYTES = 100;
/** What a card is taken to stand: this many times its size, of which writing in small pieces uses up a multiple. */
const CARD_BYTES = 32e9;
const CARD_REWRITES = 1000;
const CARD_AMPLIFICATION = 10;
const ROOM_BYTES_MIN = limits.diskReserveBytes + 8 * limits.segmentBytes;
const DAY_SECONDS = 86_400;

/** The folder itself, or the nearest one above it that is there. */
export async function existing(disk: Disk, path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    try {
      await disk.freeBytes(at);
      return at;
    } catch (thrown) {
      if (systemCodeOf(thrown) !== "ENOENT" || dirname(at) === at) throw thrown;
    }
  }
}

/** Milliseconds that each of some writes of so many bytes and their syncs took, in rising order. What was written is removed. */
export async function measureSyncs(disk: Disk, clock: Clock, folder: string, byteCount = PROBE_BYTES): Promise<number[]> {
  const path = `${folder}/hiddenstate-${process.pid}.tmp`;
  const file = await disk.open(path, "create");
  const times: number[] = [];
  try {
    const bytes = new Uint8Array(byteCount).fill(0x5a);
    // The journal writes over segments that are there already.
    for (let i = 0; i <= SYNCS; i++) await file.write(bytes, i * byteCount);
    await file.datasync();
    const startedAtMs = clock.monotonicMs();
    for (let i = 0; i < SYNCS && clock.monotonicMs() - startedAtMs < PROBE_MS_MAX; i++) {
      const from = clock.monotonicMs();
      await file.write(bytes, i * byteCount);
      await file.datasync();
      times.push(clock.monotonicMs() - from);
    }
  } finally {
    await file.close();
    await disk.remove(path);
  }
  return times.toSorted((a, b) => a - b);
}

/** Bytes a day that the journal writes at `rate` readings a second: whole pages, at least one a sync. */
export function journalBytesPerDay(rate: number, lingerMs: number): number {
  const syncsPerSecond = lingerMs === 0 ? rate : Math.min(rate, 1000 / lingerMs);
  return DAY_SECONDS * Math.max(syncsPerSecond * PROBE_BYTES, rate * READING_BYTES);
}

function wearFinding(rate: number, lingerMs: number, onCard: boolean): Finding {
  const perDay = journalBytesPerDay(rate, lingerMs);
  const years = (CARD_BYTES * CARD_REWRITES) / CARD_AMPLIFICATION / perDay / 365;
  const figures = { journalBytesPerDay: perDay, cardYears: years };
  const text = `at ${rate} readings/s the journal writes ${(perDay / 1e9).toFixed(1)} GB a day`;
  if (!onCard) return good("wear", `${text}, and the state does not lie on an SD card`, figures);
  const life = `a card of 32 GB that stands ${CARD_REWRITES} rewrites lasts about ${years.toFixed(years < 10 ? 1 : 0)} years, if small writes cost it ten times their size`;
  const advice = "a longer durability.linger writes less often; a USB disk lasts longer; keep a spare card";
  return years < 2 ? bad("wear", `${text}: ${life}`, advice, figures) : note("wear", `${text}: ${life}`, advice, figures);
}

/** `rate`: readings a second that are expected in all. */
export async function examineDisk(config: Config, disk: Disk, clock: Clock, rate: number): Promise<Finding[]> {
  const folder = await existing(disk, config.state);
  const onCard = await disk.isFlashCard(folder);
  const findings: Finding[] = [];
  const free = await disk.freeBytes(folder);
  const room = `${(free / 1e9).toFixed(1)} GB are free under ${folder}`;
  if (free >= ROOM_BYTES_MIN) findings.push(good("room", room, { freeBytes: free }));
  else
    findings.push(
      bad("room", room, "readings wait when the disk is full: make room, or put the state elsewhere", { freeBytes: free }),
    );
  let times: number[];
  try {
    times = await measureSyncs(disk, clock, folder);
  } catch (thrown) {
    const code = systemCodeOf(thrown);
    if (code !== "EACCES" && code !== "EROFS" && code !== "EPERM") throw thrown;
    return [
      ...findings,
      bad("sync", `nothing can be written in ${folder}`, "give the directory to the user that runs hiddenstate"),
    ];
  }
  const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)];
  const figures = { syncMsP50: p50, syncMsP99: p99 };
  const text = `a write and a sync take ${p50.toFixed(1)} ms, one in a hundred ${p99.toFixed(0)} ms`;
  findings.push(
    p99 < SLOW_SYNC_MS
      ? good("sync", text, figures)
      : note("sync", text, "predictions come that much later; a USB disk is faster", figures),
  );
  return [...findings, wearFinding(rate, config.durability.linger ?? (onCard ? limits.cardLingerMs : 0), onCard)];
}
