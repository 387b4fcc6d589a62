// What a disk holds: the bytes and entries that the running process sees, and those that would be left after a power cut. Changes are
// pending until their file or folder is synced; a power cut keeps, drops, tears or damages each pending one as chance has it.
import { dirname } from "node:path";
import { grown } from "../../src/base/grown.ts";
import type { Random } from "../../src/base/random.ts";

type PendingChange = { readonly bytes: Uint8Array; readonly position: number } | { readonly length: number };

export class Inode {
  durable = new Uint8Array(0);
  now = new Uint8Array(0);
  pending: PendingChange[] = [];
  /** A failed sync has left bytes that are seen and will never be written. */
  isForgotten = false;
}

const FOLDER = Symbol("folder");
type Entry = Inode | typeof FOLDER;

/** What a power cut may do to pending changes, apart from dropping them. */
export interface PowerCutHabits {
  readonly tears: boolean;
  readonly flips: boolean;
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

function apply(to: Uint8Array<ArrayBuffer>, change: PendingChange): Uint8Array<ArrayBuffer> {
  if ("length" in change) {
    return change.length <= to.length ? to.slice(0, change.length) : grown(to, new Uint8Array(change.length));
  }
  const end = change.position + change.bytes.length;
  const into = end > to.length ? grown(to, new Uint8Array(end)) : to;
  into.set(change.bytes, change.position);
  return into;
}

function flipBit(bytes: Uint8Array, random: Random): Uint8Array {
  const flipped = bytes.slice();
  if (flipped.length > 0) flipped[random.uint32() % flipped.length]! ^= 1 << (random.uint32() & 7);
  return flipped;
}

export class DiskImage {
  /** As the running process sees it. */
  #entries = new Map<string, Entry>();
  /** What is left after a power cut. */
  #durableEntries = new Map<string, Entry>();
  capacityBytes = Infinity;

  get paths(): string[] {
    return [...this.#entries].filter(([, entry]) => entry !== FOLDER).map(([path]) => path);
  }

  find(path: string): Inode | undefined {
    const entry = this.#entries.get(path);
    return entry === FOLDER ? undefined : entry;
  }

  /** Throws ENOENT where the file is absent and not to be made, or its folder is. */
  open(path: string, create: boolean): Inode {
    const known = this.find(path);
    if (known !== undefined) return known;
    if (!create) throw failure("ENOENT", path);
    if (dirname(path) !== "/" && this.#entries.get(dirname(path)) !== FOLDER) throw failure("ENOENT", dirname(path));
    const inode = new Inode();
    this.#entries.set(path, inode);
    return inode;
  }

  /** Makes a folder and those above it, durably, as the contract of `Disk` says. */
  makeFolder(path: string): void {
    for (let folder = path; folder !== "/" && !this.#entries.has(folder); folder = dirname(folder)) {
      this.#entries.set(folder, FOLDER);
      this.#durableEntries.set(folder, FOLDER);
    }
  }

  /** Puts a durable file there, in the place of one that is. */
  put(path: string, bytes: Uint8Array): void {
    this.makeFolder(dirname(path));
    const inode = new Inode();
    inode.durable = bytes.slice();
    inode.now = bytes.slice();
    this.#entries.set(path, inode);
    this.#durableEntries.set(path, inode);
  }

  list(folder: string): string[] {
    return this.paths.filter((path) => dirname(path) === folder).map((path) => path.slice(folder.length + 1));
  }

  rename(from: string, to: string): void {
    const inode = this.find(from);
    if (inode === undefined) throw failure("ENOENT", from);
    this.#entries.delete(from);
    this.#entries.set(to, inode);
  }

  remove(path: string): void {
    this.#entries.delete(path);
  }

  get freeBytes(): number {
    if (this.capacityBytes === Infinity) return 2 ** 40;
    let used = 0;
    for (const entry of this.#entries.values()) if (entry !== FOLDER) used += entry.now.length;
    return Math.max(0, this.capacityBytes - used);
  }

  /** Writes what there is room for; returns how many bytes. Throws ENOSPC where there is none. */
  write(inode: Inode, bytes: Uint8Array, position: number): number {
    const more = position + bytes.length - inode.now.length;
    const short = this.capacityBytes === Infinity || more <= 0 ? 0 : Math.max(0, more - this.freeBytes);
    if (short > 0 && short >= bytes.length) throw failure("ENOSPC", "no room");
    this.#change(inode, { bytes: bytes.slice(0, bytes.length - short), position });
    return bytes.length - short;
  }

  truncate(inode: Inode, length: number): void {
    this.#change(inode, { length });
  }

  #change(inode: Inode, change: PendingChange): void {
    inode.pending.push(change);
    inode.now = apply(inode.now, change);
  }

  sync(inode: Inode): void {
    for (const change of inode.pending) inode.durable = apply(inode.durable, change);
    inode.pending = [];
  }

  /** A sync that fails: the pending changes count as written from now on and never will be. */
  forgetPending(inode: Inode): void {
    inode.pending = [];
    inode.isForgotten = true;
  }

  syncFolder(folder: string): void {
    for (const path of this.#durableEntries.keys()) {
      if (dirname(path) === folder && !this.#entries.has(path)) this.#durableEntries.delete(path);
    }
    for (const [path, entry] of this.#entries) if (dirname(path) === folder) this.#durableEntries.set(path, entry);
  }

  /** Between two processes the page cache may let go of what it could not write. */
  evictForgotten(random: Random): void {
    for (const entry of this.#entries.values()) {
      if (entry === FOLDER || !entry.isForgotten || random.next() < 0.5) continue;
      entry.now = entry.durable.slice();
      for (const change of entry.pending) entry.now = apply(entry.now, change);
      entry.isForgotten = false;
    }
  }

  /** The power goes: entries never synced are gone or not, and of every file's pending changes some survive. */
  powerCut(random: Random, habits: PowerCutHabits = { tears: true, flips: false }): void {
    const after = new Map<string, Entry>();
    for (const path of new Set([...this.#durableEntries.keys(), ...this.#entries.keys()])) {
      const isDurable = this.#entries.get(path) === this.#durableEntries.get(path) || random.next() < 0.5;
      const entry = (isDurable ? this.#durableEntries : this.#entries).get(path);
      if (entry !== undefined) after.set(path, entry);
    }
    for (const entry of new Set(after.values())) if (entry !== FOLDER) this.#cutFile(entry, random, habits);
    this.#entries = after;
    this.#durableEntries = new Map(after);
  }

  #cutFile(inode: Inode, random: Random, { tears, flips }: PowerCutHabits): void {
    const dropped = [0, 0.4, 1][random.uint32() % 3]!;
    let bytes = inode.durable;
    for (const change of inode.pending) {
      if (random.next() < dropped) continue;
      const fate = random.next();
      if ("length" in change || fate >= 0.4) bytes = apply(bytes, change);
      else if (fate < 0.2 && tears) {
        const keep = Math.floor(random.next() * change.bytes.length);
        bytes = apply(bytes, { bytes: change.bytes.slice(0, keep), position: change.position });
      } else if (flips) bytes = apply(bytes, { bytes: flipBit(change.bytes, random), position: change.position });
      else bytes = apply(bytes, change);
    }
    inode.durable = bytes;
    inode.now = bytes.slice();
    inode.pending = [];
    inode.isForgotten = false;
  }
}
