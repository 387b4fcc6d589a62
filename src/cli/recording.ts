// A recording of messages in a file, one a line, read as it is needed: it may be larger than the memory.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { HiddenstateError, reasonOf, systemCodeOf } from "../base/errors.ts";
import { parseRecordedMessage } from "../message/recorded-message.ts";
import type { RecordedMessage } from "../message/recorded-message.ts";

/** Whether a file of this name is a recording of messages, and no table. */
export function isRecording(path: string): boolean {
  return /\.(?:jsonl|ndjson)$/i.test(path);
}

/** Leaves out the first `skip` messages. Throws `bad_argument` naming the line, or `disk_failed`. */
export async function* readRecording(path: string, skip: number): AsyncGenerator<RecordedMessage> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity });
  let [number, messages] = [0, 0];
  try {
    for await (const line of lines) {
      number++;
      if (line.trim() === "" || messages++ < skip) continue;
      yield parseRecordedMessage(line);
    }
  } catch (thrown) {
    if (thrown instanceof HiddenstateError) {
      throw new HiddenstateError(thrown.code, `cannot replay ${path}: line ${number}: ${thrown.message}`, thrown);
    }
    const code = systemCodeOf(thrown) === "ENOENT" ? "bad_argument" : "disk_failed";
    throw new HiddenstateError(code, `cannot read ${path}: ${reasonOf(thrown)}`, thrown);
  } finally {
    lines.close();
  }
}
