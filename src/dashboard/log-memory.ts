// The last lines of the log, kept in memory for the page: what the log is told goes on to it unchanged, and from `info` up is kept here,
// whatever the log itself is set to show. Alarms and commands of the page are noted here too.
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Log, LogFields } from "../base/log.ts";

export type LineKind = "info" | "warn" | "error" | "alarm";

export interface LogLine {
  /** Counts up by one. */
  readonly id: number;
  /** Wall clock, milliseconds since 1970. */
  readonly at: number;
  readonly kind: LineKind;
  readonly text: string;
  /** What belongs to it, by name, as texts of bounded length. */
  readonly details: Readonly<Record<string, string>>;
}

const DETAIL_CHARACTERS_MAX = 300;

function detailsOf(fields: LogFields | undefined): Record<string, string> {
  const entries = Object.entries(fields ?? {}).map(([name, value]): [string, string] => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return [name, text.length > DETAIL_CHARACTERS_MAX ? `${text.slice(0, DETAIL_CHARACTERS_MAX)}...` : text];
  });
  return Object.fromEntries(entries);
}

export class LogMemory implements Log {
  readonly #log: Log;
  readonly #clock: Clock;
  #lines: LogLine[] = [];
  #id = 0;
  #onLine: (line: LogLine) => void = () => {};

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Oldest first, at most `limits.dashboardLinesMax`. */
  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  onLine(run: (line: LogLine) => void): void {
    this.#onLine = run;
  }

  note(kind: LineKind, text: string, fields?: LogFields): void {
    const line = { id: ++this.#id, at: this.#clock.wallMs(), kind, text, details: detailsOf(fields) };
    this.#lines.push(line);
    if (this.#lines.length > limits.dashboardLinesMax) this.#lines.shift();
    this.#onLine(line);
  }

  debug(message: string, fields?: LogFields): void {
    this.#log.debug(message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log.info(message, fields);
    this.note("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log.warn(message, fields);
    this.note("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log.error(message, fields);
    this.note("error", message, fields);
  }
}
