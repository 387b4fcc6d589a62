// Messages of real kinds of devices, through presets and mappings: each gives exactly the values that it is known to hold.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { senmlSamples } from "../../src/message/senml.ts";
import { PayloadError } from "../../src/message/payload-error.ts";
import { presets } from "../../src/message/presets.ts";
import type { PresetName } from "../../src/message/presets.ts";
import type { Readings } from "../../src/message/reading.ts";
import type { Model } from "../../src/model/model.ts";
import { Routes } from "../../src/pipeline/routes.ts";
import { configSchema } from "../../src/runtime/config-schema.ts";
import { configureGroup, entriesOf } from "../../src/runtime/groups.ts";
import { repository } from "../support/cli.ts";

interface Expected {
  readonly path: string;
  readonly value: number | string | null;
  readonly unit?: string | null;
  readonly ts?: number | string;
}

interface Example {
  readonly id: string;
  readonly topic: string;
  readonly payload_type: "json" | "text" | "binary";
  readonly payload?: unknown;
  readonly payload_b64?: string;
  readonly expect: readonly Expected[];
}

const RECEIVED_AT = Date.UTC(2025, 2, 4, 12);

function examples(file: string): Example[] {
  return JSON.parse(readFileSync(join(repository, "test/fixtures/mqtt", `${file}.json`), "utf8")) as Example[];
}

function bytesOf({ payload, payload_type, payload_b64 }: Example): Uint8Array {
  if (payload_b64 !== undefined) return Buffer.from(payload_b64, "base64");
  return new TextEncoder().encode(payload_type === "json" ? JSON.stringify(payload) : String(payload));
}

/** Routes of one group on a model of the given features. */
function routesOf(
  group: Readonly<Record<string, unknown>>,
  features: readonly { name: string; unit?: string }[],
  more = {},
): Routes {
  const config = configSchema.parse({
    node: "n",
    state: "s",
    mqtt: { url: "mqtt://127.0.0.1" },
    groups: [{ name: "g", model: "m", ...group }],
    ...more,
  });
  const model = { spec: { features: features.map(({ name, unit = "" }) => ({ name, unit })) } } as unknown as Model;
  const groups = config.groups.map((one) => configureGroup(one, model, config.timezone, ["groups", 0]));
  const settings = { format: 1, node: "n", groups: [{ name: "g" }] } as unknown as Parameters<typeof entriesOf>[1];
  return new Routes("n", entriesOf(groups, settings), { commands: false, streamsMax: 100 });
}

/** What a message gives: the stream and its readings, or what kind of topic it is. */
function read(routes: Routes, example: Example): { key: string; readings: readonly Readings[] } | string {
  const route = routes.find(example.topic);
  if (route.kind !== "readings") return route.kind;
  const { entry, key } = route;
  return { key, readings: entry.codec.decode(bytesOf(example), entry.features, () => undefined, route, RECEIVED_AT) };
}

/** By reading: its time and the values of its features, null where missing. */
function rowsOf(readings: readonly Readings[], width: number): { time: number; values: (number | null)[] }[] {
  return readings.flatMap(({ count, times, values, missing }) =>
    Array.from({ length: count }, (_, row) => ({
      time: times[row]!,
      values: Array.from({ length: width }, (__, d) => (missing?.[row * width + d] === 1 ? null : values[row * width + d]!)),
    })),
  );
}

function timeOf(ts: number | string | undefined): number {
  if (ts === undefined) return Number.NaN;
  if (typeof ts === "string") return Date.parse(ts);
  return Math.round(ts < 1e11 ? ts * 1000 : ts);
}

const KEYS: Readonly<Record<string, string>> = {
  tas1: "kiln-room",
  tas2: "compressor-2",
  tas3: "cold-store",
  tas5: "cold-store",
  z1: "greenhouse north",
  z2: "pump/plug-a",
  z3: "office air",
  sh1: "shellyplus1pm-a1b2c3d4e5f6/switch:0",
  sh2: "shellyplusht-001122aabbcc",
  sh3: "shellypro3em-c0ffee000001",
  sh4: "shellyht-9f8e7d",
  e1: "well-house",
  e2: "well-house",
  e3: "well-house",
  t1: "orchard@ttn/soil-07",
  t2: "orchard@ttn/soil-08",
  o1: "5f0c/0011223344556677",
};

/** The name of what a topic is about, where a message is one value. */
const FEATURES: Readonly<Record<string, string>> = {
  sh4: "temperature",
  e1: "water_level",
  e2: "flow_rate",
  e3: "pump_running",
};

const TIMES: Readonly<Record<string, number>> = {
  // Tasmota's local time, in the config's zone: Europe/Berlin is an hour ahead in March.
  tas1: Date.UTC(2025, 2, 4, 5, 20, 11),
  tas2: Date.UTC(2025, 2, 4, 5, 25, 0),
  tas3: Date.UTC(2025, 2, 4, 5, 25, 4),
  tas5: Date.UTC(2025, 2, 4, 5, 25, 4),
  z2: Date.UTC(2025, 2, 4, 5, 30, 12, 441),
  z3: 1_741_066_212_441,
};

const families: readonly (readonly [PresetName, readonly Example[]])[] = [
  ["tasmota", examples("tasmota")],
  ["zigbee2mqtt", examples("zigbee2mqtt")],
  ["shelly", examples("shelly")],
  ["esphome", examples("esphome")],
  ["ttn", examples("ttn")],
  ["chirpstack", examples("other").slice(0, 1)],
];

for (const [preset, list] of families) {
  t.test(`${preset}: every message gives exactly the values it holds`, async (t) => {
    for (const example of list) {
      const { id, expect } = example;
      const paths = expect.map(({ path }) => FEATURES[id] ?? `$.${path}`);
      // A model of other features, where a message has none.
      const features = paths.length === 0 ? ["temperature"] : paths;
      const group = { preset, features: Object.fromEntries(features.map((path) => [path, { path }])) };
      const routes = routesOf(
        group,
        features.map((name) => ({ name })),
        { timezone: "Europe/Berlin" },
      );
      const got = read(routes, example);
      if (expect.length === 0) {
        t.ok(["unknown", "passedOver"].includes(got as string), `${id} is no reading`);
        continue;
      }
      if (typeof got === "string") throw new Error(`${id} is ${got}`);
      t.equal(got.key, KEYS[id], `${id}: the stream`);
      t.strictSame(
        rowsOf(got.readings, features.length),
        [
          {
            time: TIMES[id] ?? timeOf(expect[0]!.ts),
            values: expect.map(({ value }) => (value === null ? null : Math.fround(value as number))),
          },
        ],
        id,
      );
      const { unitOf } = presets[preset];
      // ESPHome says units in its discovery messages only.
      const units = preset === "esphome" ? [] : expect.map(({ unit }) => unit ?? undefined);
      t.strictSame(
        units.map((_, index) => unitOf?.(paths[index]!, example.payload)),
        units,
        `${id}: units`,
      );
    }
  });
}

t.test("senml: values of one moment are one reading, in the order of time, under their full names", async (t) => {
  const example = examples("other").find(({ id }) => id === "o3")!;
  const samples = senmlSamples(example.payload, RECEIVED_AT);
  t.strictSame(
    samples
      .filter(({ value }) => typeof value !== "string")
      .map(({ name, value, time, unit }) => [name, Number(value), time, unit]),
    example.expect.map(({ path, value, unit, ts }) => [path, value, timeOf(ts), unit ?? undefined]),
  );
  const features = { temperature: "urn:dev:mac:0011ff:temp", ok: "urn:dev:mac:0011ff:ok" };
  const routes = routesOf({ topic: "senml/{site}/{line}", codec: "senml", features }, [
    { name: "temperature", unit: "K" },
    { name: "ok" },
  ]);
  const got = read(routes, example);
  if (typeof got === "string") throw new Error(got);
  t.strictSame(rowsOf(got.readings, 2), [
    { time: 1_741_066_990_000, values: [Math.fround(65.9 + 273.15), null] },
    { time: 1_741_067_000_000, values: [Math.fround(66.2 + 273.15), 1] },
  ]);
});

t.test("sparkplug: metrics of one moment are one reading of their node, in the order of time", async (t) => {
  const features = { rms: "Bearing/Vibration RMS", temperature: "Bearing/Temperature", torque: "Motor/Torque" };
  const state = { path: "Motor/State", values: { RUN: 1, STOP: 0 } };
  const routes = routesOf({ preset: "sparkplug", features: { ...features, state } }, [
    { name: "rms" },
    { name: "temperature" },
    { name: "torque" },
    { name: "state" },
  ]);
  const at = 1_741_067_000_000;
  const float = Math.fround;
  const expected = [
    [{ time: at, values: [0.4375, float(48.31), -14, 1] }],
    [{ time: at + 1000, values: [0.5, float(48.36), null, null] }],
    [
      { time: at + 400, values: [0.46875, null, null, null] },
      { time: at + 1900, values: [null, null, null, null] },
      { time: at + 2000, values: [null, null, -9, null] },
    ],
    [{ time: at + 4000, values: [0.625, null, null, null] }],
    [],
  ];
  for (const [index, example] of examples("sparkplug_b").slice(0, 5).entries()) {
    const got = read(routes, example);
    if (typeof got === "string") throw new Error(got);
    t.equal(got.key, "millA/edge-3");
    t.strictSame(rowsOf(got.readings, 4), expected[index], example.id);
  }
  t.equal(routes.find("spBv1.0/STATE/scada-1").kind, "unknown", "a host's state is not asked for");
  t.equal(routes.find("spBv1.0/millA/NCMD/edge-3").kind, "passedOver");
  t.match(routes.find("spBv1.0/millA/DDATA/edge-3/press"), { kind: "readings", key: "millA/edge-3/press" });
});

t.test("rtl_433 needs no preset: a blank in the time, and its zone from the config", async (t) => {
  const example = examples("other").find(({ id }) => id === "o2")!;
  const features = { temperature: "temperature_C", humidity: "$.humidity" };
  const group = { topic: "rtl_433/{gateway}/events", codec: "json", features, time: "$.time" };
  const got = read(routesOf(group, [{ name: "temperature" }, { name: "humidity" }], { timezone: "+01:00" }), example);
  if (typeof got === "string") throw new Error(got);
  t.strictSame(rowsOf(got.readings, 2), [{ time: Date.UTC(2025, 2, 4, 5, 51, 7), values: [Math.fround(7.9), 81] }]);
});

t.test("JSON cut short is refused; a decimal comma is read only where the config allows it", async (t) => {
  const [cut, comma] = ["o4", "o5"].map((id) => examples("other").find((example) => example.id === id)!);
  const features = { t: "$.t", p: "$.p" };
  const json = routesOf({ topic: "plant/{line}/press", codec: "json", features }, [{ name: "t" }, { name: "p" }]);
  t.throws(() => read(json, cut!), { message: /it is not JSON/ });
  const flow = (more: object): Routes => routesOf({ topic: "plant/{line}/flow", codec: "text", ...more }, [{ name: "flow" }]);
  t.throws(() => read(flow({}), comma!), {
    reason: "shape",
    message:
      'cannot decode payload: "$" is the text "12,5", a number is expected, or null where it is missing; say decimalComma: true if its comma is a decimal sign',
  });
  const got = read(flow({ decimalComma: true }), comma!);
  t.match(got, { key: "line1", readings: [{ values: Float32Array.of(12.5) }] });
});

t.test("discovery messages of Home Assistant are nobody's readings", async (t) => {
  for (const [preset] of families) {
    const routes = routesOf({ preset, features: { a: { path: "$.a" } } }, [{ name: "a" }]);
    for (const example of examples("homeassistant"))
      t.equal(routes.find(example.topic).kind, "unknown", `${preset} ${example.id}`);
  }
});

t.test("what a bridge says beside readings is passed over", async (t) => {
  const routes = routesOf({ preset: "zigbee2mqtt" }, [{ name: "temperature" }]);
  for (const topic of ["bridge/state", "bridge/devices", "a/b/availability", "a/set", "a/get/state"]) {
    t.equal(routes.find(`zigbee2mqtt/${topic}`).kind, "passedOver", topic);
  }
  const plug = { ...examples("zigbee2mqtt")[0]!, payload: { state: "ON" } };
  t.match(read(routes, plug), { key: "greenhouse north", readings: [] }, "none of the features: no reading, and no fault");
});

t.test("units come from the message where it says them, and reach the model in its own", async (t) => {
  const [kiln] = examples("tasmota");
  const payload = { ...(kiln!.payload as object), TempUnit: "F" };
  const features = { temperature: "BME280.Temperature", pressure: "BME280.Pressure" };
  const routes = routesOf({ preset: "tasmota", features }, [
    { name: "temperature", unit: "°C" },
    { name: "pressure", unit: "Pa" },
  ]);
  const got = read(routes, { ...kiln!, payload });
  if (typeof got === "string") throw new Error(got);
  t.strictSame(rowsOf(got.readings, 2)[0]!.values, [Math.fround(((31.7 - 32) * 5) / 9), Math.fround(98_760)]);
  const wrong = routesOf({ preset: "tasmota", features: { voltage: "BME280.Temperature" } }, [{ name: "voltage", unit: "V" }]);
  t.throws(() => read(wrong, kiln!), {
    message: 'cannot decode payload: "BME280.Temperature" is in C, but the model takes "voltage" in V',
  });
  const [battery, mains] = examples("zigbee2mqtt");
  const volts = routesOf({ preset: "zigbee2mqtt" }, [{ name: "voltage", unit: "V" }]);
  t.match(read(volts, battery!), { readings: [{ values: Float32Array.of(2.945) }] });
  t.match(read(volts, mains!), { readings: [{ values: Float32Array.of(229) }] });
});

t.test("a refused message names the field and what stands there", async (t) => {
  const message = (payload: unknown): Example => ({ id: "", topic: "a/b", payload_type: "json", payload, expect: [] });
  const features = { temperature: "$.AM2301.Temperature", mode: { path: "$.mode", values: { heat: 1, cool: 2 } } };
  const routes = routesOf({ topic: "a/{device}", codec: "json", features }, [{ name: "temperature" }, { name: "mode" }]);
  const cases: [unknown, string][] = [
    [
      { AM2301: { Temperature: "warm" } },
      '"$.AM2301.Temperature" is the text "warm", a number is expected, or null where it is missing',
    ],
    [{ AM2301: { Temperature: {} } }, '"$.AM2301.Temperature" is an object, the path must lead to a number'],
    [{ mode: "dry" }, '"$.mode" is the text "dry", a number is expected, or null where it is missing'],
    [{ mode: 1, time: "noon" }, '"$.time" is the text "noon"; a time is expected: a number since 1970, or ISO 8601'],
    [{ other: 1 }, "none of the features is there: $.AM2301.Temperature, $.mode"],
    [[{ mode: 1 }, { mode: [] }], 'reading 2 of 2: "$.mode" is an array, the path must lead to a number'],
    [{ mode: 1, boot: 1 }, 'of "boot", "nonce" and "sequence" only 1 are there; give all three or none'],
    [[], "it holds no reading: the array is empty"],
  ];
  for (const [payload, text] of cases) {
    t.throws(() => read(routes, message(payload)), { message: `cannot decode payload: ${text}` });
    t.throws(() => read(routes, message(payload)), PayloadError);
  }
  const got = read(
    routes,
    message([
      { mode: "heat", AM2301: { Temperature: "21.5" } },
      { mode: "cool", stream: "x", time: 1_741_067_000 },
    ]),
  );
  t.match(got, {
    readings: [
      { part: undefined, values: Float32Array.of(21.5, 1), missing: undefined },
      { part: "x", values: Float32Array.of(0, 2), missing: Uint8Array.of(1, 0), times: Float64Array.of(1_741_067_000_000) },
    ],
  });
});

t.test("a mapping that does not fit the model is a fault at its key", async (t) => {
  const two = [{ name: "temperature", unit: "°C" }, { name: "flow" }];
  const cases: [Record<string, unknown>, (string | number)[], RegExp][] = [
    [{ features: ["a"] }, ["features"], /it names 1 features, its model takes 2: temperature, flow$/],
    [{ features: { speed: "$.s" } }, ["features"], /"speed" is none of the features of its model: temperature, flow$/],
    [{ features: { flow: "$a" } }, ["features", "flow"], /cannot use the path "\$a": it is written as in/],
    [{ features: { flow: { path: "$." } } }, ["features", "flow", "path"], /cannot use the path "\$\."/],
    [
      { features: { temperature: { unit: "V" } } },
      ["features", "temperature", "unit"],
      /takes "temperature" in °C, and no way from V to that is known/,
    ],
    [
      { features: { flow: { unit: "l", rate: true } } },
      ["features", "flow", "unit"],
      /a rate has another unit than its counter; give the scale instead/,
    ],
    [{ time: "$[" }, ["time"], /cannot use the path "\$\["/],
    [{ time: { path: "$[" } }, ["time", "path"], /cannot use the path "\$\["/],
    [
      { codec: "csv", columns: ["time", "flow"] },
      ["columns"],
      /no column is called "temperature", as the feature "temperature" wants it$/,
    ],
    [
      { codec: "text" },
      ["topic"],
      /its messages are one value each, its model takes 2; name the feature in the topic by \{feature\}$/,
    ],
    [
      { codec: "protobuf", features: { flow: "f" } },
      ["features"],
      /protobuf messages have their features by name: give the names as a list$/,
    ],
    [{ codec: "protobuf", time: "at" }, ["time"], /protobuf messages say it themselves$/],
    [{ stepOn: ["speed"] }, ["stepOn"], /"speed" is none of its features temperature, flow$/],
  ];
  for (const [group, path, message] of cases) {
    const configured = { topic: "a/{device}", codec: "json", ...group };
    t.throws(
      () => routesOf(configured, two),
      { code: "bad_config", message, fault: { path: ["groups", 0, ...path] } },
      JSON.stringify(group),
    );
  }
});

t.test("a topic of the user's own is read as the preset's topic that it is a case of", async (t) => {
  const [status, , , gen1] = examples("shelly");
  const topic = ["shellyplus1pm-a1b2c3d4e5f6/status/switch:0", "shellies/{device}/sensor/{feature}"];
  const power = routesOf({ preset: "shelly", topic }, [{ name: "apower" }]);
  t.match(read(power, status!), {
    key: "shellyplus1pm-a1b2c3d4e5f6/status/switch:0",
    readings: [{ values: Float32Array.of(61.8) }],
  });
  const heat = routesOf({ preset: "shelly", topic }, [{ name: "temperature" }]);
  t.match(read(heat, gen1!), { key: "shellyht-9f8e7d", readings: [{ values: Float32Array.of(21.38) }] });
});
