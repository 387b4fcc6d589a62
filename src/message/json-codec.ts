// Readings as JSON: one object or an array of them, features by name at the top level, for devices and scripts without protobuf. Fields
// that nobody asked for are passed over. A feature that shares its name with `time`, `stream`, `boot`, `nonce` or `sequence` is the
// feature, and the field's other meaning is then not read.
import assert from "node:assert/strict";
import { describeValue } from "./describe-value.ts";
import { isFields } from "./field-path.ts";
import type { Fields } from "./field-path.ts";
import { TIME_MAX } from "./field-time.ts";
import { shortestFloat32 } from "./float32-text.ts";
import { parseIsoTime } from "./iso-time.ts";
import { parseJsonPayload } from "./json-payload.ts";
import { checkReadingCount, refuseShape } from "./payload-codec.ts";
import type { PayloadCodec } from "./payload-codec.ts";
import { labelField, labelOf, labelsTaken, readingsOfRows, refuseField } from "./reading-rows.ts";

const encoder = new TextEncoder();
const taken = new WeakMap<readonly string[], ReadonlySet<string>>();

function takenBy(features: readonly string[]): ReadonlySet<string> {
  let names = taken.get(features);
  if (names === undefined) taken.set(features, (names = labelsTaken(features)));
  return names;
}

function timeOf(fields: Fields, unread: ReadonlySet<string>, at: string): number {
  const value = unread.has("time") ? undefined : labelField(fields, "time");
  if (value === undefined) return Number.NaN;
  if (typeof value === "number" && Math.abs(value) <= TIME_MAX) return Math.round(value);
  const parsed = typeof value === "string" ? parseIsoTime(value) : undefined;
  if (parsed?.zoned !== true) {
    const expected = "milliseconds since 1970 or an ISO 8601 time with its zone (2025-11-23T20:59:01Z) are expected";
    refuseField(at, "time", `is ${describeValue(value)}; ${expected}`);
  }
  return parsed.ms;
}

/** Writes one reading's row of values and missing marks; returns whether one is missing. */
function readFeatures(
  fields: Fields,
  features: readonly string[],
  row: number,
  into: Float32Array,
  missing: Uint8Array,
  at: string,
): boolean {
  let named = 0;
  let absent = 0;
  for (let d = 0, i = row * features.length; d < features.length; d++, i++) {
    const name = features[d]!;
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (value !== undefined) named++;
    if (typeof value === "number") {
      into[i] = value;
    } else if (value === null || value === undefined) {
      missing[i] = 1;
      absent++;
    } else {
      refuseField(at, name, `is ${describeValue(value)}, a number is expected, or null where it is missing`);
    }
  }
  if (named === 0) refuseShape(`${at}none of the features is there: ${features.join(", ")}`);
  return absent > 0;
}

function parse(payload: Uint8Array): readonly unknown[] {
  const value = parseJsonPayload(payload);
  if (!Array.isArray(value)) return [value];
  checkReadingCount(value.length);
  return value;
}

export const jsonCodec: PayloadCodec = {
  name: "json",

  decode(payload, features) {
    const list = parse(payload);
    const values = new Float32Array(list.length * features.length);
    const missing = new Uint8Array(values.length);
    const takenLabels = takenBy(features);
    let anyMissing = false;
    const labels = list.map((item, row) => {
      const at = list.length === 1 ? "" : `reading ${row + 1} of ${list.length}: `;
      if (!isFields(item)) refuseShape(`${at}it is ${describeValue(item)}, an object with the features is expected`);
      anyMissing = readFeatures(item, features, row, values, missing, at) || anyMissing;
      return labelOf(item, takenLabels, timeOf(item, takenLabels, at), at);
    });
    return readingsOfRows(labels, values, anyMissing ? missing : undefined);
  },

  encode(readings, features) {
    assert.equal(readings.values.length, readings.count * features.length);
    const list = Array.from({ length: readings.count }, (_, row) => {
      const entries: [string, unknown][] = [];
      if (readings.part !== undefined) entries.push(["stream", readings.part]);
      if (readings.identity !== undefined) {
        entries.push(
          ["boot", readings.identity.boot],
          ["nonce", readings.identity.nonce],
          ["sequence", readings.sequences[row]!],
        );
      }
      if (!Number.isNaN(readings.times[row]!)) entries.push(["time", readings.times[row]!]);
      for (let d = 0; d < features.length; d++) {
        const i = row * features.length + d;
        const isMissing = readings.missing !== undefined && readings.missing[i] !== 0;
        assert(isMissing || Number.isFinite(readings.values[i]!), "JSON has no number for NaN and the infinities");
        entries.push([features[d]!, isMissing ? null : shortestFloat32(readings.values[i]!)]);
      }
      // Unlike assignment, this makes even `__proto__` an ordinary field.
      return Object.fromEntries(entries);
    });
    return encoder.encode(JSON.stringify(list.length === 1 ? list[0] : list));
  },
};
