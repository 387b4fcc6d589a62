// One life of a process on a disk and a clock that outlive it: when it ends, whatever it was about to do is never done.
import type { Clock, Timer } from "../../src/base/clock.ts";
import type { Disk, DiskFile, OpenMode } from "../../src/base/disk.ts";

export class Life {
  #isOver = false;
  readonly clock: Clock;
  readonly disk: Disk;

  constructor(clock: Clock, disk: Disk) {
    this.clock = this.#clockOf(clock);
    this.disk = this.#diskOf(disk);
  }

  end(): void {
    this.#isOver = true;
  }

  /** What the dead ask for never comes. */
  async #alive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isOver) return new Promise<never>(() => {});
    const result = await work();
    return this.#isOver ? new Promise<never>(() => {}) : result;
  }

  #clockOf(clock: Clock): Clock {
    const alive = (run: () => void) => (): void => {
      if (!this.#isOver) run();
    };
    return {
      wallMs: () => clock.wallMs(),
      monotonicMs: () => clock.monotonicMs(),
      isSynced: () => clock.isSynced(),
      after: (delayMs, run): Timer => clock.after(delayMs, alive(run)),
      soon: (run) => clock.soon(alive(run)),
    };
  }

  #diskOf(disk: Disk): Disk {
    return {
      open: (path: string, mode: OpenMode) => this.#alive(async () => this.#fileOf(await disk.open(path, mode))),
      list: (path) => this.#alive(() => disk.list(path)),
      makeDirectory: (path) => this.#alive(() => disk.makeDirectory(path)),
      rename: (from, to) => this.#alive(() => disk.rename(from, to)),
      remove: (path) => this.#alive(() => disk.remove(path)),
      syncDirectory: (path) => this.#alive(() => disk.syncDirectory(path)),
      freeBytes: (path) => this.#alive(() => disk.freeBytes(path)),
      isFlashCard: (path) => this.#alive(() => disk.isFlashCard(path)),
    };
  }

  #fileOf(file: DiskFile): DiskFile {
    return {
      read: (into, position) => this.#alive(() => file.read(into, position)),
      write: (from, position) => this.#alive(() => file.write(from, position)),
      datasync: () => this.#alive(() => file.datasync()),
      truncate: (length) => this.#alive(() => file.truncate(length)),
      size: () => this.#alive(() => file.size()),
      close: () => this.#alive(() => file.close()),
    };
  }
}
