// The ed25519 keys that updates are signed with: a pair of a name's own, the public half as the config has it, and the id by which a manifest
// says who signed it. The private half stands in a PEM file and nowhere else.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { HiddenstateError } from "../base/errors.ts";

/** The 32 bytes of a public key in base64. */
export const PUBLIC_KEY_TEXT = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

const ID_DIGITS = 16;

/** Whose signature is taken. */
export interface TrustedKey {
  readonly name: string;
  readonly id: string;
  readonly key: KeyObject;
}

function refuse(reason: string, cause?: unknown): never {
  throw new HiddenstateError("bad_argument", `cannot use the key: ${reason}; make one with: hiddenstate keys new`, cause);
}

/** A new private key, as PEM. */
export function createPrivateKeyText(): string {
  return generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}

/** The private key in a PEM text. Throws `bad_argument` where it holds no ed25519 key. */
export function parsePrivateKey(text: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (thrown) {
    return refuse("it is not a private key in PEM", thrown);
  }
  return key.asymmetricKeyType === "ed25519" ? key : refuse(`it is of type ${key.asymmetricKeyType}, and ed25519 is needed`);
}

/** The public half of either half, as the config has it. */
export function publicKeyText(key: KeyObject): string {
  const { x } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  return Buffer.from(x!, "base64url").toString("base64");
}

/** How a manifest names a key: the first digits of the SHA-256 of its public half. */
export function keyIdOf(publicText: string): string {
  return createHash("sha256").update(Buffer.from(publicText, "base64")).digest("hex").slice(0, ID_DIGITS);
}

/** A key of the config, which is of the form `PUBLIC_KEY_TEXT`. */
export function trustKey(name: string, publicText: string): TrustedKey {
  const x = Buffer.from(publicText, "base64").toString("base64url");
  return {
    name,
    id: keyIdOf(publicText),
    key: createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }),
  };
}
