// Why a payload was refused: an error of the common family with a reason from a closed set, so that each reason can be the label of a
// counter and the word in a dead letter.
import { HiddenstateError } from "../base/errors.ts";

/**
 * `oversize`: more bytes than a message may have. `undecodable`: not the codec's format at all. `shape`: the format, but not a batch of
 * readings. `layout`: features in an order that nobody has told us.
 */
export type PayloadReason = "oversize" | "undecodable" | "shape" | "layout";

export const payloadReasons: readonly PayloadReason[] = ["oversize", "undecodable", "shape", "layout"];

export class PayloadError extends HiddenstateError {
  readonly reason: PayloadReason;

  constructor(reason: PayloadReason, message: string, cause?: unknown) {
    super("bad_payload", message, cause);
    this.name = "PayloadError";
    this.reason = reason;
  }
}
