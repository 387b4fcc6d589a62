// A message as a line of a recording: `{"time":1741066212441,"topic":"a/b","payload":"21.5"}`, bytes that are no UTF-8 as `payloadBase64`.
// What `mosquitto_sub -F %j` and `-F %J` print is read too: `tst` is the time, and a payload may stand as JSON.
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { isFields } from "./field-path.ts";
import { parseFieldTime } from "./field-time.ts";
import { createTimeZone } from "./time-zone.ts";
import { isTopicName } from "./topics.ts";

export interface RecordedMessage {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

const UTC = createTimeZone("UTC");
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Undefined where it is no text in UTF-8. */
function textOf(payload: Uint8Array): string | undefined {
  try {
    return decoder.decode(payload);
  } catch {
    return undefined;
  }
}

export function formatRecordedMessage({ time, topic, payload, retain }: RecordedMessage): string {
  const text = textOf(payload);
  const body = text === undefined ? { payloadBase64: Buffer.from(payload).toString("base64") } : { payload: text };
  return JSON.stringify({ time, topic, ...body, ...(retain && { retain }) });
}

function payloadOf({ payload, payloadBase64 }: Readonly<Record<string, unknown>>): Uint8Array {
  if (typeof payloadBase64 === "string") return Buffer.from(payloadBase64, "base64");
  return Buffer.from(typeof payload === "string" ? payload : payload === undefined ? "" : JSON.stringify(payload));
}

function refuse(reason: string, cause?: unknown): never {
  throw new HiddenstateError("bad_argument", reason, cause);
}

/** Throws `bad_argument` for what is no such line; the message is what is wrong with it. */
export function parseRecordedMessage(line: string): RecordedMessage {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch (thrown) {
    return refuse(`it is not JSON: ${reasonOf(thrown)}`, thrown);
  }
  if (!isFields(fields)) return refuse("it is no object");
  const { topic, time, tst } = fields;
  if (typeof topic !== "string" || !isTopicName(topic)) return refuse("its topic is absent, or none to publish on");
  const when = time ?? (typeof tst === "string" ? tst.replace(/Z(?=[+-])/, "") : undefined);
  const ms = parseFieldTime(when, "auto", UTC);
  if (ms === undefined) return refuse("its time is absent or none; write milliseconds since 1970, or ISO 8601");
  return { time: ms, topic, payload: payloadOf(fields), retain: fields["retain"] === true || fields["retain"] === 1 };
}
