// A table in the terminal that is drawn over itself: one row a stream, with the last errors as a sparkline. What it shows is handed in;
// it reads no clock and no broker.

export interface LiveRow {
  readonly stream: string;
  readonly step: number;
  readonly value: number;
  /** What was predicted for the next value. */
  readonly prediction: number;
  /** |prediction - value| of the last readings, oldest first. */
  readonly errors: readonly number[];
}

export interface LiveTableText {
  /** Lines above the table. */
  readonly header: readonly string[];
  readonly valueName: string;
  readonly unit: string;
  readonly footer: string;
}

const BARS = "▁▂▃▄▅▆▇█";

/** One character a value, scaled to the greatest. */
export function sparkline(values: readonly number[]): string {
  const greatest = Math.max(...values, 0);
  if (greatest === 0) return BARS[0]!.repeat(values.length);
  return values.map((value) => BARS[Math.min(BARS.length - 1, Math.floor((value / greatest) * BARS.length))]!).join("");
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The table's lines, no longer than `columns` and no more than `height`; of a sparkline that does not fit, its end. */
export function liveTableLines(rows: readonly LiveRow[], text: LiveTableText, columns: number, height: number): string[] {
  const width = Math.max(8, ...rows.map(({ stream }) => stream.length));
  const unit = text.unit === "" ? "" : ` ${text.unit}`;
  const head = `${"stream".padEnd(width)}  ${"step".padStart(8)}  ${`${text.valueName}${unit}`.padStart(16)}  ${"predicted next".padStart(14)}  ${"error".padStart(8)}`;
  const room = Math.max(1, height - text.header.length - 3);
  const shown = rows.length <= room ? rows : rows.slice(0, Math.max(1, room - 1));
  const lines = shown.map(({ stream, step, value, prediction, errors }) => {
    const figures = [
      String(step).padStart(8),
      value.toFixed(3).padStart(16),
      prediction.toFixed(3).padStart(14),
      mean(errors).toFixed(3).padStart(8),
    ];
    const row = `${stream.padEnd(width)}  ${figures.join("  ")}  `;
    return row + sparkline(errors.slice(-Math.max(1, columns - row.length)));
  });
  const left = rows.length - shown.length;
  const more = left > 0 ? [`... and ${left} more ${left === 1 ? "stream" : "streams"}`] : [];
  return [...text.header, "", head, ...lines, ...more, text.footer].map((line) => line.slice(0, columns));
}

/** Draws over what it drew before. */
export class LiveTable {
  readonly #stream: NodeJS.WriteStream;
  #height = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  draw(rows: readonly LiveRow[], text: LiveTableText): void {
    const lines = liveTableLines(rows, text, this.#stream.columns, this.#stream.rows - 1);
    const up = this.#height > 0 ? `\u001b[${this.#height}A` : "";
    this.#stream.write(`${up}${lines.map((line) => `${line}\u001b[K\n`).join("")}\u001b[J`);
    this.#height = lines.length;
  }
}
