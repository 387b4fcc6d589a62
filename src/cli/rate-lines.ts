// Progress as lines of rates: one line that is rewritten every second on a terminal, one line every ten seconds elsewhere, and nothing
// where a program wants one JSON summary. Notes go to standard error.
import type { Clock, Timer } from "../base/clock.ts";

export interface RateSample {
  readonly seconds: number;
  /** Totals since the start. */
  readonly readings: number;
  readonly messages: number;
  readonly unconfirmed: number;
}

const TERMINAL_EVERY_MS = 1000;
const ELSEWHERE_EVERY_MS = 10_000;

function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function rateLine(sample: RateSample, last: RateSample): string {
  const seconds = Math.max(sample.seconds - last.seconds, 1e-3);
  const rates = [
    `${sample.seconds.toFixed(0)} s`,
    `${grouped((sample.readings - last.readings) / seconds)} readings/s`,
    `${grouped((sample.messages - last.messages) / seconds)} messages/s confirmed`,
    `${grouped(sample.readings)} readings`,
    `${grouped(sample.unconfirmed)} unconfirmed`,
  ];
  return rates.join("  ");
}

export class RateLines {
  readonly #isJson: boolean;
  readonly #isTerminal: boolean;
  #isOpen = false;
  #note = "";

  constructor(isJson: boolean) {
    this.#isJson = isJson;
    this.#isTerminal = process.stdout.isTTY;
  }

  /** Says something once; the same again only after something else. */
  note(text: string): void {
    if (text === this.#note) return;
    this.#note = text;
    this.#closeLine();
    process.stderr.write(`${text}\n`);
  }

  /** Prints the rates since the line before, until cancelled. */
  start(clock: Clock, sample: () => RateSample): Timer {
    let timer: Timer | undefined;
    let last: RateSample = { seconds: 0, readings: 0, messages: 0, unconfirmed: 0 };
    const everyMs = this.#isTerminal ? TERMINAL_EVERY_MS : ELSEWHERE_EVERY_MS;
    const print = (): void => {
      const now = sample();
      this.#write(rateLine(now, last));
      last = now;
      timer = clock.after(everyMs, print);
    };
    if (!this.#isJson) timer = clock.after(everyMs, print);
    return { cancel: () => timer?.cancel() };
  }

  /** The last line: totals, or all of them as JSON. */
  end(summary: Readonly<Record<string, number>>): void {
    this.#closeLine();
    const texts = Object.entries(summary).map(
      ([name, value]) => `${name} ${name === "seconds" ? value.toFixed(1) : grouped(value)}`,
    );
    process.stdout.write(`${this.#isJson ? JSON.stringify(summary) : texts.join("  ")}\n`);
  }

  #write(text: string): void {
    // Carriage return and "erase to the end of the line" (ECMA-48 EL) rewrite the line in place.
    process.stdout.write(this.#isTerminal ? `\r\u001B[K${text}` : `${text}\n`);
    this.#isOpen = this.#isTerminal;
  }

  #closeLine(): void {
    if (this.#isOpen) process.stdout.write("\n");
    this.#isOpen = false;
  }
}
