// A disk in memory that forgets what was not synced: writes and folder entries are pending until `datasync` and `syncDirectory`, and a
// power cut keeps a random part of the pending ones, tears one at a byte and drops the rest. A `datasync` that fails drops the pending
// ones as the page cache does: they are still read, and no later `datasync` makes them durable.
import { dirname } from "node:path";
import type { Disk, DiskFile, OpenMode } from "../../src/base/disk.ts";
import { grown } from "../../src/base/grown.ts";
import type { Random } from "../../src/base/random.ts";

interface PendingWrite {
  readonly bytes: Uint8Array;
  readonly position: number;
}

type PendingChange = PendingWrite | { readonly length: number };

class Inode {
  durable = new Uint8Array(0);
  now = new Uint8Array(0);
  pending: PendingChange[] = [];
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

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** What a test may do to a call before it is carried out: throw in its place, or say how many bytes a read or write takes at most. */
export type Interceptor = (call: string, path: string) => void | number;

export class MemoryDisk implements Disk {
  /** As the running process sees it. */
  #entries = new Map<string, Inode>();
  /** What is left after a power cut. */
  #durableEntries = new Map<string, Inode>();
  readonly #folders = new Set<string>(["/"]);
  intercept: Interceptor = () => {};
  syncs = 0;

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    this.intercept("open", path);
    let inode = this.#entries.get(path);
    if (inode === undefined) {
      if (mode !== "create") throw failure("ENOENT", path);
      if (!this.#folders.has(dirname(path))) throw failure("ENOENT", dirname(path));
      this.#entries.set(path, (inode = new Inode()));
    }
    return this.#file(inode, path);
  }

  #file(inode: Inode, path: string): DiskFile {
    const change = (pending: PendingChange): void => {
      inode.pending.push(pending);
      inode.now = apply(inode.now, pending);
    };
    return {
      read: async (into, position) => {
        const most = this.intercept("read", path) ?? into.length;
        const from = inode.now.subarray(position, position + Math.min(most, into.length));
        into.set(from);
        return from.length;
      },
      write: async (from, position) => {
        const most = this.intercept("write", path) ?? from.length;
        const bytes = from.slice(0, most);
        change({ bytes, position });
        return bytes.length;
      },
      truncate: async (length) => {
        this.intercept("truncate", path);
        change({ length });
      },
      datasync: async () => {
        const pending = inode.pending;
        inode.pending = [];
        this.intercept("datasync", path);
        this.syncs++;
        for (const made of pending) inode.durable = apply(inode.durable, made);
      },
      size: async () => {
        this.intercept("size", path);
        return inode.now.length;
      },
      close: async () => {
        this.intercept("close", path);
      },
    };
  }

  async list(path: string): Promise<string[]> {
    this.intercept("list", path);
    return [...this.#entries.keys()].filter((name) => dirname(name) === path).map((name) => name.slice(path.length + 1));
  }

  async makeDirectory(path: string): Promise<void> {
    this.intercept("makeDirectory", path);
    for (let folder = path; !this.#folders.has(folder); folder = dirname(folder)) this.#folders.add(folder);
  }

  async rename(from: string, to: string): Promise<void> {
    this.intercept("rename", from);
    const inode = this.#entries.get(from);
    if (inode === undefined) throw failure("ENOENT", from);
    this.#entries.delete(from);
    this.#entries.set(to, inode);
  }

  async remove(path: string): Promise<void> {
    this.intercept("remove", path);
    this.#entries.delete(path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.intercept("syncDirectory", path);
    for (const name of this.#durableEntries.keys()) {
      if (dirname(name) === path && !this.#entries.has(name)) this.#durableEntries.delete(name);
    }
    for (const [name, inode] of this.#entries) if (dirname(name) === path) this.#durableEntries.set(name, inode);
  }

  async isFlashCard(): Promise<boolean> {
    return false;
  }

  async freeBytes(path: string): Promise<number> {
    this.intercept("freeBytes", path);
    return 2 ** 40;
  }

  /** The power goes: of every file's pending changes some survive, one may be torn; entries never synced are gone or not. */
  powerCut(random: Random): void {
    const names = new Set([...this.#entries.keys(), ...this.#durableEntries.keys()]);
    const after = new Map<string, Inode>();
    for (const name of names) {
      const inode =
        this.#entries.get(name) === this.#durableEntries.get(name) || random.next() < 0.5
          ? this.#durableEntries.get(name)
          : this.#entries.get(name);
      if (inode !== undefined) after.set(name, inode);
    }
    for (const inode of new Set(after.values())) {
      let bytes = inode.durable;
      for (const change of inode.pending) {
        const fate = random.next();
        if (fate < 0.4) continue;
        if (fate < 0.6 && "bytes" in change) {
          const keep = Math.floor(random.next() * change.bytes.length);
          bytes = apply(bytes, { bytes: change.bytes.slice(0, keep), position: change.position });
        } else bytes = apply(bytes, change);
      }
      inode.durable = bytes;
      inode.now = bytes.slice();
      inode.pending = [];
    }
    this.#entries = after;
    this.#durableEntries = new Map(after);
  }

  /** The file's bytes as the running process sees them; to look at, or to damage. */
  bytes(path: string): Uint8Array {
    const inode = this.#entries.get(path);
    if (inode === undefined) throw failure("ENOENT", path);
    return inode.now;
  }

  /** Puts a durable file there, in the place of one that is. */
  put(path: string, bytes: Uint8Array): void {
    const inode = new Inode();
    inode.durable = bytes.slice();
    inode.now = bytes.slice();
    this.#entries.set(path, inode);
    this.#durableEntries.set(path, inode);
    for (let folder = dirname(path); !this.#folders.has(folder); folder = dirname(folder)) this.#folders.add(folder);
  }

  get paths(): string[] {
    return [...this.#entries.keys()].toSorted();
  }
}
