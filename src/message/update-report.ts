// What a node says of a new model for one of its groups, retained: that it fetches it, waits with it, has put it in force, or will not have it
// and why. Whoever published it finds it by the digest of its manifest.
import { z } from "zod";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { updateRefusals } from "./update-manifest.ts";

const whole = z.int().min(0);

const reportSchema = z.strictObject({
  /** Milliseconds since 1970. */
  time: z.number(),
  group: z.string().max(64),
  /** SHA-256 of the manifest's payload. */
  manifest: z.string().max(64),
  /** `replaced`: it came into force, and at this start another model is. */
  outcome: z.enum(["fetching", "waiting", "in force", "replaced", "refused"]),
  /** Of a refusal. */
  reason: z.enum(updateRefusals).optional(),
  /** In words: why it waits or is refused. */
  why: z.string().max(4096).optional(),
  // What follows stands only in reports of manifests whose signature holds.
  key: z.string().max(64).optional(),
  counter: whole.optional(),
  version: z.string().max(64).optional(),
  chunks: whole.optional(),
  /** Of the chunks, how many are here. */
  received: whole.optional(),
});

export type UpdateReport = z.output<typeof reportSchema>;

export function encodeReport(report: UpdateReport): Uint8Array {
  return Buffer.from(JSON.stringify(report));
}

/** Throws `bad_payload`. */
export function decodeReport(payload: Uint8Array): UpdateReport {
  try {
    if (payload.length > limits.payloadBytesMax) throw new Error(`it has over ${limits.payloadBytesMax} bytes`);
    return reportSchema.parse(JSON.parse(Buffer.from(payload).toString()));
  } catch (thrown) {
    throw new HiddenstateError(
      "bad_payload",
      "cannot read a report on an update: it is not of the form that this release knows",
      thrown,
    );
  }
}
