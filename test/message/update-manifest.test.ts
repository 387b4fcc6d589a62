import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import t from "tap";
import { limits } from "../../src/base/limits.ts";
import { createPrivateKeyText, keyIdOf, parsePrivateKey, publicKeyText, trustKey } from "../../src/message/update-key.ts";
import { chunkLength, chunksOf, encodeManifest, hashOf, manifestOf } from "../../src/message/update-manifest.ts";
import { openManifest, signManifest, UpdateRefused } from "../../src/message/update-manifest.ts";
import { decodeReport, encodeReport } from "../../src/message/update-report.ts";
import { randomModel } from "../support/random-model.ts";
import { privateKey as key, trustedKey as trusted } from "../support/update-key.ts";

/** Of the first test of RFC 8032, 7.1, whose key is ours: the public key, and the signature of nothing. */
const PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const SIGNATURE =
  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
const model = randomModel({ features: 2, hidden: [160], seed: 4 });
const to = { node: "hall-3", group: "presses", counter: 7, expires: 1_800_000_000_000 };
const body = encodeManifest(manifestOf(model, to));

/** The body with another text in the place of one, signed all the same. */
function resigned(from: string | RegExp, text: string): Uint8Array {
  return signManifest(Buffer.from(Buffer.from(body).toString().replace(from, text)), key);
}

/** The key of RFC 6979, A.2.5. */
const P256 = {
  d: Buffer.from("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", "hex").toString("base64url"),
  x: Buffer.from("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6", "hex").toString("base64url"),
  y: Buffer.from("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299", "hex").toString("base64url"),
};

/** By python-cryptography 48, from the secret key above. */
const FIXED_SIGNATURE = "cimCP+izbeh2N8knuE/m0n8iTqOB/5MSdk+6WLTxqxriGEN82LdLx4WCRwByT602y63m+SbC68oVfZI0GXCbCw==";

t.test("keys and signatures are those of RFC 8032", async (t) => {
  t.equal(publicKeyText(key), Buffer.from(PUBLIC, "hex").toString("base64"));
  t.equal(publicKeyText(createPublicKey(key)), publicKeyText(key));
  t.equal(sign(null, new Uint8Array(0), key).toString("hex"), SIGNATURE);
  t.ok(verify(null, new Uint8Array(0), trusted.key, Buffer.from(SIGNATURE, "hex")));
  t.equal(trusted.id, createHash("sha256").update(Buffer.from(PUBLIC, "hex")).digest("hex").slice(0, 16));
  const own = parsePrivateKey(createPrivateKeyText());
  t.not(keyIdOf(publicKeyText(own)), trusted.id);
  t.throws(() => parsePrivateKey("no key"), { code: "bad_argument", message: /it is not a private key in PEM; make one with/ });
  const ec = createPrivateKey({ key: { kty: "EC", crv: "P-256", ...P256 }, format: "jwk" });
  const other = ec.export({ type: "pkcs8", format: "pem" }) as string;
  t.throws(() => parsePrivateKey(other), { code: "bad_argument", message: /it is of type ec, and ed25519 is needed/ });
});

t.test("a manifest has one form, to the byte, and comes back as it was", async (t) => {
  const small = randomModel({ features: 1, hidden: [2], seed: 1 });
  const text = Buffer.from(encodeManifest(manifestOf(small, to))).toString();
  t.equal(
    text,
    `{"format":1,"node":"hall-3","group":"presses","counter":7,"expires":1800000000000,"sha256":"${small.version}",` +
      `"bytes":${small.bytes.length},"chunks":["${small.version}"],"shape":{"features":[{"name":"feature0","unit":"Pa"}],` +
      `"outputs":[{"name":"output0","unit":"","feature":"feature0","horizon":1}],"head":{"kind":"regression"},` +
      `"states":[{"name":"h","shape":[1,1,2]}]}}`,
  );
  const fixed = Buffer.from('{"the body":"is not looked at"}');
  t.equal(
    Buffer.from(signManifest(fixed, key)).toString(),
    `ed25519 21fe31dfa154a261 ${FIXED_SIGNATURE}\n{"the body":"is not looked at"}`,
    "signed is the line `hiddenstate model update 1` and then the body",
  );
  const payload = signManifest(body, key);
  const opened = openManifest(payload, [trustKey("other", publicKeyText(parsePrivateKey(createPrivateKeyText()))), trusted]);
  t.match(opened, {
    key: "release",
    digest: hashOf(payload),
    manifest: { ...to, sha256: model.version, bytes: model.bytes.length },
  });
  t.strictSame(encodeManifest(opened.manifest), body);
  const chunks = chunksOf(model.bytes);
  t.ok(chunks.length > 1);
  t.strictSame(Buffer.concat(chunks), Buffer.from(model.bytes));
  t.strictSame(
    chunks.map(({ length }, index) => length - chunkLength(model.bytes.length, index)),
    chunks.map(() => 0),
  );
});

function refusalOf(payload: Uint8Array, keys = [trusted]): UpdateRefused | undefined {
  try {
    openManifest(payload, keys);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof UpdateRefused)) throw thrown;
    return thrown;
  }
}

t.test("what is not signed by a known key is not looked at, and what is signed must be of the one form", async (t) => {
  const payload = signManifest(body, key);
  const stranger = parsePrivateKey(createPrivateKeyText());
  const flipped = new Uint8Array(payload);
  flipped[flipped.length - 2]! ^= 1;
  const posing = Buffer.from(
    Buffer.from(signManifest(body, stranger))
      .toString()
      .replace(/^ed25519 \w+/, `ed25519 ${trusted.id}`),
  );
  const cases: [string, Uint8Array, string][] = [
    ["nothing", Buffer.from("{}"), "malformed"],
    ["the body alone", body, "malformed"],
    ["a cut signature", payload.subarray(0, 50), "malformed"],
    ["too much", Buffer.alloc(limits.updateManifestBytesMax + 1, 0x61), "too_large"],
    ["a stranger's", signManifest(body, stranger), "unknown_key"],
    ["a stranger's under another name", posing, "bad_signature"],
    ["a flipped bit", flipped, "bad_signature"],
    ["what lacks its end", payload.subarray(0, -1), "bad_signature"],
    ["no JSON", signManifest(Buffer.from("{"), key), "bad_manifest"],
    ["no UTF-8", signManifest(Buffer.from([0xff, 0xfe]), key), "bad_manifest"],
    ["another format", resigned('"format":1', '"format":2'), "bad_manifest"],
    ["a member more", resigned('"format":1', '"format":1,"also":1'), "bad_manifest"],
    ["a member twice", resigned('"counter":7', '"counter":9,"counter":7'), "bad_manifest"],
    ["white space", resigned('"format":1', '"format": 1'), "bad_manifest"],
    ["another way to write a number", resigned('"counter":7', '"counter":7.0'), "bad_manifest"],
    ["a counter beyond what counts", resigned('"counter":7', '"counter":9007199254740993'), "bad_manifest"],
    ["a counter of zero", resigned('"counter":7', '"counter":0'), "bad_manifest"],
    ["a path for a group", resigned('"group":"presses"', '"group":"../x"'), "bad_manifest"],
    ["a chunk too few", resigned(/"chunks":\["[0-9a-f]+",/, '"chunks":['), "bad_manifest"],
    ["a size that its chunks do not make", resigned(/"bytes":\d+/, '"bytes":60000'), "bad_manifest"],
    ["a model that is too large", resigned(/"bytes":\d+/, `"bytes":${limits.modelBytesMax + 1}`), "too_large"],
  ];
  for (const [what, bytes, refusal] of cases) t.equal(refusalOf(bytes)?.refusal, refusal, what);
  t.match(refusalOf(payload, []), { code: "bad_payload", why: `key ${trusted.id} is none of the config's` });
  const refused = new UpdateRefused("expired", "it is late");
  t.equal(refused.message, "cannot take the update: it is late");
});

t.test("a report comes back as it was, and whatever else stands there is an error", async (t) => {
  const report = {
    time: 1,
    group: "g",
    manifest: "aa",
    outcome: "refused",
    reason: "expired",
    why: "late",
    key: "release",
    counter: 3,
    version: "bb",
    chunks: 4,
    received: 2,
  } as const;
  t.strictSame(decodeReport(encodeReport(report)), report);
  for (const text of ["", "{}", "[]", '{"time":1,"group":"g","manifest":"aa","outcome":"dancing"}']) {
    t.throws(() => decodeReport(Buffer.from(text)), { code: "bad_payload", message: /cannot read a report on an update/ });
  }
});
