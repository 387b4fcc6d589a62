// The contract of a payload format: bytes to readings and back. A codec judges the form only; whether a reading is new, in range or
// finite is for others. Whatever bytes come, decoding returns readings or throws PayloadError, and nothing else.
import { limits } from "../base/limits.ts";
import { PayloadError } from "./payload-error.ts";
import type { Readings } from "./reading.ts";

export type CodecName = "protobuf" | "json";

/** The names behind a device's layout hash, where the device has told us. */
export type KnownLayouts = (hash: number) => readonly string[] | undefined;

export interface PayloadCodec {
  readonly name: CodecName;
  /**
   * The readings of one message, `values` in the order of `features`. The arrays are the caller's to keep; none is a view of `payload`.
   * Nothing is kept of `features` but what is derived from it, so an array of names must not change once used.
   */
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
