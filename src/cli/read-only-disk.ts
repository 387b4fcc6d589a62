// A disk that only reads, for commands that look into what a runtime may be working on: whatever is called through it, nothing changes.
import { strict as assert } from "node:assert";
import type { Disk, DiskFile, OpenMode } from "../base/disk.ts";

function refuse(): Promise<never> {
  return Promise.reject(new assert.AssertionError({ message: "something would write while it only looks" }));
}

export class ReadOnlyDisk implements Disk {
  readonly #disk: Disk;
  readonly makeDirectory = refuse;
  readonly rename = refuse;
  readonly remove = refuse;
  readonly syncDirectory = refuse;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return mode === "read" ? this.#disk.open(path, mode) : refuse();
  }

  list(path: string): Promise<string[]> {
    return this.#disk.list(path);
  }

  freeBytes(path: string): Promise<number> {
    return this.#disk.freeBytes(path);
  }

  isFlashCard(path: string): Promise<boolean> {
    return this.#disk.isFlashCard(path);
  }
}
