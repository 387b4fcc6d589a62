// One group's readings out of the journal's events, as rows to learn from: what came last, and of what came before a sample that grows no
// larger, so that learning from what is new does not forget what was. Readings of an open alarm, and of the day after it, are left out.
import type { Random } from "../base/random.ts";
import type { JournalEvent, ReadingsEvent } from "../journal/events.ts";
import type { TableStream } from "../message/reading-table.ts";

/** A run of one stream's rows, with the journal's position of each. */
export interface HistoryRun extends TableStream {
  /** `(count)`. */
  readonly positions: Float64Array;
}

export interface HistoryTableOptions {
  /** The group's place in the journal, and how many features its readings have (D). */
  readonly group: number;
  readonly features: number;
  /** Outputs of its model: what stands behind them in an event is the score and the alarm. */
  readonly outputs: number;
  /** Rows kept, about; half of them are the last. */
  readonly rowsMax: number;
  /** What of older rows is kept. */
  readonly random: Random;
}

/** Rows that are kept or dropped together. */
interface Block {
  readonly key: string;
  /** Its place among the blocks of its key. */
  readonly index: number;
  count: number;
  readonly times: Float64Array;
  readonly positions: Float64Array;
  readonly values: Float32Array;
}

/** Long enough for a state to settle and something to be left to learn. */
const BLOCK_ROWS = 256;
const QUIET_AFTER_ALARM_MS = 24 * 3_600_000;

export class HistoryTable {
  readonly #options: HistoryTableOptions;
  /** By row of the journal: the block being filled, and until when the stream's readings are left out. */
  readonly #open = new Map<number, Block>();
  readonly #quietUntil = new Map<number, number>();
  /** Full or ended, in the order of their first rows. */
  #blocks: Block[] = [];
  #rows = 0;
  #keys = 0;

  constructor(options: HistoryTableOptions) {
    this.#options = options;
  }

  /** Rows that are there. */
  get rows(): number {
    return this.#rows;
  }

  visit(event: JournalEvent, position: number): void {
    if (!("group" in event) || event.group !== this.#options.group) return;
    // A row of the journal may have been another stream's.
    if (event.kind === "streamAdded" || event.kind === "streamRemoved") this.#end(event.row);
    else if (event.kind === "readings") this.#take(event, position);
  }

  #take(event: ReadingsEvent, position: number): void {
    const { features: D, outputs } = this.#options;
    const width = event.outputs.length / event.count;
    for (let i = 0; i < event.count; i++) {
      const time = event.times[i]!;
      const isAlarming = width === outputs + 2 && event.outputs[i * width + outputs + 1] === 1;
      if (isAlarming) this.#quietUntil.set(event.row, time + QUIET_AFTER_ALARM_MS);
      if (time < (this.#quietUntil.get(event.row) ?? -Infinity)) {
        this.#end(event.row);
        continue;
      }
      const block = this.#blockOf(event.row);
      const row = block.count++;
      block.times[row] = time;
      block.positions[row] = position;
      for (let d = 0; d < D; d++) {
        const isMissing = event.missing !== undefined && event.missing[i * D + d] === 1;
        block.values[row * D + d] = isMissing ? Number.NaN : event.values[i * D + d]!;
      }
      this.#rows++;
    }
    if (this.#rows > 2 * this.#options.rowsMax) this.#thin();
  }

  #blockOf(row: number): Block {
    let block = this.#open.get(row);
    if (block !== undefined && block.count < BLOCK_ROWS) return block;
    const key = block?.key ?? `${row}.${this.#keys++}`;
    block = {
      key,
      index: block === undefined ? 0 : block.index + 1,
      count: 0,
      times: new Float64Array(BLOCK_ROWS),
      positions: new Float64Array(BLOCK_ROWS),
      values: new Float32Array(BLOCK_ROWS * this.#options.features),
    };
    this.#blocks.push(block);
    this.#open.set(row, block);
    return block;
  }

  #end(row: number): void {
    this.#open.delete(row);
  }

  /** Down to the bound: the last half of it stays, of what is older a sample. */
  #thin(): void {
    const { rowsMax, random } = this.#options;
    let recent = this.#blocks.length;
    for (let rows = 0; recent > 0 && rows < rowsMax / 2; recent--) rows += this.#blocks[recent - 1]!.count;
    const older = this.#blocks.slice(0, recent);
    let left = this.#rows - rowsMax;
    while (left > 0 && older.length > 0) {
      const [dropped] = older.splice(Math.floor(random.next() * older.length), 1);
      left -= dropped!.count;
      this.#rows -= dropped!.count;
    }
    this.#blocks = [...older, ...this.#blocks.slice(recent)];
  }

  /** Everything that is there, a run of rows for each stretch without a break. */
  runs(): HistoryRun[] {
    if (this.#rows > this.#options.rowsMax) this.#thin();
    const runs: Block[][] = [];
    const last = new Map<string, Block[]>();
    for (const block of this.#blocks) {
      const run = last.get(block.key);
      // One that was dropped leaves a break.
      if (run !== undefined && run.at(-1)!.index + 1 === block.index) run.push(block);
      else {
        const begun = [block];
        runs.push(begun);
        last.set(block.key, begun);
      }
    }
    return runs.filter((run) => run[0]!.count > 0).map((run) => this.#join(run));
  }

  #join(run: readonly Block[]): HistoryRun {
    const { features: D } = this.#options;
    const count = run.reduce((sum, block) => sum + block.count, 0);
    const [times, positions, values] = [new Float64Array(count), new Float64Array(count), new Float32Array(count * D)];
    let at = 0;
    for (const block of run) {
      times.set(block.times.subarray(0, block.count), at);
      positions.set(block.positions.subarray(0, block.count), at);
      values.set(block.values.subarray(0, block.count * D), at * D);
      at += block.count;
    }
    return { key: `${run[0]!.key}@${positions[0]}`, count, times, positions, values };
  }
}
