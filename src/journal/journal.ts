// The one durable order of events: segments of pre-written bytes, one write and one datasync a block. Opening reads and changes
// nothing; only `makeWritable` and what follows it write. What becomes of a write that fails, write-guard.ts decides.
import { strict as assert } from "node:assert";
import { writeFully } from "../base/disk.ts";
import type { Disk, DiskFile } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { JournalEvent } from "./events.ts";
import { carryOver } from "./carry-over.ts";
import { History } from "./history.ts";
import type { HistoryBounds } from "./history.ts";
import { damagedName, findSegmentFiles, judgeDoubtful, readStart } from "./segment-files.ts";
import type { Segment, SegmentFiles } from "./segment-files.ts";
import { readSegment } from "./read-segment.ts";
import type { Place } from "./read-segment.ts";
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from "./segment.ts";
import type { BlockBuffer, SegmentHeader } from "./segment.ts";
import { makeFullSize, SpareSegments } from "./spare-segments.ts";
import { WriteGuard } from "./write-guard.ts";

export interface JournalOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytes: number;
  /** The longest block ever appended, header included. */
  readonly blockBytesMax: number;
  readonly random: Random;
  /** What of the segments that recovery no longer needs is kept; nothing where absent. */
  readonly history?: HistoryBounds;
}

export interface ReplayReport {
  /** Where the journal ends: the position of the next event. */
  readonly position: number;
  readonly events: number;
  /** Events that were once durable are gone: the disk lost or changed bytes. The files concerned are set aside. */
  readonly damaged: boolean;
}

export class Journal {
  readonly #options: JournalOptions;
  /** As they were found. */
  readonly #files: SegmentFiles;
  /** In the order of their use; the last is written to. */
  #segments: Segment[] = [];
  readonly #spares: SpareSegments;
  readonly #history: History;
  /** Files that cannot be read, or lie behind a damage: never written over. */
  #setAside: string[] = [];
  #nextGeneration = 1;
  #file: DiskFile | undefined;
  #offset = SEGMENT_HEADER_BYTES;
  #position = 0;
  /** The last segment's tail cannot be continued. */
  #tailBroken = false;
  #leftoversGone = false;
  /** The CRC of the last block. */
  #crc = 0;
  /** Of the last segment: where the blocks begin of which nothing proves that they are on stable storage. */
  #unproven: Place | undefined;
  readonly #guard: WriteGuard;
  #isSynced = true;
  /** Everything before it is on stable storage. */
  #synced = 0;
  #syncing: Promise<void> | undefined;
  #bytes = 0;

  private constructor(options: JournalOptions, files: SegmentFiles) {
    this.#options = options;
    this.#files = files;
    this.#guard = new WriteGuard(options.directory);
    this.#history = new History(options, options.history, files.history);
    const { disk, directory, segmentBytes } = options;
    this.#spares = new SpareSegments(disk, directory, segmentBytes, () => this.#history.giveUp());
  }

  /** Reads which segments there are; an absent or empty folder is an empty journal. */
  static async open(options: JournalOptions): Promise<Journal> {
    const files = await findSegmentFiles(options.disk, options.directory, options.segmentBytes);
    const journal = new Journal(options, files);
    journal.#segments = files.segments;
    journal.#setAside.push(...files.copies);
    journal.#spares.noteNumber(files.numberMax);
    for (const path of files.unused) journal.#spares.inherit(path);
    // Blocks that a doubtful file may hold must not be taken for those of a segment that uses it again.
    journal.#nextGeneration = (files.segments.at(-1)?.generation ?? 0) + 1 + files.doubtful.length;
    return journal;
  }

  /** The position of the first event that is still there to be replayed. */
  get firstPosition(): number {
    return this.#segments[0]?.base ?? this.#position;
  }

  /** The position of the next event. */
  get position(): number {
    return this.#position;
  }

  /** A block is closed at this size: the one event that crosses it stays within the bound. */
  get blockBytesWanted(): number {
    return this.#options.blockBytesMax / 4;
  }

  /** Of the blocks replayed and appended since `open`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** No file for the next segment could be made, and there are segments that checkpoints may make free. */
  get needsCheckpoint(): boolean {
    return this.#segments.length > 1 && this.#spares.isEmpty;
  }

  /** Files found unreadable or behind a damage, which `makeWritable` renames and nothing ever overwrites. */
  get setAsideCount(): number {
    return this.#setAside.length;
  }

  /** Hands every event from position `from` on to `visit`, in order. Throws `state_damaged` where the journal begins after `from`. */
  async replay(from: number, visit: (event: JournalEvent, position: number) => void | Promise<void>): Promise<ReplayReport> {
    this.#position = from;
    let events = 0;
    const first = this.#segments.findLastIndex((segment) => segment.base <= from);
    if (first < 0 && this.#segments.length > 0) {
      throw new HiddenstateError(
        "state_damaged",
        `cannot recover from ${this.#options.directory}: its first event is ${this.#segments[0]!.base}, and none of the events from ${from} on is left; ` +
          "restore the state directory from a copy, or start with a new one",
      );
    }
    let damaged = first < 0 && from > 0;
    for (let i = Math.max(first, 0); i < this.#segments.length; i++) {
      const segment = this.#segments[i]!;
      const end = this.#segments[i + 1]?.base ?? Infinity;
      const { bytes } = await readStart(this.#options.disk, segment.path);
      // A checkpoint is finished only once the journal before it is on stable storage.
      const report = await readSegment(bytes, segment, end, from, async (event, at) => {
        if (at < from) return;
        events++;
        await visit(event, at);
      });
      const { offset, position, previous } = report.end;
      this.#bytes += offset - SEGMENT_HEADER_BYTES;
      this.#offset = offset;
      this.#crc = previous;
      this.#unproven = report.unproven;
      this.#position = Math.max(position, from);
      this.#synced = this.#position;
      if (report.isDamaged || (end === Infinity && position < from) || (end !== Infinity && position < end)) {
        damaged = true;
        this.#tailBroken = true;
        segment.isDamaged = true;
        this.#setAside.push(...this.#segments.splice(i + 1).map((later) => later.path));
      }
    }
    const place = { generation: this.#segments.at(-1)?.generation ?? 0, position: this.#position };
    const { usable, setAside, isLost } = await judgeDoubtful(this.#options.disk, this.#files, place, damaged);
    for (const path of usable) this.#spares.inherit(path);
    this.#setAside.push(...setAside);
    if (isLost) damaged = true;
    return { position: this.#position, events, damaged };
  }

  /**
   * Makes what was replayed durable and the journal ready to append: a process may have died between write and sync, or of a sync that
   * failed. Throws `disk_full` where that takes a segment that there is no room for; it can be called again then.
   */
  async makeWritable(): Promise<void> {
    const { disk, directory, segmentBytes } = this.#options;
    await this.#guard.run(async () => {
      await disk.makeDirectory(directory);
      for (const path of this.#files.cut) await makeFullSize(disk, path, segmentBytes);
      if (!this.#leftoversGone) {
        for (const path of this.#setAside) await disk.rename(path, damagedName(path));
        for (const path of this.#files.unfinished) await disk.remove(path);
        this.#leftoversGone = true;
      }
      await disk.syncDirectory(directory);
      const last = this.#segments.at(-1);
      if (last === undefined || this.#tailBroken) await this.#rotate();
      else await this.#continue(last, this.#unproven!);
    });
    this.#spares.prepare();
  }

  /** Goes on in the last segment where all of it is on stable storage, else in another, which takes over what may not be. */
  async #continue(last: Segment, first: Place): Promise<void> {
    const { disk } = this.#options;
    if (first.position === this.#position && first.position > last.base) {
      this.#file = await disk.open(last.path, "write");
      return;
    }
    const path = await this.#spares.take();
    const to = { path, generation: this.#nextGeneration };
    let carried: Awaited<ReturnType<typeof carryOver>>;
    try {
      carried = await carryOver(disk, { from: last, first, end: this.#offset }, to, this.#options.random);
      this.#file = await disk.open(path, "write");
    } catch (thrown) {
      // Another try writes the same to the same file.
      this.#spares.keep(path);
      throw thrown;
    }
    const { header, end } = carried;
    this.#nextGeneration++;
    this.#offset = end.offset;
    this.#crc = end.previous;
    // Nothing of these is needed any more, and starts that follow each other quickly must not fill the disk.
    const superseded = this.#segments.filter(({ base }) => base >= header.base);
    this.#segments = [...this.#segments.filter(({ base }) => base < header.base), { ...header, path }];
    for (const segment of superseded) await this.#spares.offer(segment.path);
  }

  /**
   * Writes a block; it is durable after the next `sync`. One at a time. Throws `disk_full` where there is no room, and has then changed
   * nothing: the same block can be appended again. Throws `disk_failed` for good.
   */
  async append(block: BlockBuffer): Promise<void> {
    assert(block.count > 0, "a block holds at least one event");
    assert(block.bytes <= this.#options.blockBytesMax, "a block is at most blockBytesMax long");
    await this.#guard.run(async () => {
      if (this.#offset + block.bytes > this.#options.segmentBytes) await this.#rotate();
      const place = { generation: this.#segments.at(-1)!.generation, offset: this.#offset, position: this.#position };
      const bytes = block.seal(place, this.#crc, this.#synced, this.#options.random.uint32());
      await writeFully(this.#file!, bytes, this.#offset);
      this.#crc = block.crc;
      this.#isSynced = false;
      this.#offset += bytes.length;
      this.#position += block.count;
      this.#bytes += bytes.length;
    });
  }

  /** Returns once everything appended before the call is on stable storage. Throws `disk_failed`, and the same error ever after. */
  async sync(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing.catch(() => {});
    if (this.#guard.failed !== undefined) throw this.#guard.failed;
    if (this.#isSynced) return;
    const { position } = this;
    this.#isSynced = true;
    this.#syncing = this.#file!.datasync();
    try {
      await this.#syncing;
      this.#synced = position;
    } catch (thrown) {
      throw this.#guard.fail(thrown);
    } finally {
      this.#syncing = undefined;
    }
  }

  /** Segments whose events all lie before `position` become history; a damaged one is kept under another name. */
  async recycle(position: number): Promise<void> {
    await this.#guard.run(async () => {
      while (this.#segments.length > 1 && this.#segments[1]!.base <= position) {
        const segment = this.#segments.shift()!;
        if (segment.isDamaged) await this.#options.disk.rename(segment.path, damagedName(segment.path));
        else for (const path of await this.#history.take(segment)) await this.#spares.offer(path);
      }
    });
  }

  /** Of the segments kept for learning. */
  get historyBytes(): number {
    return this.#history.bytes;
  }

  async close(): Promise<void> {
    await this.#spares.settle();
    if (this.#guard.failed === undefined && this.#file !== undefined) await this.sync();
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Goes on in a new segment, once the present one is durable: a later segment must not survive an earlier one. */
  async #rotate(): Promise<void> {
    const path = await this.#spares.take();
    if (this.#file !== undefined) await this.sync();
    const header: SegmentHeader = { generation: this.#nextGeneration, base: this.#position, previous: this.#crc };
    const file = await this.#options.disk.open(path, "write");
    try {
      await writeFully(file, encodeSegmentHeader(header), 0);
    } catch (thrown) {
      await file.close();
      this.#spares.keep(path);
      throw thrown;
    }
    await this.#file?.close();
    this.#file = file;
    this.#nextGeneration++;
    this.#segments.push({ ...header, path });
    this.#offset = SEGMENT_HEADER_BYTES;
    this.#spares.prepare();
  }
}
