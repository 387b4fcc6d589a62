import t from "tap";
import { HiddenstateError } from "../../src/base/errors.ts";
import { CounterRates } from "../../src/message/counter-rates.ts";
import { parseFieldNumber } from "../../src/message/field-number.ts";
import { parseFieldPath, readFieldPath } from "../../src/message/field-path.ts";
import { parseFieldTime } from "../../src/message/field-time.ts";
import type { FieldMapping, FieldSource } from "../../src/message/field-mapping.ts";
import { MessageFormats } from "../../src/message/message-formats.ts";
import type { FormatName } from "../../src/message/message-formats.ts";
import type { Readings } from "../../src/message/reading.ts";
import { createTimeZone } from "../../src/message/time-zone.ts";
import { parseTopicPattern } from "../../src/message/topic-pattern.ts";
import { convertUnit } from "../../src/message/units.ts";

const zone = createTimeZone("Europe/Berlin");

t.test("a path leads to a field through levels, quoted names and places in arrays", async (t) => {
  const document = {
    AM2301: { Temperature: 21.5 },
    "a.b": { c: [4, 5] },
    "Bearing/Vibration RMS": 0.5,
    temp: [1, 2],
    'q"': 7,
    Bearing: 3,
  };
  const cases: [string, unknown][] = [
    ["$.AM2301.Temperature", 21.5],
    ["AM2301.Temperature", 21.5],
    ['$["a.b"].c[1]', 5],
    ["a.b", document["a.b"]],
    ["Bearing/Vibration RMS", 0.5],
    ["$.temp.1", 2],
    ["temp[0]", 1],
    ["$.temp[2]", undefined],
    ['$["q\\""]', 7],
    ["$.AM2301.Humidity", undefined],
    ["$.temp.length", 2],
    ["$.Bearing.constructor", undefined],
    ["$.toString", undefined],
    ["$", document],
    ["x[", undefined],
  ];
  for (const [text, expected] of cases) t.equal(readFieldPath(parseFieldPath(text), document), expected, text);
  for (const text of ["", "$a", "$.", "$.a[x]", '$["a]', "$..a"]) {
    t.throws(() => parseFieldPath(text), {
      code: "bad_argument",
      message: `cannot use the path "${text}": it is written as in $.AM2301.Temperature, $["a.b"].c or $.temp[0]`,
    });
  }
});

t.test("numbers come as numbers, texts and switches, and go missing in many words", async (t) => {
  const cases: [unknown, number | undefined][] = [
    [21.5, 21.5],
    ["21.5", 21.5],
    [" -.5e3 ", -500],
    ["21,5", undefined],
    ["1,021.5", undefined],
    [true, 1],
    ["OFF", 0],
    ["on", 1],
    [12n, 12],
    [null, Number.NaN],
    [undefined, Number.NaN],
    ["nan", Number.NaN],
    ["NaN", Number.NaN],
    ["unavailable", Number.NaN],
    ["", Number.NaN],
    ["warm", undefined],
    ["0x10", undefined],
    ["Infinity", undefined],
    [{}, undefined],
    [[1], undefined],
  ];
  for (const [value, expected] of cases) t.same(parseFieldNumber(value, false), expected, String(value));
  t.equal(parseFieldNumber("21,5", true), 21.5);
  t.equal(parseFieldNumber("-1,5E-1", true), -0.15);
  t.equal(parseFieldNumber("1.021,5", true), undefined, "signs between thousands are not read");
});

t.test("times come in any unit since 1970 and as ISO 8601 with a zone or without", async (t) => {
  const ms = 1_741_066_431_270;
  const cases: [unknown, Parameters<typeof parseFieldTime>[1], number | undefined][] = [
    [1_741_066_431.27, "auto", ms],
    [ms, "auto", ms],
    [ms * 1000, "auto", ms],
    [BigInt(ms) * 1_000_000n, "auto", ms],
    [String(ms), "auto", ms],
    ["1741066431.27", "auto", ms],
    [ms * 1e6, "milliseconds", undefined],
    [86_400_000, "milliseconds", 86_400_000],
    [1_000_000, "microseconds", 1000],
    [5_000_000_000, "nanoseconds", 5000],
    [new Date(ms), "seconds", ms],
    ["2025-03-04T06:20:11", "auto", Date.UTC(2025, 2, 4, 5, 20, 11)],
    ["2025-07-04 06:20:11", "auto", Date.UTC(2025, 6, 4, 4, 20, 11)],
    ["2025-03-04T05:41:09.881204417Z", "auto", Date.UTC(2025, 2, 4, 5, 41, 9, 881)],
    ["2025-03-04T05:50:00.104+00:00", "auto", Date.UTC(2025, 2, 4, 5, 50, 0, 104)],
    ["yesterday", "auto", undefined],
    [true, "auto", undefined],
    [Number.NaN, "auto", undefined],
    [Infinity, "auto", undefined],
  ];
  for (const [value, shape, expected] of cases)
    t.equal(parseFieldTime(value, shape, zone), expected, `${String(value)} ${shape}`);
});

t.test("units of one quantity are converted, and others are told apart", async (t) => {
  const convert = (value: number, from: string, to: string): number | string | undefined => {
    const conversion = convertUnit(from, to);
    return typeof conversion === "object" ? Number((value * conversion.scale + conversion.offset).toPrecision(9)) : conversion;
  };
  t.equal(convert(212, "°F", "°C"), 100);
  t.equal(convert(0, "C", "K"), 273.15);
  t.equal(convert(0, "K", "degF"), -459.67);
  t.equal(convert(1013.25, "hPa", "Pa"), 101_325);
  t.equal(convert(2945, "mV", "V"), 2.945);
  t.equal(convert(1, "psi", "hPa"), 68.9475729);
  t.equal(convert(1, "kWh", "Wh"), 1000);
  t.equal(convert(36, "km/h", "m/s"), 10);
  t.equal(convert(1, "Cel", "°C"), undefined);
  t.equal(convert(1, "var", "var"), undefined);
  t.equal(convert(1, "V", "°C"), "different");
  t.equal(convert(1, "var", "W"), "unknown");
});

t.test("a counter's rate is its growth a second, and missing where that means nothing", async (t) => {
  const rates = new CounterRates(2);
  const at = 1_741_066_431_000;
  t.same(rates.next("a", 100, at), Number.NaN, "the first");
  t.equal(rates.next("a", 160, at + 60_000), 1);
  t.same(rates.next("a", 160, at + 60_000), Number.NaN, "the same message again");
  t.same(rates.next("a", 100, at), Number.NaN, "an older one");
  t.equal(rates.next("a", 220, at + 90_000), 2, "neither has moved what is compared with");
  t.same(rates.next("a", 5, at + 100_000), Number.NaN, "the counter was reset");
  t.equal(rates.next("a", 6, at + 101_000), 1);
  rates.next("b", 1, at);
  rates.next("c", 1, at);
  t.same(rates.next("a", 7, at + 102_000), Number.NaN, "past the bound the longest unseen is forgotten");
});

function source(name: string, more: Partial<FieldSource> = {}): FieldSource {
  const plain = {
    scale: 1,
    offset: 0,
    unit: undefined,
    wanted: undefined,
    words: new Map(),
    marks: new Set<number>(),
    rate: false,
  };
  return { name, path: parseFieldPath(name), ...plain, ...more };
}

function decode(
  format: FormatName,
  message: string | Uint8Array,
  sources: readonly FieldSource[],
  more: Partial<FieldMapping> = {},
): readonly Readings[] {
  const mapping: FieldMapping = {
    sources,
    root: undefined,
    time: undefined,
    zone,
    decimalComma: false,
    unitOf: undefined,
    isLabelled: false,
    passesOver: false,
    ...more,
  };
  const columns = ["time", "_", ...sources.map(({ name }) => name)];
  const decoder = new MessageFormats(columns).createDecoder(format, mapping);
  const origin = { topic: "a/b", key: "a", feature: undefined };
  return decoder.decode(Buffer.from(message), [], () => undefined, origin, 0);
}

t.test("CSV lines are readings by their columns, with any of the usual delimiters", async (t) => {
  const sources = [source("x"), source("y")];
  const time = { path: parseFieldPath("time"), shape: "auto" } as const;
  t.match(decode("csv", "1741066431,door,21.5,3\n1741066432,door,,4\n", sources, { time }), [
    {
      count: 2,
      times: Float64Array.of(1_741_066_431_000, 1_741_066_432_000),
      values: Float32Array.of(21.5, 3, 0, 4),
      missing: Uint8Array.of(0, 0, 1, 0),
    },
  ]);
  t.match(decode("csv", "2025-03-04 06:20:11;a;21,5;-3,25", sources, { time, decimalComma: true }), [
    { times: Float64Array.of(Date.UTC(2025, 2, 4, 5, 20, 11)), values: Float32Array.of(21.5, -3.25) },
  ]);
  const refusals: [string, string][] = [
    ["1,2,3", "line 1 has 3 values, 4 are expected: time, _, x, y"],
    ["1,2,3,4\n1,2,x3,4", 'reading 2 of 2: "x" is the text "x3", a number is expected, or null where it is missing'],
    ['1,2,"3,4', "cannot read CSV: line 1, column 3: its quote is not closed"],
    ["", "it holds no reading: the array is empty"],
  ];
  for (const [text, reason] of refusals)
    t.throws(() => decode("csv", text, sources), { message: `cannot decode payload: ${reason}` });
});

t.test("scale and offset come before the unit, and marks of a missing value before both", async (t) => {
  const temperature = source("t", { scale: 0.1, offset: 2, unit: "°C", wanted: "K", marks: new Set([-999]) });
  t.match(decode("json", '{"t":215}', [temperature]), [{ values: Float32Array.of(296.65) }]);
  t.match(decode("json", '{"t":"-999"}', [temperature]), [{ missing: Uint8Array.of(1) }]);
});

t.test("an array of anything but objects is one reading", async (t) => {
  t.match(decode("json", "[21.5,3]", [source("$[1]")]), [{ count: 1, values: Float32Array.of(3) }]);
  t.match(decode("json", "21.5", [source("$")]), [{ count: 1, values: Float32Array.of(21.5) }]);
});

t.test("CBOR and MessagePack go through the same mapping as JSON", async (t) => {
  const time = { path: parseFieldPath("time"), shape: "auto" } as const;
  const expected = [{ values: Float32Array.of(21), times: Float64Array.of(1_363_896_240_000) }];
  const bytes = (hex: string): Uint8Array => Buffer.from(hex, "hex");
  t.match(decode("cbor", bytes("a26174156474696d65c11a514b67b0"), [source("t")], { time }), expected);
  t.match(decode("msgpack", bytes("82a17415a474696d65d6ff514b67b0"), [source("t")], { time }), expected);
  t.match(decode("msgpack", bytes("9281a1740181a17402"), [source("t")]), [{ count: 2, values: Float32Array.of(1, 2) }]);
});

t.test("what has none of the features is passed over or a fault, as the mapping says", async (t) => {
  t.strictSame(decode("json", '[{"a":1},{"b":2}]', [source("c")], { passesOver: true }), []);
  t.match(decode("json", '[{"a":1},{"c":2},{"b":3}]', [source("c")], { passesOver: true }), [
    { count: 1, values: Float32Array.of(2), missing: undefined },
  ]);
});

t.test("{feature} names what a topic is about, and is no part of the key", async (t) => {
  const cases: [string, string, string | undefined, string | undefined][] = [
    ["{device}/+/{feature}/state", "well/sensor/level/state", "well", "level"],
    ["well/sensor/{feature}/state", "well/sensor/level/state", "well/sensor", "level"],
    ["well/+/{feature}", "well/sensor/level", "well", "level"],
    ["{site}/{feature}/{device}", "a/level/b", "a/b", "level"],
  ];
  for (const [pattern, topic, key, feature] of cases) {
    const parsed = parseTopicPattern(pattern, "n", { leavesOwn: true });
    t.equal(parsed.match(topic), key, pattern);
    t.equal(parsed.featureOf(topic), feature, pattern);
  }
  t.equal(parseTopicPattern("{device}/data").featureOf("a/data"), undefined);
  t.throws(() => parseTopicPattern("{feature}/#"), HiddenstateError);
  t.throws(() => parseTopicPattern("{feature}/x"), {
    message: 'cannot use the topic pattern "{feature}/x": as a stream key, it is empty; name the stream by a {capture}',
  });
});

t.test("a pattern that leaves the runtime's own topics alone takes none of them", async (t) => {
  const pattern = parseTopicPattern("{device}/+/{feature}/state", "n", { leavesOwn: true });
  t.equal(pattern.match("hiddenstate/n/prediction/state"), undefined);
  t.equal(pattern.leavesOut("hiddenstate/n/prediction/state"), true);
  t.equal(pattern.leavesOut("hiddenstate/n/prediction"), false, "the filter does not catch it");
  t.throws(() => parseTopicPattern("{device}/+/{feature}/state", "n"), { code: "bad_argument" });
});
