// Predictions on the wire: what the readings of one message gave for one stream, as protobuf or JSON. The same prediction always gives
// the same bytes, since a repetition must be recognisable, and a prediction repeated from the journal must equal the first.
import assert from "node:assert/strict";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { exactNumber } from "./exact-number.ts";
import { hiddenstate } from "./generated/hiddenstate.js";
import { refuseShape } from "./payload-codec.ts";
import { PayloadError } from "./payload-error.ts";
import { decodePredictionJson, encodePredictionJson, isConsecutive } from "./prediction-json.ts";

/** How predictions are published: `predictions.format` of a group. */
export type PredictionFormat = "protobuf" | "json";

/** What the accepted readings of one message gave for one stream. */
export interface Prediction {
  readonly stream: string;
  /** 0 and 0 where the stream's readings carry no identity; sequences are then the runtime's own count. */
  readonly boot: number;
  readonly nonce: number;
  readonly firstSequence: number;
  /** The first 16 hex digits of the model file's SHA-256. */
  readonly version: string;
  readonly engine: string;
  readonly count: number;
  /** `(count)`, rising, the first equal to `firstSequence`. */
  readonly sequences: Float64Array;
  /** `(count)`, whole milliseconds since 1970. */
  readonly times: Float64Array;
  /** `(count, O)`, in the outputs' units. NaN is kept; in JSON it is null, and so are the infinities. */
  readonly outputs: Float32Array;
  readonly outputNames: readonly string[];
}

/** The same for every repetition of one prediction: `<stream>/<boot>/<first sequence>/<version>`. */
export function predictionId(prediction: Pick<Prediction, "stream" | "boot" | "firstSequence" | "version">): string {
  return `${prediction.stream}/${prediction.boot}/${prediction.firstSequence}/${prediction.version}`;
}

/** One step where all are equal. */
function stepsOf(times: Float64Array): number[] {
  if (times.length < 2) return [];
  const step = times[1]! - times[0]!;
  for (let i = 2; i < times.length; i++) {
    if (times[i]! - times[i - 1]! !== step) return Array.from(times.subarray(1), (time, before) => time - times[before]!);
  }
  return [step];
}

function skippedOf(sequences: Float64Array): number[] {
  if (isConsecutive(sequences)) return [];
  const skipped = [0];
  for (let i = 1; i < sequences.length; i++) skipped.push(sequences[i]! - sequences[i - 1]! - 1);
  return skipped;
}

function encodeProtobuf(prediction: Prediction): Uint8Array {
  const { count, sequences, times } = prediction;
  return hiddenstate.v1.PredictionBatch.encode({
    id: predictionId(prediction),
    stream: prediction.stream,
    boot: prediction.boot,
    bootNonce: prediction.nonce,
    firstSequence: prediction.firstSequence,
    version: prediction.version,
    engine: prediction.engine,
    count,
    skipped: skippedOf(sequences),
    firstTimeMs: times[0]!,
    timeStepMs: stepsOf(times),
    outputs: Array.from(prediction.outputs),
  }).finish();
}

/** The bytes are the caller's to keep. */
export function encodePrediction(format: PredictionFormat, prediction: Prediction): Uint8Array {
  const { count, sequences, times, outputs, outputNames } = prediction;
  assert(count > 0 && sequences.length === count && times.length === count && outputs.length === count * outputNames.length);
  assert.equal(sequences[0], prediction.firstSequence);
  return format === "protobuf" ? encodeProtobuf(prediction) : encodePredictionJson(prediction, predictionId(prediction));
}

function whole(value: Parameters<typeof exactNumber>[0] | undefined, name: string): number {
  const exact = value === undefined ? undefined : exactNumber(value);
  return exact ?? refuseShape(`${name} is missing or over 2^53`);
}

function decodeProtobuf(payload: Uint8Array, outputNames: readonly string[] | undefined): Prediction {
  let batch: hiddenstate.v1.PredictionBatch;
  try {
    batch = hiddenstate.v1.PredictionBatch.decode(payload);
  } catch (thrown) {
    const text = `cannot decode payload: it is not a hiddenstate.v1.PredictionBatch: ${reasonOf(thrown)}`;
    throw new PayloadError("undecodable", text, thrown);
  }
  const { count, skipped, timeStepMs: steps } = batch;
  if (count > limits.readingsPerMessageMax)
    refuseShape(`it holds ${count} readings, at most ${limits.readingsPerMessageMax} are allowed`);
  const outputCount = batch.outputs.length / count;
  if (count === 0 || outputCount === 0 || !Number.isInteger(outputCount))
    refuseShape(`it has ${batch.outputs.length} outputs for ${count} readings`);
  if (skipped.length !== 0 && skipped.length !== count) refuseShape(`skipped has ${skipped.length} values for ${count} readings`);
  const fitsSteps = steps.length === count - 1 || (steps.length === 1 && count > 1);
  if (!fitsSteps) refuseShape(`time_step_ms has ${steps.length} values for ${count} readings`);
  const sequences = new Float64Array(count);
  const times = new Float64Array(count);
  sequences[0] = whole(batch.firstSequence, "first_sequence");
  times[0] = whole(batch.firstTimeMs, "first_time_ms");
  for (let i = 1; i < count; i++) {
    sequences[i] = sequences[i - 1]! + 1 + (skipped.length === 0 ? 0 : whole(skipped[i], "skipped"));
    times[i] = times[i - 1]! + whole(steps[steps.length === 1 ? 0 : i - 1], "time_step_ms");
  }
  return {
    stream: batch.stream,
    boot: batch.boot,
    nonce: batch.bootNonce,
    firstSequence: sequences[0],
    version: batch.version,
    engine: batch.engine,
    count,
    sequences,
    times,
    outputs: Float32Array.from(batch.outputs),
    outputNames: outputNames ?? Array.from({ length: outputCount }, (_, index) => String(index)),
  };
}

/**
 * Reads back what `encodePrediction` wrote. Protobuf carries no names of outputs: `outputNames` gives them, else they are numbered from
 * "0". Throws PayloadError, or `bad_argument` where `outputNames` are not as many as the outputs.
 */
export function decodePrediction(format: PredictionFormat, payload: Uint8Array, outputNames?: readonly string[]): Prediction {
  const prediction = format === "protobuf" ? decodeProtobuf(payload, outputNames) : decodePredictionJson(payload);
  const { firstSequence, sequences, times } = prediction;
  if (
    sequences.some(
      (sequence, i) => !Number.isSafeInteger(sequence) || sequence < (i === 0 ? firstSequence : sequences[i - 1]! + 1),
    )
  )
    refuseShape("its sequence numbers do not rise, or are over 2^53");
  if (!times.every(Number.isSafeInteger)) refuseShape("its times are over 2^53");
  const outputCount = prediction.outputs.length / prediction.count;
  if (prediction.outputNames.length !== outputCount) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot decode prediction: it has ${outputCount} outputs, ${outputNames?.length} names were given`,
    );
  }
  return prediction;
}
