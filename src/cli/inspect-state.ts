// What lies in a state directory, as `inspect` tells it, a runtime working on it or not: checkpoints, segments, streams, what the broker
// has not confirmed, and what is damaged. Of a running one the streams and the outbox are asked for; of a stopped one they are recovered
// in memory, as a start would.
import { basename } from "node:path";
import type { Disk } from "../base/disk.ts";
import { readWhole } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { Metrics } from "../base/metrics.ts";
import { CHECKPOINT_FORMAT, checkpointNames, decodeCheckpoint } from "../journal/checkpoint-file.ts";
import { readSegment } from "../journal/read-segment.ts";
import { decodeSegmentHeader, SEGMENT_FORMAT, SEGMENT_HEADER_BYTES } from "../journal/segment.ts";
import { findSegmentFiles, readStart } from "../journal/segment-files.ts";
import type { Segment, SegmentFiles } from "../journal/segment-files.ts";
import { shortVersion } from "../model/model.ts";
import { ControlClient } from "../runtime/control-socket.ts";
import { StateDirectory } from "../runtime/state-directory.ts";
import type { Status } from "../runtime/status.ts";
import type { Surroundings } from "../runtime/surroundings.ts";

interface CheckpointFile {
  readonly file: string;
  readonly standing: "whole" | "absent" | "damaged";
  readonly generation?: number;
  readonly position?: number;
  readonly bytes?: number;
}

interface SegmentFile {
  readonly file: string;
  /** `history`: no longer needed for recovery, kept for learning. */
  readonly use: "journal" | "history";
  readonly generation: number;
  /** Of its first event, and behind its last. */
  readonly from: number;
  readonly to: number;
  readonly usedBytes: number;
  readonly damaged: boolean;
  /** Of its first and last reading, milliseconds since 1970. */
  readonly firstAt?: number;
  readonly lastAt?: number;
}

/** What the events add up to. */
interface Standing {
  readonly position: number;
  readonly streams: number;
  readonly unconfirmed: number;
  readonly groups: readonly {
    readonly name: string;
    readonly version: string;
    readonly engine: string;
    readonly kernel: string;
    readonly streams: number;
  }[];
}

export interface StateInspection {
  readonly kind: "state";
  readonly directory: string;
  readonly running: boolean;
  readonly formats: { readonly journal: number; readonly checkpoint: number };
  readonly checkpoints: readonly CheckpointFile[];
  readonly segments: readonly SegmentFile[];
  readonly spareSegments: number;
  /** Absent where it cannot be recovered. */
  readonly standing?: Standing;
  readonly damage: readonly string[];
}

/** The disk is one that only reads. */
type Around = Pick<Surroundings, "disk" | "clock" | "random">;

/** Read again where it looks damaged: a runtime may just have begun to write it anew. */
async function inspectCheckpoint(disk: Disk, journal: string, file: string): Promise<CheckpointFile> {
  for (let reads = 1; ; reads++) {
    const bytes = await readWhole(disk, `${journal}/${file}`);
    const checkpoint = decodeCheckpoint(bytes);
    if (checkpoint === "absent" || (checkpoint === "damaged" && reads > 1)) return { file, standing: checkpoint };
    if (checkpoint === "damaged") continue;
    const { generation, position } = checkpoint;
    return { file, standing: "whole", generation, position, bytes: bytes!.length };
  }
}

/** Undefined where a runtime has put the file to another use since the folder was listed. */
async function inspectSegment(
  disk: Disk,
  segment: Segment,
  use: SegmentFile["use"],
  until: number,
): Promise<SegmentFile | undefined> {
  const { path, generation, base } = segment;
  const start = await readStart(disk, path).catch(() => undefined);
  const header = start && decodeSegmentHeader(start.bytes.subarray(0, SEGMENT_HEADER_BYTES));
  const present = typeof header === "object" ? header.generation : 0;
  if (start === undefined || present !== generation) return undefined;
  const times: number[] = [];
  const { end, isDamaged } = await readSegment(start.bytes, segment, until, 0, (event) => {
    if (event.kind === "readings") times[times.length === 0 ? 0 : 1] = event.receivedAt;
  });
  const [firstAt, lastAt = firstAt] = times;
  return {
    file: basename(path),
    use,
    generation,
    from: base,
    to: end.position,
    usedBytes: end.offset - SEGMENT_HEADER_BYTES,
    // A file of the history without a header counts as generation 0.
    damaged: generation === 0 || isDamaged || (until !== Infinity && end.position < until),
    ...(firstAt === undefined ? {} : { firstAt, lastAt: lastAt! }),
  };
}

async function inspectSegments(disk: Disk, { history, segments }: SegmentFiles): Promise<SegmentFile[]> {
  const files = [
    ...history.map((segment) => ({ segment, use: "history" as const })),
    ...segments.map((segment) => ({ segment, use: "journal" as const })),
  ].toSorted((a, b) => a.segment.generation - b.segment.generation);
  const found: SegmentFile[] = [];
  for (const [index, { segment, use }] of files.entries()) {
    const next = files[index + 1];
    // Only within the journal does each segment go on where the one before it ends.
    const until = use === "journal" && next !== undefined ? next.segment.base : Infinity;
    const inspected = await inspectSegment(disk, segment, use, until);
    if (inspected !== undefined) found.push(inspected);
  }
  return found;
}

/** Of the runtime that works on it; undefined where none does. */
async function askRunning(directory: string): Promise<Standing | undefined> {
  const client = await ControlClient.connect(directory);
  try {
    if (client === undefined) return undefined;
    const { releasedPosition, streams, outbox, groups } = (await client.request("status", {})) as Status;
    return { position: releasedPosition, streams, unconfirmed: outbox.messages, groups };
  } finally {
    client?.close();
  }
}

/** What a start would begin with, and what it would find damaged; the names of the rows. Throws what `StateDirectory.recover` does. */
export async function recoverStanding(
  directory: string,
  around: Around,
): Promise<{ standing: Standing; rows: ReadonlyMap<string, string>; mismatches: number }> {
  const options = { ...around, directory, metrics: new Metrics() };
  const { state, recovered } = await StateDirectory.recover(options, [], "stop");
  try {
    const rows = Array.from(state.fold.streams(), ([key, { group, row }]) => [`${group.index}/${row}`, key] as const);
    const groups = state.fold.groups.map(({ settings, columns }) => {
      const { name, version, engine, kernel } = settings;
      return { name, version, engine, kernel, streams: columns.keys.filter((key) => key !== undefined).length };
    });
    const { position, messages, mismatches } = recovered;
    const standing = { position, streams: state.fold.streamCount, unconfirmed: messages.length, groups };
    return { standing, rows: new Map(rows), mismatches };
  } finally {
    await state.close();
  }
}

function damageOf(files: SegmentFiles, names: readonly string[], inspected: readonly SegmentFile[]): string[] {
  const aside = names.filter((name) => name.startsWith("damaged-"));
  const broken = inspected.filter(({ damaged }) => damaged);
  return [
    ...broken.map(({ file, to }) => `${file}: what follows position ${to} has changed since it was written`),
    ...files.doubtful.map(({ path }) => `${basename(path)}: its header is gone`),
    ...files.copies.map((path) => `${basename(path)}: a copy of another segment, which the journal never makes`),
    ...files.cut.map((path) => `${basename(path)}: something else has cut it short`),
    ...aside.map((name) => `${name}: set aside by an earlier start`),
  ];
}

/** Throws `foreign_state` where there is no journal, or one of another format. */
export async function inspectState(directory: string, around: Around): Promise<StateInspection> {
  const { disk } = around;
  const journal = `${directory}/journal`;
  const names = await disk.list(journal);
  if (names.length === 0) {
    throw new HiddenstateError("foreign_state", `cannot inspect ${directory}: there is no journal in it; name a state directory`);
  }
  const running = await askRunning(directory);
  const files = await findSegmentFiles(disk, journal, limits.segmentBytes);
  const segments = await inspectSegments(disk, files);
  const checkpoints: CheckpointFile[] = [];
  for (const file of checkpointNames) checkpoints.push(await inspectCheckpoint(disk, journal, file));
  const damage = damageOf(files, names, segments);
  for (const { file, standing } of checkpoints)
    if (standing === "damaged") damage.push(`${file}: it has changed since it was written`);
  const standing = running ?? (await standingOf(directory, around, damage));
  return {
    kind: "state",
    directory,
    running: running !== undefined,
    formats: { journal: SEGMENT_FORMAT, checkpoint: CHECKPOINT_FORMAT },
    checkpoints,
    segments,
    spareSegments: files.unused.length,
    ...(standing && { standing }),
    damage,
  };
}

async function standingOf(directory: string, around: Around, damage: string[]): Promise<Standing | undefined> {
  try {
    const { standing, mismatches } = await recoverStanding(directory, around);
    if (mismatches > 0) damage.push(`${mismatches} readings give other outputs in a replay than the journal has`);
    return standing;
  } catch (thrown) {
    if (!(thrown instanceof HiddenstateError)) throw thrown;
    damage.push(thrown.message);
    return undefined;
  }
}

function count(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? "" : "s"}`;
}

function segmentLine({ file, use, from, to, usedBytes, damaged, firstAt, lastAt }: SegmentFile): string {
  const when =
    firstAt === undefined
      ? "no readings"
      : `readings of ${new Date(firstAt).toISOString()} to ${new Date(lastAt!).toISOString()}`;
  const kept = use === "history" ? ", kept for learning" : "";
  return `  ${file}: events ${from} to ${to - 1}, ${(usedBytes / 1024).toFixed(1)} KiB, ${when}${kept}${damaged ? ", DAMAGED" : ""}`;
}

function checkpointLine({ file, standing, position, generation, bytes }: CheckpointFile): string {
  if (standing === "absent") return `  ${file}: none`;
  if (standing === "damaged") return `  ${file}: DAMAGED`;
  return `  ${file}: number ${generation}, of all events before ${position}, ${(bytes! / 1024).toFixed(1)} KiB`;
}

export function stateLines(inspection: StateInspection): string[] {
  const { directory, running, formats, checkpoints, segments, spareSegments, standing, damage } = inspection;
  const facts = standing && [
    `${count(standing.streams, "stream")}; the next event is ${standing.position}; ${count(standing.unconfirmed, "message")} unconfirmed by the broker`,
    ...standing.groups.map(({ name, version, engine, kernel, streams }) => {
      return `group ${name}: ${count(streams, "stream")} on model ${shortVersion(version)}, engine ${engine} (${kernel})`;
    }),
  ];
  return [
    `${directory}: ${running ? "a runtime is working on it" : "nobody is working on it"}; journal format ${formats.journal}, checkpoint format ${formats.checkpoint}`,
    ...(facts ?? []),
    "checkpoints:",
    ...checkpoints.map(checkpointLine),
    `segments, and ${spareSegments} spare:`,
    ...segments.map(segmentLine),
    ...(damage.length === 0 ? ["nothing is damaged"] : ["damage:", ...damage.map((one) => `  ${one}`)]),
  ];
}
