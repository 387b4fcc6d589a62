// Bytes to a JSON value.
import { reasonOf } from "../base/errors.ts";
import { checkPayloadSize } from "./payload-codec.ts";
import { PayloadError } from "./payload-error.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Throws PayloadError `oversize` or `undecodable`. */
export function parseJsonPayload(payload: Uint8Array): unknown {
  checkPayloadSize(payload);
  try {
    return JSON.parse(decoder.decode(payload));
  } catch (thrown) {
    throw new PayloadError("undecodable", `cannot decode payload: it is not JSON: ${reasonOf(thrown)}`, thrown);
  }
}
