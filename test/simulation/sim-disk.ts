// The disk of a box: every call takes its time, may fall short or fail, and what is under way when the process dies is done wholly, in
// part or not at all. What it holds is a DiskImage, which outlives the processes.
import type { Disk, DiskFile, OpenMode } from "../../src/base/disk.ts";
import type { Random } from "../../src/base/random.ts";
import { checkpointNames } from "../../src/journal/checkpoint-file.ts";
import { DiskImage } from "../support/disk-image.ts";
import type { Inode } from "../support/disk-image.ts";
import type { Plan } from "./fault-plan.ts";
import type { Trace } from "./trace.ts";
import type { Life, VirtualClock } from "./virtual-clock.ts";

const FAULT_SHARE = 0.004;
/** Of the syncs of checkpoints, which are few. */
const CHECKPOINT_FAULT_SHARE = 0.06;
const SEGMENT = /^\/state\/journal\/segment-\d+$/;
/** Of a process, to segments: they follow what a crash has left. */
const TENSE_WRITES = 3;
const CHECKPOINT = /^\/state\/journal\/checkpoint-[ab]$/;
const SLOW_SHARE = 0.02;
const SLOW_MS = 2000;

interface UnderWay {
  readonly inode: Inode;
  readonly bytes: Uint8Array;
  readonly position: number;
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** Whether page cache and disk are the same: elsewhere damage may heal by itself. */
function isOnDisk({ pending, isForgotten }: Inode): boolean {
  return pending.length === 0 && !isForgotten;
}

export class SimDisk {
  readonly image = new DiskImage();
  readonly #time: VirtualClock;
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #trace: Trace;
  #writes = new Set<UnderWay>();
  /** No fault comes by itself any more. */
  calm = false;
  /** Calls that failed by the plan. */
  failures = 0;
  /** Checkpoints that have been written to their end and are whole. */
  readonly #whole = new Set<string>();
  /** A checkpoint is about to be written over, or a process writes to the journal for the first times. */
  onTenseMoment: () => void = () => {};
  /** A checkpoint's file has been emptied, not durably; gets the path of the other one. */
  onCheckpointEmptied: (other: string) => void = () => {};

  constructor(time: VirtualClock, plan: Plan, random: Random, trace: Trace) {
    this.#time = time;
    this.#plan = plan;
    this.#random = random;
    this.#trace = trace;
  }

  /** The process is gone. What it was writing is there in part; with the power gone, so is what was not synced. */
  crash(powerCut: boolean): void {
    const random = this.#random;
    for (const { inode, bytes, position } of this.#writes) {
      const kept = random.next() < 0.5 ? 0 : Math.floor(random.next() * (bytes.length + 1));
      const isInside = position + kept <= inode.now.length || this.image.capacityBytes === Infinity;
      if (kept > 0 && isInside) this.image.write(inode, bytes.subarray(0, kept), position);
    }
    this.#writes.clear();
    if (powerCut) {
      const { faults } = this.#plan;
      this.image.powerCut(random, { tears: faults.has("tornWrites"), flips: faults.has("bitFlips") });
    } else this.image.evictForgotten(random);
  }

  /** Some durable byte of the journal's folder, or of one file of it, changes by itself. Returns whether there was one. */
  rot(within = "/state/journal/"): boolean {
    const paths = this.image.paths.filter((path) => path.startsWith(within));
    const inode = paths.length === 0 ? undefined : this.image.find(paths[this.#random.uint32() % paths.length]!);
    if (inode === undefined || !isOnDisk(inode)) return false;
    // Most of a file may be the zeros that it was made of.
    const written = inode.now.findLastIndex((byte) => byte !== 0) + 1;
    if (written === 0) return false;
    const at = this.#random.uint32() % written;
    inode.now[at]! ^= 1 << (this.#random.uint32() & 7);
    if (at < inode.durable.length) inode.durable[at] = inode.now[at]!;
    return true;
  }

  /**
   * A bit of the newer or the older checkpoint changes by itself, where both are whole. Returns whether that was so: then nothing may be
   * lost by it.
   */
  spoilCheckpoint(): boolean {
    const paths = [...this.#whole].filter((whole) => {
      const inode = this.image.find(whole);
      return inode !== undefined && inode.durable.length > 0 && isOnDisk(inode);
    });
    if (paths.length < 2) return false;
    const path = paths[this.#random.uint32() % 2]!;
    const inode = this.image.find(path)!;
    const at = this.#random.uint32() % inode.durable.length;
    inode.durable[at]! ^= 1 << (this.#random.uint32() & 7);
    inode.now[at] = inode.durable[at]!;
    this.#whole.delete(path);
    return true;
  }

  /** As one process sees it. */
  of(life: Life): Disk {
    const run = <T>(call: string, path: string, work: () => T): Promise<T> => this.#call(life, call, path, work);
    const { image } = this;
    const tense = { left: TENSE_WRITES };
    return {
      open: (path, mode: OpenMode) =>
        run("open", path, () => {
          if (mode === "create" && CHECKPOINT.test(path)) this.#beginCheckpoint(path);
          return this.#file(life, image.open(path, mode === "create"), path, tense);
        }),
      list: (path) => run("list", path, () => image.list(path)),
      makeDirectory: (path) => run("makeDirectory", path, () => image.makeFolder(path)),
      rename: (from, to) => run("rename", from, () => image.rename(from, to)),
      remove: (path) => run("remove", path, () => image.remove(path)),
      syncDirectory: (path) => run("syncDirectory", path, () => image.syncFolder(path)),
      isFlashCard: async () => false,
      freeBytes: (path) => run("freeBytes", path, () => image.freeBytes),
    };
  }

  #beginCheckpoint(path: string): void {
    this.#whole.delete(path);
    this.onTenseMoment();
  }

  #file(life: Life, inode: Inode, path: string, tense: { left: number }): DiskFile {
    const { image } = this;
    const run = <T>(call: string, work: () => T): Promise<T> => this.#call(life, call, path, work);
    return {
      read: (into, position) =>
        run("read", () => {
          const from = inode.now.subarray(position, position + this.#shortened(into.length));
          into.set(from);
          return from.length;
        }),
      write: (from, position) => {
        if (tense.left > 0 && SEGMENT.test(path)) {
          tense.left--;
          this.onTenseMoment();
        }
        const underWay = { inode, bytes: from.slice(0, this.#shortened(from.length)), position };
        this.#writes.add(underWay);
        return run("write", () => {
          this.#writes.delete(underWay);
          return image.write(inode, underWay.bytes, position);
        }).finally(() => this.#writes.delete(underWay));
      },
      truncate: async (length) => {
        const isEmptied = inode.now.length > 0 && length === 0;
        await run("truncate", () => image.truncate(inode, length));
        if (isEmptied && CHECKPOINT.test(path)) {
          this.onCheckpointEmptied(`/state/journal/${checkpointNames.find((name) => !path.endsWith(name))!}`);
        }
      },
      datasync: () =>
        run("datasync", () => {
          const isCheckpoint = CHECKPOINT.test(path);
          if (this.#strikes("syncError", isCheckpoint ? CHECKPOINT_FAULT_SHARE : FAULT_SHARE)) {
            image.forgetPending(inode);
            throw failure("EIO", path);
          }
          image.sync(inode);
          // The header is written last.
          if (isCheckpoint && (inode.durable[0] ?? 0) !== 0) this.#whole.add(path);
        }),
      size: () => run("size", () => inode.now.length),
      close: () => run("close", () => {}),
    };
  }

  #shortened(bytes: number): number {
    if (this.calm || bytes < 2 || !this.#plan.faults.has("shortOperations") || this.#random.next() > 0.1) return bytes;
    return 1 + (this.#random.uint32() % (bytes - 1));
  }

  #strikes(name: "syncError" | "writeError", share = FAULT_SHARE): boolean {
    if (this.calm || !this.#plan.faults.has(name) || this.#random.next() > share) return false;
    this.failures++;
    return true;
  }

  #call<T>(life: Life, call: string, path: string, work: () => T): Promise<T> {
    if (life.isOver) return new Promise<never>(() => {});
    const isSlow = !this.calm && this.#plan.faults.has("slowDisk") && this.#random.next() < SLOW_SHARE;
    const delayMs = (isSlow ? SLOW_MS : this.#plan.diskMs) * (0.5 + this.#random.next());
    return new Promise((resolve, reject) => {
      this.#time.schedule(delayMs, () => {
        if (life.isOver) return;
        this.#trace.note(this.#time.nowMs, call, path.length);
        try {
          if (call !== "datasync" && this.#strikes("writeError")) throw failure("EIO", path);
          resolve(work());
        } catch (thrown) {
          reject(thrown);
        }
      });
    });
  }
}
