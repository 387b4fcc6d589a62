// A CSV file as a table of readings, with the options that say how the file is written.
import { Option } from "commander";
import type { Command } from "commander";
import { readFully } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError, reasonOf, systemCodeOf } from "../base/errors.ts";
import { parseCsv } from "../message/csv-table.ts";
import type { CsvOptions } from "../message/csv-table.ts";
import { csvTimeFormats } from "../message/csv-time.ts";
import type { ReadingTable } from "../message/reading-table.ts";
import { delimiter, words } from "./option-values.ts";

/** As commander gives them. */
export interface TableOptions {
  readonly time: string;
  readonly features?: readonly string[];
  readonly stream?: string;
  readonly timeFormat?: CsvOptions["timeFormat"];
  readonly timezone?: string;
  readonly delimiter?: CsvOptions["delimiter"];
  readonly decimalComma?: true;
  readonly missing?: readonly string[];
}

/** The text is held in memory whole, and a string of V8 ends at half a gibibyte. */
const CSV_BYTES_MAX = 256 * 1024 * 1024;

/** Adds the options that say how the file is written. */
export function addFormatOptions(command: Command): Command {
  return command
    .optionsGroup("How the file is written:")
    .addOption(new Option("--time-format <format>", "of its times, if it cannot be told from them").choices(csvTimeFormats))
    .option("--timezone <zone>", "of times without one: +01:00, Europe/Berlin (default: UTC)")
    .option("--delimiter <sign>", "comma, semicolon or tab, if it cannot be told from the header", delimiter)
    .option("--decimal-comma", "numbers are written as 2,6")
    .option("--missing <marks>", "what marks a missing value, as -200 (besides an empty field, NA, NaN and null)", words);
}

async function readText(disk: Disk, path: string): Promise<string> {
  const file = await disk.open(path, "read");
  try {
    const size = await file.size();
    if (size > CSV_BYTES_MAX) {
      const reason = `it has ${size} bytes, over ${CSV_BYTES_MAX}; cut it into files of separate streams, or keep every tenth row`;
      throw new HiddenstateError("bad_argument", `cannot read ${path}: ${reason}`);
    }
    const bytes = new Uint8Array(size);
    return new TextDecoder().decode(bytes.subarray(0, await readFully(file, bytes, 0)));
  } finally {
    await file.close();
  }
}

/** Throws `bad_argument` for what is no file, too large a file or no table of readings; `disk_failed` where it cannot be read. */
export async function readTable(disk: Disk, path: string, options: TableOptions): Promise<ReadingTable> {
  const { time, stream, features, timeFormat, timezone, decimalComma, missing } = options;
  let text: string;
  try {
    text = await readText(disk, path);
  } catch (thrown) {
    if (thrown instanceof HiddenstateError) throw thrown;
    if (systemCodeOf(thrown) === "ENOENT") {
      throw new HiddenstateError("bad_argument", `cannot read ${path}: there is no such file`, thrown);
    }
    throw new HiddenstateError("disk_failed", `cannot read ${path}: ${reasonOf(thrown)}`, thrown);
  }
  return parseCsv(text, {
    origin: path,
    timeColumn: time,
    ...(stream === undefined ? {} : { streamColumn: stream }),
    ...(features === undefined ? {} : { features }),
    ...(timeFormat === undefined ? {} : { timeFormat }),
    ...(timezone === undefined ? {} : { timezone }),
    ...(options.delimiter === undefined ? {} : { delimiter: options.delimiter }),
    ...(decimalComma === undefined ? {} : { decimalComma }),
    ...(missing === undefined ? {} : { missing }),
  });
}
