// A disk in memory that forgets what was not synced, at once and without faults but those that a test puts in the way of a call. A
// `datasync` that fails drops the pending changes as the page cache does: they are still read, and no later `datasync` makes them durable.
import type { Disk, DiskFile, OpenMode } from "../../src/base/disk.ts";
import type { Random } from "../../src/base/random.ts";
import { DiskImage } from "./disk-image.ts";
import type { Inode } from "./disk-image.ts";

/** What a test may do to a call before it is carried out: throw in its place, or say how many bytes a read or write takes at most. */
export type Interceptor = (call: string, path: string) => void | number;

export class MemoryDisk implements Disk {
  readonly #image = new DiskImage();
  intercept: Interceptor = () => {};
  syncs = 0;

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    this.intercept("open", path);
    return this.#file(this.#image.open(path, mode === "create"), path);
  }

  #file(inode: Inode, path: string): DiskFile {
    return {
      read: async (into, position) => {
        const most = this.intercept("read", path) ?? into.length;
        const from = inode.now.subarray(position, position + Math.min(most, into.length));
        into.set(from);
        return from.length;
      },
      write: async (from, position) => {
        const most = this.intercept("write", path) ?? from.length;
        return this.#image.write(inode, from.subarray(0, most), position);
      },
      truncate: async (length) => {
        this.intercept("truncate", path);
        this.#image.truncate(inode, length);
      },
      datasync: async () => {
        try {
          this.intercept("datasync", path);
        } catch (thrown) {
          this.#image.forgetPending(inode);
          throw thrown;
        }
        this.syncs++;
        this.#image.sync(inode);
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
    return this.#image.list(path);
  }

  async makeDirectory(path: string): Promise<void> {
    this.intercept("makeDirectory", path);
    this.#image.makeFolder(path);
  }

  async rename(from: string, to: string): Promise<void> {
    this.intercept("rename", from);
    this.#image.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    this.intercept("remove", path);
    this.#image.remove(path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.intercept("syncDirectory", path);
    this.#image.syncFolder(path);
  }

  async isFlashCard(): Promise<boolean> {
    return false;
  }

  async freeBytes(path: string): Promise<number> {
    this.intercept("freeBytes", path);
    return this.#image.freeBytes;
  }

  powerCut(random: Random): void {
    this.#image.powerCut(random);
  }

  /** The file's bytes as the running process sees them; to look at, or to damage. */
  bytes(path: string): Uint8Array {
    return this.#image.open(path, false).now;
  }

  /** Puts a durable file there, in the place of one that is. */
  put(path: string, bytes: Uint8Array): void {
    this.#image.put(path, bytes);
  }

  get paths(): string[] {
    return this.#image.paths.toSorted();
  }
}
