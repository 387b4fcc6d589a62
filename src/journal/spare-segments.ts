// Full-size segment files that hold nothing needed: made ahead, so that no block waits for one, and given back when a segment is no
// longer needed.
import { writeFully } from "../base/disk.ts";
import type { Disk, DiskFile } from "../base/disk.ts";
import { isDiskFull } from "../base/errors.ts";

const ZEROS = new Uint8Array(256 * 1024);

export async function writeZeros(file: DiskFile, start: number, end: number): Promise<void> {
  for (let at = start; at < end; at += ZEROS.length)
    await writeFully(file, ZEROS.subarray(0, Math.min(ZEROS.length, end - at)), at);
}

/** Gives a segment that was cut short its size back, with zeros from `start` on: from its end, where that is not given. */
export async function makeFullSize(disk: Disk, path: string, segmentBytes: number, start?: number): Promise<void> {
  const file = await disk.open(path, "write");
  try {
    await writeZeros(file, start ?? (await file.size()), segmentBytes);
    await file.datasync();
  } finally {
    await file.close();
  }
}

export class SpareSegments {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #whereFull: () => Promise<string | undefined>;
  readonly #paths: string[] = [];
  /** Made by an earlier process, whose sync may have failed. */
  readonly #inherited = new Set<string>();
  #preparing: Promise<void> | undefined;
  #nextNumber = 1;

  /** `whereFull`: another file to write to where the disk has no room for one more; undefined where there is none. */
  constructor(disk: Disk, directory: string, segmentBytes: number, whereFull: () => Promise<string | undefined>) {
    this.#disk = disk;
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    this.#whereFull = whereFull;
  }

  /** Nothing is there for the next `take`, nor being made. */
  get isEmpty(): boolean {
    return this.#paths.length === 0 && this.#preparing === undefined;
  }

  /** A segment file of that number exists. */
  noteNumber(number: number): void {
    this.#nextNumber = Math.max(this.#nextNumber, number + 1);
  }

  /** Knows a file that is there; touches nothing. */
  keep(path: string): void {
    this.#paths.push(path);
  }

  /** Knows a file that an earlier process has left. */
  inherit(path: string): void {
    this.#inherited.add(path);
    this.keep(path);
  }

  /** Takes a file that is no longer needed: kept for the next use, or removed where there is one already. */
  async offer(path: string): Promise<void> {
    if (this.#paths.length === 0) this.keep(path);
    else await this.#disk.remove(path);
  }

  /** A file to write a segment to. Throws what the disk throws, and has then changed nothing. */
  async take(): Promise<string> {
    await this.#preparing;
    const path = this.#paths.pop();
    if (path === undefined) return this.#createOrElse();
    if (!this.#inherited.has(path)) return path;
    try {
      // As long as it looks: zeros that no sync has brought to the disk leave a segment that seems cut short.
      await makeFullSize(this.#disk, path, this.#segmentBytes, this.#segmentBytes - 1);
    } catch (thrown) {
      this.keep(path);
      throw thrown;
    }
    this.#inherited.delete(path);
    return path;
  }

  async #createOrElse(): Promise<string> {
    try {
      return await this.#create();
    } catch (thrown) {
      const path = isDiskFull(thrown) ? await this.#whereFull() : undefined;
      if (path === undefined) throw thrown;
      return path;
    }
  }

  /** Makes a file in the background, unless there is one. */
  prepare(): void {
    if (this.#paths.length > 0 || this.#preparing !== undefined) return;
    this.#preparing = this.#create()
      .then((path) => this.offer(path))
      // The next `take` meets the same fault in the foreground, where it counts.
      .catch(() => {})
      .finally(() => {
        this.#preparing = undefined;
      });
  }

  /** Resolves when nothing is under way. */
  async settle(): Promise<void> {
    await this.#preparing;
  }

  async #create(): Promise<string> {
    const path = `${this.#directory}/segment-${String(this.#nextNumber).padStart(6, "0")}`;
    const file = await this.#disk.open(path, "create");
    try {
      await writeZeros(file, 0, this.#segmentBytes);
      await file.datasync();
      await file.close();
      await this.#disk.syncDirectory(this.#directory);
      // One that can be neither finished nor removed is taken up by the next try: a short file before others would look cut.
      this.#nextNumber++;
      return path;
    } catch (thrown) {
      await file.close().catch(() => {});
      await this.#disk.remove(path).catch(() => {});
      throw thrown;
    }
  }
}
