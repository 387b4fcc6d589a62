// Layouts: which feature each value of a batch belongs to. A device sends the 32-bit hash of its ordered feature names with every
// batch and retains the names themselves once a boot.
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { hiddenstate } from "./generated/hiddenstate.js";
import { PayloadError } from "./payload-error.ts";

export interface Layout {
  readonly names: readonly string[];
  /** As long as `names`, or empty. */
  readonly units: readonly string[];
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const encoder = new TextEncoder();

/**
 * The hash of ordered feature names: 32-bit FNV-1a over the UTF-8 of the names joined by one line feed (0x0A), none at the end; 1 where
 * that gives 0, since 0 in a batch means "as configured".
 */
export function layoutHash(names: readonly string[]): number {
  let hash = FNV_OFFSET;
  for (const byte of encoder.encode(names.join("\n"))) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash >>> 0 || 1;
}

/** A layout hash as texts show it: `0x` and eight hex digits. */
export function layoutText(hash: number): string {
  return `0x${hash.toString(16).padStart(8, "0")}`;
}

function reasonAgainst(layout: Layout): string | undefined {
  const { names, units } = layout;
  if (names.length === 0) return "it names no feature";
  if (names.length > limits.featuresMax) return `it names ${names.length} features, at most ${limits.featuresMax} are allowed`;
  if (units.length > 0 && units.length !== names.length) return `it gives ${units.length} units for ${names.length} features`;
  for (const text of [...names, ...units]) {
    if (text.length > 128 || /\p{Cc}/u.test(text))
      return `"${text.slice(0, 128)}" is longer than 128 characters or holds control characters`;
  }
  return names.includes("") ? "a name is empty" : undefined;
}

/** Throws `bad_argument` for a layout that nobody could read back. */
export function encodeLayout(layout: Layout): Uint8Array {
  const reason = reasonAgainst(layout);
  if (reason !== undefined) throw new HiddenstateError("bad_argument", `cannot encode layout: ${reason}`);
  return hiddenstate.v1.Layout.encode({ names: [...layout.names], units: [...layout.units] }).finish();
}

/** Throws PayloadError only: `oversize`, `undecodable` or `shape`. */
export function decodeLayout(payload: Uint8Array): Layout {
  if (payload.length > limits.payloadBytesMax)
    throw new PayloadError("oversize", `cannot decode layout: it has more than ${limits.payloadBytesMax} bytes`);
  let layout: Layout;
  try {
    layout = hiddenstate.v1.Layout.decode(payload);
  } catch (thrown) {
    throw new PayloadError("undecodable", "cannot decode layout: it is not a hiddenstate.v1.Layout message", thrown);
  }
  const reason = reasonAgainst(layout);
  if (reason !== undefined) throw new PayloadError("shape", `cannot decode layout: ${reason}`);
  return { names: layout.names, units: layout.units };
}
