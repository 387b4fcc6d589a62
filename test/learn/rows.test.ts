// What training is given: rows split by time, series as the runtime would step them, scaling, and chunks for truncated backpropagation.
import fc from "fast-check";
import t from "tap";
import { createRandom } from "../../src/base/random.ts";
import { featureRanges, fitScaling } from "../../src/learn/fit-scaling.ts";
import { packChunks } from "../../src/learn/pack-chunks.ts";
import type { PackOptions } from "../../src/learn/pack-chunks.ts";
import { buildSeries, countTargets } from "../../src/learn/series.ts";
import type { Series } from "../../src/learn/series.ts";
import { splitByTime } from "../../src/learn/split-by-time.ts";
import type { ReadingTable, TableStream } from "../../src/message/reading-table.ts";
import { SequenceModel } from "../../src/model/sequence-model.ts";
import { MeanSquaredError } from "../../src/nn/mean-squared-error.ts";
import { tensor } from "../../src/kernels/tensor.ts";
import { randomWeights } from "../support/random-model.ts";

const NONE = Number.NaN;
const HOUR = 3_600_000;

/** One stream of one feature; rows a minute apart unless times are given. */
function stream(key: string, values: readonly number[], times = values.map((_, row) => row * 60_000)): TableStream {
  return { key, count: values.length, times: Float64Array.from(times), values: Float32Array.from(values) };
}

function table(...streams: TableStream[]): ReadingTable {
  return { features: ["a"], streams };
}

function valuesOf({ streams }: ReadingTable): Record<string, number[]> {
  return Object.fromEntries(streams.map(({ key, values }) => [key, [...values]]));
}

void t.test("a single stream is split by rows in their order, whatever its times do", async (t) => {
  const times = [0, 1, 1, 2, 3, 4, 5, 6, 2, 3].map((hour) => hour * HOUR);
  const parts = splitByTime(table(stream("", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], times)), { train: 0.6, validation: 0.1, test: 0.3 });
  t.same(valuesOf(parts.train), { "": [0, 1, 2, 3, 4, 5] });
  t.same(valuesOf(parts.validation), { "": [6] });
  t.same(valuesOf(parts.test), { "": [7, 8, 9] });
  t.same([...parts.test.streams[0]!.times], [6 * HOUR, 2 * HOUR, 3 * HOUR]);
});

void t.test("several streams are cut at the same moments, and one that begins late is only in the later parts", async (t) => {
  const long = stream("long", [0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7]);
  const late = stream("late", [50, 60, 70], [5, 6, 7]);
  const early = stream("early", [10, 20, 30], [0.5, 1.5, 2.5]);
  // Of 14 rows the first 7 lie before 4, the next 3 before 6.
  const parts = splitByTime(table(long, late, early), { train: 0.5, validation: 3 / 14, test: 4 / 14 });
  t.same(valuesOf(parts.train), { long: [0, 1, 2, 3], early: [10, 20, 30] });
  t.same(valuesOf(parts.validation), { long: [4, 5], late: [50] });
  t.same(valuesOf(parts.test), { long: [6, 7], late: [60, 70] });
});

void t.test("every row is in one part, in order, and no part begins before the one before it has ended", async () => {
  const streams = fc.array(fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 30 }), {
    minLength: 1,
    maxLength: 5,
  });
  const cuts = fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }));
  fc.assert(
    fc.property(streams, cuts, (allTimes, [a, b, c]) => {
      const sum = a + b + c;
      const whole = table(
        ...allTimes.map((times, index) =>
          stream(
            `s${index}`,
            times.map((_, row) => row),
            times,
          ),
        ),
      );
      const { train, validation, test } = splitByTime(whole, { train: a / sum, validation: b / sum, test: c / sum });
      const total = allTimes.reduce((rows, times) => rows + times.length, 0);
      const rowsOf = (part: ReadingTable): number => part.streams.reduce((rows, { count }) => rows + count, 0);
      if (rowsOf(train) !== Math.floor((total * a) / sum + 1e-6)) throw new Error("the training part has another size");
      for (const { key, count } of whole.streams) {
        const found = [train, validation, test].flatMap((part) => [
          ...(part.streams.find((one) => one.key === key)?.values ?? []),
        ]);
        if (found.join() !== Array.from({ length: count }, (_, row) => row).join()) throw new Error(`${key} is ${found.join()}`);
      }
      // Where times only rise, nothing in a later part lies before anything in an earlier one.
      const rises = allTimes.every((times) => times.every((time, row) => row === 0 || time >= times[row - 1]!));
      const timesOf = (part: ReadingTable): number[] => part.streams.flatMap(({ times }) => [...times]);
      if (rises && Math.max(...timesOf(train)) > Math.min(...timesOf(validation), ...timesOf(test))) {
        throw new Error("the training part reaches into a later one");
      }
    }),
    { numRuns: 200 },
  );
});

void t.test("fractions that are no split are refused", async (t) => {
  const message =
    "cannot split by 0.6, 0.2, 0.3: the fractions of training, validation and test must be above 0 and add up to 1, as 0.6, 0.2, 0.2";
  t.throws(() => splitByTime(table(stream("", [1])), { train: 0.6, validation: 0.2, test: 0.3 }), {
    code: "bad_argument",
    message,
  });
  t.throws(() => splitByTime(table(stream("", [1])), { train: 1, validation: 0, test: 0 }), { code: "bad_argument" });
});

void t.test("a missing value is held as an input and does not exist as a target", async (t) => {
  const series = buildSeries(stream("", [NONE, 1, NONE, 3, NONE, NONE, 6, 7]), { features: 1, targets: [0], horizon: 1 });
  t.same([...series.accepted], [0, 1, 1, 1, 1, 1, 1, 1]);
  t.same([...series.inputs], [NONE, 1, 1, 3, 3, 3, 6, 7]);
  t.same([...series.targets], [NONE, NONE, 3, NONE, NONE, 6, 7, NONE]);
  t.equal(countTargets(series), 3);
});

void t.test("a value is held for ten readings, and a reading that cannot be completed changes nothing", async (t) => {
  const rows = [[1, 10], ...Array.from({ length: 12 }, (_, row) => [NONE, 20 + row]), [2, 40]];
  const times = Float64Array.from(rows.keys());
  const both = { key: "", count: rows.length, times, values: Float32Array.from(rows.flat()) };
  const series = buildSeries(both, { features: 2, targets: [1], horizon: 1 });
  t.same([...series.accepted], [1, ...Array<number>(10).fill(1), 0, 0, 1]);
  t.same([...series.inputs.subarray(20, 28)], [1, 29, 1, 29, 1, 29, 2, 40], "rows that are refused keep what was held");
  t.same(
    [...series.targets.subarray(9)],
    [29, 30, NONE, NONE, NONE],
    "and have no targets, while their values are targets of others",
  );
});

void t.test("targets lie as many rows ahead as the horizon, and not beyond a pause", async (t) => {
  const times = [0, 1, 2, 10, 11, 12, 13].map((hour) => hour * HOUR);
  const rows = stream("", [0, 1, 2, 3, 4, 5, 6], times);
  const build = (horizon: number, pauseMsMax?: number): number[] => [
    ...buildSeries(rows, { features: 1, targets: [0], horizon, pauseMsMax }).targets,
  ];
  t.same(build(2), [2, 3, 4, 5, 6, NONE, NONE]);
  t.same(build(1, HOUR), [1, 2, NONE, 4, 5, 6, NONE]);
  t.same(build(2, HOUR), [2, NONE, NONE, 5, 6, NONE, NONE]);
  t.same(build(4, HOUR), Array(7).fill(NONE));
  t.same(build(3, HOUR), [NONE, NONE, NONE, 6, NONE, NONE, NONE]);
});

void t.test("a value that no runtime would accept is refused by row", async (t) => {
  t.throws(() => buildSeries(stream("pump", [1, -2e13]), { features: 1, targets: [0], horizon: 1 }), {
    code: "bad_argument",
    message:
      /^cannot train on -\d+ in row 2 of pump: no measurement is beyond 1000000000000; if it marks a missing value, name it/,
  });
});

void t.test("scaling is of the training rows' own values, and of changes where the head is residual", async (t) => {
  const train = table(stream("a", [1, NONE, 3, 5]), stream("b", [7, 9]));
  const ranges = featureRanges(train);
  t.same(ranges, [{ mean: 5, deviation: Math.sqrt(8), min: 1, max: 9 }]);
  const series = train.streams.map((one) => buildSeries(one, { features: 1, targets: [0], horizon: 1 }));
  const residual = fitScaling(ranges, series, [0], true);
  t.same([...residual.xMean.data], [5]);
  t.same([...residual.xScale.data], [Math.fround(Math.sqrt(8))]);
  // The changes: from the held 1 to 3, from 3 to 5, from 7 to 9. They never vary, so a millionth of the feature's deviation stands in.
  t.same([...residual.yMean.data], [2]);
  t.same([...residual.yScale.data], [Math.fround(1e-6 * Math.sqrt(8))]);
  const plain = fitScaling(ranges, series, [0], false);
  t.same([...plain.yMean.data], [Math.fround(17 / 3)]);
  t.throws(() => featureRanges(table(stream("a", [4, 4, NONE, 4]))), {
    code: "bad_argument",
    message: 'cannot train: the feature "a" never changes in the training part: it is always 4; leave it out of the features',
  });
  t.throws(() => featureRanges(table(stream("a", [NONE, NONE]))), {
    code: "bad_argument",
    message: 'cannot train: the feature "a" has no value in the training part; leave it out of the features',
  });
});

/** A series whose row `r` of stream `index` has the input 1000 * index + r and the target of the same by one more. */
function numbered(index: number, accepted: readonly number[]): Series {
  const count = accepted.length;
  const inputs = Float32Array.from({ length: count }, (_, row) => 1000 * index + row);
  const targets = inputs.map((input, row) => (accepted[row] === 1 ? input + 1 : NONE));
  return { key: `s${index}`, count, times: Float64Array.from(inputs), inputs, accepted: Uint8Array.from(accepted), targets };
}

function unscaledModel(): SequenceModel {
  const { spec, weights } = randomWeights({ features: 1, outputs: 1, hidden: [2] });
  for (const mean of [weights.xMean, weights.yMean]) mean.data.fill(0);
  for (const scale of [weights.xScale, weights.yScale]) scale.data.fill(1);
  return new SequenceModel(spec, weights);
}

/** What every lane sees, piece by piece. */
function piecesSeen(series: readonly Series[], options: PackOptions): number[][] {
  const pieces: number[][] = [];
  const chunks = packChunks(series, unscaledModel(), options);
  const [N, T] = chunks[0]!.xs.shape as [number, number];
  for (let lane = 0; lane < N; lane++) {
    for (const { xs, targets, starts } of chunks) {
      if (starts.includes(lane)) pieces.push([]);
      for (let step = lane * T; step < (lane + 1) * T; step++) {
        if (Number.isNaN(targets.data[step]!)) continue;
        if (targets.data[step] !== xs.data[step]! + 1) throw new Error(`${targets.data[step]} is no target of ${xs.data[step]}`);
        pieces.at(-1)!.push(xs.data[step]!);
      }
    }
  }
  return pieces;
}

void t.test(
  "a pass over the chunks sees every accepted row once, in unbroken pieces that begin where the chunk says",
  async () => {
    const accepted = fc.array(fc.constantFrom(0, 1, 1, 1, 1), { minLength: 1, maxLength: 60 });
    const some = fc.array(accepted, { minLength: 1, maxLength: 6 }).filter((all) => all.flat().includes(1));
    const options = fc.record(
      {
        lanes: fc.integer({ min: 1, max: 5 }),
        steps: fc.integer({ min: 1, max: 9 }),
        cutAt: fc.double({ min: 0, max: 0.999, noNaN: true }),
      },
      { requiredKeys: ["lanes", "steps"] },
    );
    fc.assert(
      fc.property(some, options, (all, packing) => {
        const series = all.map((one, index) => numbered(index, one));
        const wanted = all.flatMap((one, index) => one.flatMap((flag, row) => (flag === 1 ? [1000 * index + row] : [])));
        const pieces = piecesSeen(series, packing);
        const seen = pieces.flat().toSorted((a, b) => a - b);
        if (seen.join() !== wanted.join()) throw new Error(`saw ${seen.join()} of ${wanted.join()}`);
        for (const piece of pieces) {
          const from = wanted.indexOf(piece[0]!);
          if (wanted.slice(from, from + piece.length).join() !== piece.join())
            throw new Error(`a piece skips rows: ${piece.join()}`);
          if (Math.floor(piece[0]! / 1000) !== Math.floor(piece.at(-1)! / 1000)) throw new Error("a piece crosses streams");
        }
        const streamsSeen = all.filter((one) => one.includes(1)).length;
        if (packing.cutAt === undefined && pieces.length !== streamsSeen) throw new Error("an uncut stream is in pieces");
      }),
      { numRuns: 300 },
    );
  },
);

void t.test("one long stream fills the lanes in pieces of equal length, cut elsewhere in each pass", async (t) => {
  const series = [numbered(0, Array<number>(100).fill(1))];
  const starts = (cutAt: number): number[] =>
    piecesSeen(series, { lanes: 4, steps: 5, cutAt })
      .map((piece) => piece[0]!)
      .toSorted((a, b) => a - b);
  t.same(starts(0), [0, 25, 50, 75]);
  t.same(starts(0.4), [0, 10, 35, 60, 85]);
  t.same(packChunks(series, unscaledModel(), { lanes: 4, steps: 5, cutAt: 0 }).length, 5);
});

void t.test("chunks are in standard deviations, and where a lane stands empty there is nothing", async (t) => {
  const { spec, weights } = randomWeights({ features: 1, outputs: 1, hidden: [2], residual: true });
  weights.xMean.data[0] = 10;
  weights.xScale.data[0] = 2;
  weights.yMean.data[0] = 1;
  weights.yScale.data[0] = 4;
  const series = buildSeries(stream("", [12, 17, 8]), { features: 1, targets: [0], horizon: 1 });
  const [chunk] = packChunks([series], new SequenceModel(spec, weights), { lanes: 1, steps: 5 });
  t.same([...chunk!.xs.data], [1, 3.5, -1, 0, 0]);
  t.same([...chunk!.targets.data], [1, -2.5, NONE, NONE, NONE], "changes of 5 and -9, less 1, by 4");
  t.equal(chunk!.targetCount, 2);
});

void t.test("missing targets take no part in the loss and send no gradient", async (t) => {
  const loss = new MeanSquaredError();
  const ys = tensor(Float32Array.of(1, 2, 3, 4), [1, 4, 1]);
  t.equal(loss.forward(ys, tensor(Float32Array.of(0, NONE, 5, NONE), [1, 4, 1])), (1 + 4) / 2);
  t.same([...loss.backward().data], [1, 0, -2, 0]);
  t.equal(loss.forward(ys, tensor(Float32Array.of(NONE, NONE, NONE, NONE), [1, 4, 1])), 0);
  t.same([...loss.backward().data], [0, 0, 0, 0]);
  const random = createRandom(4);
  const noisy = tensor(
    Float32Array.from({ length: 4 }, () => random.normal()),
    [1, 4, 1],
  );
  const whole = loss.forward(ys, noisy);
  t.equal(whole, ys.data.reduce((sum, y, i) => sum + (y - noisy.data[i]!) ** 2, 0) / 4);
});
