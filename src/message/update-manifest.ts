// The manifest of a model that is sent to a node: what it is, for whom, until when, and in which order of updates, signed. On the wire it is a
// line that names key and signature, and then JSON in exactly one form; nothing of that JSON is looked at before its signature holds.
import { createHash, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { z } from "zod";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Model } from "../model/model.ts";
import { modelSpecSchema } from "../model/spec.ts";
import { TIME_MAX } from "./field-time.ts";
import { PLAIN_NAME } from "./topics.ts";
import { keyIdOf, publicKeyText } from "./update-key.ts";
import type { TrustedKey } from "./update-key.ts";

/** Why an update is not taken, of a fixed set: they are labels of a counter. */
export const updateRefusals = [
  "too_large", // the manifest, or the model that it announces
  "malformed", // there is no signature in it
  "unknown_key",
  "bad_signature",
  "bad_manifest", // signed, and yet not of the one form
  "elsewhere", // signed for another node or group
  "no_group",
  "old_counter", // not above the highest that was ever accepted for the group
  "expired",
  "wrong_shape", // other features, outputs or states than the group's
  "bad_model", // the file is no model, another one than the manifest says, or fails the parity measure
  "unverified", // that measure could not be taken
  "gave_up", // the process ended each time it was to be put in force
  "no_record", // what was accepted before cannot be read
] as const;
export type UpdateRefusal = (typeof updateRefusals)[number];

export class UpdateRefused extends HiddenstateError {
  readonly refusal: UpdateRefusal;
  /** The message without what goes without saying in a report. */
  readonly why: string;

  constructor(refusal: UpdateRefusal, why: string, cause?: unknown) {
    super("bad_payload", `cannot take the update: ${why}`, cause);
    this.name = "UpdateRefused";
    this.refusal = refusal;
    this.why = why;
  }
}

const { features, outputs, head, states } = modelSpecSchema.shape;
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const topicLevel = z.string().regex(PLAIN_NAME);

const manifestSchema = z.strictObject({
  format: z.literal(1),
  node: topicLevel,
  group: topicLevel,
  /** Rises from update to update of a group. */
  counter: z.int().min(1),
  /** Milliseconds since 1970, up to what a date can say. */
  expires: z.int().min(0).max(TIME_MAX),
  /** Of the model's file: the version. */
  sha256,
  bytes: z.int().min(1),
  /** SHA-256 of each chunk of `limits.updateChunkBytes`, the last as long as is left. */
  chunks: z.array(sha256).min(1),
  /** Whether it fits is known before it is fetched. */
  shape: z.strictObject({
    features,
    outputs: z
      .array(outputs.element.omit({ deviation: true }))
      .min(1)
      .max(limits.featuresMax),
    head: head.pick({ kind: true }),
    states: z
      .array(states.element.pick({ name: true, shape: true }))
      .min(1)
      .max(64),
  }),
});

export type UpdateManifest = z.output<typeof manifestSchema>;

/** A manifest whose signature holds. */
export interface SignedManifest {
  readonly manifest: UpdateManifest;
  /** Whose signature it is, as the config names it. */
  readonly key: string;
  /** By what reports name it: the SHA-256 of all its bytes. */
  readonly digest: string;
}

/** What is signed can never be taken for anything else that this key might sign. */
const DOMAIN = Buffer.from("hiddenstate model update 1\n");
const SIGNATURE_LINE = /^ed25519 ([0-9a-f]{16}) ([A-Za-z0-9+/]{86}==)$/;
const SIGNATURE_LINE_BYTES = "ed25519 ".length + 16 + 1 + 88;

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** How many bytes chunk `index` of a model of `bytes` bytes has. */
export function chunkLength(bytes: number, index: number): number {
  return Math.min(limits.updateChunkBytes, bytes - index * limits.updateChunkBytes);
}

export function chunksOf(model: Uint8Array): Uint8Array[] {
  const count = Math.ceil(model.length / limits.updateChunkBytes);
  return Array.from({ length: count }, (_, index) => {
    const from = index * limits.updateChunkBytes;
    return model.subarray(from, from + chunkLength(model.length, index));
  });
}

/** The manifest of a model, from what the update adds to it. */
export function manifestOf(
  { bytes, version, spec }: Model,
  update: Pick<UpdateManifest, "node" | "group" | "counter" | "expires">,
): UpdateManifest {
  return {
    format: 1,
    ...update,
    sha256: version,
    bytes: bytes.length,
    chunks: chunksOf(bytes).map(hashOf),
    shape: spec,
  };
}

/** The canonical bytes: JSON without white space, members in the order here, those that are absent left out. */
export function encodeManifest({ shape, ...manifest }: UpdateManifest): Uint8Array {
  const { format, node, group, counter, expires, sha256: version, bytes, chunks } = manifest;
  const canonical = {
    format,
    node,
    group,
    counter,
    expires,
    sha256: version,
    bytes,
    chunks,
    shape: {
      features: shape.features.map(({ name, unit }) => ({ name, unit })),
      outputs: shape.outputs.map(({ name, unit, feature, horizon }) => ({ name, unit, feature, horizon })),
      head: { kind: shape.head.kind },
      states: shape.states.map(({ name, shape: sizes }) => ({ name, shape: sizes })),
    },
  };
  return Buffer.from(JSON.stringify(canonical));
}

/** Canonical bytes behind the signature of a private key: the payload that is retained. */
export function signManifest(body: Uint8Array, key: KeyObject): Uint8Array {
  const signature = sign(null, Buffer.concat([DOMAIN, body]), key).toString("base64");
  return Buffer.concat([Buffer.from(`ed25519 ${keyIdOf(publicKeyText(key))} ${signature}\n`), body]);
}

function parseManifest(body: Uint8Array): UpdateManifest {
  let manifest: UpdateManifest;
  try {
    manifest = manifestSchema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)));
  } catch (thrown) {
    throw new UpdateRefused("bad_manifest", "it is signed, and of another form than this release knows", thrown);
  }
  if (!Buffer.from(encodeManifest(manifest)).equals(body)) {
    throw new UpdateRefused("bad_manifest", "it is signed, and not written in the one form that there is");
  }
  const { bytes, chunks } = manifest;
  if (bytes > limits.modelBytesMax) {
    throw new UpdateRefused("too_large", `the model has ${bytes} bytes, over ${limits.modelBytesMax}`);
  }
  if (chunks.length !== Math.ceil(bytes / limits.updateChunkBytes)) {
    throw new UpdateRefused("bad_manifest", `${chunks.length} chunks do not make ${bytes} bytes`);
  }
  return manifest;
}

/** The manifest in a payload from outside. Throws `UpdateRefused`. */
export function openManifest(payload: Uint8Array, keys: readonly TrustedKey[]): SignedManifest {
  if (payload.length > limits.updateManifestBytesMax) {
    throw new UpdateRefused("too_large", `the manifest has over ${limits.updateManifestBytesMax} bytes`);
  }
  const line = SIGNATURE_LINE.exec(Buffer.from(payload.subarray(0, SIGNATURE_LINE_BYTES)).toString("latin1"));
  if (line === null || payload[SIGNATURE_LINE_BYTES] !== 0x0a) {
    throw new UpdateRefused("malformed", "the manifest does not begin with a signature");
  }
  const [, id, signature] = line;
  const trusted = keys.find((key) => key.id === id);
  if (trusted === undefined) throw new UpdateRefused("unknown_key", `key ${id} is none of the config's`);
  const body = payload.subarray(SIGNATURE_LINE_BYTES + 1);
  if (!verify(null, Buffer.concat([DOMAIN, body]), trusted.key, Buffer.from(signature!, "base64"))) {
    throw new UpdateRefused("bad_signature", `it is not what key ${trusted.name} has signed`);
  }
  return { manifest: parseManifest(body), key: trusted.name, digest: hashOf(payload) };
}
