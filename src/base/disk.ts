// The disk as an object: the few calls that the journal and the state directory need, each of which may fail or fall short as the
// system's own do. What must hold across a power cut is built from them in one place, below.
import { constants } from "node:fs";
import { mkdir, open, readdir, realpath, rename, rm, stat, statfs } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { HiddenstateError, reasonOf, systemCodeOf } from "./errors.ts";

/** An open file. */
export interface DiskFile {
  /** Reads up to `into.length` bytes at `position`; returns how many, 0 at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes up to `from.length` bytes at `position`; returns how many. */
  write(from: Uint8Array, position: number): Promise<number>;
  /** Returns once everything written is on stable storage. A failure leaves unknown what was written: never call it again. */
  datasync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** `read`: must exist. `write`: must exist, read and write. `create`: made where absent, read and write, contents kept. */
export type OpenMode = "read" | "write" | "create";

/** The few calls on files that the runtime needs, each of which may fail as the system's do. */
export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Names in a folder, in no order; empty where the folder is absent. */
  list(path: string): Promise<string[]>;
  /** Makes a folder and those above it, durably; content where it exists. */
  makeDirectory(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Content where the file is absent. */
  remove(path: string): Promise<void>;
  /** Makes the folder's entries (creations, renames, removals) durable. */
  syncDirectory(path: string): Promise<void>;
  freeBytes(path: string): Promise<number>;
  /** Whether the path lies on an SD card or the like: slow to sync, and worn by every write. */
  isFlashCard(path: string): Promise<boolean>;
}

class SystemFile implements DiskFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.read(into, 0, into.length, position)).bytesRead;
  }

  async write(from: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.write(from, 0, from.length, position)).bytesWritten;
  }

  datasync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length);
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

const OPEN_FLAGS: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT,
};

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (thrown) {
    if (systemCodeOf(thrown) === "ENOENT") return false;
    throw thrown;
  }
}

class SystemDisk implements Disk {
  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    return new SystemFile(await open(path, OPEN_FLAGS[mode], 0o600));
  }

  async list(path: string): Promise<string[]> {
    try {
      return await readdir(path);
    } catch (thrown) {
      if (systemCodeOf(thrown) === "ENOENT") return [];
      throw thrown;
    }
  }

  async makeDirectory(path: string): Promise<void> {
    // One by one: Node's own recursive call never returns where a file system such as /proc says that the folder above is absent.
    const absent: string[] = [];
    for (let at = resolve(path); !(await isFolder(at)); at = dirname(at)) absent.push(at);
    for (const folder of absent.toReversed()) {
      try {
        await mkdir(folder, { mode: 0o700 });
      } catch (thrown) {
        // Another may have made it meanwhile.
        if (systemCodeOf(thrown) !== "EEXIST" || !(await isFolder(folder))) throw thrown;
      }
      // Each new folder is an entry of the one above it.
      await this.syncDirectory(dirname(folder));
    }
  }

  rename(from: string, to: string): Promise<void> {
    return rename(from, to);
  }

  remove(path: string): Promise<void> {
    return rm(path, { force: true });
  }

  async syncDirectory(path: string): Promise<void> {
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async freeBytes(path: string): Promise<number> {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  }

  async isFlashCard(path: string): Promise<boolean> {
    try {
      const { dev } = await stat(path);
      // As the kernel packs a device number for stat(2).
      const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
      return (await realpath(`/sys/dev/block/${major}:${minor}`)).includes("/mmcblk");
    } catch {
      return false;
    }
  }
}

/** The machine's own file system. */
export const systemDisk: Disk = new SystemDisk();

/** Reads until `into` is full or the file ends; returns how many bytes. */
export async function readFully(file: DiskFile, into: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const count = await file.read(into.subarray(done), position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Writes all of `from`, over as many short writes as it takes. */
export async function writeFully(file: DiskFile, from: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < from.length) {
    const count = await file.write(from.subarray(done), position + done);
    if (count === 0) throw new HiddenstateError("disk_failed", `cannot write ${from.length - done} bytes: the disk took none`);
    done += count;
  }
}

/** The whole of a file; undefined where it is absent. */
export async function readWhole(disk: Disk, path: string): Promise<Uint8Array | undefined> {
  let file: DiskFile;
  try {
    file = await disk.open(path, "read");
  } catch (thrown) {
    if (systemCodeOf(thrown) === "ENOENT") return undefined;
    throw new HiddenstateError("disk_failed", `cannot read ${path}: ${reasonOf(thrown)}`, thrown);
  }
  try {
    const bytes = new Uint8Array(await file.size());
    return bytes.subarray(0, await readFully(file, bytes, 0));
  } finally {
    await file.close();
  }
}

/** A JSON file by its schema; undefined where it is absent, or cannot be read by it. */
export async function readJson<T>(disk: Disk, path: string, schema: { parse(value: unknown): T }): Promise<T | undefined> {
  const bytes = await readWhole(disk, path);
  if (bytes === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}

/** Puts `bytes` in place of a file so that a crash leaves the old contents or the new ones, never a part. */
export async function replaceFile(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  const file = await disk.open(temporary, "create");
  try {
    await file.truncate(0);
    await writeFully(file, bytes, 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(dirname(path));
}
