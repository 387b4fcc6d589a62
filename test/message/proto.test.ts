// Users' own protobuf messages: compiled by the command, read by the schema, held against protobufjs itself.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import protobuf from "protobufjs";
import { compileProto } from "../../src/cli/proto.ts";
import { PayloadError } from "../../src/message/payload-error.ts";
import { ProtoMessages } from "../../src/message/proto-message.ts";
import { parseProtoSchema } from "../../src/message/proto-schema.ts";
import { runCli } from "../support/cli.ts";

const PROTO = `syntax = "proto3";
package plant;
import "units.proto";
enum Mode { IDLE = 0; RUN = 1; }
message Reading {
  double oil_temperature = 1;
  optional float pressure = 2;
  sint32 offset = 3;
  Mode mode = 4;
  uint64 at = 5;
  bool ok = 6;
  string note = 7;
  repeated float samples = 8;
  repeated sint64 more = 9 [packed = false];
  Motor motor = 10;
  Scale scale = 11;
  sfixed64 big = 12;
  bytes raw = 13;
  oneof kind { int32 hot = 14; fixed32 cold = 15; }
  repeated Motor motors = 16;
  message Motor { int64 speed = 1; optional Motor twin = 2; }
}
message Other { float x = 1; }
`;
const UNITS = `syntax = "proto2";
message Scale { optional sfixed32 factor = 1; required fixed64 unit = 2; }
`;

async function compiled(t: {
  testdir: (files: Record<string, string>) => string;
}): Promise<{ messages: ProtoMessages; type: protobuf.Type; folder: string }> {
  const folder = t.testdir({ "reading.proto": PROTO, "units.proto": UNITS });
  const path = join(folder, "reading.proto");
  const schema = await compileProto(path, "plant.Reading");
  const root = await new protobuf.Root().load(path, { keepCase: true });
  return {
    messages: new ProtoMessages(parseProtoSchema(JSON.stringify(schema), "x")),
    type: root.lookupType("plant.Reading"),
    folder,
  };
}

t.test("every type of field is read as protobufjs writes it", async (t) => {
  const { messages, type } = await compiled(t);
  const said = {
    oil_temperature: 71.5,
    pressure: -0.25,
    offset: -7,
    mode: 1,
    at: 1_741_067_000_000,
    ok: true,
    note: "né",
    samples: [1, -2.5],
    more: [-1, 2],
    motor: { speed: -3, twin: { speed: 4 } },
    scale: { factor: -9, unit: 5 },
    big: -(2 ** 40),
    raw: Buffer.from([1, 2]),
    hot: -4,
    motors: [{ speed: 1 }, {}],
  };
  t.match(messages.decode(type.encode(type.fromObject(said)).finish()), {
    ...said,
    raw: Uint8Array.of(1, 2),
    motors: [{ speed: 1 }, { speed: 0 }],
  });
});

t.test("what is absent is a default value only where the .proto cannot tell absence", async (t) => {
  const { messages } = await compiled(t);
  t.strictSame(messages.decode(new Uint8Array(0)), {
    oil_temperature: 0,
    offset: 0,
    mode: 0,
    at: 0,
    ok: false,
    note: "",
    samples: [],
    more: [],
    big: 0,
    raw: new Uint8Array(0),
    motors: [],
  });
  t.strictSame(messages.decode(Uint8Array.of(0x5a, 0)), { ...messages.decode(new Uint8Array(0)), scale: {} }, "proto2 can");
});

t.test("fields that are not named, or not of their type on the wire, are passed over", async (t) => {
  const { messages } = await compiled(t);
  // Field 99 as a varint, field 1 as a varint, field 8 unpacked.
  t.match(messages.decode(Uint8Array.of(0x98, 0x06, 5, 0x08, 7, 0x45, 0, 0, 0x80, 0x3f)), { oil_temperature: 0, samples: [1] });
});

t.test("bytes that are no such message are undecodable", async (t) => {
  const { messages } = await compiled(t);
  const deep = Array.from({ length: 100 }, (_, level) => level).reduce<number[]>((inner) => [0x12, inner.length, ...inner], []);
  for (const bytes of [[0x09, 1], [0x52, 5, 0], [0x42, 3, 0, 0, 0], [0x52, 2, 0x08, 0xff], [0x07], deep.slice(0, 120)]) {
    t.throws(() => messages.decode(Uint8Array.from(bytes)), PayloadError);
    t.throws(() => messages.decode(Uint8Array.from(bytes)), { message: /^cannot decode payload: it is not a plant.Reading: / });
  }
});

t.test("the command writes the schema that the config names, and says what is wrong with a .proto", async (t) => {
  const { folder } = await compiled(t);
  const path = join(folder, "reading.proto");
  const out = join(folder, "reading.json");
  const done = await runCli(["proto", "compile", path, "--message", "plant.Other", "--out", out]);
  t.strictSame([done.code, done.stdout], [0, `${out}: plant.Other: x (float)\n`]);
  t.strictSame(JSON.parse(readFileSync(out, "utf8")), {
    format: 1,
    message: "plant.Other",
    messages: { "plant.Other": { 1: { name: "x", type: "float", implicit: true } } },
  });
  const asJson = await runCli(["proto", "compile", path, "--message", "plant.Other", "--out", out, "--json"]);
  t.strictSame(JSON.parse(asJson.stdout), {
    out,
    message: "plant.Other",
    fields: [{ name: "x", type: "float", implicit: true }],
  });
  writeFileSync(join(folder, "map.proto"), 'syntax = "proto3"; message M { map<string, float> values = 1; }');
  writeFileSync(join(folder, "bad.proto"), "message {");
  const cases: [string[], RegExp][] = [
    [
      [path],
      /cannot compile .*reading\.proto: it does not have one message alone; name one by --message: plant\.Reading, plant\.Reading\.Motor, plant\.Other/,
    ],
    [[path, "--message", "plant.Gone"], /it has no message plant\.Gone: plant\.Reading/],
    [[join(folder, "absent.proto")], /cannot read .*absent\.proto: ENOENT/],
    [[join(folder, "bad.proto")], /cannot compile .*bad\.proto: illegal type name '\{'/],
    [[join(folder, "map.proto")], /cannot compile M\.values: maps are not read; name its values as fields/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await runCli(["proto", "compile", ...args, "--out", out]);
    t.equal(code, 64, args.join(" "));
    t.match(stderr, message);
  }
});

t.test("a schema that the command did not write is refused with its place", async (t) => {
  const cases: [string, RegExp][] = [
    ["{", /cannot use the schema s.json: it is not JSON; make it with hiddenstate proto compile/],
    ['{"format":2,"message":"a","messages":{}}', /format: /],
    ['{"format":1,"message":"a","messages":{}}', /it has no message a/],
    ['{"format":1,"message":"a","messages":{"a":{"0":{"name":"x","type":"float"}}}}', /expected a field number|Invalid key/],
    ['{"format":1,"message":"a","messages":{"a":{"1":{"name":"x","type":"b"}}}}', /it has no message b/],
  ];
  for (const [text, message] of cases) t.throws(() => parseProtoSchema(text, "s.json"), { code: "bad_config", message });
});
