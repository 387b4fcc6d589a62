// Segments that recovery no longer needs, kept for learning: renamed, within a bound of bytes and of age, and given back to the journal
// oldest first. Nothing depends on them; a file that cannot be read is only one that goes sooner.
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { isDiskFull } from "../base/errors.ts";
import type { Segment } from "./segment-files.ts";
import { readStart } from "./segment-files.ts";
import { decodeBlock, readBlock, SEGMENT_HEADER_BYTES } from "./segment.ts";

export interface HistoryBounds {
  readonly bytes: number;
  /** A segment goes when its first reading is older, milliseconds of the wall clock. */
  readonly ageMs: number;
  readonly clock: Clock;
}

export interface HistoryFiles {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytes: number;
  /** The longest block, and so what must be read to see a file's first readings. */
  readonly blockBytesMax: number;
}

/** What a segment is called once it is history. */
function historyName(path: string): string {
  return path.replace(/segment-(\d+)$/, "history-$1");
}

function segmentName(path: string): string {
  return path.replace(/history-(\d+)$/, "segment-$1");
}

/** False where there is no room for it. */
async function isRenamed(disk: Disk, from: string, to: string): Promise<boolean> {
  try {
    await disk.rename(from, to);
    return true;
  } catch (thrown) {
    if (isDiskFull(thrown)) return false;
    throw thrown;
  }
}

export class History {
  readonly #options: HistoryFiles;
  readonly #bounds: HistoryBounds | undefined;
  /** Oldest first. */
  #files: Segment[] = [];

  /** `found`: what is there already. Without bounds nothing is kept. */
  constructor(options: HistoryFiles, bounds: HistoryBounds | undefined, found: readonly Segment[]) {
    this.#options = options;
    this.#bounds = bounds;
    this.#files = found.toSorted((a, b) => a.generation - b.generation);
  }

  get bytes(): number {
    return this.#files.length * this.#options.segmentBytes;
  }

  /** Takes a segment that recovery no longer needs; returns the files that may be written over instead. */
  async take(segment: Segment): Promise<string[]> {
    const { disk, segmentBytes } = this.#options;
    const filesMax = Math.floor((this.#bounds?.bytes ?? 0) / segmentBytes);
    if (filesMax === 0) return [segment.path, ...(await this.#release(this.#files.length))];
    const path = historyName(segment.path);
    // A folder may need room for a longer name.
    if (!(await isRenamed(disk, segment.path, path))) return [segment.path];
    this.#files = [...this.#files, { ...segment, path }].toSorted((a, b) => a.generation - b.generation);
    let over = Math.max(0, this.#files.length - filesMax);
    while (over < this.#files.length && (await this.#isTooOld(this.#files[over]!))) over++;
    return this.#release(over);
  }

  /** Gives the oldest file up; returns the file that may be written over, undefined where there is none. */
  async giveUp(): Promise<string | undefined> {
    const [path] = this.#files.length === 0 ? [] : await this.#release(1);
    return path;
  }

  async #release(count: number): Promise<string[]> {
    const released: string[] = [];
    while (released.length < count) {
      const { path } = this.#files[0]!;
      const back = segmentName(path);
      if (!(await isRenamed(this.#options.disk, path, back))) break;
      this.#files.shift();
      released.push(back);
    }
    // Before they are written to: a segment that still had the other name after a power cut would be taken for history.
    if (released.length > 0) await this.#options.disk.syncDirectory(this.#options.directory);
    return released;
  }

  async #isTooOld({ path, generation, base }: Segment): Promise<boolean> {
    const { disk, blockBytesMax } = this.#options;
    const { clock, ageMs } = this.#bounds!;
    const start = await readStart(disk, path, SEGMENT_HEADER_BYTES + blockBytesMax).catch(() => undefined);
    const block = start && readBlock(start.bytes, { generation, offset: SEGMENT_HEADER_BYTES, position: base });
    if (block === undefined) return true;
    for (const event of decodeBlock(block)) {
      if (event.kind === "readings") return clock.wallMs() - event.receivedAt > ageMs;
    }
    return false;
  }
}
