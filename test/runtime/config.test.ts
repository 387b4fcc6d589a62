import t from "tap";
import { parseConfig } from "../../src/runtime/config.ts";

const good = `node: hall-3
state: ./state
mqtt:
  url: mqtt://127.0.0.1:1883
groups:
  - name: presses
    topic: plant/{line}/{press}/readings
    codec: json
    model: models/press.onnx
    gap: { decay: 10m }
`;

function faults(text: string): string[] {
  try {
    parseConfig(text, "/etc/h/config.yaml");
  } catch (thrown) {
    return (thrown as Error).message.split("\n");
  }
  return [];
}

t.test("an alias without its anchor, and aliases that multiply, are faults of the config", async (t) => {
  t.strictSame(faults(`${good}streams: *nobody\n`), ["/etc/h/config.yaml:11:10: there is no anchor &nobody before this"]);
  const levels = Array.from({ length: 9 }, (_, i) => `  l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(", ")}]`);
  t.match(faults(`bomb:\n  l0: &l0 [1]\n${levels.join("\n")}\n${good}`), [/^\/etc\/h\/config\.yaml:1:1: Excessive alias count/]);
});

t.test("a config comes back with defaults and resolved paths", async (t) => {
  t.match(parseConfig(good, "/etc/h/config.yaml"), {
    state: "/etc/h/state",
    mqtt: { protocol: "auto", keepalive: 30_000, sessionExpiry: 7 * 24 * 3600 * 1000 },
    commands: { mqtt: false },
    streams: { max: 10_000 },
    groups: [
      {
        model: "/etc/h/models/press.onnx",
        engine: "auto",
        gap: { decay: 600_000 },
        missing: "hold",
        holdReadings: 10,
        predictions: { format: "json", latest: false },
      },
    ],
  });
});

t.test("a fault is told with file, line and column, and what is allowed", async (t) => {
  const budget =
    "expected a number of alarms per hour, day, week, month or year, such as 1/week, and that from 0.01 to 10000 a week";
  const cases: [string, string | RegExp][] = [
    ...["1/fortnight", "0/week", "1000/hour", "3"].map((wrong): [string, string] => [
      `${good}    score: { budget: ${wrong} }\n`,
      `/etc/h/config.yaml:11:22: groups[0].score.budget: ${budget}`,
    ]),
    [
      good.replace("codec: json", "codec: xml"),
      '/etc/h/config.yaml:8:12: groups[0].codec: expected one of "protobuf", "json", "text", "csv", "cbor", "msgpack", "proto", "senml", "sparkplug"',
    ],
    [
      `${good}    colour: red\n`,
      /^\/etc\/h\/config\.yaml:11:5: unknown key "colour"; allowed here: name, topic, preset, codec, schema, model, engine, /,
    ],
    [
      good.replace("10m", "10 minutes"),
      /config\.yaml:10:19: groups\[0\]\.gap\.decay: expected a number with a unit, such as 500ms, 30s/,
    ],
    [good.replace("decay: 10m", "decay: 10m, tau: 3"), /config\.yaml:10:24: unknown key "tau"; allowed here: decay/],
    [good.replace("node: hall-3\n", ""), /config\.yaml:1:1: node: it is absent, and must be string/],
    [`${good}updates: {}\n`, /config\.yaml:11:10: updates\.keys: it is absent/],
    [`${good}updates: { keys: {} }\n`, /config\.yaml:11:18: updates\.keys: expected at least one key/],
    [`${good}updates: { keys: { release: "x" } }\n`, /config\.yaml:11:29: updates\.keys\.release: expected the 44 characters/],
    [good.replace("hall-3", "hall 3"), /config\.yaml:1:7: node: expected 1 to 64 of the characters/],
    [
      good.replace("{line}", "{line"),
      /config\.yaml:7:12: groups\[0\]\.topic: cannot use the topic pattern "plant\/\{line\/\{press\}\/readings"/,
    ],
    [good.replace("mqtt://", "http://"), /config\.yaml:4:8: mqtt\.url: expected mqtt:\/\/host:port/],
    [
      `${good}  - { name: presses, topic: a, codec: json, model: m }\n`,
      /config\.yaml:11:13: groups\[1\]\.name: there is another group of the name "presses"/,
    ],
    [
      `${good}    range: { a: [3, 2] }\n`,
      /config\.yaml:11:17: groups\[0\]\.range\.a: the first number must be less than the second/,
    ],
    [
      `${good}  - { name: all, topic: "plant/#", codec: json, model: m }\n`,
      /config\.yaml:11:25: groups\[1\]\.topic: it also catches topics of group "presses"/,
    ],
    [
      good.replace("mqtt://127.0.0.1:1883", "mqtt://127.0.0.1:1883\n  keepalive: 30"),
      /config\.yaml:5:14: mqtt\.keepalive: expected a number with a unit, such as 500ms, 30s, 10m, 12h or 7d/,
    ],
    [
      good.replace("{ decay: 10m }", "fade"),
      /config\.yaml:10:10: groups\[0\]\.gap: expected one of "carry", "reset"; or expected object, received string/,
    ],
    [good.replace(":1883", ":99999"), /config\.yaml:4:8: mqtt\.url: cannot use a broker's URL: /],
    [
      good.replace("    codec: json\n", ""),
      /config\.yaml:6:5: groups\[0\]: codec is absent, and must be one of protobuf, json, text/,
    ],
    [good.replace(/ {4}topic: .*\n/, ""), /config\.yaml:6:5: groups\[0\]: topic is absent, and no preset says it/],
    [
      good.replace("codec: json", "codec: json\n    preset: tasmota"),
      /config\.yaml:8:12: groups\[0\]\.codec: the preset tasmota says the codec; leave one of the two out/,
    ],
    [
      good.replace("codec: json", "preset: tasmoda"),
      /config\.yaml:8:13: groups\[0\]\.preset: expected one of "tasmota", "zigbee2mqtt"/,
    ],
    [
      good.replace("topic: plant/{line}/{press}/readings", "topic: ['a/{x}', +/b]"),
      /config\.yaml:7:22: groups\[0\]\.topic\[1\]: it also catches topics of group "presses"/,
    ],
    [`${good}timezone: Berlin\n`, /config\.yaml:11:11: timezone: cannot use time zone "Berlin": write UTC, an offset/],
    [
      `${good}    features: { a: { path: b, scale: x } }\n`,
      /config\.yaml:11:38: groups\[0\]\.features\.a\.scale: expected number, received string/,
    ],
    [
      `${good}    features: { a: { path: b, skale: 1 } }\n`,
      /config\.yaml:11:31: unknown key "skale"; allowed here: path, scale, offset, unit, values, missing, rate$/,
    ],
    [`${good}    features: { a: 3 }\n`, /config\.yaml:11:20: groups\[0\]\.features\.a: expected string, received number; or /],
    [
      `${good}    time: { path: a, unit: hours }\n`,
      /config\.yaml:11:28: groups\[0\]\.time\.unit: expected one of "auto", "seconds"/,
    ],
    [
      good.replace("codec: json", "codec: proto"),
      /config\.yaml:6:5: groups\[0\]: codec: proto and schema go together: give both or neither/,
    ],
    [
      `${good}    scope: group\n`,
      /config\.yaml:11:12: groups\[0\]\.scope: a model file is one for all streams; leave this out, or the model$/,
    ],
    [
      good.replace("model: models/press.onnx", "features: [a]\n    scope: all").replace("    gap: { decay: 10m }\n", ""),
      /config\.yaml:10:12: groups\[0\]\.scope: expected one of "stream", "group"/,
    ],
    ["- a", /config\.yaml:1:1: expected object, received array/],
    ["a: [", /config\.yaml:1:5: /],
    ["", /config\.yaml:1:1: node: it is absent/],
  ];
  for (const [text, expected] of cases) {
    const [first] = faults(text);
    if (typeof expected === "string") t.equal(first, expected);
    else t.match(first, expected);
  }
  t.equal(faults(good.replace("codec: json", "codec: xml").replace("node:", "knot:")).length, 3, "all faults at once");
});

t.test("plain MQTT leaves this machine only where the config says so, and TLS is checked", async (t) => {
  const url = (text: string, more = ""): string => good.replace("mqtt://127.0.0.1:1883", `${text}${more}`);
  const insecure =
    /config\.yaml:4:8: mqtt\.url: plain MQTT to another machine can be read and changed on the way; use mqtts:\/\/, or set/;
  for (const host of ["10.0.0.7", "broker.local", "127.0.0.1.example.org", "[2001:db8::1]"]) {
    t.match(faults(url(`mqtt://${host}`))[0], insecure, host);
    t.strictSame(faults(url(`mqtt://${host}`, "\n  allowInsecure: true")), []);
    t.strictSame(faults(url(`mqtts://${host}`)), []);
  }
  for (const host of ["localhost", "127.0.0.1", "127.8.9.10:2000", "[::1]:1883"])
    t.strictSame(faults(url(`mqtt://${host}`)), [], host);
  t.match(
    faults(url("mqtt://127.0.0.1", "\n  tls: { ca: a }"))[0],
    /5:8: mqtt\.tls: it is for mqtts:\/\/, and the URL is mqtt:\/\//,
  );
  t.match(faults(url("mqtts://b", "\n  tls: { cert: a }"))[0], /5:8: mqtt\.tls: cert and key go together/);
  t.match(
    faults(url("mqtts://b", "\n  passwordFile: a\n  passwordEnv: b"))[0],
    /6:16: mqtt\.passwordEnv: the password comes from/,
  );
  const { mqtt } = parseConfig(url("mqtts://b", "\n  tls: { ca: ca.pem, cert: c, key: /k, verify: false }"), "/etc/h/c.yaml", {
    dev: true,
  });
  t.strictSame(mqtt.tls, { ca: "/etc/h/ca.pem", cert: "/etc/h/c", key: "/k", verify: false });
});
