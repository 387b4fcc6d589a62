// State directories to damage, and what can be done to one: a run on the memory disk that goes through checkpoints, rotations, restarts,
// commands, held readings and dead letters, with the digest of the fold at the end of every block, and copies of older files.
import { createHash } from "node:crypto";
import { ByteWriter } from "../../src/base/bytes.ts";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { decodeSegmentHeader, readBlock, SEGMENT_HEADER_BYTES } from "../../src/journal/segment.ts";
import type { Fold } from "../../src/pipeline/fold.ts";
import { Box } from "../support/box.ts";
import type { Message } from "../support/box.ts";
import { group, models } from "../support/one-group.ts";

export const SEGMENT_BYTES = 12 * 1024;
export const BLOCK_BYTES_MAX = 8 * 1024;
const JOURNAL = "/state/journal";

/** All that a fold knows, in a few bytes: equal digests are equal states, bit for bit. */
export function digestOf(fold: Fold): string {
  const bytes = new ByteWriter(4096);
  for (const [key, { group: own, row }] of [...fold.streams()].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    bytes.text(key);
    own.encodeRow(bytes, row);
  }
  bytes.text(JSON.stringify([[...fold.layouts.entries()], [...fold.answers.entries()], [...fold.weakDeliveries.entries()]]));
  return createHash("sha256").update(bytes.written).digest("base64");
}

/** A block of the undamaged journal. */
export interface PlacedBlock {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
  /** Of its first event, and how far the journal was on stable storage when it was written. */
  readonly position: number;
  readonly synced: number;
}

export interface World {
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What stood in the journal's files earlier on. */
  readonly older: readonly (readonly [path: string, bytes: Uint8Array])[];
  readonly blocks: readonly PlacedBlock[];
  /** By position, at the ends of blocks. */
  readonly digests: ReadonlyMap<number, string>;
  readonly position: number;
}

function messageOf(random: Random, sequences: Map<string, number>): Message {
  const chance = random.next();
  const device = `d${random.uint32() % 4}`;
  if (chance < 0.05) return { topic: `s/${device}/r`, payload: "not a reading" };
  const rows = Array.from({ length: 1 + (random.uint32() % 12) }, () => {
    const values = { feature0: 101_320 + random.normal(), feature1: random.next() < 0.1 ? null : random.normal() };
    if (chance < 0.15) return values;
    const sequence = (sequences.get(device) ?? 0) + (random.next() < 0.1 ? 2 : 0);
    sequences.set(device, sequence + 1);
    return { ...values, boot: 1, nonce: 9, sequence };
  });
  return { topic: chance < 0.15 ? `s/weak-${device}/r` : `s/${device}/r`, payload: JSON.stringify(rows) };
}

function blocksOf(box: Box): PlacedBlock[] {
  const blocks: PlacedBlock[] = [];
  const segments = box.disk.paths
    .filter((path) => /segment-\d+$/.test(path))
    .map((path) => ({ path, bytes: box.disk.bytes(path), header: decodeSegmentHeader(box.disk.bytes(path)) }))
    .flatMap(({ header, ...rest }) => (typeof header === "string" ? [] : [{ ...rest, header }]))
    .toSorted((a, b) => a.header.generation - b.header.generation);
  for (const { path, bytes, header } of segments) {
    const { generation } = header;
    let [offset, position] = [SEGMENT_HEADER_BYTES, header.base];
    for (;;) {
      const block = readBlock(bytes, { generation, offset, position });
      if (block === undefined) break;
      blocks.push({ path, offset, bytes: block.bytes, position, synced: block.synced });
      offset += block.bytes;
      position += block.count;
    }
  }
  return blocks;
}

/** One run of `messages` messages; different seeds give different runs. */
export async function makeWorld(seed: number, messages: number): Promise<World> {
  const random = createRandom(seed);
  const reorder = seed % 2 === 0 ? { reorder: { readings: 4, within: "1h" } } : {};
  const groups = [{ ...group, ...reorder, engine: "native" }];
  const box = new Box({ models, groups, segmentBytes: SEGMENT_BYTES, blockBytesMax: BLOCK_BYTES_MAX });
  await box.start();
  const digests = new Map<number, string>();
  const older: [string, Uint8Array][] = [];
  const note = (): void => {
    digests.set(box.pipeline.releasedPosition, digestOf(box.state.fold));
  };
  const remember = (): void => {
    for (const path of box.disk.paths) if (path.startsWith(JOURNAL)) older.push([path, box.disk.bytes(path).slice()]);
  };
  note();
  const sequences = new Map<string, number>();
  for (let i = 0; i < messages; i++) {
    await box.deliver({ ...messageOf(random, sequences), packetId: 1 + i });
    note();
    if (random.next() < 0.3) box.publishAll();
    if (random.next() < 0.05 && box.state.fold.find("d1") !== undefined) {
      await box.control.resetState("d1", { transaction: `reset ${i}` });
      note();
    }
    if (seed % 3 !== 0 && random.next() < 0.06) {
      await box.pipeline.checkpoint();
      remember();
    }
    if (random.next() < 0.04) {
      box.crash();
      await box.start();
      note();
    }
    if (random.next() < 0.03) remember();
    box.clock.advance(1000);
  }
  box.crash();
  // What a process does in the background may still be on its way.
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  const files = new Map(box.disk.paths.map((path) => [path, box.disk.bytes(path).slice()]));
  return { files, older, blocks: blocksOf(box), digests, position: Math.max(...digests.keys()) };
}
