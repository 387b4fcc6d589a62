// What is fuzzed: each target takes bytes that could come from outside, and either gives a value that holds what it promises or throws
// an error of the family with one of the codes it names.
import { strict as assert } from "node:assert";
import type { ErrorCode } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { decodeEvent, encodeEvent } from "../../src/journal/event-codec.ts";
import { createBlockContext } from "../../src/journal/event-fields.ts";
import { ByteReader, ByteWriter } from "../../src/base/bytes.ts";
import type { JournalEvent } from "../../src/journal/events.ts";
import { payloadCodec } from "../../src/message/codecs.ts";
import type { FieldMapping } from "../../src/message/field-mapping.ts";
import { parseFieldPath } from "../../src/message/field-path.ts";
import { decodeLayout, encodeLayout, layoutHash } from "../../src/message/layout.ts";
import { sparkplug } from "../../src/message/generated/sparkplug.js";
import { MessageFormats } from "../../src/message/message-formats.ts";
import type { FormatName } from "../../src/message/message-formats.ts";
import { decodePrediction, encodePrediction } from "../../src/message/prediction.ts";
import { examplePrediction as prediction } from "../support/example-prediction.ts";
import type { ProtoSchema } from "../../src/message/proto-schema.ts";
import type { Readings } from "../../src/message/reading.ts";
import { decodeStreamKey, encodeStreamKey, validatePart, validateStreamKey } from "../../src/message/stream-key.ts";
import { createTimeZone } from "../../src/message/time-zone.ts";
import { commandOf } from "../../src/message/topics.ts";
import { parseTopicPattern } from "../../src/message/topic-pattern.ts";
import { encodeManifest, manifestOf, openManifest, signManifest } from "../../src/message/update-manifest.ts";
import { decodeReport, encodeReport } from "../../src/message/update-report.ts";
import { switchProblem } from "../../src/model/switch-problem.ts";
import { decodeModel } from "../../src/onnx/decode-model.ts";
import { parseConfig } from "../../src/runtime/config.ts";
import { reportText } from "../../src/runtime/update-reports.ts";
import { randomModel } from "../support/random-model.ts";
import { privateKey, trustedKey } from "../support/update-key.ts";
import type { Form } from "./mutate.ts";

export interface Target {
  readonly name: string;
  readonly form: Form;
  readonly samples: readonly Uint8Array[];
  /** Of a thousand inputs. */
  readonly share: number;
  readonly bytesMax: number;
  readonly codes: readonly ErrorCode[];
  /** What one input may take at most; 5 where absent. */
  readonly msMax?: number;
  run(bytes: Uint8Array): void | Promise<void>;
}

const utf8 = new TextEncoder();
const FEATURES = ["temperature", "vibration", "__proto__"];
const OTHER_LAYOUT = ["vibration", "__proto__", "pressure", "temperature"];
const layouts = (hash: number): readonly string[] | undefined => (hash === layoutHash(OTHER_LAYOUT) ? OTHER_LAYOUT : undefined);

const readings: Readings = {
  part: "motor/bearing-2",
  identity: { boot: 3, nonce: 77 },
  count: 3,
  sequences: Float64Array.of(7, 8, 9),
  times: Float64Array.of(1_764_000_000_000, 1_764_000_000_100, 1_764_000_000_300),
  values: Float32Array.from({ length: 9 }, (_, i) => i + 0.5),
  missing: Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 0, 1),
};
const nameless: Readings = {
  part: undefined,
  identity: undefined,
  count: 2,
  sequences: new Float64Array(0),
  times: new Float64Array(2).fill(Number.NaN),
  values: Float32Array.from({ length: 6 }, (_, i) => i * 1e6),
  missing: undefined,
};

/** What every codec promises of what it returns. */
function checkReadings(list: readonly Readings[]): void {
  for (const { part, identity, count, sequences, times, values, missing } of list) {
    assert(count > 0 && count <= limits.readingsPerMessageMax);
    assert(part === undefined || validatePart(part) === undefined);
    assert.equal(values.length, count * FEATURES.length);
    assert.equal(times.length, count);
    assert.equal(sequences.length, identity === undefined ? 0 : count);
    assert(missing === undefined || (missing.length === values.length && missing.every((flag) => flag <= 1)));
    if (identity === undefined) continue;
    assert(identity.boot >= 1 && identity.boot < 2 ** 32 && identity.nonce >= 1 && identity.nonce < 2 ** 32);
    assert(sequences.every((sequence) => Number.isSafeInteger(sequence) && sequence >= 0));
  }
}

function readingsTarget(name: "protobuf" | "json"): Target {
  const codec = payloadCodec(name);
  const wide = { ...nameless, count: 3, times: readings.times, values: new Float32Array(12) };
  const samples = [codec.encode(readings, FEATURES), codec.encode(nameless, FEATURES)];
  if (name === "protobuf") samples.push(codec.encode(wide, OTHER_LAYOUT, layoutHash(OTHER_LAYOUT)));
  else samples.push(utf8.encode('{"temperature":21.5,"vibration":null,"time":"2026-01-01T00:00:00.5+01:00","stream":"x"}'));
  return {
    name: `readings-${name}`,
    form: name === "protobuf" ? "protobuf" : "text",
    samples,
    share: 250,
    bytesMax: 4096,
    codes: ["bad_payload"],
    run: (bytes) => checkReadings(codec.decode(bytes, FEATURES, layouts)),
  };
}

/** One that holds itself. */
const PROTO_SCHEMA: ProtoSchema = {
  format: 1,
  message: "a.Reading",
  messages: {
    "a.Reading": {
      1: { name: "temperature", type: "float", implicit: true },
      2: { name: "vibration", type: "float" },
      3: { name: "__proto__", type: "float" },
      5: { name: "list", type: "sint64", repeated: true },
      4: { name: "inner", type: "a.Reading" },
    },
  },
};
const SPARKPLUG_METRICS = [
  {
    name: "temperature",
    alias: 1,
    datatype: 9,
    floatValue: 21.5,
    properties: { keys: ["engUnit"], values: [{ stringValue: "°F" }] },
  },
  { name: "vibration", alias: 2, datatype: 4, longValue: -5, timestamp: 1_764_000_000_000 },
  { name: "__proto__", alias: 3, datatype: 12, stringValue: "heat" },
];
const SPARKPLUG_BIRTH = sparkplug.Payload.encode({ timestamp: 1_764_000_000_000, seq: 0, metrics: SPARKPLUG_METRICS }).finish();
const SPARKPLUG_DATA = sparkplug.Payload.encode({
  seq: 1,
  metrics: [
    { alias: 1, intValue: 2 ** 31 },
    { alias: 3, isNull: true },
  ],
}).finish();

/** The formats of other devices, through a mapping that uses all it can. */
function mappedTarget(name: FormatName, samples: readonly (string | Uint8Array)[]): Target {
  const mapping: FieldMapping = {
    sources: FEATURES.map((feature, index) => ({
      name: feature,
      path: parseFieldPath(feature),
      scale: 0.5,
      offset: 1,
      unit: undefined,
      wanted: index === 0 ? "K" : undefined,
      words: new Map([["heat", 1]]),
      marks: new Set([-127]),
      rate: index === 1,
    })),
    root: undefined,
    time: { path: parseFieldPath("$.time"), shape: "auto" },
    zone: createTimeZone("Europe/Berlin"),
    decimalComma: name !== "json",
    unitOf: () => "°C",
    isLabelled: name === "json",
    passesOver: name === "senml" || name === "sparkplug",
  };
  const decoder = new MessageFormats(["time", ...FEATURES], PROTO_SCHEMA).createDecoder(name, mapping);
  const origin = { topic: "spBv1.0/g/NBIRTH/e", key: "a", feature: name === "text" ? "vibration" : undefined };
  return {
    name: `mapped-${name}`,
    form: name === "sparkplug" || name === "proto" ? "protobuf" : name === "cbor" || name === "msgpack" ? "bytes" : "text",
    samples: samples.map((sample) => (typeof sample === "string" ? utf8.encode(sample) : sample)),
    share: 60,
    bytesMax: 4096,
    codes: ["bad_payload"],
    run: (bytes) => checkReadings(decoder.decode(bytes, FEATURES, layouts, origin, 1_764_000_000_000)),
  };
}

function predictionTarget(format: "protobuf" | "json"): Target {
  return {
    name: `prediction-${format}`,
    form: format === "protobuf" ? "protobuf" : "text",
    samples: [
      encodePrediction(format, prediction),
      encodePrediction(format, {
        ...prediction,
        count: 1,
        sequences: Float64Array.of(120),
        times: prediction.times.slice(0, 1),
        outputs: prediction.outputs.slice(0, 2),
      }),
    ],
    share: 70,
    bytesMax: 4096,
    codes: ["bad_payload"],
    run: (bytes) => {
      const { count, sequences, times, outputs, outputNames } = decodePrediction(format, bytes);
      assert(count >= 1 && sequences.length === count && times.length === count);
      assert.equal(outputs.length, count * outputNames.length);
      assert(sequences.every(Number.isSafeInteger) && times.every(Number.isSafeInteger));
      assert(sequences.every((sequence, i) => i === 0 || sequence > sequences[i - 1]!));
    },
  };
}

const layout: Target = {
  name: "layout",
  form: "protobuf",
  samples: [encodeLayout({ names: FEATURES, units: ["degC", "g", ""] }), encodeLayout({ names: OTHER_LAYOUT, units: [] })],
  share: 60,
  bytesMax: 4096,
  codes: ["bad_payload"],
  run: (bytes) => {
    const { names, units } = decodeLayout(bytes);
    assert(names.length > 0 && (units.length === 0 || units.length === names.length));
    assert(layoutHash(names) > 0);
  },
};

const topics: Target = {
  name: "topics",
  form: "text",
  samples: [
    "sensors/{device}/readings\nsensors/press-7/readings",
    "plant/{line}/{device}/imu\nplant/a/b/imu/layout",
    "site/+/data\nsite/x/data",
    "raw/#\nraw/a/b/c",
    "hiddenstate/hall-3/command/set\nhiddenstate/hall-3/command/reset",
    "a%2Fb\npress%20seven",
  ].map((text) => utf8.encode(text)),
  share: 150,
  bytesMax: 1000,
  codes: ["bad_argument"],
  run: (bytes) => {
    const [first = "", second = ""] = Buffer.from(bytes).toString().split("\n");
    commandOf("hall-3", second);
    if (validateStreamKey(second) === undefined) assert.equal(decodeStreamKey(encodeStreamKey(second)), second);
    const pattern = parseTopicPattern(first);
    for (const key of [pattern.match(second), pattern.matchLayout(second)]) {
      assert(key === undefined || validateStreamKey(key) === undefined);
    }
    decodeStreamKey(second);
  },
};

const events: JournalEvent[] = [
  {
    kind: "readings",
    group: 0,
    row: 3,
    identity: { boot: 1, nonce: 9 },
    firstSequence: 5,
    count: 3,
    skipped: Float64Array.of(0, 2, 0),
    receivedAt: 1_764_000_000_000,
    clockSynced: true,
    deviceTimes: true,
    fromHeld: false,
    times: Float64Array.of(1_764_000_000_000, 1_764_000_000_100, 1_764_000_000_050),
    features: 2,
    values: Float32Array.of(1, 2, 3, 4, 5, 6),
    missing: Uint8Array.of(0, 1, 0, 0, 0, 0),
    weakDelivery: { packetId: 4, contentHash: 99 },
    outputs: Float32Array.of(1, 2, 3),
    silent: true,
    muted: false,
    alarms: [utf8.encode('{"open":true}')],
  },
  { kind: "epoch", settings: '{"format":1}' },
  { kind: "layout", hash: 7, names: ["a", "b"], units: ["", "g"] },
  { kind: "streamAdded", group: 0, row: 1, key: "press-7" },
  { kind: "stateSet", group: 0, row: 1, transaction: "t", reply: true, state: { h: Float32Array.of(1, 2, 3) } },
  { kind: "streamRenamed", group: 0, row: 1, transaction: "t", reply: false, from: "press-7", key: "press-8" },
  { kind: "alarmMuted", group: 0, row: 1, transaction: "t", reply: false, until: 2 ** 41, alarm: utf8.encode('{"open":false}') },
  { kind: "alarmCalled", group: 0, row: 1, transaction: "t", reply: true, verdict: "fault", alarm: utf8.encode('{"open":true}') },
  { kind: "budgetSet", group: 0, row: 1, transaction: "t", reply: true, perWeek: 0.5 },
  { kind: "answered", transaction: "t", answer: '{"ok":true}' },
  { kind: "notice", topic: "hiddenstate/a/dead-letter", payload: Uint8Array.of(1, 2, 3) },
  { kind: "confirmed", mark: 2 ** 40 },
  {
    kind: "kept",
    group: 0,
    row: 3,
    receivedAt: 1_764_000_000_000,
    time: 1_764_000_000_000,
    values: Float32Array.of(1, 0, 3),
    missing: Uint8Array.of(0, 1, 0),
  },
];

/** Bodies of blocks, as they are behind a block's CRC. */
function bodyOf(list: readonly JournalEvent[]): Uint8Array {
  const body = new ByteWriter();
  const context = createBlockContext();
  for (const event of list) encodeEvent(body, event, context);
  return body.written.slice();
}

const journal: Target = {
  name: "journal",
  form: "bytes",
  samples: [bodyOf(events), ...events.map((event) => bodyOf([event]))],
  share: 150,
  bytesMax: 4096,
  codes: ["bad_payload"],
  run: (bytes) => {
    const from = new ByteReader(bytes);
    const context = createBlockContext();
    while (from.remaining > 0) decodeEvent(from, context);
  },
};

const CONFIG = `node: hall-3
state: state
log: info
mqtt: { url: "mqtt://127.0.0.1:1883", protocol: auto, keepalive: 30s }
commands: { mqtt: true }
updates: { keys: { release: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" } }
durability: { mode: strict, linger: 100ms, onDamage: continue }
streams: { max: 1000, expireAfter: 30d }
groups:
  - name: presses
    topic: sensors/{device}/readings
    codec: protobuf
    model: model.onnx
    features: [temperature, vibration]
    gap: { decay: 2s }
    missing: { temperature: hold }
    range: { temperature: [-40, 120] }
    predictions: { format: json, latest: true }
  - { name: kiln, preset: tasmota, model: kiln.onnx, features: { t: "$.a[0]", p: { path: b, unit: hPa } }, time: { path: t, unit: seconds } }
  - { name: pumps, topic: "pumps/+/data", codec: json, model: pump.onnx, reorder: { readings: 4, within: 2s } }
`;

const config: Target = {
  name: "config",
  form: "text",
  samples: [utf8.encode(CONFIG), utf8.encode("node: a\nstate: s\nmqtt: { url: mqtt://localhost }\ngroups: []\n")],
  share: 6,
  bytesMax: 4096,
  codes: ["bad_config"],
  run: (bytes) => {
    const parsed = parseConfig(Buffer.from(bytes).toString(), "/etc/hiddenstate/config.yaml");
    assert(parsed.groups.length > 0);
  },
};

const model: Target = {
  name: "model",
  form: "protobuf",
  samples: [
    randomModel({ features: 2, hidden: [4], seed: 3 }).bytes,
    randomModel({ features: 3, hidden: [3, 2], outputs: 2, seed: 4 }).bytes,
  ],
  share: 20,
  bytesMax: 64 * 1024,
  codes: ["bad_model"],
  run: (bytes) => {
    const { spec, version } = decodeModel(bytes, "model.onnx");
    assert(spec.features.length > 0 && version.length === 64);
  },
};

const updateModel = randomModel({ features: 2, hidden: [4], seed: 3 });
const manifestBody = encodeManifest(
  manifestOf(updateModel, { node: "hall-3", group: "g", counter: 7, expires: 1_800_000_000_000 }),
);

function checkManifest(payload: Uint8Array): void {
  const { manifest } = openManifest(payload, [trustedKey]);
  assert(manifest.bytes <= limits.modelBytesMax && manifest.chunks.length <= manifest.bytes && manifest.counter >= 1);
  switchProblem(updateModel.spec, manifest.shape, true);
}

/** From whoever has no key. */
const unsignedManifest: Target = {
  name: "update-manifest",
  form: "text",
  samples: [signManifest(manifestBody, privateKey)],
  share: 20,
  bytesMax: 4096,
  codes: ["bad_payload"],
  run: checkManifest,
};

/** From whoever has one, and means no good. */
const signedManifest: Target = {
  ...unsignedManifest,
  name: "update-manifest-signed",
  samples: [manifestBody],
  run: (bytes) => checkManifest(signManifest(bytes, privateKey)),
};

const updateReport: Target = {
  name: "update-report",
  form: "text",
  samples: [
    encodeReport({ time: 1, group: "g", manifest: "ab", outcome: "fetching", key: "k", counter: 1, chunks: 2, received: 1 }),
    encodeReport({ time: 1, group: "g", manifest: "ab", outcome: "refused", reason: "expired", why: "late" }),
  ],
  share: 20,
  bytesMax: 4096,
  codes: ["bad_payload"],
  run: (bytes) => void reportText(decodeReport(bytes)),
};

export const byteTargets: readonly Target[] = [
  readingsTarget("protobuf"),
  readingsTarget("json"),
  mappedTarget("json", [
    '{"temperature":"21.5","vibration":"heat","time":"2026-01-01 00:00:00","stream":"x"}',
    '[{"temperature":21.5,"boot":1,"nonce":2,"sequence":3},{"__proto__":null,"time":1764000000}]',
  ]),
  mappedTarget("text", ["21.38", "nan", "ON", "12,5"]),
  mappedTarget("csv", ["1764000000;21,5;-3;4\n1764000001;;1e3;0", '"2026-01-01T00:00:00Z",21.5,heat,"3"']),
  mappedTarget("cbor", [
    Buffer.from("a36b74656d7065726174757265181569766962726174696f6ef93e006474696d65c11a514b67b0", "hex"),
    Buffer.from("9fa169766962726174696f6ec48221196ab3bf6b74656d7065726174757265f7ffa1695f5f70726f746f5f5f01ff", "hex"),
  ]),
  mappedTarget("msgpack", [
    Buffer.from("83ab74656d7065726174757265cd0118a9766962726174696f6eca3fc00000a474696d65d6ff514b67b0", "hex"),
    Buffer.from("92de0001a9766962726174696f6ecbbff199999999999a81a95f5f70726f746f5f5fc0", "hex"),
  ]),
  mappedTarget("sparkplug", [SPARKPLUG_BIRTH, SPARKPLUG_DATA]),
  mappedTarget("proto", [
    Buffer.from("0d0000ac4115000080402a03010203", "hex"),
    Buffer.from("0d0000c8411d000080402209220722050d0000803f", "hex"),
  ]),
  mappedTarget("senml", [
    '[{"bn":"vib","bt":1741067000,"n":"ration","v":66.2},{"n":"ration","t":-10,"u":"Cel","vb":true},{"vs":"x"}]',
  ]),
  predictionTarget("protobuf"),
  predictionTarget("json"),
  layout,
  topics,
  journal,
  config,
  model,
  unsignedManifest,
  signedManifest,
  updateReport,
];
