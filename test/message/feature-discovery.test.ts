import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { FeatureDiscovery, measuringFields } from "../../src/message/feature-discovery.ts";
import { readFieldPath, parseFieldPath } from "../../src/message/field-path.ts";

const fixtures = join(import.meta.dirname, "../../../test/fixtures/mqtt");

function bytes(document: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(document));
}

function fieldsOf(document: unknown): string[] {
  return [...measuringFields(bytes(document))!.keys()];
}

t.test("numbers are features, but those that count versions, name things, or tell of radio and battery", async (t) => {
  t.strictSame(
    fieldsOf({ battery: 71, humidity: 64.12, linkquality: 87, pressure: 1009.4, temperature: 19.86, state: "ON", on: true }),
    ["humidity", "pressure", "temperature"],
  );
  t.strictSame(
    fieldsOf({
      power: 433,
      update: { installed_version: 33, latest_version: 35 },
      last_seen: 1741066212441,
      device_id: 9,
      rssi: -70,
    }),
    ["power"],
  );
  t.strictSame(
    fieldsOf({ Time: "2025-03-04T06:20:11", BME280: { Temperature: 31.7, Humidity: 22.4 }, UptimeSec: 7, Wifi: { RSSI: 70 } }),
    ["BME280.Temperature", "BME280.Humidity"],
  );
  t.strictSame(fieldsOf(21.5), ["$"]);
  t.strictSame(fieldsOf({ boot: 1, nonce: 2, sequence: 3, flow: 4, deep: { nan: null, list: [1, 2] } }), ["flow"]);
  t.equal(measuringFields(new TextEncoder().encode("ON")), undefined);
});

t.test("a field's path reads back to it, whatever its name", async (t) => {
  const document = { "a.b": 1, 'say "x"': { "": 2, "c[0]": 3 }, $: 4, plain: { inner: 5 } };
  for (const [path, value] of measuringFields(bytes(document))!)
    t.equal(readFieldPath(parseFieldPath(path), document), value, path);
  t.equal(measuringFields(bytes(document))!.size, 5);
});

t.test("a topic is known after 20 messages, or those of ten minutes, with counters and the field that says when", async (t) => {
  const discovery = new FeatureDiscovery();
  const now = 1_000_000;
  const wall = 1_741_066_212_441;
  const message = (i: number): Uint8Array =>
    bytes({ energy: 77 + i, power: 400 + (i % 3), co2: i < 3 ? undefined : 900, last_seen: wall + i * 1000 });
  for (let i = 0; i < 19; i++) t.equal(discovery.see("z/plug", message(i), now + i, wall), undefined);
  t.strictSame(discovery.see("z/plug", message(19), now + 19, wall), {
    topic: "z/plug",
    fields: [
      { path: "co2", isCounter: false },
      { path: "energy", isCounter: true },
      { path: "power", isCounter: false },
    ],
    time: "last_seen",
  });
  t.strictSame(discovery.conclude(), [], "what is known is not told again");
  discovery.see("z/slow", bytes({ level: 1 }), now, wall);
  t.match(discovery.see("z/slow", bytes({ level: 2 }), now + 10 * 60_000, wall), {
    fields: [{ path: "level" }],
    time: undefined,
  });
});

t.test("what is no JSON, has no numbers or no usable topic ends as nothing to measure", async (t) => {
  const discovery = new FeatureDiscovery();
  for (let i = 0; i < 19; i++) discovery.see("z/door", new TextEncoder().encode("open"), i, 0);
  t.match(discovery.see("z/door", bytes({ contact: false }), 20, 0), { fields: [] });
  t.equal(discovery.see("x".repeat(200), bytes({ a: 1 }), 0, 0), undefined);
  t.strictSame(discovery.conclude(), []);
});

t.test("what recorded messages are known to measure is found", async (t) => {
  const recorded = JSON.parse(readFileSync(join(fixtures, "zigbee2mqtt.json"), "utf8")) as readonly {
    readonly payload: unknown;
    readonly expect: readonly { readonly path: string }[];
  }[];
  for (const { payload, expect } of recorded) {
    const expected = expect.map(({ path }) => path).filter((path) => !/battery|linkquality/.test(path));
    const found = new Set(measuringFields(bytes(payload))?.keys());
    for (const path of expected) t.ok(found.has(path), `${path} of ${JSON.stringify(payload)}`);
  }
});
