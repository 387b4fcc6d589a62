// The events that have happened and are not yet on their way to the disk, in order: readings wait here until they are stepped, then
// everything goes into blocks. Positions are given here and nowhere else.
import type { JournalEvent, ReadingsEvent } from "../journal/events.ts";
import { BlockBuffer } from "../journal/segment.ts";
import { Composer, speaks } from "./compose.ts";
import type { Fold } from "./fold.ts";
import type { OutboundMessage } from "./outbox.ts";
import { copyOfReadings } from "./release-observer.ts";
import type { ReleasedReadings, ReleaseObserver } from "./release-observer.ts";

export interface PlacedMessage {
  readonly position: number;
  readonly message: OutboundMessage;
}

/** Events on their way to the disk, with the messages they send once they are there. */
export interface Group {
  readonly block: BlockBuffer;
  readonly messages: PlacedMessage[];
  /** What somebody wants to see once it is released. */
  readonly observed: ReleasedReadings[];
  /** The position after its last event. */
  end: number;
}

interface Staged {
  readonly event: JournalEvent;
  /** Of a readings event: its first index in the group's stepper. */
  readonly first: number;
}

export class Ledger {
  readonly #fold: Fold;
  readonly #composer: Composer;
  readonly #blockBytesWanted: number;
  #pending: Staged[] = [];
  #groups: Group[] = [];
  readonly #spareBlocks: BlockBuffer[] = [];
  #position: number;

  /** `blockBytesWanted`: the size at which a block is closed. */
  constructor(fold: Fold, position: number, blockBytesWanted: number) {
    this.#fold = fold;
    this.#composer = new Composer(fold);
    this.#position = position;
    this.#blockBytesWanted = blockBytesWanted;
  }

  /** The position after everything that has happened. */
  get position(): number {
    return this.#position + this.#pending.length;
  }

  /** Whether anything has happened since the last flush. */
  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /** Readings that the next flush steps, with those from which streams are rebuilt. */
  get stagedReadings(): number {
    let staged = 0;
    for (const { stepper } of this.#fold.groups) staged += stepper.count;
    return staged;
  }

  /** Adds an event that has been applied, or readings that have been staged from index `first` of their group's stepper on. */
  push(event: JournalEvent, first = -1): void {
    this.#pending.push({ event, first });
  }

  /** Steps what is staged and closes all events so far: afterwards the state is that of `position`. */
  async flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    for (const group of this.#fold.groups) if (group.stepper.count > 0) await group.stepper.run();
    for (const { event, first } of this.#pending) this.#close(event, first);
    for (const group of this.#fold.groups) group.stepper.clear();
    this.#pending = [];
  }

  #close(event: JournalEvent, first: number): void {
    if (event.kind === "readings") this.#takeOutputs(event, first);
    const group = this.#openGroup();
    group.block.add(event);
    const { observer } = this.#fold;
    if (observer !== undefined && event.kind === "readings") this.#showTo(observer, event, group);
    if (speaks(event)) {
      for (const message of this.#composer.messagesOf(event)) group.messages.push({ position: this.#position, message });
    }
    this.#position++;
    group.end = this.#position;
  }

  get observer(): ReleaseObserver | undefined {
    return this.#fold.observer;
  }

  #showTo(observer: ReleaseObserver, event: ReadingsEvent, group: Group): void {
    const stream = this.#fold.groups[event.group]!.columns.keys[event.row]!;
    if (!observer.wants(stream, event)) return;
    const copy = copyOfReadings(event);
    const prediction = this.#composer.predictionOf(copy);
    group.observed.push({ stream, event: copy, prediction: { ...prediction, sequences: prediction.sequences.slice() } });
  }

  #takeOutputs(event: ReadingsEvent, first: number): void {
    const group = this.#fold.groups[event.group]!;
    const { stepper, outputs, scores, engine, columns } = group;
    const isWarm = engine.warmUp?.(columns.slot[event.row]!).warm;
    // A stream may have become warm within the event: what comes before has no outputs.
    event.silent = isWarm === false || (isWarm === true && Number.isNaN(stepper.y[first * outputs]));
    if (scores === undefined) {
      event.outputs = stepper.y.subarray(first * outputs, (first + event.count) * outputs);
      return;
    }
    const steps = { x: stepper.x, first, y: stepper.y, yFirst: first, yWidth: outputs };
    Object.assign(event, scores.judge(event, columns.keys[event.row]!, steps));
  }

  #openGroup(): Group {
    const last = this.#groups.at(-1);
    if (last !== undefined && last.block.bytes < this.#blockBytesWanted) return last;
    const block = this.#spareBlocks.pop() ?? new BlockBuffer();
    const group: Group = { block, messages: [], observed: [], end: this.#position };
    this.#groups.push(group);
    return group;
  }

  /** The groups that wait for the disk, oldest first. */
  get groups(): readonly Group[] {
    return this.#groups;
  }

  /** Events that wait for the disk, and their size. */
  get closedEvents(): number {
    return this.#groups.reduce((sum, { block }) => sum + block.count, 0);
  }

  get closedBytes(): number {
    return this.#groups.reduce((sum, { block }) => sum + block.bytes, 0);
  }

  /** The oldest group, which is now the caller's until it is given back. */
  take(): Group | undefined {
    return this.#groups.shift();
  }

  giveBack(group: Group): void {
    group.block.clear();
    if (this.#spareBlocks.length < 2) this.#spareBlocks.push(group.block);
  }
}
