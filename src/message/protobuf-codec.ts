// hiddenstate.v1.SensorBatch: one batch of consecutive readings a message. The bytes are parsed by generated code; what the fields mean
// together is judged here.
import assert from "node:assert/strict";
import { reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { exactNumber } from "./exact-number.ts";
import { hiddenstate } from "./generated/hiddenstate.js";
import { layoutHash, layoutText } from "./layout.ts";
import { checkPayloadSize, refuseShape } from "./payload-codec.ts";
import type { KnownLayouts, PayloadCodec } from "./payload-codec.ts";
import { PayloadError } from "./payload-error.ts";
import type { Identity, Readings } from "./reading.ts";
import { validatePart } from "./stream-key.ts";

const { SensorBatch } = hiddenstate.v1;
type Batch = hiddenstate.v1.SensorBatch;

const NO_SEQUENCES = new Float64Array(0);
const hashes = new WeakMap<readonly string[], number>();
/** By layout, then by features: for each feature its column in the layout. */
const mappings = new WeakMap<readonly string[], WeakMap<readonly string[], Int32Array>>();

function hashOf(features: readonly string[]): number {
  let hash = hashes.get(features);
  if (hash === undefined) hashes.set(features, (hash = layoutHash(features)));
  return hash;
}

function mapColumns(layout: readonly string[], features: readonly string[], hash: number): Int32Array {
  let byFeatures = mappings.get(layout);
  if (byFeatures === undefined) mappings.set(layout, (byFeatures = new WeakMap()));
  let columns = byFeatures.get(features);
  if (columns === undefined) {
    columns = Int32Array.from(features, (feature) => layout.indexOf(feature));
    byFeatures.set(features, columns);
  }
  const absent = columns.indexOf(-1);
  if (absent >= 0) {
    const text = `cannot decode payload: its layout ${layoutText(hash)} has no feature "${features[absent]!}"`;
    throw new PayloadError("layout", `${text}; it names ${layout.join(", ")}`);
  }
  return columns;
}

/** Undefined where the values already stand in the order of `features`. */
function columnsOf(
  hash: number,
  features: readonly string[],
  layouts: KnownLayouts,
): [width: number, columns: Int32Array | undefined] {
  if (hash === 0 || hash === hashOf(features)) return [features.length, undefined];
  const layout = layouts(hash);
  if (layout === undefined) {
    const text = `cannot decode payload: its layout ${layoutText(hash)} is unknown`;
    const remedy = `retain the names on the device's layout topic, or send ${layoutText(hashOf(features))} (${features.join(", ")}) or 0`;
    throw new PayloadError("layout", `${text}; ${remedy}`);
  }
  return [layout.length, mapColumns(layout, features, hash)];
}

function identityOf(batch: Batch): Identity | undefined {
  if (batch.bootNonce === 0) return undefined;
  if (batch.boot === 0) refuseShape("it has a boot_nonce, but boot is 0; the first boot is 1");
  return { boot: batch.boot, nonce: batch.bootNonce };
}

function sequencesOf(batch: Batch): Float64Array {
  const first = exactNumber(batch.firstSequence);
  if (first === undefined || first > Number.MAX_SAFE_INTEGER - (batch.count - 1)) refuseShape("first_sequence is over 2^53");
  const sequences = new Float64Array(batch.count);
  for (let i = 0; i < batch.count; i++) sequences[i] = first + i;
  return sequences;
}

function timesOf(batch: Batch): Float64Array {
  const { count, timeStepMs: steps } = batch;
  const times = new Float64Array(count);
  const first = exactNumber(batch.firstTimeMs);
  if (first === undefined) refuseShape("first_time_ms is over 2^53");
  if (steps.length > 1 && steps.length !== count - 1) {
    refuseShape(`time_step_ms has ${steps.length} values for ${count} readings; 1 or ${count - 1} are expected`);
  }
  if (first === 0) return times.fill(Number.NaN);
  if (steps.length === 0 && count > 1) refuseShape(`first_time_ms is set, but time_step_ms is empty for ${count} readings`);
  let time = first;
  times[0] = time;
  for (let i = 1; i < count; i++) times[i] = time += steps[steps.length === 1 ? 0 : i - 1]!;
  return times;
}

/** `(count, D)` out of `(count, width)`. */
function valuesOf(batch: Batch, featureCount: number, width: number, columns: Int32Array | undefined): Float32Array {
  const from = batch.values;
  const values = new Float32Array(batch.count * featureCount);
  if (columns === undefined) {
    for (let i = 0; i < values.length; i++) values[i] = from[i]!;
  } else {
    for (let r = 0, i = 0; r < batch.count; r++) {
      for (let d = 0; d < featureCount; d++) values[i++] = from[r * width + columns[d]!]!;
    }
  }
  return values;
}

function missingOf(batch: Batch, featureCount: number, width: number, columns: Int32Array | undefined): Uint8Array | undefined {
  const bits = batch.missing;
  if (bits.length === 0) return undefined;
  const expected = Math.ceil((batch.count * width) / 8);
  if (bits.length !== expected)
    refuseShape(`missing has ${bits.length} bytes, ${expected} are expected for ${batch.count * width} values`);
  const missing = new Uint8Array(batch.count * featureCount);
  let any = 0;
  for (let r = 0, i = 0; r < batch.count; r++) {
    for (let d = 0; d < featureCount; d++, i++) {
      const bit = r * width + (columns === undefined ? d : columns[d]!);
      any |= missing[i] = (bits[bit >> 3]! >> (bit & 7)) & 1;
    }
  }
  return any === 0 ? undefined : missing;
}

function readingsOf(batch: Batch, features: readonly string[], layouts: KnownLayouts): Readings {
  const { count } = batch;
  if (count === 0) refuseShape("it holds no reading: count is 0");
  if (count > limits.readingsPerMessageMax) {
    refuseShape(`it holds ${count} readings, at most ${limits.readingsPerMessageMax} are allowed`);
  }
  const [width, columns] = columnsOf(batch.layout, features, layouts);
  if (batch.values.length !== count * width) {
    refuseShape(`it has ${batch.values.length} values, ${count * width} are expected: ${count} readings of ${width} features`);
  }
  const partReason = batch.part === "" ? undefined : validatePart(batch.part);
  if (partReason !== undefined) refuseShape(`part cannot be used: ${partReason}`);
  const identity = identityOf(batch);
  return {
    part: batch.part === "" ? undefined : batch.part,
    identity,
    count,
    sequences: identity === undefined ? NO_SEQUENCES : sequencesOf(batch),
    times: timesOf(batch),
    values: valuesOf(batch, features.length, width, columns),
    missing: missingOf(batch, features.length, width, columns),
  };
}

/** As SensorBatch wants them: one step where all are equal. */
function timeStepsOf(times: Float64Array): number[] {
  const steps: number[] = [];
  for (let i = 1; i < times.length; i++) steps.push(times[i]! - times[i - 1]!);
  return steps.every((step) => step === steps[0]) ? steps.slice(0, 1) : steps;
}

function packBits(missing: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(missing.length / 8));
  for (let i = 0; i < missing.length; i++) if (missing[i] !== 0) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}

export const protobufCodec: PayloadCodec = {
  name: "protobuf",

  decode(payload, features, layouts) {
    checkPayloadSize(payload);
    let batch: Batch;
    try {
      batch = SensorBatch.decode(payload);
    } catch (thrown) {
      const text = `cannot decode payload: it is not a hiddenstate.v1.SensorBatch: ${reasonOf(thrown)}`;
      throw new PayloadError("undecodable", text, thrown);
    }
    return [readingsOf(batch, features, layouts)];
  },

  encode(readings, features, layout = 0) {
    const { identity, count, sequences, times, values, missing } = readings;
    assert.equal(values.length, count * features.length);
    assert(times.every(Number.isNaN) || times.every((time) => Number.isSafeInteger(time) && time > 0));
    assert(sequences.every((sequence, i) => sequence === sequences[0]! + i));
    const hasTimes = !Number.isNaN(times[0]!);
    const batch: hiddenstate.v1.SensorBatch.$Properties = { layout, count, values: Array.from(values) };
    if (identity !== undefined)
      Object.assign(batch, { boot: identity.boot, bootNonce: identity.nonce, firstSequence: sequences[0]! });
    if (hasTimes) Object.assign(batch, { firstTimeMs: times[0]!, timeStepMs: timeStepsOf(times) });
    if (missing !== undefined) batch.missing = packBits(missing);
    if (readings.part !== undefined) batch.part = readings.part;
    return SensorBatch.encode(batch).finish();
  },
};
