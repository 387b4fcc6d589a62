// Predictions as JSON, for people, scripts and home automation. Numbers that came from float32 are written in the fewest digits that
// read back as the same float32.
import { reasonOf } from "../base/errors.ts";
import { z } from "zod";
import { shortestFloat32 } from "./float32-text.ts";
import { refuseShape } from "./payload-codec.ts";
import { PayloadError } from "./payload-error.ts";
import type { Prediction } from "./prediction.ts";

const whole = z.int().min(0);
const schema = z.object({
  id: z.string(),
  stream: z.string(),
  boot: whole,
  nonce: whole,
  sequence: whole,
  version: z.string(),
  engine: z.string(),
  count: z.int().min(1),
  sequences: z.array(whole).optional(),
  times: z.array(z.int()),
  outputs: z.record(z.string(), z.array(z.number().nullable())),
});
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Whether rising sequence numbers leave none out. */
export function isConsecutive(sequences: Float64Array): boolean {
  const span = sequences.at(-1)! - sequences[0]!;
  return span === sequences.length - 1;
}

/** `sequences` stands there only where numbers were left out between the readings. */
export function encodePredictionJson(prediction: Prediction, id: string): Uint8Array {
  const { stream, boot, nonce, firstSequence: sequence, version, engine, count, sequences, times, outputNames } = prediction;
  const outputs = Object.fromEntries(
    outputNames.map((name, output) => [
      name,
      Array.from({ length: count }, (_, row) => shortestFloat32(prediction.outputs[row * outputNames.length + output]!)),
    ]),
  );
  return encoder.encode(
    JSON.stringify({
      id,
      stream,
      boot,
      nonce,
      sequence,
      version,
      engine,
      count,
      ...(isConsecutive(sequences) ? {} : { sequences: Array.from(sequences) }),
      times: Array.from(times),
      // JSON.stringify writes NaN and the infinities as null.
      outputs,
    }),
  );
}

/** Throws PayloadError `undecodable` or `shape`. */
export function decodePredictionJson(payload: Uint8Array): Prediction {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(payload));
  } catch (thrown) {
    throw new PayloadError("undecodable", `cannot decode payload: it is not JSON: ${reasonOf(thrown)}`, thrown);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    refuseShape(`it is not a prediction: ${issue.path.join(".")}: ${issue.message}`);
  }
  const { stream, boot, nonce, sequence, version, engine, count, sequences, times, outputs } = parsed.data;
  const outputNames = Object.keys(outputs);
  const columns = Object.values(outputs);
  if ([times, ...columns, ...(sequences === undefined ? [] : [sequences])].some((list) => list.length !== count)) {
    refuseShape(`its lists are not all as long as count, ${count}`);
  }
  const rows = Float32Array.from({ length: count * columns.length }, (_, i) => {
    return columns[i % columns.length]![Math.floor(i / columns.length)] ?? Number.NaN;
  });
  return {
    stream,
    boot,
    nonce,
    firstSequence: sequence,
    version,
    engine,
    count,
    sequences:
      sequences === undefined ? Float64Array.from({ length: count }, (_, i) => sequence + i) : Float64Array.from(sequences),
    times: Float64Array.from(times),
    outputs: rows,
    outputNames,
  };
}
