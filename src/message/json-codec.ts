// Readings as JSON: one object or an array of them, features by name at the top level, for devices and scripts without protobuf. Fields
// that nobody asked for are passed over. A feature that shares its name with `time`, `stream`, `boot`, `nonce` or `sequence` is the
// feature, and the field's other meaning is then not read.
import assert from "node:assert/strict";
import { reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { shortestFloat32 } from "./float32-text.ts";
import { parseIsoTime } from "./iso-time.ts";
import { checkPayloadSize, refuseShape } from "./payload-codec.ts";
import type { PayloadCodec } from "./payload-codec.ts";
import { PayloadError } from "./payload-error.ts";
import type { Readings } from "./reading.ts";
import { validatePart } from "./stream-key.ts";

type Fields = Readonly<Record<string, unknown>>;

interface Label {
  readonly part: string | undefined;
  readonly boot: number;
  /** 0: no identity. */
  readonly nonce: number;
  readonly sequence: number;
  readonly time: number;
}

const UINT32_MAX = 2 ** 32 - 1;
/** The range of a Date, in milliseconds to either side of 1970. */
const TIME_MAX = 8.64e15;
const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();
const identityNames = ["boot", "nonce", "sequence"] as const;
const labelNames = ["time", "stream", ...identityNames] as const;
type LabelName = (typeof labelNames)[number];
const taken = new WeakMap<readonly string[], ReadonlySet<string>>();

/** The label fields that are not read because features have their names; an identity is read whole or not at all. */
function takenBy(features: readonly string[]): ReadonlySet<string> {
  const known = taken.get(features);
  if (known !== undefined) return known;
  const names = new Set<string>(labelNames.filter((name) => features.includes(name)));
  if (identityNames.some((name) => names.has(name))) for (const name of identityNames) names.add(name);
  taken.set(features, names);
  return names;
}

/** An own field; undefined where it is absent or null. */
function field(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? (fields[name] ?? undefined) : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return value === null ? "null" : "an object";
  if (typeof value === "string") return `the text ${JSON.stringify(value.slice(0, 40))}`;
  return typeof value === "number" || typeof value === "boolean" ? `the ${typeof value} ${value}` : `a ${typeof value}`;
}

function refuseField(at: string, name: string, reason: string): never {
  return refuseShape(`${at}${JSON.stringify(name)} ${reason}`);
}

function wholeNumber(value: unknown, min: number, max: number, at: string, name: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    refuseField(at, name, `is ${describe(value)}, a whole number from ${min} to ${max} is expected`);
  }
  return value;
}

function timeOf(value: unknown, at: string): number {
  if (value === undefined) return Number.NaN;
  if (typeof value === "number" && Math.abs(value) <= TIME_MAX) return Math.round(value);
  const parsed = typeof value === "string" ? parseIsoTime(value) : undefined;
  if (parsed?.zoned !== true) {
    const expected = "milliseconds since 1970 or an ISO 8601 time with its zone (2025-11-23T20:59:01Z) are expected";
    refuseField(at, "time", `is ${describe(value)}; ${expected}`);
  }
  return parsed.ms;
}

function partOf(value: unknown, at: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") refuseField(at, "stream", `is ${describe(value)}, a text is expected`);
  const reason = validatePart(value);
  if (reason !== undefined) refuseField(at, "stream", `cannot be used: ${reason}`);
  return value;
}

function labelOf(fields: Fields, unread: ReadonlySet<string>, at: string): Label {
  const read = (name: LabelName): unknown => (unread.has(name) ? undefined : field(fields, name));
  const boot = read("boot");
  const nonce = read("nonce");
  const sequence = read("sequence");
  const given = [boot, nonce, sequence].filter((value) => value !== undefined).length;
  if (given !== 0 && given !== 3)
    refuseShape(`${at}of "boot", "nonce" and "sequence" only ${given} are there; give all three or none`);
  const part = partOf(read("stream"), at);
  const time = timeOf(read("time"), at);
  if (given === 0) return { part, boot: 0, nonce: 0, sequence: 0, time };
  return {
    part,
    boot: wholeNumber(boot, 1, UINT32_MAX, at, "boot"),
    nonce: wholeNumber(nonce, 1, UINT32_MAX, at, "nonce"),
    sequence: wholeNumber(sequence, 0, Number.MAX_SAFE_INTEGER, at, "sequence"),
    time,
  };
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
      refuseField(at, name, `is ${describe(value)}, a number is expected, or null where it is missing`);
    }
  }
  if (named === 0) refuseShape(`${at}none of the features is there: ${features.join(", ")}`);
  return absent > 0;
}

function parse(payload: Uint8Array): readonly unknown[] {
  checkPayloadSize(payload);
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(payload));
  } catch (thrown) {
    throw new PayloadError("undecodable", `cannot decode payload: it is not JSON: ${reasonOf(thrown)}`, thrown);
  }
  if (!Array.isArray(value)) return [value];
  if (value.length === 0) refuseShape("it holds no reading: the array is empty");
  if (value.length > limits.readingsPerMessageMax) {
    refuseShape(`it holds ${value.length} readings, at most ${limits.readingsPerMessageMax} are allowed`);
  }
  return value;
}

/** Where the run of readings with the label of `start` ends: the same part and the same boot. */
function runEnd(labels: readonly Label[], start: number): number {
  const { part, boot, nonce } = labels[start]!;
  let end = start + 1;
  while (end < labels.length && labels[end]!.part === part && labels[end]!.boot === boot && labels[end]!.nonce === nonce) end++;
  return end;
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
      if (!isFields(item)) refuseShape(`${at}it is ${describe(item)}, an object with the features is expected`);
      anyMissing = readFeatures(item, features, row, values, missing, at) || anyMissing;
      return labelOf(item, takenLabels, at);
    });
    const groups: Readings[] = [];
    for (let start = 0; start < labels.length;) {
      const end = runEnd(labels, start);
      const run = labels.slice(start, end);
      const { part, boot, nonce } = run[0]!;
      const [from, to] = [start * features.length, end * features.length];
      groups.push({
        part,
        identity: nonce === 0 ? undefined : { boot, nonce },
        count: run.length,
        sequences: nonce === 0 ? new Float64Array(0) : Float64Array.from(run, (label) => label.sequence),
        times: Float64Array.from(run, (label) => label.time),
        values: values.subarray(from, to),
        missing: anyMissing && missing.subarray(from, to).includes(1) ? missing.subarray(from, to) : undefined,
      });
      start = end;
    }
    return groups;
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
