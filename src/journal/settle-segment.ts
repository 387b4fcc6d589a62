// What a segment's file is made to hold before anything new is written behind it: that its bytes are read says nothing about the disk,
// they may stand in the page cache only.
import { readFully, writeFully } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { writeZeros } from "./spare-segments.ts";

/** Of the last segment, offsets in its file. */
export interface SegmentTail {
  /** What stands from here on need not ever have been synced, or a sync of it has failed. */
  readonly from: number;
  /** Behind the last whole block. */
  readonly to: number;
  /** How far behind it a write can have left something. */
  readonly clearBytesMax: number;
}

/**
 * Makes a segment durable and full-size: it may have been cut short where nothing stood. The tail is written again first: a sync that has failed leaves its bytes in the page cache marked as clean,
 * where they can be read and no later sync writes them.
 */
export async function settleSegment(disk: Disk, path: string, segmentBytes: number, tail?: SegmentTail): Promise<void> {
  const file = await disk.open(path, "write");
  try {
    if (tail !== undefined) {
      const kept = new Uint8Array(tail.to - tail.from);
      await writeFully(file, kept.subarray(0, await readFully(file, kept, tail.from)), tail.from);
      const behind = new Uint8Array(tail.clearBytesMax);
      const read = behind.subarray(0, await readFully(file, behind, tail.to));
      if (read.some((byte) => byte !== 0)) await writeZeros(file, tail.to, tail.to + read.length);
    }
    await writeZeros(file, await file.size(), segmentBytes);
    await file.datasync();
  } finally {
    await file.close();
  }
}
