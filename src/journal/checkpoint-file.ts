// A checkpoint's file, format 5: a page of header, then chunks with a CRC each. Two files alternate; the header is written last, after
// the chunks are durable, so a file half written is no checkpoint and the other one still is.
//
// header: "HSCK", u32 format, u32 generation, f64 position, u32 chunks, u32 CRC-32C of the bytes before it, u8 1
// chunk:  u32 bytes, u32 CRC-32C seeded with generation and index, bytes
import { crc32c } from "../base/crc32c.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { readWhole, writeFully } from "../base/disk.ts";
import type { Disk, DiskFile } from "../base/disk.ts";
import { HiddenstateError, isDiskFull, reasonOf } from "../base/errors.ts";
import { foreignFormat } from "./foreign-format.ts";

const MAGIC = 0x4b435348; // "HSCK", little-endian
export const CHECKPOINT_FORMAT = 5;
const HEADER_BYTES = 4096;
const HEADER_FIELD_BYTES = 24;
/** The header's last byte: where it is 0 the header was never written to its end. */
const END_OFFSET = HEADER_FIELD_BYTES + 4;
export const checkpointNames = ["checkpoint-a", "checkpoint-b"] as const;

export interface Checkpoint {
  readonly generation: number;
  /** The state holds exactly the events before it. */
  readonly position: number;
  readonly chunks: readonly Uint8Array[];
}

/** What a header says. */
interface CheckpointHeader {
  readonly generation: number;
  readonly position: number;
  readonly chunkCount: number;
}

function encodeHeader({ generation, position, chunkCount }: CheckpointHeader): Uint8Array {
  const header = new ByteWriter(END_OFFSET + 1);
  header.u32(MAGIC);
  header.u32(CHECKPOINT_FORMAT);
  header.u32(generation);
  header.f64(position);
  header.u32(chunkCount);
  header.u32(crc32c(header.written));
  header.u8(1);
  return header.written;
}

interface HeldCheckpoint extends CheckpointHeader {
  /** Whether this process has seen its header reach the disk; its chunks had before the header was written. */
  isDurable: boolean;
}

function chunkCrc(bytes: Uint8Array, generation: number, index: number): number {
  const seed = new ByteWriter(8);
  seed.u32(generation);
  seed.u32(index);
  return crc32c(bytes, crc32c(seed.written));
}

/** `absent`: no file, or one never finished. `damaged`: finished once, and changed since. Throws `foreign_state` for another format. */
export function decodeCheckpoint(bytes: Uint8Array | undefined): Checkpoint | "absent" | "damaged" {
  if (bytes === undefined || bytes.length < HEADER_BYTES) return "absent";
  const header = new ByteReader(bytes);
  const magic = header.u32();
  const format = header.u32();
  const generation = header.u32();
  const position = header.f64();
  const count = header.u32();
  if (magic !== MAGIC || header.u32() !== crc32c(bytes, 0, 0, HEADER_FIELD_BYTES)) {
    return bytes[END_OFFSET] === 0 ? "absent" : "damaged";
  }
  if (format !== CHECKPOINT_FORMAT) {
    throw foreignFormat("checkpoint", format, CHECKPOINT_FORMAT);
  }
  const reader = new ByteReader(bytes, HEADER_BYTES);
  const chunks: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    if (reader.remaining < 8) return "damaged";
    const length = reader.u32();
    const crc = reader.u32();
    if (length > reader.remaining) return "damaged";
    const chunk = reader.raw(length);
    if (chunkCrc(chunk, generation, index) !== crc) return "damaged";
    chunks.push(chunk);
  }
  return { generation, position, chunks };
}

/** One checkpoint being written. Nothing before `finish` makes it count. */
export class CheckpointWriter {
  readonly #file: DiskFile;
  readonly #generation: number;
  #offset = HEADER_BYTES;
  #count = 0;

  constructor(file: DiskFile, generation: number) {
    this.#file = file;
    this.#generation = generation;
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#offset;
  }

  async chunk(bytes: Uint8Array): Promise<void> {
    const writer = new ByteWriter(bytes.length + 8);
    writer.u32(bytes.length);
    writer.u32(chunkCrc(bytes, this.#generation, this.#count));
    writer.raw(bytes);
    await writeFully(this.#file, writer.written, this.#offset);
    this.#offset += writer.length;
    this.#count++;
  }

  async finish(position: number): Promise<HeldCheckpoint> {
    await this.#file.datasync();
    const header = { generation: this.#generation, position, chunkCount: this.#count };
    await writeFully(this.#file, encodeHeader(header), 0);
    await this.#file.datasync();
    return { ...header, isDurable: true };
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

export class CheckpointFiles {
  readonly #disk: Disk;
  readonly #directory: string;
  /** By file; undefined where it holds none. */
  readonly #held: (HeldCheckpoint | undefined)[] = [undefined, undefined];
  #damagedCount = 0;
  /** Files that are there and hold none. */
  #unfinished: string[] = [];

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** Files that were a checkpoint once and are none any more. */
  get damagedCount(): number {
    return this.#damagedCount;
  }

  /** The events before it are needed by neither checkpoint; 0 until both files hold one. */
  get safePosition(): number {
    const [a, b] = this.#held;
    return a === undefined || b === undefined ? 0 : Math.min(a.position, b.position);
  }

  /** The latest whole checkpoint. */
  async load(): Promise<Checkpoint | undefined> {
    let latest: Checkpoint | undefined;
    this.#unfinished = [];
    for (const [index, name] of checkpointNames.entries()) {
      const bytes = await readWhole(this.#disk, `${this.#directory}/${name}`);
      const checkpoint = decodeCheckpoint(bytes);
      if (checkpoint === "damaged") this.#damagedCount++;
      if (checkpoint === "absent" && bytes !== undefined) this.#unfinished.push(name);
      if (typeof checkpoint === "string") continue;
      const { generation, position, chunks } = checkpoint;
      this.#held[index] = { generation, position, chunkCount: chunks.length, isDurable: false };
      if (latest === undefined || checkpoint.generation > latest.generation) latest = checkpoint;
    }
    return latest;
  }

  /**
   * Sees to it that a file which holds no checkpoint holds none on stable storage either: one that was given up, and not synced, would come
   * back in a power cut, newer than what has been recovered without it. To be called before anything is added to that. Throws like `write`.
   */
  async clear(): Promise<void> {
    for (const name of this.#unfinished) {
      await this.#guard("clear", async () => {
        const file = await this.#disk.open(`${this.#directory}/${name}`, "write");
        try {
          await file.truncate(0);
          // A file that looks empty already would not be written.
          await writeFully(file, Uint8Array.of(0), 0);
          await file.datasync();
        } finally {
          await file.close();
        }
      });
    }
    this.#unfinished = [];
  }

  /** Writes a checkpoint over the older of the two. Throws `disk_failed`; the newer one stays whatever happens. */
  async write(fill: (writer: CheckpointWriter) => Promise<number>): Promise<number> {
    const generations = this.#held.map((held) => held?.generation ?? 0);
    const index = generations[0]! <= generations[1]! ? 0 : 1;
    const generation = Math.max(...generations) + 1;
    return this.#guard("write", async () => {
      await this.#disk.makeDirectory(this.#directory);
      // Where that file holds none, the other was made sure of before it lost it, and must not be touched: it is the only one.
      if (this.#held[index] !== undefined) await this.#settle(1 - index);
      this.#held[index] = undefined;
      const file = await this.#disk.open(`${this.#directory}/${checkpointNames[index]}`, "create");
      const writer = new CheckpointWriter(file, generation);
      try {
        // Durable before the first chunk: an old header over new chunks would read as damage.
        await file.truncate(0);
        await file.datasync();
        await this.#disk.syncDirectory(this.#directory);
        const position = await fill(writer);
        this.#held[index] = await writer.finish(position);
        return writer.bytes;
      } finally {
        await writer.close();
      }
    });
  }

  async #guard<T>(verb: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      const code = isDiskFull(thrown) ? "disk_full" : "disk_failed";
      throw new HiddenstateError(code, `cannot ${verb} a checkpoint in ${this.#directory}: ${reasonOf(thrown)}`, thrown);
    }
  }

  /** Makes sure of the checkpoint that must last while the other is written: what was read at the start may stand in the page cache only. */
  async #settle(index: number): Promise<void> {
    const held = this.#held[index];
    if (held === undefined || held.isDurable) return;
    const file = await this.#disk.open(`${this.#directory}/${checkpointNames[index]}`, "write");
    try {
      await writeFully(file, encodeHeader(held), 0);
      await file.datasync();
    } finally {
      await file.close();
    }
    held.isDurable = true;
  }
}
