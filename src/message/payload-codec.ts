// The contract of a payload format: bytes to readings and back. A codec judges the form only; whether a reading is new, in range or
// finite is for others. Whatever bytes come, decoding returns readings or throws PayloadError, and nothing else.
import { limits } from "../base/limits.ts";
import { PayloadError } from "./payload-error.ts";
import type { Readings } from "./reading.ts";

/** The formats that can be written, too. */
export type CodecName = "protobuf" | "json";

/** The names behind a device's layout hash, where the device has told us. */
export type KnownLayouts = (hash: number) => readonly string[] | undefined;

/** What a message's topic says of it. */
export interface MessageOrigin {
  readonly topic: string;
  /** The stream key of the device that the topic names. */
  readonly key: string;
  /** The feature that the message is about, where the topic names one. */
  readonly feature: string | undefined;
}

/** A message that decoding asks for: to another topic, once, not retained. */
export interface Request {
  readonly topic: string;
  readonly payload: Uint8Array;
}

export interface PayloadDecoder {
  readonly name: string;
  /**
   * The readings of one message, `values` in the order of `features`; none where the message is of another kind than readings. The arrays
   * are the caller's to keep; none is a view of `payload`. Nothing is kept of `features` but what is derived from it, so an array of names
   * must not change once used. `receivedAt`: this box's wall clock, milliseconds since 1970.
   */
  decode(
    payload: Uint8Array,
    features: readonly string[],
    layouts: KnownLayouts,
    origin: MessageOrigin,
    receivedAt: number,
  ): readonly Readings[];
  /** What the messages decoded since the last call make it ask for. */
  takeRequests?(): readonly Request[];
}

export interface PayloadCodec extends PayloadDecoder {
  readonly name: CodecName;
  decode(payload: Uint8Array, features: readonly string[], layouts: KnownLayouts): readonly Readings[];
  /**
   * The message that decodes to `readings`. Times are all NaN or all whole milliseconds; sequences rise by ones. `layout` is the hash to
   * send along, where the format has one; 0 sends none.
   */
  encode(readings: Readings, features: readonly string[], layout?: number): Uint8Array;
}

/** Throws PayloadError `oversize`, before anything of the payload is read. */
export function checkPayloadSize(payload: Uint8Array): void {
  if (payload.length > limits.payloadBytesMax) {
    throw new PayloadError(
      "oversize",
      // How many more is not for a decoder to say: what is too long arrives cut.
      `cannot decode payload: it has more than the ${limits.payloadBytesMax} bytes that are allowed`,
    );
  }
}

/** Throws PayloadError `shape` with the sentence's second half. */
export function refuseShape(reason: string): never {
  throw new PayloadError("shape", `cannot decode payload: ${reason}`);
}

/** Throws PayloadError `shape` for a message that holds none, or too many. */
export function checkReadingCount(count: number): void {
  if (count === 0) refuseShape("it holds no reading: the array is empty");
  if (count > limits.readingsPerMessageMax)
    refuseShape(`it holds ${count} readings, at most ${limits.readingsPerMessageMax} are allowed`);
}
