// Payload formats that say nothing of features by themselves: each turns a message into documents, one a reading, and a mapping says
// where in a document the features stand.
import { reasonOf } from "../base/errors.ts";
import { CsvRows, detectDelimiter } from "./csv-rows.ts";
import { isFields } from "./field-path.ts";
import { parseJsonPayload } from "./json-payload.ts";
import { checkPayloadSize, checkReadingCount, refuseShape } from "./payload-codec.ts";
import type { MessageOrigin } from "./payload-codec.ts";
import { PayloadError } from "./payload-error.ts";

export interface Documents {
  /** Values as JSON has them, and bigints, dates and byte arrays. */
  readonly list: readonly unknown[];
  /** By document: milliseconds since 1970 where the format itself says when, NaN where it does not. */
  readonly times?: Float64Array;
  /** By document: units by the names of its fields, where the message says them. */
  readonly units?: readonly ReadonlyMap<string, string>[];
}

/** Throws PayloadError and nothing else. No document: the message is none of readings. */
export type DocumentFormat = (payload: Uint8Array, origin: MessageOrigin, receivedAt: number) => Documents;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** One document, or the readings in an array; an array of anything but objects is itself a document. */
export function documentsOf(value: unknown): Documents {
  if (!Array.isArray(value) || (value.length > 0 && !value.some(isFields))) return { list: [value] };
  checkReadingCount(value.length);
  return { list: value };
}

export const jsonDocuments: DocumentFormat = (payload) => documentsOf(parseJsonPayload(payload));

function textOf(payload: Uint8Array): string {
  checkPayloadSize(payload);
  try {
    return decoder.decode(payload).replaceAll("\0", "").trim();
  } catch (thrown) {
    throw new PayloadError("undecodable", "cannot decode payload: it is not a text in UTF-8", thrown);
  }
}

/** One value a message, as text: `21.38`. */
export const textDocuments: DocumentFormat = (payload) => ({ list: [textOf(payload)] });

/** Lines of values parted by commas, semicolons or tabs, in the order of `columns`; a column named `_` is passed over. */
export function csvDocuments(columns: readonly string[]): DocumentFormat {
  return (payload) => {
    const text = textOf(payload);
    const rows = new CsvRows(text, detectDelimiter(text), "CSV");
    const list: Record<string, string>[] = [];
    try {
      while (rows.next()) {
        if (rows.fieldCount !== columns.length) {
          refuseShape(`line ${rows.line} has ${rows.fieldCount} values, ${columns.length} are expected: ${columns.join(", ")}`);
        }
        list.push(Object.fromEntries(columns.map((name, index) => [name, rows.field(index)])));
      }
    } catch (thrown) {
      if (thrown instanceof PayloadError) throw thrown;
      throw new PayloadError("undecodable", `cannot decode payload: ${reasonOf(thrown)}`, thrown);
    }
    checkReadingCount(list.length);
    return { list };
  };
}
