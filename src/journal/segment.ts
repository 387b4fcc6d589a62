// The bytes of a journal segment, format 3: a page with two copies of the header, then blocks. A block's CRC is seeded with the
// segment's generation, the block's offset and its first position, and it names the CRC of the block before it: neither bytes left over
// from an earlier use of the file nor a block of another continuation, written before a power cut and never synced, is ever taken for
// the next one. A number drawn for each block sees to it that no two blocks are alike: events that say the same in both continuations
// would give them the same CRC.
//
// header: "HSJS", u32 format, u32 generation, f64 base position, u32 CRC of the block before the first, u32 CRC-32C of the bytes before it
// block:  u32 bytes of the body, u32 CRC-32C, u32 events, u32 CRC of the block before, f64 first position, u32 events before it
//         that are not synced, u32 drawn number, body, zeros up to 8 bytes
//
// The synced position, that of the first event not synced, says how far the journal was on stable storage when the block was written: a whole block behind a broken one proves
// that the broken one was once whole, or that it need not have been.
import { crc32c } from "../base/crc32c.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { decodeEvent, encodeEvent } from "./event-codec.ts";
import { createBlockContext } from "./event-fields.ts";
import type { JournalEvent } from "./events.ts";
import { foreignFormat } from "./foreign-format.ts";

export const SEGMENT_HEADER_BYTES = 4096;
export const BLOCK_HEADER_BYTES = 32;
const BLOCK_ALIGNMENT = 8;
/** A segment file begins with it. */
export const SEGMENT_MAGIC = 0x534a5348; // "HSJS", little-endian
export const SEGMENT_FORMAT = 3;
const HEADER_FIELD_BYTES = 24;
const HEADER_COPY_OFFSETS = [0, SEGMENT_HEADER_BYTES / 2];

export interface SegmentHeader {
  /** Counts the uses of segment files: higher is later. */
  readonly generation: number;
  /** The position of the segment's first event. */
  readonly base: number;
  /** The CRC of the journal's block before it; 0 where there is none. */
  readonly previous: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const writer = new ByteWriter(HEADER_FIELD_BYTES + 4);
  writer.u32(SEGMENT_MAGIC);
  writer.u32(SEGMENT_FORMAT);
  writer.u32(header.generation);
  writer.f64(header.base);
  writer.u32(header.previous);
  writer.u32(crc32c(writer.written));
  const page = new Uint8Array(SEGMENT_HEADER_BYTES);
  for (const offset of HEADER_COPY_OFFSETS) page.set(writer.written, offset);
  return page;
}

/** `unused`: zeros. `unreadable`: neither copy is a header: torn in its first use, or damaged. Throws `foreign_state` for another format. */
export function decodeSegmentHeader(page: Uint8Array): SegmentHeader | "unused" | "unreadable" {
  for (const offset of HEADER_COPY_OFFSETS) {
    if (page.length < offset + HEADER_FIELD_BYTES + 4) break;
    const reader = new ByteReader(page, offset);
    if (reader.u32() !== SEGMENT_MAGIC) continue;
    const format = reader.u32();
    const header = { generation: reader.u32(), base: reader.f64(), previous: reader.u32() };
    if (reader.u32() !== crc32c(page, 0, offset, offset + HEADER_FIELD_BYTES)) continue;
    if (format === SEGMENT_FORMAT) return header;
    throw foreignFormat("journal", format, SEGMENT_FORMAT);
  }
  return page.every((byte) => byte === 0) ? "unused" : "unreadable";
}

const seedBytes = new DataView(new ArrayBuffer(20));
const seedArray = new Uint8Array(seedBytes.buffer);

/** The CRC of a block whose header and body stand at `start` in `bytes`. */
function blockCrc(bytes: Uint8Array, start: number, bodyBytes: number, place: BlockPlace): number {
  seedBytes.setUint32(0, place.generation, true);
  seedBytes.setUint32(4, place.offset, true);
  seedBytes.setFloat64(8, place.position, true);
  seedBytes.setUint32(16, bodyBytes, true);
  return crc32c(bytes, crc32c(seedArray), start + 8, start + BLOCK_HEADER_BYTES + bodyBytes);
}

/** Where a block stands: all of it goes into its CRC. */
export interface BlockPlace {
  readonly generation: number;
  /** In the file, bytes. */
  readonly offset: number;
  /** Of the block's first event. */
  readonly position: number;
}

/** What a block takes up in its segment. */
function blockBytes(bodyBytes: number): number {
  return Math.ceil((BLOCK_HEADER_BYTES + bodyBytes) / BLOCK_ALIGNMENT) * BLOCK_ALIGNMENT;
}

/** A block being filled, to be written in one piece. */
export class BlockBuffer {
  readonly #writer = new ByteWriter(4096);
  #context = createBlockContext();
  #count = 0;
  /** Once sealed, which may happen more than once. */
  #bodyBytes: number | undefined;
  #crc = 0;

  constructor() {
    this.clear();
  }

  /** Events in it. */
  get count(): number {
    return this.#count;
  }

  /** Of the block as it was last sealed. */
  get crc(): number {
    return this.#crc;
  }

  /** What it will take up in its segment. */
  get bytes(): number {
    return blockBytes(this.#writer.length - BLOCK_HEADER_BYTES);
  }

  clear(): void {
    this.#writer.clear();
    this.#writer.raw(new Uint8Array(BLOCK_HEADER_BYTES));
    this.#context = createBlockContext();
    this.#count = 0;
    this.#bodyBytes = undefined;
  }

  add(event: JournalEvent): void {
    encodeEvent(this.#writer, event, this.#context);
    this.#count++;
  }

  /** Takes over what a block read elsewhere holds. */
  refill({ body, count }: ReadBlock): void {
    this.clear();
    this.#writer.raw(body);
    this.#count = count;
  }

  /**
   * The finished block for its place, behind the block of CRC `previous`; a view that lasts until the next `clear`. Nothing is added
   * afterwards. `drawn`: 32 bits of chance.
   */
  seal(place: BlockPlace, previous: number, synced: number, drawn: number): Uint8Array {
    this.#bodyBytes ??= this.#writer.length - BLOCK_HEADER_BYTES;
    const bodyBytes = this.#bodyBytes;
    while (this.#writer.length % BLOCK_ALIGNMENT !== 0) this.#writer.u8(0);
    this.#writer.patchU32(0, bodyBytes);
    this.#writer.patchU32(8, this.#count);
    this.#writer.patchU32(12, previous);
    this.#writer.patchF64(16, place.position);
    this.#writer.patchU32(24, place.position - synced);
    this.#writer.patchU32(28, drawn);
    this.#crc = blockCrc(this.#writer.written, 0, bodyBytes, place);
    this.#writer.patchU32(4, this.#crc);
    return this.#writer.written;
  }
}

export interface ReadBlock {
  readonly count: number;
  /** Header, body and padding. */
  readonly bytes: number;
  readonly body: Uint8Array;
  readonly crc: number;
  /** The CRC of the block before it. */
  readonly previous: number;
  /** The journal was on stable storage up to here when the block was written. */
  readonly synced: number;
}

/** The block at `place` of a whole segment's bytes; undefined where none of that place stands there. */
export function readBlock(segment: Uint8Array, place: BlockPlace): ReadBlock | undefined {
  const start = place.offset;
  if (start + BLOCK_HEADER_BYTES > segment.length) return undefined;
  const reader = new ByteReader(segment, start);
  const bodyBytes = reader.u32();
  const crc = reader.u32();
  const count = reader.u32();
  const previous = reader.u32();
  const position = reader.f64();
  const synced = position - reader.u32();
  if (position !== place.position) return undefined;
  if (bodyBytes === 0 || count === 0 || start + BLOCK_HEADER_BYTES + bodyBytes > segment.length) return undefined;
  if (blockCrc(segment, start, bodyBytes, place) !== crc) return undefined;
  const body = segment.subarray(start + BLOCK_HEADER_BYTES, start + BLOCK_HEADER_BYTES + bodyBytes);
  return { count, bytes: blockBytes(bodyBytes), body, crc, previous, synced };
}

/** How far a segment's whole blocks go: the position behind the last. */
export function segmentEnd(segment: Uint8Array, { generation, base }: SegmentHeader): number {
  let [offset, position] = [SEGMENT_HEADER_BYTES, base];
  for (;;) {
    const block = readBlock(segment, { generation, offset, position });
    if (block === undefined) return position;
    offset += block.bytes;
    position += block.count;
  }
}

/**
 * Whether a whole block of the segment behind `place`, where none stands, was written when the journal was already on stable storage past
 * that place: then the block that stood there has been damaged since.
 */
export function provesDamage(segment: Uint8Array, place: BlockPlace): boolean {
  const view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
  for (let offset = place.offset + BLOCK_ALIGNMENT; offset + BLOCK_HEADER_BYTES <= segment.length; offset += BLOCK_ALIGNMENT) {
    const position = view.getFloat64(offset + 16, true);
    if (!(position > place.position && Number.isSafeInteger(position))) continue;
    const block = readBlock(segment, { generation: place.generation, offset, position });
    if (block !== undefined && block.synced > place.position) return true;
  }
  return false;
}

/** A block's events in order. Throws `bad_payload` on a body that no encoder of this format wrote. */
export function* decodeBlock(block: ReadBlock): Generator<JournalEvent> {
  const reader = new ByteReader(block.body);
  const context = createBlockContext();
  for (let i = 0; i < block.count; i++) yield decodeEvent(reader, context);
}
