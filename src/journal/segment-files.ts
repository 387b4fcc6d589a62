// Which of a journal's files hold what, told by their names, sizes and headers: segments in the order of their use, files that hold
// nothing, and those that somebody should look into. It reads and changes nothing.
import { readFully } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { BLOCK_HEADER_BYTES, decodeSegmentHeader, provesDamage, segmentEnd, SEGMENT_HEADER_BYTES } from "./segment.ts";
import type { SegmentHeader } from "./segment.ts";

const NAME = /^(segment|history|damaged)-(\d{6})$/;
/** How many segments in a row may have lost their headers and still be recognised by their blocks. */
const LOST_HEADERS_MAX = 16;

/** The header, and where the header of a first block would be. */
const FIRST_LOOK_BYTES = SEGMENT_HEADER_BYTES + BLOCK_HEADER_BYTES;

export interface Segment extends SegmentHeader {
  readonly path: string;
  /** Its first part is needed, and the rest is kept for whoever wants to look into it. */
  isDamaged?: true;
}

/** A file whose header is gone, and that is not empty. */
export interface DoubtfulFile {
  readonly path: string;
  /** Full-size, and its header is zeros, as where a power cut took the first write to it: it may be used again. */
  readonly isUsable: boolean;
}

export interface SegmentFiles {
  readonly segments: Segment[];
  /** Not needed for recovery, kept for learning. */
  readonly history: readonly Segment[];
  readonly unused: readonly string[];
  /** A process died while it made them, or the power went while one was renamed. */
  readonly unfinished: readonly string[];
  readonly doubtful: readonly DoubtfulFile[];
  /** Further copies of a segment: some tool's, for the journal never makes one. */
  readonly copies: readonly string[];
  /** Segments that something else has cut short. */
  readonly cut: readonly string[];
  readonly numberMax: number;
  /** Something else than the journal has cut a file short, or put a second copy of one there. */
  readonly isMeddledWith: boolean;
}

/** A file's first bytes, all of them where no bound is given, and how many it has. */
export async function readStart(disk: Disk, path: string, bytesMax = Infinity): Promise<{ bytes: Uint8Array; size: number }> {
  const file = await disk.open(path, "read");
  try {
    const size = await file.size();
    const bytes = new Uint8Array(Math.min(bytesMax, size));
    return { bytes: bytes.subarray(0, await readFully(file, bytes, 0)), size };
  } finally {
    await file.close();
  }
}

/** Of files with the same header the one that goes furthest; the others go into `copies`. */
async function withoutCopies(disk: Disk, found: readonly Segment[], copies: string[]): Promise<Segment[]> {
  const kept: Segment[] = [];
  for (const segment of found) {
    const before = kept.at(-1);
    if (before?.generation !== segment.generation) {
      kept.push(segment);
      continue;
    }
    const [endBefore, end] = await Promise.all(
      [before, segment].map(async (one) => segmentEnd((await readStart(disk, one.path)).bytes, one)),
    );
    if (end! > endBefore!) kept[kept.length - 1] = segment;
    copies.push(end! > endBefore! ? before.path : segment.path);
  }
  return kept;
}

export async function findSegmentFiles(disk: Disk, directory: string, segmentBytes: number): Promise<SegmentFiles> {
  const segments: Segment[] = [];
  const history: Segment[] = [];
  const unused: string[] = [];
  const short: { path: string; number: number }[] = [];
  const doubtful: DoubtfulFile[] = [];
  let numberMax = 0;
  const cut: string[] = [];
  for (const name of (await disk.list(directory)).toSorted()) {
    const match = NAME.exec(name);
    if (match === null) continue;
    const number = Number(match[2]);
    numberMax = Math.max(numberMax, number);
    if (match[1] === "damaged") continue;
    const path = `${directory}/${name}`;
    const { bytes, size } = await readStart(disk, path, FIRST_LOOK_BYTES);
    const header = decodeSegmentHeader(bytes.subarray(0, SEGMENT_HEADER_BYTES));
    if (match[1] === "history") {
      // One that cannot be read counts as the oldest, and goes first.
      history.push({ ...(typeof header === "string" ? { generation: 0, base: 0, previous: 0 } : header), path });
      continue;
    }
    if (typeof header !== "string") {
      segments.push({ ...header, path });
      // Full-size and synced before their first use.
      if (size < segmentBytes) cut.push(path);
    } else if (bytes.some((byte) => byte !== 0)) doubtful.push({ path, isUsable: header === "unused" && size >= segmentBytes });
    else if (size < segmentBytes) short.push({ path, number });
    else unused.push(path);
  }
  segments.sort((a, b) => a.generation - b.generation);
  const copies: string[] = [];
  const ordered = await withoutCopies(disk, segments, copies);
  const generations = new Set(ordered.map(({ generation }) => generation));
  const twice = history.filter(({ generation }) => generations.has(generation));
  return {
    segments: ordered,
    history: history.filter((file) => !twice.includes(file)),
    unused,
    unfinished: [...short, ...twice].map(({ path }) => path),
    doubtful,
    copies,
    cut,
    numberMax,
    // One that is begun is finished, or removed, before the next begins.
    isMeddledWith: cut.length > 0 || copies.length > 0 || short.some(({ number }) => number < numberMax),
  };
}

/** What a segment that is set aside is called. */
export function damagedName(path: string): string {
  return path.replace(/segment-(\d+)$/, "damaged-$1");
}

/** Whether a doubtful file holds a block that was written when the journal was already on stable storage past `position`. */
async function holdsLostBlocks(disk: Disk, path: string, lastGeneration: number, position: number): Promise<boolean> {
  const { bytes } = await readStart(disk, path);
  const offset = SEGMENT_HEADER_BYTES - BLOCK_HEADER_BYTES;
  for (let generation = lastGeneration + 1; generation <= lastGeneration + LOST_HEADERS_MAX; generation++) {
    if (provesDamage(bytes, { generation, offset, position })) return true;
  }
  return false;
}

/**
 * What becomes of files without a header, where the journal ends at `last`: those that may be used again, and those to be set aside.
 * `isLost`: events after its end may be gone.
 */
export async function judgeDoubtful(
  disk: Disk,
  { doubtful, isMeddledWith }: SegmentFiles,
  last: { readonly generation: number; readonly position: number },
  damaged: boolean,
): Promise<{ readonly usable: readonly string[]; readonly setAside: readonly string[]; readonly isLost: boolean }> {
  const usable: string[] = [];
  const setAside: string[] = [];
  let isLost = isMeddledWith;
  for (const { path, isUsable } of doubtful) {
    const holdsLost = await holdsLostBlocks(disk, path, last.generation, last.position);
    (isUsable && !holdsLost && !damaged ? usable : setAside).push(path);
    if (holdsLost) isLost = true;
  }
  return { usable, setAside, isLost };
}
