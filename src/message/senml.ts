// SenML (RFC 8428): one array of records for many measurements. Base fields hold for the records after them; times are seconds since 1970, or
// below 2^28 relative to now. Measurements of one time are one reading, in the order of time.
import { isFields } from "./field-path.ts";
import type { DocumentFormat } from "./documents.ts";
import { parseJsonPayload } from "./json-payload.ts";
import { checkReadingCount, refuseShape } from "./payload-codec.ts";
import { documentsOfSamples } from "./samples.ts";
import type { Sample } from "./samples.ts";

/** RFC 8428, 4.5.3: smaller values are relative to now, which is the moment of arrival. */
const RELATIVE_BELOW = 2 ** 28;

function number(value: unknown, at: string, name: string): number {
  if (value === undefined) return 0;
  if (typeof value !== "number") refuseShape(`${at}"${name}" is not a number`);
  return value;
}

function text(value: unknown, at: string, name: string): string {
  if (value === undefined) return "";
  if (typeof value !== "string") refuseShape(`${at}"${name}" is not a text`);
  return value;
}

/** The measurements of a pack with their full names. Throws PayloadError. */
export function senmlSamples(pack: unknown, receivedAt: number): Sample[] {
  if (!Array.isArray(pack)) refuseShape("it is not an array of SenML records");
  checkReadingCount(pack.length);
  let [baseName, baseTime, baseValue, baseUnit] = ["", 0, 0, ""];
  return (pack as readonly unknown[]).flatMap((record, index): Sample[] => {
    const at = `record ${index + 1} of ${pack.length}: `;
    if (!isFields(record)) refuseShape(`${at}it is not an object`);
    if (record["bn"] !== undefined) baseName = text(record["bn"], at, "bn");
    if (record["bt"] !== undefined) baseTime = number(record["bt"], at, "bt");
    if (record["bv"] !== undefined) baseValue = number(record["bv"], at, "bv");
    if (record["bu"] !== undefined) baseUnit = text(record["bu"], at, "bu");
    const { v, vb, vs } = record;
    const value = v === undefined ? (vb ?? vs) : number(v, at, "v") + baseValue;
    if (value === undefined) return [];
    const seconds = baseTime + number(record["t"], at, "t");
    const time = Math.round(seconds * 1000) + (seconds < RELATIVE_BELOW ? receivedAt : 0);
    const unit = text(record["u"], at, "u") || baseUnit || undefined;
    return [{ name: baseName + text(record["n"], at, "n"), value, time, unit }];
  });
}

export const senmlDocuments: DocumentFormat = (payload, _origin, receivedAt) =>
  documentsOfSamples(senmlSamples(parseJsonPayload(payload), receivedAt));
