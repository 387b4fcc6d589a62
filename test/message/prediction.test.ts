import * as fc from "fast-check";
import t from "tap";
import { createRandom } from "../../src/base/random.ts";
import { shortestFloat32 } from "../../src/message/float32-text.ts";
import { hiddenstate } from "../../src/message/generated/hiddenstate.js";
import { PayloadError } from "../../src/message/payload-error.ts";
import { decodePrediction, encodePrediction, predictionId } from "../../src/message/prediction.ts";
import type { Prediction } from "../../src/message/prediction.ts";
import { examplePrediction as example } from "../support/example-prediction.ts";
import { rounds } from "../support/emulation.ts";

const formats = ["protobuf", "json"] as const;

function raw(properties: hiddenstate.v1.PredictionBatch.$Properties): Uint8Array {
  return hiddenstate.v1.PredictionBatch.encode(properties).finish();
}

t.test("a prediction as JSON is readable: short numbers, null for NaN, sequences only where some are left out", async (t) => {
  t.equal(predictionId(example), "line-1/press-4/3/120/9f86d081884c7d65");
  t.same(JSON.parse(Buffer.from(encodePrediction("json", example)).toString()), {
    id: "line-1/press-4/3/120/9f86d081884c7d65",
    stream: "line-1/press-4",
    boot: 3,
    nonce: 3_735_928_559,
    sequence: 120,
    version: "9f86d081884c7d65",
    engine: "native",
    count: 3,
    sequences: [120, 121, 125],
    times: [1_764_000_000_000, 1_764_000_000_100, 1_764_000_000_050],
    outputs: { temperature: [21.4, 21.5, -3.4028235e38], vibration: [0.1, null, 1e-45] },
  });
  const consecutive = {
    ...example,
    count: 1,
    sequences: Float64Array.of(120),
    times: Float64Array.of(5),
    outputs: Float32Array.of(1, Infinity),
  };
  const text = Buffer.from(encodePrediction("json", consecutive)).toString();
  t.notMatch(text, /sequences/);
  t.match(text, /"outputs":\{"temperature":\[1\],"vibration":\[null\]\}\}$/);
});

t.test("a prediction as protobuf leaves out what consecutive, evenly timed readings do not need", async (t) => {
  const even = { ...example, sequences: Float64Array.of(120, 121, 122), times: Float64Array.of(1000, 1100, 1200) };
  const batch = hiddenstate.v1.PredictionBatch.decode(encodePrediction("protobuf", even));
  t.same([...batch.skipped], []);
  t.same(batch.timeStepMs.map(Number), [100]);
  t.equal(batch.id, predictionId(example));
  const uneven = hiddenstate.v1.PredictionBatch.decode(encodePrediction("protobuf", example));
  t.same(uneven.skipped.map(Number), [0, 0, 3]);
  t.same(uneven.timeStepMs.map(Number), [100, -50]);
});

t.test("the numbers left out may be as many as there are", async (t) => {
  const wide = {
    ...example,
    count: 2,
    firstSequence: 0,
    sequences: Float64Array.of(0, 2 ** 53 - 1),
    times: Float64Array.of(1, 2),
    outputs: new Float32Array(4),
  };
  for (const format of formats) t.same(decodePrediction(format, encodePrediction(format, wide), wide.outputNames), wide);
});

t.test("what is encoded is decoded to the same bits, and always to the same bytes", async (t) => {
  const name = fc.constantFrom("a", "größe", "__proto2__", "x/y");
  const predictions = fc
    .record({
      stream: fc.constantFrom("d7", "l1/d7", "é"),
      boot: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      nonce: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      firstSequence: fc.integer({ min: 0, max: 2 ** 50 }),
      gaps: fc.array(fc.constantFrom(0, 0, 0, 1, 2 ** 40), { maxLength: 7 }),
      steps: fc.array(fc.integer({ min: -1000, max: 2 ** 40 }), { minLength: 7, maxLength: 7 }),
      outputNames: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
      seed: fc.integer(),
    })
    .map(({ stream, boot, nonce, firstSequence, gaps, steps, outputNames, seed }): Prediction => {
      const count = gaps.length + 1;
      const sequences = new Float64Array(count).fill(firstSequence);
      const times = new Float64Array(count).fill(1_700_000_000_000);
      gaps.forEach((gap, i) => {
        sequences[i + 1] = sequences[i]! + 1 + gap;
        times[i + 1] = times[i]! + steps[i]!;
      });
      const random = createRandom(seed);
      const outputs = Float32Array.from({ length: count * outputNames.length }, () =>
        random.next() < 0.1 ? Number.NaN : random.normal() * 10 ** (random.next() * 60 - 30),
      );
      return {
        stream,
        boot,
        nonce,
        firstSequence,
        version: "0123456789abcdef",
        engine: "onnx",
        count,
        sequences,
        times,
        outputs,
        outputNames,
      };
    });
  for (const format of formats) {
    fc.assert(
      fc.property(predictions, (prediction) => {
        const bytes = encodePrediction(format, prediction);
        t.same(decodePrediction(format, bytes, format === "protobuf" ? prediction.outputNames : undefined), prediction);
        return Buffer.from(encodePrediction(format, structuredClone(prediction))).equals(bytes);
      }),
      { seed: 4, numRuns: rounds(300) },
    );
  }
});

t.test("protobuf carries no names of outputs: they are given, or numbered", async (t) => {
  const bytes = encodePrediction("protobuf", example);
  t.same(decodePrediction("protobuf", bytes).outputNames, ["0", "1"]);
  t.throws(() => decodePrediction("protobuf", bytes, ["only"]), {
    code: "bad_argument",
    message: /it has 2 outputs, 1 names were given/,
  });
});

t.test("what is no prediction is refused with a PayloadError", async (t) => {
  const good = Buffer.from(encodePrediction("json", example)).toString();
  const cases: [(typeof formats)[number], Uint8Array, string, RegExp][] = [
    ["protobuf", Uint8Array.of(0xff), "undecodable", /not a hiddenstate\.v1\.PredictionBatch/],
    ["protobuf", raw({}), "shape", /0 outputs for 0 readings/],
    ["protobuf", raw({ count: 2 ** 32 - 1 }), "shape", /4294967295 readings, at most 4096/],
    ["protobuf", raw({ count: 2, outputs: [1, 2, 3] }), "shape", /3 outputs for 2 readings/],
    ["protobuf", raw({ count: 2, outputs: [1, 2], skipped: [1] }), "shape", /skipped has 1 values for 2 readings/],
    ["protobuf", raw({ count: 2, outputs: [1, 2] }), "shape", /time_step_ms has 0 values for 2 readings/],
    ["protobuf", raw({ count: 1, outputs: [1], firstSequence: 2 ** 60 }), "shape", /first_sequence is missing or over 2\^53/],
    ["json", Buffer.from("{"), "undecodable", /it is not JSON/],
    ["json", Buffer.from(good.replace('"count":3', '"count":"3"')), "shape", /it is not a prediction: count: /],
    [
      "json",
      Buffer.from(good.replace(/"times":\[[^\]]*\]/, '"times":[1]')),
      "shape",
      /its lists are not all as long as count, 3/,
    ],
  ];
  for (const [format, payload, reason, message] of cases)
    t.throws(() => decodePrediction(format, payload), { name: "PayloadError", reason, message });
  const random = createRandom(6);
  for (const format of formats) {
    const bytes = encodePrediction(format, example);
    for (let i = 0; i < 20_000; i++) {
      const damaged = Buffer.from(bytes.subarray(0, i % 3 === 0 ? random.uint32() % bytes.length : bytes.length));
      for (let edits = random.uint32() % 4; edits > 0 && damaged.length > 0; edits--)
        damaged[random.uint32() % damaged.length] = random.uint32();
      try {
        decodePrediction(format, damaged);
      } catch (thrown) {
        if (!(thrown instanceof PayloadError)) throw thrown;
      }
    }
  }
});

t.test("a float32 is written in the fewest digits that read back as the same float32", async (t) => {
  const cases: [number, string][] = [
    [Math.fround(0.1), "0.1"],
    [Math.fround(21.4), "21.4"],
    [16_777_216, "16777216"],
    [Math.fround(16_777_217.9), "16777218"],
    [Math.fround(101_325.37), "101325.37"],
    [Math.fround(1 / 3), "0.33333334"],
    [2 ** -149, "1e-45"],
    [Math.fround(1.1754944e-38), "1.1754944e-38"],
    [Math.fround(3.4028235e38), "3.4028235e+38"],
    [-0, "0"],
  ];
  for (const [value, text] of cases) t.equal(String(shortestFloat32(value)), text);
  t.ok(Number.isNaN(shortestFloat32(Number.NaN)));
  const bits = new DataView(new ArrayBuffer(4));
  const random = createRandom(7);
  for (let i = 0; i < 200_000; i++) {
    bits.setUint32(0, random.uint32());
    const value = bits.getFloat32(0);
    if (!Number.isFinite(value)) continue;
    const short = shortestFloat32(value);
    if (Math.fround(short) !== value) t.fail(`${value} does not read back`);
    // One digit fewer must lose the value.
    const digits = short.toExponential().replace(/e.*|[-.]/g, "").length;
    if (digits > 1 && Math.fround(Number(value.toPrecision(digits - 1))) === value)
      t.fail(`${value} could be shorter than ${short}`);
  }
});

t.test("sequence numbers that do not rise, and numbers that add up to more than 2^53, are no prediction", async (t) => {
  const valid = { stream: "a", version: "v", engine: "native", count: 2, outputs: [1, 2], firstTimeMs: 1, timeStepMs: [1] };
  t.throws(() => decodePrediction("protobuf", raw({ ...valid, firstSequence: Number.MAX_SAFE_INTEGER })), {
    code: "bad_payload",
    message: "cannot decode payload: its sequence numbers do not rise, or are over 2^53",
  });
  t.throws(() => decodePrediction("protobuf", raw({ ...valid, firstTimeMs: Number.MAX_SAFE_INTEGER })), {
    message: "cannot decode payload: its times are over 2^53",
  });
  const json = JSON.parse(Buffer.from(encodePrediction("json", example)).toString()) as Record<string, unknown>;
  const backwards = Buffer.from(JSON.stringify({ ...json, sequences: [120, 125, 121] }));
  t.throws(() => decodePrediction("json", backwards), { code: "bad_payload", message: /do not rise/ });
});
