import * as fc from "fast-check";
import t from "tap";
import type { Test } from "tap";
import { limits } from "../../src/base/limits.ts";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { codecNames, payloadCodec } from "../../src/message/codecs.ts";
import { exactNumber } from "../../src/message/exact-number.ts";
import { hiddenstate } from "../../src/message/generated/hiddenstate.js";
import { decodeLayout, encodeLayout, layoutHash, layoutText } from "../../src/message/layout.ts";
import type { CodecName, KnownLayouts } from "../../src/message/payload-codec.ts";
import { PayloadError, payloadReasons } from "../../src/message/payload-error.ts";
import type { PayloadReason } from "../../src/message/payload-error.ts";
import type { Readings } from "../../src/message/reading.ts";
import { rounds } from "../support/emulation.ts";

const features = ["temperature", "pressure", "humidity"];
const noLayouts: KnownLayouts = () => undefined;
const utf8 = new TextEncoder();

function json(value: unknown): Uint8Array {
  return utf8.encode(typeof value === "string" ? value : JSON.stringify(value));
}

function batch(properties: hiddenstate.v1.SensorBatch.$Properties): Uint8Array {
  return hiddenstate.v1.SensorBatch.encode(properties).finish();
}

/** Two readings, the first of this sequence number. */
function twoFrom(firstSequence: number): Uint8Array {
  return batch({ boot: 1, bootNonce: 1, firstSequence, count: 2, values: Array(6).fill(0) });
}

function labelled(stream: string | undefined, boot: number, sequence: number): object {
  return { stream, boot, nonce: 9, sequence, temperature: sequence };
}

function long(high: number, low: number, unsigned = true): { low: number; high: number; unsigned: boolean } {
  return { high, low, unsigned };
}

function rawLayout(properties: hiddenstate.v1.Layout.$Properties): Uint8Array {
  return hiddenstate.v1.Layout.encode(properties).finish();
}

function only(readings: readonly Readings[]): Readings {
  if (readings.length !== 1) throw new Error(`one group was expected, ${readings.length} came`);
  return readings[0]!;
}

/** Checks that decoding is refused with a reason and a text. */
function refuses(t: Test, name: CodecName, payload: Uint8Array, reason: PayloadReason, text: RegExp, layouts = noLayouts): void {
  try {
    payloadCodec(name).decode(payload, features, layouts);
    t.fail(`refused: ${text.source}`);
  } catch (thrown) {
    if (!(thrown instanceof PayloadError)) throw thrown;
    t.equal(thrown.reason, reason, text.source);
    t.equal(thrown.code, "bad_payload");
    t.match(thrown.message, text);
  }
}

t.test("a SensorBatch of several readings becomes rows with sequences, times and missing marks", async (t) => {
  const payload = batch({
    boot: 7,
    bootNonce: 0xfeedbeef,
    firstSequence: 40,
    count: 2,
    firstTimeMs: 1_764_000_000_000,
    timeStepMs: [-250],
    values: [20.5, 101_325, 40, 21.25, 0, 41],
    missing: Uint8Array.of(0b010000),
    part: "hall/rack-2",
  });
  const readings = only(payloadCodec("protobuf").decode(payload, features, noLayouts));
  t.same(readings, {
    part: "hall/rack-2",
    identity: { boot: 7, nonce: 0xfeedbeef },
    count: 2,
    sequences: Float64Array.of(40, 41),
    times: Float64Array.of(1_764_000_000_000, 1_763_999_999_750),
    values: Float32Array.of(20.5, 101_325, 40, 21.25, 0, 41),
    missing: Uint8Array.of(0, 0, 0, 0, 1, 0),
  });
});

t.test("a SensorBatch without nonce, clock or missing values says so", async (t) => {
  const payload = batch({ boot: 7, firstSequence: 40, count: 1, values: [1, 2, 3], missing: Uint8Array.of(0) });
  const readings = only(payloadCodec("protobuf").decode(payload, features, noLayouts));
  t.equal(readings.identity, undefined);
  t.equal(readings.part, undefined);
  t.equal(readings.missing, undefined);
  t.same(readings.sequences, new Float64Array(0));
  t.ok(Number.isNaN(readings.times[0]));
});

t.test("every reading of a batch may have its own time step", async (t) => {
  const payload = batch({ count: 3, firstTimeMs: 1000, timeStepMs: [10, 500], values: Array(9).fill(1) });
  t.same(only(payloadCodec("protobuf").decode(payload, features, noLayouts)).times, Float64Array.of(1000, 1010, 1510));
});

t.test("NaN and infinities stay in the values, for they are judged reading by reading", async (t) => {
  const protobuf = only(
    payloadCodec("protobuf").decode(batch({ count: 1, values: [Number.NaN, Infinity, 1] }), features, noLayouts),
  );
  t.ok(Number.isNaN(protobuf.values[0]));
  t.equal(protobuf.values[1], Infinity);
  const text = only(
    payloadCodec("json").decode(json('{"temperature": 1e999, "pressure": -1e39, "humidity": 5}'), features, noLayouts),
  );
  t.same(text.values, Float32Array.of(Infinity, -Infinity, 5));
});

t.test("the layout in a batch is the configured order, a known other order, or refused", async (t) => {
  const own = batch({ count: 1, layout: layoutHash(features), values: [1, 2, 3] });
  t.same(only(payloadCodec("protobuf").decode(own, features, noLayouts)).values, Float32Array.of(1, 2, 3));

  const names = ["humidity", "spare", "temperature", "pressure"];
  const hash = layoutHash(names);
  const other = batch({ count: 2, layout: hash, values: [3, 99, 1, 2, 30, 99, 10, 20], missing: Uint8Array.of(0b0110_0010) });
  const known: KnownLayouts = (asked) => (asked === hash ? names : undefined);
  for (const _ of [1, 2]) {
    const readings = only(payloadCodec("protobuf").decode(other, features, known));
    t.same(readings.values, Float32Array.of(1, 2, 3, 10, 20, 30));
    // Bits 1 and 5 are the spare's, which nobody asked for; bit 6 is the second reading's temperature.
    t.same(readings.missing, Uint8Array.of(0, 0, 0, 1, 0, 0));
  }
  refuses(t, "protobuf", other, "layout", new RegExp(`layout ${layoutText(hash)} is unknown; retain the names .* or 0$`));
  refuses(t, "protobuf", other, "layout", /has no feature "pressure"; it names humidity, temperature/, () => [
    "humidity",
    "temperature",
  ]);
  refuses(
    t,
    "protobuf",
    batch({ count: 1, layout: hash, values: [1, 2, 3] }),
    "shape",
    /3 values, 4 are expected: 1 readings of 4 features/,
    known,
  );
});

t.test("a SensorBatch whose fields contradict each other is refused with the field's name", async (t) => {
  const values = [1, 2, 3];
  const cases: [hiddenstate.v1.SensorBatch.$Properties, RegExp][] = [
    [{}, /it holds no reading: count is 0/],
    [{ count: 0xffffffff, values }, /it holds 4294967295 readings, at most 4096 are allowed/],
    [{ count: 2, values }, /3 values, 6 are expected: 2 readings of 3 features/],
    [{ count: 1, values, missing: Uint8Array.of(1, 1) }, /missing has 2 bytes, 1 are expected for 3 values/],
    [{ count: 1, values, bootNonce: 5 }, /boot_nonce, but boot is 0; the first boot is 1/],
    [{ count: 1, values, boot: 1, bootNonce: 5, firstSequence: 2 ** 53 }, /first_sequence is over 2\^53/],
    [{ count: 1, values, firstTimeMs: 2 ** 60 }, /first_time_ms is over 2\^53/],
    [{ count: 1, values, firstTimeMs: 1, timeStepMs: [1, 2] }, /time_step_ms has 2 values for 1 readings; 1 or 0 are expected/],
    [
      { count: 2, values: [...values, ...values], firstTimeMs: 1 },
      /first_time_ms is set, but time_step_ms is empty for 2 readings/,
    ],
    [{ count: 1, values, part: "../other" }, /part cannot be used: it has the level "\.\."/],
    [{ count: 1, values, part: "/x" }, /part cannot be used: it has an empty level/],
    [{ count: 1, values, part: "a\u0000b" }, /part cannot be used: it holds a control character/],
  ];
  for (const [properties, text] of cases) refuses(t, "protobuf", batch(properties), "shape", text);
});

t.test("the last sequence of a batch may be 2^53 - 1, not more", async (t) => {
  const readings = only(payloadCodec("protobuf").decode(twoFrom(2 ** 53 - 2), features, noLayouts));
  t.same(readings.sequences, Float64Array.of(2 ** 53 - 2, 2 ** 53 - 1));
  refuses(t, "protobuf", twoFrom(2 ** 53 - 1), "shape", /first_sequence/);
});

t.test("bytes that are no protobuf, or end early, are undecodable", async (t) => {
  refuses(t, "protobuf", Uint8Array.of(0xff), "undecodable", /not a hiddenstate\.v1\.SensorBatch/);
  refuses(t, "protobuf", Uint8Array.of(8, ...Array(11).fill(0x80)), "undecodable", /invalid varint/);
  const whole = batch({ count: 1, values: [1, 2, 3] });
  refuses(t, "protobuf", whole.subarray(0, whole.length - 2), "undecodable", /not a hiddenstate/);
  refuses(t, "protobuf", Uint8Array.of(40, 1, 82, 1, 0xff), "undecodable", /not a hiddenstate/);
});

t.test("a payload over the bound is refused before it is read", async (t) => {
  const payload = new Uint8Array(limits.payloadBytesMax + 1);
  for (const name of codecNames) refuses(t, name, payload, "oversize", /it has more than the 262144 bytes that are allowed/);
});

t.test("JSON is one object, with null and absent features missing", async (t) => {
  const readings = only(
    payloadCodec("json").decode(json({ humidity: 40, temperature: null, fan: "on", deep: { er: [1] } }), features, noLayouts),
  );
  t.same(readings, {
    part: undefined,
    identity: undefined,
    count: 1,
    sequences: new Float64Array(0),
    times: Float64Array.of(Number.NaN),
    values: Float32Array.of(0, 0, 40),
    missing: Uint8Array.of(1, 1, 0),
  });
});

t.test("JSON arrays group consecutive readings of one part and one boot, in order", async (t) => {
  const payload = json([
    labelled("a", 1, 0),
    labelled("a", 1, 5),
    labelled("b", 1, 1),
    labelled("a", 1, 6),
    labelled("a", 2, 0),
    { temperature: 8, pressure: 9, humidity: 1 },
  ]);
  const groups = payloadCodec("json").decode(payload, features, noLayouts);
  t.same(
    groups.map(({ part, identity, count, sequences, values }) => [part, identity?.boot, count, [...sequences], values[0]]),
    [
      ["a", 1, 2, [0, 5], 0],
      ["b", 1, 1, [1], 1],
      ["a", 1, 1, [6], 6],
      ["a", 2, 1, [0], 0],
      [undefined, undefined, 1, [], 8],
    ],
  );
  t.same(groups[0]?.missing, Uint8Array.of(0, 1, 1, 0, 1, 1));
  t.equal(groups[4]?.missing, undefined);
});

t.test("a time in JSON is milliseconds or ISO 8601 with a zone", async (t) => {
  const time = (value: unknown): number =>
    only(payloadCodec("json").decode(json({ temperature: 1, time: value }), features, noLayouts)).times[0]!;
  t.equal(time(1_764_000_000_000.4), 1_764_000_000_000);
  t.equal(time("2025-11-23T20:59:01.250Z"), Date.UTC(2025, 10, 23, 20, 59, 1, 250));
  t.equal(time("2025-11-23 21:59+01:00"), Date.UTC(2025, 10, 23, 20, 59));
  t.equal(time("2025-11-23T16:59:01.2509-0400"), Date.UTC(2025, 10, 23, 20, 59, 1, 250));
  t.ok(Number.isNaN(time(null)));
  for (const bad of ["2025-11-23T20:59:01", "2025-02-30T00:00:00Z", "2025-11-23T24:00:00Z", "tomorrow", "", true, {}, [1]]) {
    refuses(t, "json", json({ temperature: 1, time: bad }), "shape", /"time" is .*; milliseconds since 1970 or an ISO 8601 time/);
  }
  refuses(t, "json", json('{"temperature": 1, "time": 1e999}'), "shape", /"time" is the number Infinity/);
});

t.test("JSON that is no reading is refused with the field's name and the reading's place", async (t) => {
  const cases: [unknown, RegExp][] = [
    [[], /it holds no reading: the array is empty/],
    [null, /it is null, an object with the features is expected/],
    [5, /it is the number 5, an object/],
    [[{ temperature: 1 }, [2]], /reading 2 of 2: it is an array, an object/],
    [{ temp: 20 }, /none of the features is there: temperature, pressure, humidity/],
    [{ temperature: "20" }, /"temperature" is the text "20", a number is expected, or null where it is missing/],
    [{ temperature: true }, /"temperature" is the boolean true/],
    [{ temperature: { value: 20 } }, /"temperature" is an object/],
    [{ temperature: 1, boot: 1, sequence: 1 }, /of "boot", "nonce" and "sequence" only 2 are there; give all three or none/],
    [
      { temperature: 1, boot: 0, nonce: 1, sequence: 1 },
      /"boot" is the number 0, a whole number from 1 to 4294967295 is expected/,
    ],
    [{ temperature: 1, boot: 1, nonce: 0, sequence: 1 }, /"nonce" is the number 0/],
    [{ temperature: 1, boot: 1, nonce: 2 ** 32, sequence: 1 }, /"nonce" is the number 4294967296/],
    [{ temperature: 1, boot: 1, nonce: 1, sequence: -1 }, /"sequence" is the number -1/],
    [{ temperature: 1, boot: 1, nonce: 1, sequence: 1.5 }, /"sequence" is the number 1.5/],
    ['{"temperature": 1, "boot": 1, "nonce": 1, "sequence": 9007199254740992}', /"sequence" is the number 9007199254740992/],
    [{ temperature: 1, stream: "" }, /"stream" cannot be used: it is empty/],
    [{ temperature: 1, stream: "a/../b" }, /"stream" cannot be used: it has the level "\.\."/],
    [
      '{"temperature": 1, "stream": "\\ud800"}',
      /"stream" cannot be used: it holds a control character or a broken surrogate pair/,
    ],
    [{ temperature: 1, stream: 7 }, /"stream" is the number 7, a text is expected/],
    [Array(limits.readingsPerMessageMax + 1).fill(0), /it holds 4097 readings, at most 4096 are allowed/],
  ];
  for (const [value, text] of cases) refuses(t, "json", json(value), "shape", text);
});

t.test("bytes that are no JSON or no UTF-8 are undecodable", async (t) => {
  for (const text of ["", "{", "{'temperature': 1}", "NaN", '{"temperature": NaN}', "[".repeat(200_000)]) {
    refuses(t, "json", json(text), "undecodable", /it is not JSON/);
  }
  refuses(t, "json", Uint8Array.of(0x7b, 0xff, 0x7d), "undecodable", /it is not JSON/);
});

t.test("names of Object's own properties are plain names in JSON", async (t) => {
  const codec = payloadCodec("json");
  const names = ["__proto__", "constructor", "hasOwnProperty"];
  const readings = only(codec.decode(json('{"__proto__": 1, "constructor": 2, "toString": 3}'), names, noLayouts));
  t.same(readings.values, Float32Array.of(1, 2, 0));
  t.same(readings.missing, Uint8Array.of(0, 0, 1));
  t.same(only(codec.decode(codec.encode(readings, names), names, noLayouts)), readings);
  t.equal(Object.getPrototypeOf({}), Object.prototype);
  t.notOk("1" in Object.prototype);
  refuses(t, "json", json('{"__proto__": {"temperature": 1}}'), "shape", /none of the features is there/);
});

t.test("a feature that shares its name with a label is the feature", async (t) => {
  const fields = { time: 5, boot: 1, nonce: 2, sequence: 3 };
  const timed = only(payloadCodec("json").decode(json(fields), ["time"], noLayouts));
  t.ok(Number.isNaN(timed.times[0]));
  t.same([timed.values[0], timed.identity], [5, { boot: 1, nonce: 2 }]);
  const sequenced = only(payloadCodec("json").decode(json(fields), ["sequence"], noLayouts));
  t.same([sequenced.values[0], sequenced.identity], [3, undefined]);
});

t.test("features may be named twice, and duplicate JSON fields read as JSON.parse does: the last counts", async (t) => {
  const twice = ["temperature", "temperature"];
  const readings = only(payloadCodec("json").decode(json('{"temperature": 1, "temperature": 2}'), twice, noLayouts));
  t.same(readings.values, Float32Array.of(2, 2));
  const hash = layoutHash(["pressure", "temperature"]);
  const mapped = payloadCodec("protobuf").decode(batch({ count: 1, layout: hash, values: [5, 6] }), twice, () => [
    "pressure",
    "temperature",
  ]);
  t.same(only(mapped).values, Float32Array.of(6, 6));
});

const finite = fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value));

/** Readings as a device may send them: rising by ones, times all there or none. */
function anyReadings(times: fc.Arbitrary<number>, values: fc.Arbitrary<number>): fc.Arbitrary<Readings> {
  const identity = fc.record({ boot: fc.integer({ min: 1, max: 2 ** 32 - 1 }), nonce: fc.integer({ min: 1, max: 2 ** 32 - 1 }) });
  return fc
    .record({
      part: fc.option(fc.constantFrom("a", "motor/bearing-2", "größe"), { nil: undefined }),
      identity: fc.option(identity, { nil: undefined }),
      first: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 64 }),
      clock: fc.boolean(),
      rows: fc.array(
        fc.record({ time: times, values: fc.array(fc.option(values, { nil: undefined }), { minLength: 3, maxLength: 3 }) }),
        {
          minLength: 1,
          maxLength: 20,
        },
      ),
    })
    .map(({ part, identity, first, clock, rows }): Readings => {
      const cells = rows.flatMap((row) => row.values);
      return {
        part,
        identity,
        count: rows.length,
        sequences: identity === undefined ? new Float64Array(0) : Float64Array.from(rows, (_, i) => first + i),
        times: Float64Array.from(rows, (row) => (clock ? row.time : Number.NaN)),
        values: Float32Array.from(cells, (cell) => cell ?? 0),
        missing: cells.includes(undefined) ? Uint8Array.from(cells, (cell) => (cell === undefined ? 1 : 0)) : undefined,
      };
    });
}

t.test("what a codec encodes it decodes to the same readings, bit for bit", async (t) => {
  const time = fc.integer({ min: 1_600_000_000_000, max: 1_600_000_000_000 + 2 ** 31 });
  for (const name of codecNames) {
    const codec = payloadCodec(name);
    fc.assert(
      fc.property(anyReadings(time, finite), fc.constantFrom(0, layoutHash(features)), (readings, layout) => {
        t.same(codec.decode(codec.encode(readings, features, layout), features, noLayouts), [readings]);
      }),
      { seed: 2, numRuns: rounds(300) },
    );
  }
});

t.test("a payload may be a Buffer or a plain array, and is neither kept nor changed", async (t) => {
  const payload = Buffer.from(
    batch({ boot: 1, bootNonce: 2, count: 1, values: [1, 2, 3], missing: Uint8Array.of(1), part: "x" }),
  );
  const before = Buffer.from(payload);
  const fromBuffer = only(payloadCodec("protobuf").decode(payload, features, noLayouts));
  t.same(payload, before);
  t.same(only(payloadCodec("protobuf").decode(new Uint8Array(payload), features, noLayouts)), fromBuffer);
  payload.fill(0);
  t.same([...fromBuffer.values, ...fromBuffer.missing!], [1, 2, 3, 1, 0, 0]);
});

/** A payload that was once valid: bytes flipped, cut, doubled, inserted or run together with another. */
function mutate(random: Random, payload: Uint8Array): Uint8Array {
  let bytes = [...payload];
  for (let edits = 1 + (random.uint32() % 4); edits > 0; edits--) {
    const at = random.uint32() % (bytes.length + 1);
    switch (random.uint32() % 5) {
      case 0:
        bytes[Math.min(at, bytes.length - 1)] = random.uint32() & 0xff;
        break;
      case 1:
        bytes.splice(at, 1 + (random.uint32() % 4));
        break;
      case 2:
        bytes.splice(at, 0, ...Array.from({ length: 1 + (random.uint32() % 12) }, () => random.uint32() & 0xff));
        break;
      case 3:
        bytes = [...bytes.slice(0, at), ...bytes.slice(random.uint32() % (at + 1))];
        break;
      default:
        bytes.splice(at, 0, ...Array(10).fill(random.uint32() % 2 === 0 ? 0xff : 0x80));
    }
    if (bytes.length === 0) bytes = [random.uint32() & 0xff];
  }
  return Uint8Array.from(bytes);
}

/** In good form, but with fields that a device in its right mind would not send. */
function nonsense(random: Random, name: CodecName): Uint8Array {
  const pick = <V>(...values: V[]): V => values[random.uint32() % values.length]!;
  const many = (): number[] => Array.from({ length: pick(0, 1, 2, 3, 6, 9) }, () => pick(0, 1, -1.5, Number.NaN, Infinity, 3e38));
  if (name === "protobuf") {
    return batch({
      boot: pick(0, 1, 2 ** 32 - 1),
      bootNonce: pick(0, 0, 1, 2 ** 32 - 1),
      firstSequence: pick(0, 5, 2 ** 53 - 1, 2 ** 53, 2 ** 63),
      layout: pick(0, 0, layoutHash(features), 2, 3),
      count: pick(0, 1, 1, 2, 3, 4097, 2 ** 32 - 1),
      firstTimeMs: pick(0, 1, 1e12, 2 ** 62),
      timeStepMs: many().map((step) => (Number.isFinite(step) ? step | 0 : 7)),
      values: many(),
      missing: Uint8Array.from({ length: pick(0, 0, 1, 2) }, () => random.uint32()),
      part: pick("", "", "x", "x/..", "/", "\u0007", "é".repeat(70)),
    });
  }
  const value = (): unknown => pick<unknown>(1, -2.5, null, 5e-324, "7", true, [], {}, 2 ** 53, 1e300);
  const object = (): object => {
    const names = ["temperature", "pressure", "humidity", "time", "boot", "nonce", "sequence", "stream", "__proto__"];
    return Object.fromEntries(
      names.filter(() => random.next() < 0.4).map((key) => [key, random.next() < 0.7 ? pick(1, 2) : value()]),
    );
  };
  return json(pick<unknown>(object(), object(), [object(), object()], [object(), value()], value(), []));
}

function checkReadings(t: Test, readings: readonly Readings[]): void {
  for (const { identity, count, sequences, times, values, missing } of readings) {
    const fits =
      count >= 1 &&
      count <= limits.readingsPerMessageMax &&
      times.length === count &&
      values.length === count * features.length &&
      sequences.length === (identity === undefined ? 0 : count) &&
      sequences.every((sequence) => Number.isSafeInteger(sequence) && sequence >= 0) &&
      times.every((time) => Number.isNaN(time) || Number.isSafeInteger(time)) &&
      (missing === undefined || (missing.length === values.length && missing.includes(1))) &&
      (identity === undefined || (identity.boot > 0 && identity.nonce > 0));
    if (!fits) t.fail("readings of an impossible shape came out");
  }
}

for (const name of codecNames) {
  t.test(`20,000 random and mutated ${name} payloads give readings or a PayloadError, and nothing else`, async (t) => {
    const random = createRandom(name === "json" ? 11 : 12);
    const codec = payloadCodec(name);
    const readings: Readings = {
      part: "p",
      identity: { boot: 3, nonce: 77 },
      count: 3,
      sequences: Float64Array.of(10, 11, 12),
      times: Float64Array.of(1e12, 1e12 + 5, 1e12 + 11),
      values: Float32Array.from({ length: 9 }, (_, i) => i * 1.5),
      missing: Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 1, 0),
    };
    const seeds = [
      codec.encode(readings, features),
      codec.encode({ ...readings, part: undefined, identity: undefined, missing: undefined }, features),
    ];
    const counts = new Map<string, number>();
    for (let i = 0; i < 20_000; i++) {
      const seed = seeds[random.uint32() % seeds.length]!;
      const payload =
        i % 10 === 0
          ? Uint8Array.from({ length: random.uint32() % 200 }, () => random.uint32())
          : i % 2 === 0
            ? nonsense(random, name)
            : mutate(random, random.next() < 0.5 ? seed : nonsense(random, name));
      let outcome: string;
      try {
        checkReadings(
          t,
          codec.decode(payload, features, (hash) => (hash % 2 === 0 ? ["temperature", "pressure", "humidity", "x"] : undefined)),
        );
        outcome = "readings";
      } catch (thrown) {
        if (!(thrown instanceof PayloadError)) throw thrown;
        outcome = thrown.reason;
      }
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
    t.comment(JSON.stringify(Object.fromEntries(counts)));
    const outcomes = name === "json" ? ["readings", "undecodable", "shape"] : ["readings", "undecodable", "shape", "layout"];
    for (const outcome of outcomes) t.ok((counts.get(outcome) ?? 0) > 50, `${outcome} came up`);
  });
}

t.test("reasons are a closed set, each once", async (t) => {
  t.same(payloadReasons, ["oversize", "undecodable", "shape", "layout"]);
  const error = new PayloadError("shape", "cannot decode payload: odd", new Error("why"));
  t.match(error, {
    name: "PayloadError",
    code: "bad_payload",
    reason: "shape",
    message: "cannot decode payload: odd",
    cause: { message: "why" },
  });
});

t.test("64-bit fields are converted exactly or not at all", async (t) => {
  t.equal(exactNumber(7), 7);
  t.equal(exactNumber(2 ** 53), undefined);
  t.equal(exactNumber(long(0, -1)), 0xffffffff);
  t.equal(exactNumber(long(0x1fffff, -1)), Number.MAX_SAFE_INTEGER);
  t.equal(exactNumber(long(0x200000, 0)), undefined);
  t.equal(exactNumber(long(-1, -1)), undefined);
  t.equal(exactNumber(long(-1, -2, false)), -2);
  t.equal(exactNumber(long(-0x200000, 1, false)), -Number.MAX_SAFE_INTEGER);
});

t.test("the layout hash is FNV-1a over the names joined by line feeds, and never 0", async (t) => {
  // The published 32-bit FNV-1a vectors for "a" and "foobar", then joined names.
  t.equal(layoutHash(["a"]), 0xe40c292c);
  t.equal(layoutHash(["foobar"]), 0xbf9cf968);
  t.equal(layoutHash(["a", "b"]), 0x28e4c710);
  t.not(layoutHash(["a", "b"]), layoutHash(["b", "a"]));
  t.not(layoutHash(["ab", "c"]), layoutHash(["a", "bc"]));
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1 }), (names) => {
      const hash = layoutHash(names);
      return Number.isInteger(hash) && hash > 0 && hash < 2 ** 32;
    }),
    { seed: 3 },
  );
  t.equal(layoutText(0xabc), "0x00000abc");
});

t.test("a layout message goes there and back, and says why it cannot be used", async (t) => {
  const layout = { names: ["temperature", "größe"], units: ["°C", ""] };
  t.same(decodeLayout(encodeLayout(layout)), layout);
  t.same(decodeLayout(encodeLayout({ names: ["x"], units: [] })), { names: ["x"], units: [] });
  t.throws(() => encodeLayout({ names: [], units: [] }), {
    code: "bad_argument",
    message: "cannot encode layout: it names no feature",
  });
  const cases: [Uint8Array, PayloadReason, RegExp][] = [
    [new Uint8Array(limits.payloadBytesMax + 1), "oversize", /it has more than 262144 bytes/],
    [Uint8Array.of(0xff), "undecodable", /not a hiddenstate\.v1\.Layout/],
    [rawLayout({}), "shape", /it names no feature/],
    [rawLayout({ names: Array(257).fill("x") }), "shape", /257 features, at most 256/],
    [rawLayout({ names: ["a", "b"], units: ["m"] }), "shape", /1 units for 2 features/],
    [rawLayout({ names: ["a\nb"] }), "shape", /longer than 128 characters or holds control characters/],
    [rawLayout({ names: ["a", ""] }), "shape", /a name is empty/],
  ];
  for (const [payload, reason, message] of cases)
    t.throws(() => decodeLayout(payload), { name: "PayloadError", reason, message });
});
