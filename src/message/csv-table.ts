// CSV files as tables of readings, for training, evaluation and replay. Every doubt is an error with its line and column: a table is
// never partly read and no value is ever guessed.
import { HiddenstateError } from "../base/errors.ts";
import { grown } from "../base/grown.ts";
import { limits } from "../base/limits.ts";
import { CsvRows, detectDelimiter } from "./csv-rows.ts";
import type { CsvDelimiter } from "./csv-rows.ts";
import { csvTimeFormatsOf, parseCsvTime } from "./csv-time.ts";
import type { CsvTimeFormat } from "./csv-time.ts";
import type { ReadingTable, TableStream } from "./reading-table.ts";
import { validateStreamKey } from "./stream-key.ts";
import { createTimeZone } from "./time-zone.ts";
import type { TimeZone } from "./time-zone.ts";

/** How a CSV text is to be read; only `timeColumn` is needed. */
export interface CsvOptions {
  /** What errors call the text: the file's name. */
  readonly origin?: string;
  /** Default `auto`: what the header line holds most of. */
  readonly delimiter?: CsvDelimiter | "auto";
  /** Default: a comma is a decimal point where it is not the delimiter and the file uses no decimal dot. */
  readonly decimalComma?: boolean;
  /** What marks a missing value besides an empty field, NA, NaN and null. Numbers are compared as numbers. */
  readonly missing?: readonly string[];
  /** The column of times, or several joined by a blank: `Date,Time`. */
  readonly timeColumn: string;
  /** Default `auto`: from the values. */
  readonly timeFormat?: CsvTimeFormat | "auto";
  /** Of times without a zone; default `UTC`. */
  readonly timezone?: string;
  /** The column that names each row's stream; without one the table has a single stream with an empty key. */
  readonly streamColumn?: string;
  /** The columns to read as features, in this order; default all that are neither time nor stream. */
  readonly features?: readonly string[];
}

interface Columns {
  readonly names: readonly string[];
  readonly time: readonly number[];
  readonly stream: number | undefined;
  readonly features: readonly number[];
}

const NUMBER = /^[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?$/;
const MISSING = ["", "na", "n/a", "nan", "null"];

function refuse(options: CsvOptions, reason: string): never {
  throw new HiddenstateError("bad_argument", `cannot read ${options.origin ?? "CSV"}: ${reason}`);
}

function refuseField(options: CsvOptions, rows: CsvRows, columns: Columns, column: number, reason: string): never {
  refuse(options, `line ${rows.line}, column ${column + 1} (${columns.names[column]!}): ${reason}`);
}

function findColumns(rows: CsvRows, options: CsvOptions): Columns {
  if (!rows.next()) refuse(options, "it is empty; a line of column names is expected first");
  const names = Array.from({ length: rows.fieldCount }, (_, index) => rows.field(index));
  const find = (name: string): number => {
    const index = names.indexOf(name);
    const available = names.filter((one) => one !== "").join(", ");
    if (index === -1) refuse(options, `it has no column "${name}"; its columns are ${available}`);
    if (names.includes(name, index + 1)) refuse(options, `it has two columns "${name}"`);
    return index;
  };
  const { timeColumn, streamColumn } = options;
  const time = names.includes(timeColumn) ? [find(timeColumn)] : timeColumn.split(",").map((name) => find(name.trim()));
  const stream = streamColumn === undefined ? undefined : find(streamColumn);
  const others = names.filter((name, index) => name !== "" && !time.includes(index) && index !== stream);
  const features = (options.features ?? others).map(find);
  if (features.length === 0) refuse(options, "no column is left to be a feature");
  return { names, time, stream, features };
}

function timeText(rows: CsvRows, columns: Columns): string {
  return columns.time.map((index) => rows.field(index)).join(" ");
}

/** The one format that all rows allow. Stops at the first row that settles it. */
function detectTimeFormat(rows: CsvRows, columns: Columns, options: CsvOptions): CsvTimeFormat {
  let possible: readonly CsvTimeFormat[] | undefined;
  while (rows.next()) {
    const text = timeText(rows, columns);
    const formats = csvTimeFormatsOf(text);
    possible = possible?.filter((format) => formats.includes(format)) ?? formats;
    if (possible.length === 0)
      refuseField(options, rows, columns, columns.time[0]!, `"${text}" is no time, or not written as those above`);
    if (possible.length === 1) return possible[0]!;
  }
  if (possible === undefined) refuse(options, "it has no rows");
  return refuse(options, `its times may be day-first or month-first; say which by the time format ${possible.join(" or ")}`);
}

/** One feature's text to a number, with the file's decimal sign and missing marks. */
class NumberReader {
  readonly #texts: ReadonlySet<string>;
  readonly #numbers: ReadonlySet<number>;
  #decimal: "." | "," | undefined;
  readonly #options: CsvOptions;

  constructor(options: CsvOptions, delimiter: CsvDelimiter) {
    const marks = options.missing ?? [];
    this.#texts = new Set([...MISSING, ...marks.map((mark) => mark.trim().toLowerCase())]);
    this.#numbers = new Set(marks.filter((mark) => NUMBER.test(mark)).map((mark) => Number(mark.replace(",", "."))));
    this.#options = options;
    const isOpen = options.decimalComma === undefined && delimiter !== ",";
    this.#decimal = isOpen ? undefined : options.decimalComma === true ? "," : ".";
  }

  read(rows: CsvRows, columns: Columns, column: number): number {
    const text = rows.field(column);
    if (text === "") return Number.NaN;
    if (!NUMBER.test(text)) {
      if (this.#texts.has(text.toLowerCase())) return Number.NaN;
      const reason = `${JSON.stringify(text.slice(0, 40))} is not a number; if it marks a missing value, name it as one`;
      refuseField(this.#options, rows, columns, column, reason);
    }
    const value = Number(this.#pointed(text, rows, columns, column));
    // -200 and -200.0 are the same mark.
    if (this.#numbers.has(value) || this.#texts.has(text)) return Number.NaN;
    if (!Number.isFinite(Math.fround(value)))
      refuseField(this.#options, rows, columns, column, `${text} is beyond the range of float32`);
    return value;
  }

  #pointed(text: string, rows: CsvRows, columns: Columns, column: number): string {
    const sign = text.includes(",") ? "," : text.includes(".") ? "." : undefined;
    if (sign === undefined) return text;
    this.#decimal ??= sign;
    if (sign !== this.#decimal) {
      const names = { ",": "comma", ".": "dot" } as const;
      const reason = `${text} has a decimal ${names[sign]}, but this file's decimal sign is the ${names[this.#decimal]}`;
      refuseField(this.#options, rows, columns, column, `${reason}; signs between thousands are not read`);
    }
    return sign === "," ? text.replace(",", ".") : text;
  }
}

class StreamBuilder {
  count = 0;
  #times = new Float64Array(256);
  #values: Float32Array<ArrayBuffer>;
  readonly #width: number;

  constructor(width: number) {
    this.#width = width;
    this.#values = new Float32Array(256 * width);
  }

  /** The new row's values, to be filled by the caller. */
  add(time: number): Float32Array {
    if (this.count === this.#times.length) {
      this.#times = grown(this.#times, new Float64Array(this.count * 2));
      this.#values = grown(this.#values, new Float32Array(this.count * 2 * this.#width));
    }
    this.#times[this.count] = time;
    const from = this.count++ * this.#width;
    return this.#values.subarray(from, from + this.#width);
  }

  build(key: string): TableStream {
    const { count } = this;
    return { key, count, times: this.#times.slice(0, count), values: this.#values.slice(0, count * this.#width) };
  }
}

function checkWidth(options: CsvOptions, rows: CsvRows, columns: Columns): void {
  const expected = columns.names.length;
  if (rows.fieldCount < expected) refuse(options, `line ${rows.line} has ${rows.fieldCount} fields, the header has ${expected}`);
  for (let i = expected; i < rows.fieldCount; i++) {
    if (rows.field(i) !== "") refuse(options, `line ${rows.line} has ${rows.fieldCount} fields, the header has ${expected}`);
  }
}

function readTime(options: CsvOptions, rows: CsvRows, columns: Columns, format: CsvTimeFormat, zone: TimeZone): number {
  const text = timeText(rows, columns);
  return (
    parseCsvTime(text, format, zone) ??
    refuseField(options, rows, columns, columns.time[0]!, `"${text}" is no time of the format ${format}, as the others are`)
  );
}

/** A table out of the text of a CSV file, which is read whole. Throws `bad_argument` with line and column for whatever is not plainly a table of readings. */
export function parseCsv(text: string, options: CsvOptions): ReadingTable {
  const origin = options.origin ?? "CSV";
  const asked = options.delimiter ?? "auto";
  const delimiter = asked === "auto" ? detectDelimiter(text) : asked;
  const zone = createTimeZone(options.timezone ?? "UTC");
  const rows = new CsvRows(text, delimiter, origin);
  const columns = findColumns(rows, options);
  const askedFormat = options.timeFormat ?? "auto";
  const scout = new CsvRows(text, delimiter, origin);
  const format = askedFormat === "auto" ? (scout.next(), detectTimeFormat(scout, columns, options)) : askedFormat;
  const numbers = new NumberReader(options, delimiter);
  const builders = new Map<string, StreamBuilder>();
  while (rows.next()) {
    checkWidth(options, rows, columns);
    const key = columns.stream === undefined ? "" : rows.field(columns.stream);
    let builder = builders.get(key);
    if (builder === undefined) {
      const reason = columns.stream === undefined ? undefined : validateStreamKey(key);
      if (reason !== undefined) refuseField(options, rows, columns, columns.stream!, `"${key}" cannot name a stream: ${reason}`);
      if (builders.size === limits.streamsMax) refuse(options, `it has more than ${limits.streamsMax} streams`);
      builders.set(key, (builder = new StreamBuilder(columns.features.length)));
    }
    const row = builder.add(readTime(options, rows, columns, format, zone));
    for (let d = 0; d < row.length; d++) row[d] = numbers.read(rows, columns, columns.features[d]!);
  }
  return {
    features: columns.features.map((index) => columns.names[index]!),
    streams: Array.from(builders, ([key, builder]) => builder.build(key)),
  };
}
