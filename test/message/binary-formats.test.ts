import t from "tap";
import { decodeCbor } from "../../src/message/cbor.ts";
import { decodeMessagePack } from "../../src/message/message-pack.ts";
import { PayloadError } from "../../src/message/payload-error.ts";

function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

// Diagnostic values of RFC 8949, appendix A.
const cbor: [string, unknown][] = [
  ["00", 0],
  ["17", 23],
  ["1818", 24],
  ["1903e8", 1000],
  ["1a000f4240", 1_000_000],
  ["1b000000e8d4a51000", 1_000_000_000_000],
  ["1bffffffffffffffff", 18_446_744_073_709_551_615n],
  ["c249010000000000000000", 18_446_744_073_709_551_616n],
  ["3bffffffffffffffff", -18_446_744_073_709_551_616n],
  ["c349010000000000000000", -18_446_744_073_709_551_617n],
  ["20", -1],
  ["3863", -100],
  ["3903e7", -1000],
  ["f90000", 0],
  ["f98000", -0],
  ["f93c00", 1],
  ["fb3ff199999999999a", 1.1],
  ["f93e00", 1.5],
  ["f97bff", 65_504],
  ["fa47c35000", 100_000],
  ["fa7f7fffff", 3.4028234663852886e38],
  ["fb7e37e43c8800759c", 1e300],
  ["f90001", 5.960464477539063e-8],
  ["f90400", 0.00006103515625],
  ["f9c400", -4],
  ["fbc010666666666666", -4.1],
  ["f97c00", Infinity],
  ["f97e00", Number.NaN],
  ["f9fc00", -Infinity],
  ["fa7f800000", Infinity],
  ["fb7ff8000000000000", Number.NaN],
  ["f4", false],
  ["f5", true],
  ["f6", null],
  ["f7", undefined],
  ["f0", undefined],
  ["f8ff", undefined],
  ["c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"],
  ["c11a514b67b0", new Date(1_363_896_240_000)],
  ["c1fb41d452d9ec200000", new Date(1_363_896_240_500)],
  ["d74401020304", hex("01020304")],
  ["40", hex("")],
  ["4401020304", hex("01020304")],
  ["60", ""],
  ["6449455446", "IETF"],
  ["62225c", '"\\'],
  ["62c3bc", "ü"],
  ["64f0908591", "𐅑"],
  ["80", []],
  ["8301820203820405", [1, [2, 3], [4, 5]]],
  ["a0", {}],
  ["a201020304", { 1: 2, 3: 4 }],
  ["a26161016162820203", { a: 1, b: [2, 3] }],
  ["5f42010243030405ff", Buffer.from([1, 2, 3, 4, 5])],
  ["7f657374726561646d696e67ff", "streaming"],
  ["9fff", []],
  ["9f018202039f0405ffff", [1, [2, 3], [4, 5]]],
  ["83018202039f0405ff", [1, [2, 3], [4, 5]]],
  ["bf61610161629f0203ffff", { a: 1, b: [2, 3] }],
  ["bf6346756ef563416d7421ff", { Fun: true, Amt: -2 }],
  // Its sections 3.4.4 and 3.4.6.
  ["c48221196ab3", 273.15],
  ["c5822003", 1.5],
  ["d9d9f7820102", [1, 2]],
];

t.test("CBOR is read as its specification shows it", async (t) => {
  for (const [bytes, expected] of cbor) t.same(decodeCbor(hex(bytes)), expected, bytes);
});

const messagePack: [string, unknown][] = [
  ["00", 0],
  ["7f", 127],
  ["ff", -1],
  ["e0", -32],
  ["cc80", 128],
  ["cd8000", 32_768],
  ["ce80000000", 2_147_483_648],
  ["cf0020000000000000", 9_007_199_254_740_992n],
  ["cf000000e8d4a51000", 1e12],
  ["d080", -128],
  ["d18000", -32_768],
  ["d280000000", -2_147_483_648],
  ["d3ffffff172b5af000", -1e12],
  ["ca3fc00000", 1.5],
  ["cb3ff199999999999a", 1.1],
  ["c0", null],
  ["c2", false],
  ["c3", true],
  ["a3616263", "abc"],
  ["d903616263", "abc"],
  ["da0003616263", "abc"],
  ["db00000003616263", "abc"],
  ["c4020102", hex("0102")],
  ["c500020102", hex("0102")],
  ["c6000000020102", hex("0102")],
  ["93010203", [1, 2, 3]],
  ["dc00020102", [1, 2]],
  ["dd00000001c0", [null]],
  ["82a16101a16202", { a: 1, b: 2 }],
  ["de0001a16101", { a: 1 }],
  ["df00000001a16101", { a: 1 }],
  ["81a95f5f70726f746f5f5f01", JSON.parse('{"__proto__":1}')],
  ["d6ff514b67b0", new Date(1_363_896_240_000)],
  ["d7ff77359400514b67b0", new Date(1_363_896_240_500)],
  ["c70cff1dcd650000000000514b67b0", new Date(1_363_896_240_500)],
  ["d40105", hex("05")],
  ["d5010506", hex("0506")],
  ["d80100112233445566778899aabbccddeeff", hex("00112233445566778899aabbccddeeff")],
  ["c80001010a", hex("0a")],
  ["c900000001010a", hex("0a")],
];

t.test("MessagePack is read as its specification says", async (t) => {
  for (const [bytes, expected] of messagePack) t.same(decodeMessagePack(hex(bytes)), expected, bytes);
});

t.test("what is cut short, goes on, is nested too deep or means nothing is undecodable, with the byte", async (t) => {
  const deep = "81".repeat(100);
  const cases: [(bytes: Uint8Array) => unknown, string, RegExp][] = [
    [decodeCbor, "", /it is not CBOR: byte 0: 1 bytes are expected, 0 are left/],
    [decodeCbor, "19", /byte 1: 2 bytes are expected, 0 are left/],
    [decodeCbor, "0000", /byte 1: 1 bytes follow the value/],
    [decodeCbor, "9affffffff", /byte 5: 4294967295 items are expected in 0 bytes/],
    [decodeCbor, "5bffffffffffffffff", /there are no 18446744073709551615 bytes/],
    [decodeCbor, deep, /nested deeper than 64 levels/],
    [decodeCbor, "c1".repeat(100), /nested deeper than 64 levels/],
    [decodeCbor, "9f".repeat(100), /nested deeper than 64 levels/],
    [decodeCbor, "ff", /a break stands where a value is expected/],
    [decodeCbor, "81ff", /a break stands where a value is expected/],
    [decodeCbor, "bf00ff", /a key has no value/],
    [decodeCbor, "1c", /28 is no additional information/],
    [decodeCbor, "fc", /28 is no simple value/],
    [decodeCbor, "1f", /a number has no length/],
    [decodeCbor, "df00", /a tag has no length/],
    [decodeCbor, "7f4100ff", /a text is made of something else/],
    [decodeCbor, "5f6100ff", /bytes are made of something else/],
    [decodeCbor, "61ff", /a text is not UTF-8/],
    [decodeMessagePack, "c1", /it is not MessagePack: byte 1: 0xc1 is never used/],
    [decodeMessagePack, "cd00", /byte 1: 2 bytes are expected, 1 are left/],
    [decodeMessagePack, "0000", /1 bytes follow the value/],
    [decodeMessagePack, "ddffffffff", /4294967295 items are expected in 0 bytes/],
    [decodeMessagePack, "91".repeat(100), /nested deeper than 64 levels/],
    [decodeMessagePack, "a1ff", /a text is not UTF-8/],
  ];
  for (const [decode, bytes, message] of cases) {
    t.throws(() => decode(hex(bytes)), { message });
    t.throws(() => decode(hex(bytes)), PayloadError);
  }
});
