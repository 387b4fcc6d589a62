// The durable state at one position, for a checkpoint: written in short slices while readings go on. A stream that is about to change
// is written down first, so the snapshot is of its position exactly, however long it takes.
//
// Chunks: one `head` (settings, rows of each group, layouts, answers, weak deliveries, whether the session is in doubt), one `shared` for each
// group whose streams learn together, `rows`, and one `outbox` at the end.
import type { Clock } from "../base/clock.ts";
import { sleep } from "../base/clock.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { sharedStateOf } from "../engine/engine.ts";
import type { CheckpointWriter } from "../journal/checkpoint-file.ts";
import { decodeStateTensors, encodeStateTensors } from "../journal/command-event-codec.ts";
import type { Fold } from "./fold.ts";
import type { PlacedMessage } from "./ledger.ts";
import type { OutboxEntry } from "./outbox.ts";
import { decodeEpochSettings, encodeEpochSettings } from "./settings.ts";
import type { StreamGroup } from "./stream-group.ts";

const HEAD = 1;
const ROWS = 2;
const OUTBOX = 3;
const SHARED = 4;
/** Errors of a restored snapshot that say nothing about its bytes. */
const OF_OTHERS: ReadonlySet<ErrorCode> = new Set(["foreign_state", "bad_model", "missing_package", "disk_failed"]);
/** Rows encoded between two looks at the clock. */
const ROWS_PER_LOOK = 16;

function encodeHead(fold: Fold): Uint8Array {
  const head = new ByteWriter();
  head.u8(HEAD);
  head.text(encodeEpochSettings(fold.settings));
  for (const { columns } of fold.groups) head.varint(columns.keys.length);
  head.varint(fold.layouts.size);
  for (const [hash, { names, units }] of fold.layouts.entries()) {
    head.u32(hash);
    head.text(JSON.stringify([names, units]));
  }
  head.varint(fold.answers.size);
  for (const [transaction, answer] of fold.answers.entries()) {
    head.text(transaction);
    head.text(answer);
  }
  head.varint(fold.weakDeliveries.size);
  for (const [delivery] of fold.weakDeliveries.entries()) head.text(delivery);
  head.u8(fold.sessionInDoubt ? 1 : 0);
  return head.written;
}

/** Returns how many rows each group has, so that no row after it is believed that would bring millions into being with it. */
async function decodeHead(from: ByteReader, fold: Fold): Promise<number[]> {
  await fold.enterEpoch(decodeEpochSettings(from.text()));
  const rowCounts = fold.groups.map(() => from.varint());
  for (let left = from.varint(); left > 0; left--) {
    const hash = from.u32();
    const [names, units] = JSON.parse(from.text()) as [string[], string[]];
    fold.layouts.set(hash, { names, units });
  }
  for (let left = from.varint(); left > 0; left--) fold.answers.set(from.text(), from.text());
  for (let left = from.varint(); left > 0; left--) fold.weakDeliveries.set(from.text(), true);
  // A head of before that was noted ends here.
  fold.sessionInDoubt = from.remaining > 0 && from.u8() === 1;
  return rowCounts;
}

/** What the streams of a group share, which changes with every reading of any of them; nothing where they share nothing. */
function encodeShared({ index, engine }: StreamGroup): Uint8Array[] {
  const state = sharedStateOf(engine);
  if (state === undefined) return [];
  const shared = new ByteWriter();
  shared.u8(SHARED);
  shared.varint(index);
  encodeStateTensors(shared, state);
  return [shared.written];
}

function restoreShared(from: ByteReader, fold: Fold): void {
  const index = from.varint();
  const shared = fold.groups[index]?.engine.shared;
  if (shared === undefined) throw new HiddenstateError("bad_payload", `the streams of group ${index} share nothing`);
  shared.write(decodeStateTensors(from));
}

function encodeOutbox(entries: readonly OutboxEntry[]): Uint8Array {
  const outbox = new ByteWriter();
  outbox.u8(OUTBOX);
  outbox.varint(entries.length);
  for (const { position, topic, payload, retain } of entries) {
    outbox.varint(position);
    outbox.text(topic);
    outbox.blob(payload);
    outbox.u8(retain ? 1 : 0);
  }
  return outbox.written;
}

function decodeOutbox(from: ByteReader): PlacedMessage[] {
  const messages: PlacedMessage[] = [];
  for (let left = from.varint(); left > 0; left--) {
    const position = from.varint();
    const message = { topic: from.text(), payload: from.blob().slice(), retain: from.u8() === 1 };
    messages.push({ position, message });
  }
  return messages;
}

export class Snapshot {
  readonly #fold: Fold;
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  readonly #head: Uint8Array;
  readonly #shared: readonly Uint8Array[];
  readonly #rows = new ByteWriter();
  /** By group: 1 for rows that are written down, or were empty. */
  readonly #done: Uint8Array[];
  readonly #groups: readonly StreamGroup[];

  /** Begins at the present position: nothing may be staged. Written no faster than `bytesPerSecond`. */
  constructor(fold: Fold, clock: Clock, bytesPerSecond: number) {
    this.#fold = fold;
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#head = encodeHead(fold);
    this.#groups = fold.groups;
    this.#shared = fold.groups.flatMap(encodeShared);
    this.#done = fold.groups.map(({ columns }) => Uint8Array.from(columns.keys, (key) => (key === undefined ? 1 : 0)));
    this.#beginRows();
    fold.onTouch = (group, row) => this.#writeRow(group, row);
  }

  #beginRows(): void {
    this.#rows.clear();
    this.#rows.u8(ROWS);
  }

  #writeRow(group: StreamGroup, row: number): void {
    const done = this.#done[group.index]!;
    // Rows past the end came into being after the snapshot's position.
    if (row >= done.length || done[row] === 1) return;
    done[row] = 1;
    this.#rows.varint(group.index);
    group.encodeRow(this.#rows, row);
  }

  /** Writes everything but the outbox. Between slices others have their turn. */
  async write(writer: CheckpointWriter): Promise<void> {
    await writer.chunk(this.#head);
    for (const shared of this.#shared) {
      await this.#breathe(shared.length);
      await writer.chunk(shared);
    }
    for (const group of this.#groups) {
      const count = this.#done[group.index]!.length;
      let sliceEndMs = this.#clock.monotonicMs() + limits.checkpointSliceMs;
      for (let row = 0; row < count; row++) {
        this.#writeRow(group, row);
        if (row % ROWS_PER_LOOK !== 0 || this.#clock.monotonicMs() < sliceEndMs) continue;
        await this.#writeChunk(writer);
        sliceEndMs = this.#clock.monotonicMs() + limits.checkpointSliceMs;
      }
    }
    this.end();
    await this.#writeChunk(writer);
  }

  async #writeChunk(writer: CheckpointWriter): Promise<void> {
    const chunk = this.#rows.written.slice();
    this.#beginRows();
    await this.#breathe(chunk.length);
    await writer.chunk(chunk);
  }

  /** Others have their turn before so many bytes are written, and a flash card its rest. */
  async #breathe(bytes: number): Promise<void> {
    if (this.#bytesPerSecond < Infinity) await sleep(this.#clock, (1000 * bytes) / this.#bytesPerSecond);
    else await new Promise<void>((resolve) => this.#clock.soon(resolve));
  }

  /** The last chunk: the messages of events before the snapshot's position that the broker has not confirmed. */
  async writeOutbox(writer: CheckpointWriter, entries: readonly OutboxEntry[]): Promise<void> {
    await writer.chunk(encodeOutbox(entries));
  }

  /** No stream is watched any longer. */
  end(): void {
    this.#fold.onTouch = undefined;
  }
}

/**
 * Brings a snapshot's chunks into an empty fold; returns the messages not yet confirmed. Throws `foreign_state` for a newer version's and
 * `state_damaged` for chunks that no snapshot wrote.
 */
export async function restoreSnapshot(chunks: readonly Uint8Array[], fold: Fold): Promise<PlacedMessage[]> {
  try {
    return await restoreChunks(chunks, fold);
  } catch (thrown) {
    if (thrown instanceof HiddenstateError && OF_OTHERS.has(thrown.code)) throw thrown;
    // Their CRCs are right, so it is no accident of the disk; whatever the mistake is, a fold half made is of no use.
    throw new HiddenstateError("state_damaged", `cannot read the checkpoint: ${reasonOf(thrown)}`, thrown);
  }
}

async function restoreChunks(chunks: readonly Uint8Array[], fold: Fold): Promise<PlacedMessage[]> {
  let messages: PlacedMessage[] = [];
  let rowCounts: readonly number[] = [];
  for (const chunk of chunks) {
    const from = new ByteReader(chunk);
    const kind = from.u8();
    if (kind === HEAD) rowCounts = await decodeHead(from, fold);
    else if (kind === SHARED) restoreShared(from, fold);
    else if (kind === ROWS) while (from.remaining > 0) restoreRow(from, fold, rowCounts);
    else if (kind === OUTBOX) messages = decodeOutbox(from);
    else
      throw new HiddenstateError(
        "foreign_state",
        `cannot read the checkpoint: a part of kind ${kind} is not known to this version`,
      );
  }
  return messages;
}

function restoreRow(from: ByteReader, fold: Fold, rowCounts: readonly number[]): void {
  const index = from.varint();
  const group = fold.groups[index];
  if (group === undefined) throw new HiddenstateError("bad_payload", `there is no group ${index}`);
  fold.register(group, group.decodeRow(from, rowCounts[index]!));
}
