// Values of Sparkplug B metrics by their data types (specification 3.0, 6.4.16).
import { roundedNumber } from "./exact-number.ts";
import type { sparkplug } from "./generated/sparkplug.js";

const SIGNED_BITS: ReadonlyMap<number, number> = new Map([
  [1, 8],
  [2, 16],
  [3, 32],
]);
const INT64 = 4;

/** A number, boolean or text; null where it is none of these or said to be null. */
export function metricValue(metric: sparkplug.Metric, datatype: number): number | boolean | string | null {
  if (metric.isNull) return null;
  if (Object.hasOwn(metric, "floatValue")) return metric.floatValue;
  if (Object.hasOwn(metric, "doubleValue")) return metric.doubleValue;
  if (Object.hasOwn(metric, "booleanValue")) return metric.booleanValue;
  if (Object.hasOwn(metric, "stringValue")) return metric.stringValue;
  if (Object.hasOwn(metric, "intValue")) {
    const bits = SIGNED_BITS.get(datatype);
    // Some encoders write a small negative number in its own width, some in 32 bits.
    return bits === undefined ? metric.intValue : (metric.intValue << (32 - bits)) >> (32 - bits);
  }
  return (Object.hasOwn(metric, "longValue") ? roundedNumber(metric.longValue, datatype === INT64) : undefined) ?? null;
}
