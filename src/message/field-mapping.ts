// Where the features and the time stand in a device's messages, and what makes a feature's value out of what stands there.
import type { FieldPath } from "./field-path.ts";
import { isFields, readFieldPath } from "./field-path.ts";
import { describeValue } from "./describe-value.ts";
import { hasDecimalComma, parseFieldNumber } from "./field-number.ts";
import type { FieldTimeShape } from "./field-time.ts";
import { convertUnit } from "./units.ts";
import { refuseField } from "./reading-rows.ts";
import type { TimeZone } from "./time-zone.ts";

/** Where one feature comes from. */
export interface FieldSource {
  /** The feature's name. */
  readonly name: string;
  readonly path: FieldPath;
  /** What the value is multiplied by and then added to. */
  readonly scale: number;
  readonly offset: number;
  /** The unit of the result, and the one that is wanted; undefined where it is not known. */
  readonly unit: string | undefined;
  readonly wanted: string | undefined;
  /** Texts that stand for numbers. */
  readonly words: ReadonlyMap<string, number>;
  /** Numbers that stand for a missing value. */
  readonly marks: ReadonlySet<number>;
  /** The value is a counter: how fast it grows a second is the feature. */
  readonly rate: boolean;
}

export interface FieldMapping {
  /** In the order of the model's features. */
  readonly sources: readonly FieldSource[];
  /** Where the paths begin that do not begin with `$`; undefined: at the message itself. */
  readonly root: FieldPath | undefined;
  /** Undefined: the messages say no time. */
  readonly time: { readonly path: FieldPath; readonly shape: FieldTimeShape } | undefined;
  /** Of times without one. */
  readonly zone: TimeZone;
  readonly decimalComma: boolean;
  /** The unit of what stands at a path, where the kind of device tells it. */
  readonly unitOf: ((path: string, document: unknown) => string | undefined) | undefined;
  /** The messages may carry `boot`, `nonce`, `sequence` and `stream`. */
  readonly isLabelled: boolean;
  /** What carries none of the features is another kind of message, and no fault. */
  readonly passesOver: boolean;
}

/** What stands at a source's path. `feature` is the one that the topic names: the document is that feature's, or what lies below it. */
export function readSource(
  { path }: FieldSource,
  document: unknown,
  feature: string | undefined,
  root: FieldPath | undefined,
): unknown {
  if (feature === undefined)
    return readFieldPath(path, path.whole === undefined || root === undefined ? document : readFieldPath(root, document));
  if (path.whole === feature) return document;
  return path.levels[0] === feature ? readFieldPath(path, document, 1) : undefined;
}

function inWantedUnit(value: number, source: FieldSource, unit: string | undefined, at: string): number {
  const { wanted, name, path } = source;
  if (unit === undefined || wanted === undefined || unit === wanted) return value;
  const conversion = convertUnit(unit, wanted);
  if (conversion === "different") refuseField(at, path.text, `is in ${unit}, but the model takes "${name}" in ${wanted}`);
  if (conversion === undefined || conversion === "unknown") return value;
  return value * conversion.scale + conversion.offset;
}

/**
 * The feature's value out of what stands at its path, before a counter becomes a rate; NaN where it is missing. `unit`: the value's, where
 * one is wanted and it is known. Throws PayloadError.
 */
export function sourceValue(
  source: FieldSource,
  found: unknown,
  unit: string | undefined,
  decimalComma: boolean,
  at: string,
): number {
  const word = typeof found === "string" && source.words.size > 0 ? source.words.get(found) : undefined;
  const value = word ?? parseFieldNumber(found, decimalComma);
  if (value === undefined) {
    const hint = hasDecimalComma(found) ? "; say decimalComma: true if its comma is a decimal sign" : "";
    const isObject = isFields(found) || Array.isArray(found);
    const expected = isObject ? "the path must lead to a number" : "a number is expected, or null where it is missing";
    return refuseField(at, source.path.text, `is ${describeValue(found)}, ${expected}${hint}`);
  }
  if (Number.isNaN(value) || source.marks.has(value)) return Number.NaN;
  return inWantedUnit(value * source.scale + source.offset, source, unit, at);
}
