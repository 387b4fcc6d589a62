// The key of the first test of RFC 8032, 7.1: no secret at all, and the same in every run.
import { parsePrivateKey, publicKeyText, trustKey } from "../../src/message/update-key.ts";

const PKCS8_HEAD = "302e020100300506032b657004220420";
const SECRET_HEX = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const pkcs8 = Buffer.from(PKCS8_HEAD + SECRET_HEX, "hex").toString("base64");

export const privateKey = parsePrivateKey(`-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`);
export const trustedKey = trustKey("release", publicKeyText(privateKey));
