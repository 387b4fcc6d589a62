// The arithmetic below the scorer by itself: records, tails, covariance, intervals, deviations.
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import { Covariance } from "../../src/score/covariance.ts";
import { inDeviations } from "../../src/score/deviation.ts";
import { Interval } from "../../src/score/interval.ts";
import { blockRecordSurprise, recordSurprise } from "../../src/score/record.ts";
import { RowLayout } from "../../src/score/row-layout.ts";
import { Tail } from "../../src/score/tail.ts";

void test("a record is as unusual as its number, and more by how many spans it lies beyond", async (t) => {
  const row = new Float64Array(2);
  for (let count = 1; count <= 1000; count++) t.equal(recordSurprise(row, 0, count % 11, count), 0);
  t.same([...row], [0, 10]);
  t.equal(recordSurprise(row, 0, 10, 1001), 0, "as large as the largest is none");
  const inside = recordSurprise(row, 0, 10 + 1e-9, 1000);
  t.ok(Math.abs(inside - Math.log(500)) < 1e-6);
  const beyond = recordSurprise(row, 0, -2, 1000);
  t.ok(Math.abs(beyond - (2 * Math.log(1000) - Math.log(2))) < 1e-6, "a fifth of the span: 2 / n^2");
  t.same([...row], [-2, 10 + 1e-9]);
  const fresh = new Float64Array(2);
  for (let count = 1; count <= 100; count++) t.equal(recordSurprise(fresh, 0, count, count), 0, "nothing is unusual at first");
  t.ok(recordSurprise(fresh, 0, 101, 101) > 0);
  const blocks = new Float64Array(2);
  for (let count = 1; count <= 16; count++) t.equal(blockRecordSurprise(blocks, 0, count % 2, count), 0);
  t.ok(Math.abs(blockRecordSurprise(blocks, 0, 2, 17) - (4 * Math.log(17) - Math.log(2))) < 1e-9);
  const glitch = new Float64Array(2);
  for (let count = 1; count <= 200; count++) recordSurprise(glitch, 0, count % 2, count);
  t.ok(recordSurprise(glitch, 0, 1e9, 201) > 1e9);
  t.same([...glitch], [0, 2], "an edge moves by one span at most");
  const constant = new Float64Array(2);
  for (let count = 1; count <= 200; count++) recordSurprise(constant, 0, 5, count);
  t.ok(Number.isFinite(recordSurprise(constant, 0, 5.1, 201)), "beside a value that never moved");
});

void test("a tail says of values what their distribution says, within and beyond what was seen", async (t) => {
  const random = createRandom(1);
  const uniform = (): number => 1 - random.next();
  const distributions = [
    { name: "half-normal", draw: () => Math.abs(random.normal()), at: [2.5758, 3.2905, 3.8906], tolerance: 1 },
    { name: "exponential", draw: () => -Math.log(uniform()), at: [4.6052, 6.9078, 9.2103], tolerance: 1 },
    { name: "Pareto", draw: () => uniform() ** -0.25 - 1, at: [2.1623, 4.6234, 9], tolerance: 1.2 },
  ];
  for (const { name, draw, at, tolerance } of distributions) {
    const layout = new RowLayout();
    const tail = new Tail(layout);
    const row = new Float64Array(layout.size);
    tail.begin(row);
    for (let i = 0; i < 20_000; i++) tail.add(row, draw());
    at.forEach((value, index) => {
      const surprise = tail.surprise(row, value);
      const exact = Math.LN10 * (2 + index);
      t.ok(Math.abs(surprise - exact) < tolerance, `${name} at ${value}: ${surprise}, exactly ${exact}`);
    });
    const rising = Array.from({ length: 60 }, (_, i) => tail.surprise(row, 1.3 ** (i - 20)));
    t.ok(
      rising.every((surprise, i) => i === 0 || surprise > rising[i - 1]!),
      "it rises and never ends",
    );
    for (const value of [Number.NaN, Infinity, -1]) tail.add(row, value);
    t.ok(row.every(Number.isFinite));
  }
});

/** Lengths of vectors whose two parts have correlation 0.9, over many draws. */
function learnt(size: number): { covariance: Covariance; row: Float64Array; parts: Float64Array } {
  const layout = new RowLayout();
  const covariance = new Covariance(layout, size);
  const row = new Float64Array(layout.size);
  covariance.begin(row);
  const random = createRandom(2);
  const values = new Float64Array(size);
  for (let i = 0; i < 20_000; i++) {
    const shared = Math.sqrt(0.9) * random.normal();
    for (let d = 0; d < size; d++) values[d] = shared + Math.sqrt(0.1) * random.normal();
    covariance.add(row, values, 1);
  }
  return { covariance, row, parts: new Float64Array(size) };
}

void test("values that move together are far when they part", async (t) => {
  const { covariance, row, parts } = learnt(2);
  // The inverse of [[1, 0.9], [0.9, 1]] by hand.
  const together = covariance.distance(row, Float64Array.of(1, 1), parts);
  const apart = covariance.distance(row, Float64Array.of(1, -1), parts);
  t.ok(Math.abs(together - 2 / 1.9) < 0.1, `${together}`);
  t.ok(Math.abs(apart - 20) < 2, `${apart}`);
  t.ok(Math.abs(parts[0]! + parts[1]! - apart) < 1e-9);
});

void test("values that are always the same number do not make the covariance singular, and many keep their variances only", async (t) => {
  const layout = new RowLayout();
  const covariance = new Covariance(layout, 3);
  const row = new Float64Array(layout.size);
  covariance.begin(row);
  const random = createRandom(3);
  for (let i = 0; i < 100_000; i++) {
    const x = random.normal();
    covariance.add(row, Float64Array.of(x, x, 0), 1);
  }
  const distance = covariance.distance(row, Float64Array.of(1, 1.1, 0.01), new Float64Array(3));
  t.ok(distance > 1 && distance < 100, `${distance}`);
  const wide = new RowLayout();
  const diagonal = new Covariance(wide, 256);
  t.equal(wide.size, 257);
  const wideRow = new Float64Array(wide.size);
  diagonal.begin(wideRow);
  const values = new Float64Array(256).fill(3);
  for (let i = 0; i < 20_000; i++) diagonal.add(wideRow, values, 1);
  t.ok(Math.abs(diagonal.distance(wideRow, values, new Float64Array(256)) - 256) < 1);
});

void test("the interval of a stream is the median of its last, whatever else its times do", async (t) => {
  const layout = new RowLayout();
  const interval = new Interval(layout);
  const row = new Float64Array(layout.size);
  interval.begin(row);
  t.equal(interval.median(row), 60_000, "assumed");
  let time = Date.UTC(2026, 0, 5);
  for (const step of [5000, 5000, 9000, 0, -100, 5000, Number.NaN, 1e12, 4000])
    interval.add(row, (time += Number.isNaN(step) ? 0 : step));
  interval.add(row, Number.NaN);
  interval.add(row, Infinity);
  t.equal(interval.median(row), 5000);
  for (let i = 0; i < 15; i++) interval.add(row, (time += 1000));
  t.equal(interval.median(row), 1000);
});

void test("an outlier is far in deviations, and moves them by no more than four", async (t) => {
  const row = new Float64Array(2);
  const random = createRandom(4);
  for (let i = 0; i < 500; i++) inDeviations(row, 0, 3 * random.normal());
  const before = Math.sqrt(row[1]!);
  t.ok(Math.abs(before - 3) < 0.4);
  t.ok(inDeviations(row, 0, 1e9) > 1e8);
  t.ok(Math.sqrt(row[1]!) < 1.02 * before);
  const first = new Float64Array(2);
  for (let i = 0; i < 20; i++) t.equal(inDeviations(first, 0, 1), 0, "nothing is known at first");
  t.equal(inDeviations(first, 0, 2), 2);
});
