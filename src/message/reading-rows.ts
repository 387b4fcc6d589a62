// From rows of values with labels to readings: who sent each, of which part, and when. Shared by the codecs whose messages are objects
// with named fields.
import { describeValue } from "./describe-value.ts";
import type { Fields } from "./field-path.ts";
import { refuseShape } from "./payload-codec.ts";
import type { Readings } from "./reading.ts";
import { validatePart } from "./stream-key.ts";

export interface RowLabel {
  readonly part: string | undefined;
  readonly boot: number;
  /** 0: no identity. */
  readonly nonce: number;
  readonly sequence: number;
  /** Milliseconds since 1970, NaN without. */
  readonly time: number;
}

const UINT32_MAX = 2 ** 32 - 1;
const identityNames = ["boot", "nonce", "sequence"] as const;
const labelNames = ["time", "stream", ...identityNames] as const;
export type LabelName = (typeof labelNames)[number];

/** The label fields that are not read because features have their names; an identity is read whole or not at all. */
export function labelsTaken(features: readonly string[]): ReadonlySet<string> {
  const names = new Set<string>(labelNames.filter((name) => features.includes(name)));
  if (identityNames.some((name) => names.has(name))) for (const name of identityNames) names.add(name);
  return names;
}

export function refuseField(at: string, name: string, reason: string): never {
  return refuseShape(`${at}${JSON.stringify(name)} ${reason}`);
}

/** An own field; undefined where it is absent or null. */
export function labelField(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? (fields[name] ?? undefined) : undefined;
}

function wholeNumber(value: unknown, min: number, max: number, at: string, name: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    refuseField(at, name, `is ${describeValue(value)}, a whole number from ${min} to ${max} is expected`);
  }
  return value;
}

function partOf(value: unknown, at: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") refuseField(at, "stream", `is ${describeValue(value)}, a text is expected`);
  const reason = validatePart(value);
  if (reason !== undefined) refuseField(at, "stream", `cannot be used: ${reason}`);
  return value;
}

/** The label in an object's own fields `boot`, `nonce`, `sequence` and `stream`, but for those that are taken. Throws PayloadError. */
export function labelOf(fields: Fields, taken: ReadonlySet<string>, time: number, at: string): RowLabel {
  const read = (name: LabelName): unknown => (taken.has(name) ? undefined : labelField(fields, name));
  const boot = read("boot");
  const nonce = read("nonce");
  const sequence = read("sequence");
  const given = [boot, nonce, sequence].filter((value) => value !== undefined).length;
  if (given !== 0 && given !== 3)
    refuseShape(`${at}of "boot", "nonce" and "sequence" only ${given} are there; give all three or none`);
  const part = partOf(read("stream"), at);
  if (given === 0) return { part, boot: 0, nonce: 0, sequence: 0, time };
  return {
    part,
    boot: wholeNumber(boot, 1, UINT32_MAX, at, "boot"),
    nonce: wholeNumber(nonce, 1, UINT32_MAX, at, "nonce"),
    sequence: wholeNumber(sequence, 0, Number.MAX_SAFE_INTEGER, at, "sequence"),
    time,
  };
}

/** Of a reading that says nothing of itself but its time. */
export function timeLabel(time: number): RowLabel {
  return { part: undefined, boot: 0, nonce: 0, sequence: 0, time };
}

/** Where the run of readings with the label of `start` ends: the same part and the same boot. */
function runEnd(labels: readonly RowLabel[], start: number): number {
  const { part, boot, nonce } = labels[start]!;
  let end = start + 1;
  while (end < labels.length && labels[end]!.part === part && labels[end]!.boot === boot && labels[end]!.nonce === nonce) end++;
  return end;
}

/** `values` and `missing`: a row a label, which become the readings' own. */
export function readingsOfRows(labels: readonly RowLabel[], values: Float32Array, missing: Uint8Array | undefined): Readings[] {
  const width = values.length / labels.length;
  const groups: Readings[] = [];
  for (let start = 0; start < labels.length;) {
    const end = runEnd(labels, start);
    const run = labels.slice(start, end);
    const { part, boot, nonce } = run[0]!;
    const [from, to] = [start * width, end * width];
    groups.push({
      part,
      identity: nonce === 0 ? undefined : { boot, nonce },
      count: run.length,
      sequences: nonce === 0 ? new Float64Array(0) : Float64Array.from(run, (label) => label.sequence),
      times: Float64Array.from(run, (label) => label.time),
      values: values.subarray(from, to),
      missing: missing?.subarray(from, to).includes(1) === true ? missing.subarray(from, to) : undefined,
    });
    start = end;
  }
  return groups;
}
