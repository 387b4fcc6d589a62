// Reads a segment's blocks from the first on, as far as they follow each other, and finds out how much of them is known to be on stable
// storage and whether what ends them is a torn write or a damage.
import type { JournalEvent } from "./events.ts";
import { decodeBlock, provesDamage, readBlock, SEGMENT_HEADER_BYTES } from "./segment.ts";
import type { SegmentHeader } from "./segment.ts";

/** Where a block stands, or would. */
export interface Place {
  /** In the file. */
  readonly offset: number;
  /** Of its first event. */
  readonly position: number;
  /** The CRC of the block before it. */
  readonly previous: number;
}

export interface SegmentReport {
  /** Behind the last block. */
  readonly end: Place;
  /** Where the blocks begin that nothing proves to be on stable storage: the end where all are, the beginning where not even the header is. */
  readonly unproven: Place;
  /** Bytes that were once on stable storage have changed. */
  readonly isDamaged: boolean;
}

/**
 * Visits the events of a whole segment's bytes up to position `until` or the first bad block. The journal is known to have been on stable
 * storage up to position `synced`.
 */
export async function readSegment(
  bytes: Uint8Array,
  header: SegmentHeader,
  until: number,
  synced: number,
  visit: (event: JournalEvent, position: number) => void | Promise<void>,
): Promise<SegmentReport> {
  const begin = { offset: SEGMENT_HEADER_BYTES, position: header.base, previous: header.previous };
  const places: Place[] = [begin];
  let end: Place = begin;
  let proven = synced;
  let isDamaged = false;
  while (end.position < until) {
    const place = { generation: header.generation, offset: end.offset, position: end.position };
    const block = readBlock(bytes, place);
    if (block === undefined || block.previous !== end.previous) {
      isDamaged = provesDamage(bytes, place);
      break;
    }
    let { position } = end;
    for (const event of decodeBlock(block)) await visit(event, position++);
    end = { offset: end.offset + block.bytes, position, previous: block.crc };
    proven = Math.max(proven, block.synced);
    places.push(end);
  }
  const unproven = proven > header.base ? places.findLast(({ position }) => position <= proven)! : begin;
  return { end, unproven, isDamaged };
}
