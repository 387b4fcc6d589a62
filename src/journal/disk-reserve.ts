// A file that only takes up room: given up when the disk is full, so that a checkpoint can be written and segments become free, and
// taken again when there is plenty.
import type { Disk } from "../base/disk.ts";
import { writeZeros } from "./spare-segments.ts";

export class DiskReserve {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #bytes: number;
  #isHeld = false;

  constructor(disk: Disk, directory: string, bytes: number) {
    this.#disk = disk;
    this.#directory = directory;
    this.#bytes = bytes;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Takes the room, where twice as much is free; content otherwise. */
  async take(): Promise<void> {
    const path = `${this.#directory}/reserve`;
    const file = await this.#disk.open(path, "create");
    try {
      if ((await file.size()) < this.#bytes) {
        if ((await this.#disk.freeBytes(this.#directory)) < 2 * this.#bytes) return;
        await writeZeros(file, 0, this.#bytes);
        await file.datasync();
      }
      this.#isHeld = true;
    } finally {
      await file.close();
    }
  }

  async giveUp(): Promise<void> {
    this.#isHeld = false;
    await this.#disk.remove(`${this.#directory}/reserve`);
  }
}
