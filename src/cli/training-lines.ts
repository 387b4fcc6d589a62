// How a training looks while it runs: a bar that is drawn over itself on a terminal, a plain line now and then elsewhere. On standard error,
// so that what a program prints at the end stands alone on standard output.
import type { Clock } from "../base/clock.ts";
import type { TrainingProgress } from "../learn/train-model.ts";

/** Where the lines go: `process.stderr`, or a test's own. */
export interface LineStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR_CELLS = 20;
const PARTS_OF_A_CELL = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const TERMINAL_EVERY_MS = 100;
const ELSEWHERE_EVERY_MS = 5000;
/** Before that the time left is not said: the first moments are slower than what follows. */
const FORESIGHT_AFTER_MS = 1000;
const COLUMNS_WITHOUT_TERMINAL = 80;

/** `part` from 0 to 1 as `██████▌             `. */
export function progressBar(part: number, cells: number): string {
  const eighths = Math.floor(Math.min(1, Math.max(0, part)) * cells * 8);
  const drawn = "█".repeat(Math.floor(eighths / 8)) + PARTS_OF_A_CELL[eighths % 8]!;
  return drawn.padEnd(cells);
}

/** `4 s`, `3 min`, `2 h`. */
export function roughTime(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export class TrainingLines {
  readonly #stream: LineStream;
  readonly #clock: Clock;
  readonly #epochsMax: number;
  #startedAtMs: number;
  #drawnAtMs = Number.NEGATIVE_INFINITY;
  #isOpen = false;

  constructor(stream: LineStream, clock: Clock, epochsMax: number) {
    this.#stream = stream;
    this.#clock = clock;
    this.#epochsMax = epochsMax;
    this.#startedAtMs = clock.monotonicMs();
  }

  show(progress: TrainingProgress): void {
    const now = this.#clock.monotonicMs();
    const isTerminal = this.#stream.isTTY === true;
    if (now - this.#drawnAtMs < (isTerminal ? TERMINAL_EVERY_MS : ELSEWHERE_EVERY_MS)) return;
    this.#drawnAtMs = now;
    const done = progress.epochs + progress.part;
    const spentMs = now - this.#startedAtMs;
    const leftMs = spentMs > FORESIGHT_AFTER_MS && done > 0 ? (spentMs / done) * (this.#epochsMax - done) : Number.NaN;
    const best =
      progress.bestEpoch === 0 ? "" : `, validation at best ${progress.bestLoss.toFixed(4)} in epoch ${progress.bestEpoch}`;
    const loss = Number.isNaN(progress.loss) ? "" : `  loss ${progress.loss.toFixed(4)}${best}`;
    const left = Number.isNaN(leftMs) ? "" : `  at most ${roughTime(leftMs)} left`;
    const epoch = `epoch ${Math.min(progress.epochs + 1, this.#epochsMax)}/${this.#epochsMax}`;
    if (!isTerminal) {
      this.#stream.write(`${epoch}${loss}${left}\n`);
      return;
    }
    const line = `${progressBar(done / this.#epochsMax, BAR_CELLS)} ${epoch}${loss}${left}`;
    this.#stream.write(`\r${line.slice(0, (this.#stream.columns ?? COLUMNS_WITHOUT_TERMINAL) - 1)}\u001b[K`);
    this.#isOpen = true;
  }

  /** Another training begins: the time left is its own. */
  restart(): void {
    this.#startedAtMs = this.#clock.monotonicMs();
  }

  /** Says something on a line of its own. */
  note(text: string): void {
    this.close();
    this.#stream.write(`${text}\n`);
  }

  /** Ends the line that is being drawn over. */
  close(): void {
    if (this.#isOpen) this.#stream.write("\n");
    this.#isOpen = false;
  }
}
