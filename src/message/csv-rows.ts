// CSV text cut into rows and fields (RFC 4180, with any of the usual delimiters and line ends). One pass over the text, no copy of it:
// a field becomes a string only when asked for.
import { HiddenstateError } from "../base/errors.ts";
import { grown } from "../base/grown.ts";

/** What stands between fields. */
export type CsvDelimiter = "," | ";" | "\t";

const QUOTE = 0x22;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** The delimiter that the header line holds most of; a comma where it holds none. Quoted ones do not count. */
export function detectDelimiter(text: string): CsvDelimiter {
  const end = text.search(/[\r\n]/);
  const header = (end === -1 ? text : text.slice(0, end)).replaceAll(/"[^"]*"/g, "");
  const count = (delimiter: CsvDelimiter): number => header.split(delimiter).length;
  return ([";", "\t"] as const).reduce<CsvDelimiter>((best, one) => (count(one) > count(best) ? one : best), ",");
}

export class CsvRows {
  readonly #text: string;
  readonly #origin: string;
  readonly #delimiter: number;
  #at: number;
  #line = 1;
  #rowLine = 0;
  #count = 0;
  #starts = new Int32Array(64);
  /** Where a field ends; negative (-1 - end) where quotes must be undone. */
  #ends = new Int32Array(64);

  constructor(text: string, delimiter: CsvDelimiter, origin: string) {
    this.#text = text;
    this.#origin = origin;
    this.#delimiter = delimiter.charCodeAt(0);
    this.#at = text.startsWith("\uFEFF") ? 1 : 0;
  }

  /** The line on which the present row begins, from 1. */
  get line(): number {
    return this.#rowLine;
  }

  /** How many fields the present row has. */
  get fieldCount(): number {
    return this.#count;
  }

  /** A field of the present row, without its quotes and the blanks around it; empty past the row's end. */
  field(index: number): string {
    if (index >= this.#count) return "";
    const end = this.#ends[index]!;
    if (end >= 0) return this.#text.slice(this.#starts[index], end).trim();
    return this.#text
      .slice(this.#starts[index], -1 - end)
      .replaceAll('""', '"')
      .trim();
  }

  /** Moves to the next row that has a field with something in it. Returns false at the end. */
  next(): boolean {
    while (this.#at < this.#text.length) {
      this.#readRow();
      for (let i = 0; i < this.#count; i++) if (this.field(i) !== "") return true;
    }
    return false;
  }

  #readRow(): void {
    const text = this.#text;
    this.#rowLine = this.#line;
    this.#count = 0;
    for (;;) {
      if (text.charCodeAt(this.#at) === QUOTE) this.#readQuoted();
      else this.#readPlain();
      const code = text.charCodeAt(this.#at++);
      if (code === this.#delimiter) continue;
      if (code === CARRIAGE_RETURN && text.charCodeAt(this.#at) === LINE_FEED) this.#at++;
      this.#line++;
      return;
    }
  }

  /** Leaves the position at the delimiter, the line's end or the text's. */
  #readPlain(): void {
    const text = this.#text;
    const delimiter = this.#delimiter;
    const start = this.#at;
    let at = start;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === delimiter || code === LINE_FEED || code === CARRIAGE_RETURN) break;
    }
    this.#at = at;
    this.#add(start, at);
  }

  #readQuoted(): void {
    const text = this.#text;
    const start = this.#at + 1;
    const line = this.#line;
    let at = start;
    for (; ; at++) {
      const code = text.charCodeAt(at);
      if (code === LINE_FEED) this.#line++;
      if (code === QUOTE) {
        if (text.charCodeAt(at + 1) !== QUOTE) break;
        at++;
      }
      if (at >= text.length) this.#refuse(line, "its quote is not closed");
    }
    this.#at = at + 1;
    const code = text.charCodeAt(this.#at);
    const closes = code === this.#delimiter || code === LINE_FEED || code === CARRIAGE_RETURN || this.#at >= text.length;
    if (!closes) this.#refuse(this.#line, "text follows its closing quote");
    this.#add(start, -1 - at);
  }

  #refuse(line: number, reason: string): never {
    throw new HiddenstateError("bad_argument", `cannot read ${this.#origin}: line ${line}, column ${this.#count + 1}: ${reason}`);
  }

  #add(start: number, end: number): void {
    if (this.#count === this.#starts.length) {
      this.#starts = grown(this.#starts, new Int32Array(this.#count * 2));
      this.#ends = grown(this.#ends, new Int32Array(this.#count * 2));
    }
    this.#starts[this.#count] = start;
    this.#ends[this.#count++] = end;
  }
}
