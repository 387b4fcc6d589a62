// `hiddenstate inspect PATH`: what a model file, a state directory or a segment of its journal holds. It only ever reads.
import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { Command } from "commander";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { createSystemRandom } from "../base/random.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, SEGMENT_MAGIC } from "../journal/segment.ts";
import { readStart } from "../journal/segment-files.ts";
import { loadModel } from "../onnx/load-model.ts";
import { inspectModel, modelLines } from "./inspect-model.ts";
import { eventJson, eventLine, RowNames, viewSegment } from "./inspect-segment.ts";
import type { EventChoice } from "./inspect-segment.ts";
import { inspectState, recoverStanding, stateLines } from "./inspect-state.ts";
import { numberIn } from "./option-values.ts";
import { ReadOnlyDisk } from "./read-only-disk.ts";

interface InspectOptions extends EventChoice {
  readonly json?: true;
}

const FOUND_DAMAGE = 1;
const disk = new ReadOnlyDisk(systemDisk);
const around = { disk, clock: systemClock, random: createSystemRandom() };

function print(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

/** Names of rows as the journal around a segment, and the state directory around that, know them. */
async function namesAround(path: string): Promise<RowNames> {
  const folder = dirname(path);
  const none = new Map<string, string>();
  if (basename(folder) !== "journal") return RowNames.read(disk, folder, none);
  // A runtime may be at work, or something damaged: what cannot be had is done without.
  const known = await recoverStanding(dirname(folder), around).catch((thrown: unknown) => {
    if (thrown instanceof HiddenstateError) return undefined;
    throw thrown;
  });
  return RowNames.read(disk, folder, known?.rows ?? none);
}

async function inspectSegment(path: string, options: InspectOptions): Promise<void> {
  const { bytes } = await readStart(disk, path);
  const header = decodeSegmentHeader(bytes.subarray(0, SEGMENT_HEADER_BYTES));
  if (typeof header === "string") {
    throw new HiddenstateError("state_damaged", `cannot inspect ${path}: its header is ${header}`);
  }
  const { shown, matching, kinds, report } = await viewSegment(bytes, header, await namesAround(path), options);
  if (options.json === true) print(shown.map(eventJson));
  else {
    const counts = Array.from(kinds, ([kind, many]) => `${many} ${kind}`).join(", ");
    const { position } = report.end;
    print([`${path}: use ${header.generation}, events ${header.base} to ${position - 1}: ${counts}`, ...shown.map(eventLine)]);
    if (matching > shown.length) print([`and ${matching - shown.length} more; --limit 0 shows all`]);
  }
  if (!report.isDamaged) return;
  process.stderr.write(`what follows position ${report.end.position} has changed since it was written\n`);
  process.exitCode = FOUND_DAMAGE;
}

async function inspect(given: string, options: InspectOptions): Promise<void> {
  const path = resolve(given);
  const found = await stat(path).catch((thrown: unknown) => {
    throw new HiddenstateError("bad_argument", `cannot inspect ${given}: ${reasonOf(thrown)}`, thrown);
  });
  if (found.isDirectory()) {
    const inspection = await inspectState(path, around);
    print(options.json === true ? [JSON.stringify(inspection)] : stateLines(inspection));
    if (inspection.damage.length > 0) process.exitCode = FOUND_DAMAGE;
    return;
  }
  const { bytes } = await readStart(disk, path, 4);
  const isSegment = bytes.length === 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === SEGMENT_MAGIC;
  if (isSegment || /^(?:segment|history|damaged)-\d{6}$/.test(basename(path))) return inspectSegment(path, options);
  const inspection = await inspectModel(await loadModel(disk, path));
  print(options.json === true ? [JSON.stringify(inspection)] : modelLines(given, inspection));
}

export function inspectCommand(): Command {
  return new Command("inspect")
    .description(
      "show what a model file, a state directory or a journal segment holds; nothing is changed, also while a runtime works on it",
    )
    .argument("<path>", "model.onnx, a state directory, or state/journal/segment-000001")
    .option("--limit <count>", "of a segment: how many events; 0: all", numberIn(0, 1e9, true), 100)
    .option("--stream <key>", "of a segment: events of this stream alone; group/row where nothing names it")
    .option("--json", "print JSON; of a segment one line an event")
    .action(inspect);
}
