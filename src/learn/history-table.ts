// One group's readings out of the journal's events, as rows to learn from: what came last, and of what came before a sample that grows no
// larger, so that learning from what is new does not forget what was. Readings of an open alarm, and of the day after it, wait until that day
// has passed without another alarm, or somebody has called the alarm normal; once it is called a fault they are left out for good.
import type { Random } from "../base/random.ts";
import type { AlarmCalledEvent, JournalEvent, ReadingsEvent } from "../journal/events.ts";
import type { Verdict } from "../message/alarm.ts";
import type { TableStream } from "../message/reading-table.ts";
import { decodeEpochSettings } from "../pipeline/settings.ts";

/** A run of one stream's rows, with the journal's position of each. */
export interface HistoryRun extends TableStream {
  /** `(count)`. */
  readonly positions: Float64Array;
}

export interface HistoryTableOptions {
  /** The group's place in the journal, and how many features its readings have (D). */
  readonly group: number;
  readonly features: number;
  /** Whether its readings are scored, until an epoch says so: the last of their outputs is 1 then while an alarm is open. */
  readonly scored: boolean;
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
  /** Undefined where no alarm is near. */
  readonly alarm: AlarmWindow | undefined;
  /** It has made room for others, and what comes next goes elsewhere. */
  isDropped: boolean;
  readonly times: Float64Array;
  readonly positions: Float64Array;
  readonly values: Float32Array;
}

/** The readings from an alarm's opening until it is over. */
interface AlarmWindow {
  /** By the stream's readings: a day after the last under the open alarm. */
  until: number;
  isOver: boolean;
  said: Verdict | undefined;
}

/** What the alarms of a stream, a row of the journal, have left behind so far. */
interface StreamAlarms {
  /** One was open at the last reading. */
  isOpen: boolean;
  last: AlarmWindow | undefined;
  /** Those that are not over and not called normal, oldest first. */
  waiting: AlarmWindow[];
}

function isLeftOut({ alarm }: Block): boolean {
  return alarm !== undefined && alarm.said !== "normal" && (alarm.said === "fault" || !alarm.isOver);
}

/** Long enough for a state to settle and something to be left to learn. */
const BLOCK_ROWS = 256;
const QUIET_AFTER_ALARM_MS = 24 * 3_600_000;

export class HistoryTable {
  readonly #options: HistoryTableOptions;
  /** By row of the journal: the block being filled. */
  readonly #open = new Map<number, Block>();
  /** By row of the journal, of streams that have had an alarm. */
  readonly #alarms = new Map<number, StreamAlarms>();
  /** Full or ended, in the order of their first rows. */
  #blocks: Block[] = [];
  #rows = 0;
  #keys = 0;
  #isScored: boolean;

  constructor(options: HistoryTableOptions) {
    this.#options = options;
    this.#isScored = options.scored;
  }

  /** Rows that are there, those that wait among them. */
  get rows(): number {
    return this.#rows;
  }

  visit(event: JournalEvent, position: number): void {
    if (event.kind === "epoch")
      this.#isScored = decodeEpochSettings(event.settings).groups[this.#options.group]?.score !== undefined;
    if (!("group" in event) || event.group !== this.#options.group) return;
    // A row of the journal may have been another stream's.
    if (event.kind === "streamAdded" || event.kind === "streamRemoved") this.#end(event.row);
    else if (event.kind === "alarmCalled") this.#call(event);
    else if (event.kind === "readings") this.#take(event, position);
  }

  #take(event: ReadingsEvent, position: number): void {
    const { features: D } = this.#options;
    const width = event.outputs.length / event.count;
    for (let i = 0; i < event.count; i++) {
      const time = event.times[i]!;
      const isAlarming = this.#isScored && event.outputs[(i + 1) * width - 1] === 1;
      const block = this.#blockOf(event.row, this.#windowAt(event.row, time, isAlarming));
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

  /** The alarm that a reading belongs to. */
  #windowAt(row: number, time: number, isAlarming: boolean): AlarmWindow | undefined {
    let alarms = this.#alarms.get(row);
    if (alarms === undefined) {
      if (!isAlarming) return undefined;
      this.#alarms.set(row, (alarms = { isOpen: false, last: undefined, waiting: [] }));
    }
    if (isAlarming) {
      if (!alarms.isOpen) alarms.waiting.push((alarms.last = { until: time, isOver: false, said: undefined }));
      // What is open is the last that waits.
      alarms.waiting.at(-1)!.until = time + QUIET_AFTER_ALARM_MS;
    } else if (alarms.waiting.every(({ until }) => time >= until)) {
      for (const window of alarms.waiting) window.isOver = true;
      alarms.waiting = [];
    }
    alarms.isOpen = isAlarming;
    return alarms.waiting.at(-1);
  }

  /** What a person says holds for the stream's last alarm, whatever was said before. */
  #call({ row, verdict }: AlarmCalledEvent): void {
    const alarms = this.#alarms.get(row);
    if (alarms?.last === undefined) return;
    const { last, waiting } = alarms;
    last.said = verdict;
    if (verdict === "normal") {
      alarms.waiting = waiting.filter((window) => window !== last);
      alarms.isOpen = false;
    } else if (!last.isOver && !waiting.includes(last)) waiting.push(last);
  }

  #blockOf(row: number, alarm: AlarmWindow | undefined): Block {
    let block = this.#open.get(row);
    if (block !== undefined && block.count < BLOCK_ROWS && block.alarm === alarm && !block.isDropped) return block;
    const key = block?.key ?? `${row}.${this.#keys++}`;
    block = {
      key,
      index: block === undefined ? 0 : block.index + 1,
      count: 0,
      alarm,
      isDropped: false,
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
    this.#alarms.delete(row);
  }

  #drop(block: Block): void {
    block.isDropped = true;
    this.#rows -= block.count;
  }

  /** Down to the bound: the last half of it stays, of what is older a sample; of faults nothing does. */
  #thin(): void {
    const { rowsMax, random } = this.#options;
    for (const block of this.#blocks) if (block.alarm?.said === "fault") this.#drop(block);
    this.#blocks = this.#blocks.filter(({ isDropped }) => !isDropped);
    let recent = this.#blocks.length;
    for (let rows = 0; recent > 0 && rows < rowsMax / 2; recent--) rows += this.#blocks[recent - 1]!.count;
    const older = this.#blocks.slice(0, recent);
    let left = this.#rows - rowsMax;
    while (left > 0 && older.length > 0) {
      const [dropped] = older.splice(Math.floor(random.next() * older.length), 1);
      left -= dropped!.count;
      this.#drop(dropped!);
    }
    this.#blocks = [...older, ...this.#blocks.slice(recent)];
  }

  /** Everything that may be learned from, a run of rows for each stretch without a break. */
  runs(): HistoryRun[] {
    if (this.#rows > this.#options.rowsMax) this.#thin();
    const runs: Block[][] = [];
    const last = new Map<string, Block[]>();
    for (const block of this.#blocks) {
      if (isLeftOut(block)) continue;
      const run = last.get(block.key);
      // One that was dropped or is left out leaves a break.
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
