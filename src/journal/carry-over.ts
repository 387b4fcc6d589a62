// Blocks of which nothing proves that they are on stable storage go into another segment file and are synced there. Syncing them where
// they stand would not do: after a sync that failed, the system shows bytes that it has not written and takes for written. Writing over
// them would not do either: they may be on stable storage all the same, and a power cut could spoil them.
import { readFully, writeFully } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import type { Random } from "../base/random.ts";
import type { Place } from "./read-segment.ts";
import { BlockBuffer, encodeSegmentHeader, readBlock, SEGMENT_HEADER_BYTES } from "./segment.ts";
import type { SegmentHeader } from "./segment.ts";

/** The blocks of segment `from` that begin at `first` and end before offset `end`. */
export interface Carried {
  readonly from: { readonly path: string; readonly generation: number };
  readonly first: Place;
  readonly end: number;
}

async function readUpTo(disk: Disk, path: string, end: number): Promise<Uint8Array> {
  const file = await disk.open(path, "read");
  try {
    const bytes = new Uint8Array(end);
    return bytes.subarray(0, await readFully(file, bytes, 0));
  } finally {
    await file.close();
  }
}

/** Writes them to a spare file and durably makes that a segment, header last. Returns its header and where its blocks end. */
export async function carryOver(
  disk: Disk,
  { from, first, end }: Carried,
  to: { readonly path: string; readonly generation: number },
  random: Random,
): Promise<{ readonly header: SegmentHeader; readonly end: Place }> {
  const bytes = await readUpTo(disk, from.path, end);
  const header = { generation: to.generation, base: first.position, previous: first.previous };
  const moved = new BlockBuffer();
  let read = first.offset;
  let place: Place = { ...first, offset: SEGMENT_HEADER_BYTES };
  const file = await disk.open(to.path, "write");
  try {
    while (read < end) {
      const { position } = place;
      const block = readBlock(bytes, { generation: from.generation, offset: read, position });
      // It ends this start; the next one sees what is left.
      if (block === undefined) throw new Error(`${from.path} has changed since it was read`);
      moved.refill(block);
      const target = { generation: to.generation, offset: place.offset, position };
      const sealed = moved.seal(target, place.previous, first.position, random.uint32());
      await writeFully(file, sealed, place.offset);
      read += block.bytes;
      place = { offset: place.offset + sealed.length, position: position + block.count, previous: moved.crc };
    }
    await file.datasync();
    await writeFully(file, encodeSegmentHeader(header), 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  return { header, end: place };
}
