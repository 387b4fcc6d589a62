// Damages state directories and recovers them. What is recovered must be the fold of a prefix of the accepted events, bit for bit, and
// where whole blocks prove that more was once durable it must be told; or the start is refused and nothing is written.
import { HiddenstateError } from "../../src/base/errors.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { BlockBuffer, decodeSegmentHeader } from "../../src/journal/segment.ts";
import { StateDirectory } from "../../src/runtime/state-directory.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { model } from "../support/one-group.ts";
import { BLOCK_BYTES_MAX, digestOf, makeWorld, SEGMENT_BYTES } from "./damaged-world.ts";
import type { World } from "./damaged-world.ts";

export const damageKinds = [
  "flip",
  "garbage",
  "zero",
  "truncate",
  "duplicate",
  "swapBlocks",
  "swapFiles",
  "copyFile",
  "remove",
  "older",
  "olderAll",
] as const;
export type DamageKind = (typeof damageKinds)[number];

export interface CorruptReport {
  cases: number;
  /** All events there, and nothing said. */
  whole: number;
  /** Fewer events, and it was said. */
  told: number;
  /** Fewer events at the end, and nothing left that could prove it. */
  cutOff: number;
  /** Begun anew beside what was set aside. */
  begunAnew: number;
  refused: number;
  /** Events lost in the worst case that nothing could prove. */
  cutOffEventsMax: number;
  /** What must not happen: one text a case. */
  readonly wrong: string[];
}

type Files = Map<string, Uint8Array>;

function isStateFile(path: string): boolean {
  return /\/(segment-\d+|checkpoint-[ab])$/.test(path);
}

/** A place to damage: mostly where something stands. */
function placeIn(bytes: Uint8Array, random: Random): number {
  const chance = random.next();
  if (chance < 0.15) return Math.floor(random.next() * Math.min(32, bytes.length));
  if (chance < 0.2) return Math.min(bytes.length - 1, 2048 + Math.floor(random.next() * 32));
  let used = bytes.length;
  if (chance < 0.9) while (used > 1 && bytes[used - 1] === 0) used--;
  const start = chance < 0.8 && used > 4096 ? 4096 : 0;
  return start + Math.floor(random.next() * (used - start));
}

class Damage {
  readonly #world: World;
  readonly #random: Random;
  readonly files: Files;
  readonly done: string[] = [];

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
    this.files = new Map(world.files);
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#random.uint32() % of.length]!;
  }

  #path(): string {
    return this.#one([...this.files.keys()].filter(isStateFile));
  }

  /** A copy of the file to write to. */
  #open(path: string): Uint8Array {
    const bytes = this.files.get(path)!.slice();
    this.files.set(path, bytes);
    return bytes;
  }

  #overwrite(kind: "flip" | "garbage" | "zero"): void {
    const path = this.#path();
    const bytes = this.#open(path);
    if (bytes.length === 0) return;
    const at = placeIn(bytes, this.#random);
    const length = kind === "flip" ? 1 : 2 ** Math.floor(this.#random.next() * 14);
    for (let i = at; i < Math.min(at + length, bytes.length); i++) {
      if (kind === "zero") bytes[i] = 0;
      else bytes[i]! ^= kind === "flip" ? 1 << (this.#random.uint32() % 8) : this.#random.uint32();
    }
    this.done.push(`${kind} ${path} ${at} ${length}`);
  }

  #truncate(): void {
    const path = this.#path();
    const bytes = this.files.get(path)!;
    const length = this.#random.next() < 0.2 ? 0 : bytes.length === 0 ? 0 : placeIn(bytes, this.#random);
    this.files.set(path, bytes.slice(0, length));
    this.done.push(`truncate ${path} ${length}`);
  }

  /** A whole block written over another place, of this file or another. */
  #duplicate(): void {
    const [from, to] = [this.#one(this.#world.blocks), this.#one(this.#world.blocks)];
    const source = this.files.get(from.path)?.slice(from.offset, from.offset + from.bytes);
    if (source === undefined || !this.files.has(to.path)) return;
    const target = this.#open(to.path);
    if (to.offset >= target.length) return;
    target.set(source.subarray(0, target.length - to.offset), to.offset);
    this.done.push(`duplicate ${from.path} ${from.offset} over ${to.path} ${to.offset}`);
  }

  #swapBlocks(): void {
    const [a, b] = [this.#one(this.#world.blocks), this.#one(this.#world.blocks)];
    if (!this.files.has(a.path) || !this.files.has(b.path) || a === b) return;
    const [first, second] = [a, b].map(({ path, offset, bytes }) => this.files.get(path)!.slice(offset, offset + bytes));
    for (const [place, bytes] of [
      [a, second],
      [b, first],
    ] as const) {
      const target = this.#open(place.path);
      if (place.offset < target.length) target.set(bytes!.subarray(0, target.length - place.offset), place.offset);
    }
    this.done.push(`swapBlocks ${a.path} ${a.offset} and ${b.path} ${b.offset}`);
  }

  #swapFiles(isCopy: boolean): void {
    const [a, b] = [this.#path(), this.#path()];
    const [first, second] = [this.files.get(a)!, this.files.get(b)!];
    this.files.set(b, first);
    if (!isCopy) this.files.set(a, second);
    this.done.push(`${isCopy ? "copyFile" : "swapFiles"} ${a} ${b}`);
  }

  #older(): void {
    if (this.#world.older.length === 0) return;
    const [path, bytes] = this.#one(this.#world.older);
    const target = this.#random.next() < 0.3 ? this.#path() : path;
    this.files.set(target, bytes);
    this.done.push(`older ${path} to ${target}`);
  }

  /** Some of the files as they were at one time: a restored copy, or a disk that had stopped writing. */
  #olderAll(): void {
    if (this.#world.older.length === 0) return;
    const start = this.#random.uint32() % this.#world.older.length;
    for (const [path, bytes] of this.#world.older.slice(start, start + 1 + (this.#random.uint32() % 6)))
      this.files.set(path, bytes);
    this.done.push(`olderAll from ${start}`);
  }

  make(kind: DamageKind): void {
    if (![...this.files.keys()].some(isStateFile)) return;
    switch (kind) {
      case "flip":
      case "garbage":
      case "zero":
        return this.#overwrite(kind);
      case "truncate":
        return this.#truncate();
      case "duplicate":
        return this.#duplicate();
      case "swapBlocks":
        return this.#swapBlocks();
      case "swapFiles":
      case "copyFile":
        return this.#swapFiles(kind === "copyFile");
      case "older":
        return this.#older();
      case "olderAll":
        return this.#olderAll();
      case "remove": {
        const path = this.#path();
        this.files.delete(path);
        this.done.push(`remove ${path}`);
      }
    }
  }
}

/**
 * Whether a block proves that events from `position` on were once durable: one that stands whole in its place, in a segment whose header
 * is its own or gone, and was written after they were.
 */
function isProvable(world: World, files: Files, position: number): boolean {
  return world.blocks.some((block) => {
    if (block.synced <= position) return false;
    const [now, then] = [files.get(block.path), world.files.get(block.path)!];
    if (now === undefined) return false;
    const end = block.offset + block.bytes;
    if (Buffer.compare(now.subarray(block.offset, end), then.subarray(block.offset, end)) !== 0) return false;
    const [headerNow, headerThen] = [decodeSegmentHeader(now), decodeSegmentHeader(then)];
    return typeof headerNow === "string" || typeof headerThen === "string" || headerNow.generation === headerThen.generation;
  });
}

/** Whether a segment in use is shorter than segments are, and its header still says which one it is. */
function isCutShort(world: World, files: Files): boolean {
  return [...new Set(world.blocks.map(({ path }) => path))].some((path) => {
    const [now, then] = [files.get(path), world.files.get(path)!];
    if (now === undefined || now.length >= SEGMENT_BYTES) return false;
    const [headerNow, headerThen] = [decodeSegmentHeader(now), decodeSegmentHeader(then)];
    return typeof headerNow !== "string" && typeof headerThen !== "string" && headerNow.generation === headerThen.generation;
  });
}

function directoryOn(disk: MemoryDisk): Parameters<typeof StateDirectory.recover>[0] {
  const sizes = { segmentBytes: SEGMENT_BYTES, blockBytesMax: BLOCK_BYTES_MAX, reserveBytes: 80 * 1024 };
  return { disk, directory: "/state", clock: new FakeClock(), random: createRandom(1), metrics: new Metrics(), ...sizes };
}

/** Whether the directory takes a next event, and gives it back after a power cut. */
async function goesOn(disk: MemoryDisk, state: StateDirectory, random: Random): Promise<string | undefined> {
  await state.begin();
  const block = new BlockBuffer();
  block.add({ kind: "notice", topic: "after", payload: new Uint8Array(3) });
  await state.journal.append(block);
  await state.journal.sync();
  const [digest, position] = [digestOf(state.fold), state.journal.position];
  await state.close();
  disk.powerCut(random);
  const { state: again, recovered } = await StateDirectory.recover(directoryOn(disk), [model], "continue");
  if (recovered.damaged) return "the journal reads as damaged again";
  if (recovered.position !== position) return `it goes on at ${recovered.position}, not ${position}`;
  if (digestOf(again.fold) !== digest) return "what goes on is another state";
  await again.close();
  return undefined;
}

async function recoverOne(world: World, files: Files, random: Random, report: CorruptReport): Promise<string | undefined> {
  const disk = new MemoryDisk();
  for (const [path, bytes] of files) disk.put(path, bytes);
  const onDamage = random.next() < 0.3 ? "stop" : "continue";
  const writes: string[] = [];
  disk.intercept = (call) => {
    if (["write", "truncate", "rename", "remove", "datasync"].includes(call)) writes.push(call);
  };
  let opened: Awaited<ReturnType<typeof StateDirectory.recover>>;
  try {
    opened = await StateDirectory.recover(directoryOn(disk), [model], onDamage);
  } catch (thrown) {
    report.refused++;
    if (!(thrown instanceof HiddenstateError && thrown.code === "state_damaged")) throw thrown;
    if (onDamage === "continue") return `refused although it may continue: ${thrown.message}`;
    return writes.length > 0 ? `refused after ${writes.join(", ")}` : undefined;
  }
  const { state, recovered } = opened;
  const { position, damaged } = recovered;
  const isEmpty = state.fold.groups.length === 0;
  if (recovered.mismatches > 0) return `${recovered.mismatches} replayed outputs differ`;
  if (isEmpty ? position !== 0 : digestOf(state.fold) !== world.digests.get(position)) return `a wrong state at ${position}`;
  if (!damaged && isProvable(world, files, position)) return `events after ${position} are gone, and it is not told`;
  if (!damaged && position < world.position && isCutShort(world, files)) return `a segment is cut short, and it is not told`;
  if (isEmpty && damaged) report.begunAnew++;
  else if (damaged) report.told++;
  else if (position === world.position) report.whole++;
  else {
    report.cutOff++;
    report.cutOffEventsMax = Math.max(report.cutOffEventsMax, world.position - position);
  }
  if (onDamage === "stop" && damaged) return "damage does not stop the start";
  const wrong = random.next() < 0.2 ? await goesOn(disk, state, random) : undefined;
  await state.close();
  return wrong;
}

export interface CorruptOptions {
  readonly count: number;
  readonly seed: number;
  readonly write?: (line: string) => void;
}

const CASES_PER_WORLD = 250;

/** Recovers `count` damaged directories: a new one to damage every few hundred. */
export async function runCorruptions({ count, seed, write = () => {} }: CorruptOptions): Promise<CorruptReport> {
  const report: CorruptReport = {
    cases: 0,
    whole: 0,
    told: 0,
    cutOff: 0,
    begunAnew: 0,
    refused: 0,
    cutOffEventsMax: 0,
    wrong: [],
  };
  const chance = createRandom(seed);
  let world: World | undefined;
  for (; report.cases < count; report.cases++) {
    if (world === undefined || report.cases % CASES_PER_WORLD === 0)
      world = await makeWorld(chance.uint32(), 30 + (chance.uint32() % 60));
    const random = chance.fork();
    const damage = new Damage(world, random);
    const kinds = 1 + (random.next() < 0.3 ? random.uint32() % 3 : 0);
    for (let i = 0; i < kinds; i++) damage.make(damageKinds[random.uint32() % damageKinds.length]!);
    let wrong: string | undefined;
    try {
      wrong = await recoverOne(world, damage.files, random, report);
    } catch (thrown) {
      wrong = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    }
    if (wrong !== undefined) {
      report.wrong.push(`case ${report.cases} (${damage.done.join("; ")}): ${wrong}`);
      write(report.wrong.at(-1)!);
    }
    if (report.cases % 10_000 === 9999) write(`${report.cases + 1} cases, ${report.wrong.length} wrong`);
  }
  return report;
}
