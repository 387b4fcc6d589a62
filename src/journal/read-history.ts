// Every event that is still on the disk, oldest first, from history and segments alike. It reads beside a journal that goes on writing,
// from any thread: what is written over meanwhile is left out, since a block is believed only in its own place.
import type { Disk } from "../base/disk.ts";
import type { JournalEvent } from "./events.ts";
import { findSegmentFiles, readStart } from "./segment-files.ts";
import { readSegment } from "./read-segment.ts";

/**
 * Visits the events of a journal's folder from position `from` on. Where segments are gone from the middle, `visit` sees a leap of
 * positions. Returns the position behind the last event.
 */
export async function readHistory(
  disk: Disk,
  directory: string,
  from: number,
  visit: (event: JournalEvent, position: number) => void,
): Promise<number> {
  const { history, segments } = await findSegmentFiles(disk, directory, 0);
  const files = [...history, ...segments].toSorted((a, b) => a.generation - b.generation);
  let next = from;
  for (const [index, file] of files.entries()) {
    const until = files[index + 1]?.base ?? Infinity;
    if (until <= next) continue;
    // A file may have been taken back since the folder was listed.
    const start = await readStart(disk, file.path).catch(() => undefined);
    if (start === undefined) continue;
    const { end } = await readSegment(start.bytes, file, until, 0, (event, position) => {
      if (position < next) return;
      next = position + 1;
      visit(event, position);
    });
    next = Math.max(next, end.position);
  }
  return next;
}
