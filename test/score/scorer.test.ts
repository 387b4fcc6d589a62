// The scorer on made streams: each kind of event is one alarm that names what happened and where, noise is none, and all that is
// remembered of a stream lies in its row.
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import { Scorer } from "../../src/score/scorer.ts";
import type { Alarm, ScorerShape } from "../../src/score/scorer.ts";

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 5);

interface Outcome {
  readonly alarms: (Alarm & { readonly row: number })[];
  readonly scores: number[];
  readonly closedAt: number[];
  readonly row: Float64Array;
}

interface Judged {
  readonly x: readonly number[];
  readonly y?: readonly number[];
  readonly missing?: readonly number[];
  readonly time?: number;
  readonly broken?: boolean;
}

const oneFeature: ScorerShape = { features: ["a"], forecasts: [] };

function run(shape: ScorerShape, readings: readonly Judged[], scorer = new Scorer(shape, { falseAlarmsPerWeek: 1 })): Outcome {
  const row = new Float64Array(scorer.rowSize).fill(7);
  scorer.begin(row);
  return goOn(scorer, row, readings);
}

function goOn(scorer: Scorer, row: Float64Array, readings: readonly Judged[]): Outcome {
  const outcome: Outcome = { alarms: [], scores: [], closedAt: [], row };
  readings.forEach(({ x, y = [], missing, time, broken = false }, index) => {
    const at = time ?? START + index * MINUTE;
    scorer.judge(row, { x, xFrom: 0, missing, missingFrom: 0, y, yFrom: 0, time: at, broken });
    outcome.scores.push(scorer.score);
    if (scorer.opened !== undefined) outcome.alarms.push({ ...scorer.opened, row: index });
    if (scorer.closed) outcome.closedAt.push(index);
  });
  return outcome;
}

function noise(count: number, seed = 1, features = 1): number[][] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => Array.from({ length: features }, () => random.normal()));
}

const asReadings = (rows: readonly (readonly number[])[]): Judged[] => rows.map((x) => ({ x }));

void test("a shift of the level inside the range is one alarm, which closes", async (t) => {
  // Now and then a reading is far off, so that none of the shifted ones is new by itself.
  const rows = noise(6000).map(([x], i) => [i % 50 === 0 ? 6 : i % 50 === 25 ? -6 : x! + (i >= 3000 ? 2.5 : 0)]);
  const { alarms, closedAt } = run(oneFeature, asReadings(rows));
  const found = alarms.filter(({ row }) => row >= 3000);
  t.equal(found.length, 1);
  t.equal(found[0]!.kind, "level");
  t.ok(found[0]!.row < 3100, `found at row ${found[0]!.row}`);
  const [contribution] = found[0]!.contributions;
  t.equal(contribution!.share, 1);
  t.ok(Math.abs(contribution!.expected) < 1 && contribution!.seen > 0, "the level of before and the reading");
  t.ok(
    closedAt.some((row) => row > 3100 && row < 4000),
    "closed once nothing new comes",
  );
});

void test("a value never seen is found in its own reading, with the edge of the range as what was expected", async (t) => {
  const rows = noise(3000).map(([x]) => [Math.tanh(x!)]);
  rows[2500] = [4];
  const { alarms, scores } = run(oneFeature, asReadings(rows));
  const alarm = alarms.find(({ row }) => row === 2500);
  t.equal(alarm!.kind, "range");
  t.equal(alarm!.contributions[0]!.seen, 4);
  t.ok(Math.abs(alarm!.contributions[0]!.expected - 1) < 0.01);
  t.equal(alarm!.score, scores[2500]);
  t.equal(alarm!.extrapolated, true, "2,500 readings cannot show what is this rare");
});

void test("a sensor that is stuck, and one that is missing, are told by name", async (t) => {
  const rows = noise(3000, 3, 3);
  const stuck = rows.map((x, i) => (i >= 2000 && i < 2080 ? [x[0]!, rows[2000]![1]!, x[2]!] : x));
  const shape = { features: ["a", "b", "c"], forecasts: [] };
  const flat = run(shape, asReadings(stuck)).alarms.find(({ row }) => row >= 2000 && row < 2080);
  t.equal(flat!.kind, "flat");
  t.equal(flat!.contributions[0]!.feature, 1);
  const missing = rows.map((x, i): Judged => ({ x, missing: [0, 0, i >= 2000 && i < 2080 ? 1 : 0] }));
  const dropout = run(shape, missing).alarms.find(({ row }) => row >= 2000 && row < 2080);
  t.equal(dropout!.kind, "dropout");
  t.equal(dropout!.contributions[0]!.feature, 2);
});

void test("a glitch far off does not make everything below it usual, and a sensor that was stuck is told when it is stuck again", async (t) => {
  const rows = noise(9000, 12).map(([x]) => [Math.tanh(x!)]);
  rows[3000] = [1e6];
  rows[5000] = [8];
  const { alarms } = run(oneFeature, asReadings(rows));
  t.same(
    alarms
      .filter(({ kind }) => kind === "range")
      .map(({ row }) => row)
      .filter((row) => row >= 3000),
    [3000, 5000],
  );
  const stuck = noise(9000, 13).map(([x], i) => [(i >= 4000 && i < 4100) || (i >= 7000 && i < 7200) ? 0.5 : x!]);
  const found = run(oneFeature, asReadings(stuck)).alarms.filter(({ kind }) => kind === "flat");
  t.equal(found.length, 2);
  t.ok(found[0]!.row < 4100 && found[1]!.row >= 7000 && found[1]!.row < 7200);
});

void test("a sensor that is always the same or mostly missing is usual after a while", async (t) => {
  const readings = noise(3000, 4, 1).map(([x], i): Judged => ({ x: [20, x!], missing: [0, i % 50 === 0 ? 0 : 1] }));
  t.same(run({ features: ["flat", "rare"], forecasts: [] }, readings).alarms, []);
});

void test("the variance of a feature may change without its level", async (t) => {
  const rows = noise(4000, 5).map(([x], i) => [Math.tanh(x!) * (i >= 3000 ? 0.05 : 1)]);
  const { alarms } = run(oneFeature, asReadings(rows));
  t.equal(alarms.find(({ row }) => row >= 3000)!.kind, "variance");
});

void test("a forecast is held against the reading it was made for, and two features against each other", async (t) => {
  const random = createRandom(6);
  const shape: ScorerShape = {
    features: ["a", "b"],
    forecasts: [
      { output: 0, feature: 0, horizon: 3, deviation: undefined },
      { output: 1, feature: 1, horizon: 3, deviation: 2 },
    ],
  };
  const wave = (i: number): number => 10 * Math.sin(i / 20);
  const readings = Array.from({ length: 4000 }, (_, i): Judged => {
    const both = random.normal();
    // Together the two move by 1, apart by 0.05; at row 3000 they part by 1, which is usual for each alone.
    const apart = i === 3000 ? 1 : 0.05 * random.normal();
    return { x: [wave(i) + both, wave(i) + both + apart], y: [wave(i + 3), wave(i + 3), 1] };
  });
  const { alarms } = run(shape, readings);
  const alarm = alarms.find(({ row }) => row === 3000);
  t.equal(alarm!.kind, "residual");
  t.ok(
    alarm!.contributions.some(({ feature, expected }) => feature === 1 && expected === wave(3000)),
    "what was forecast three rows ago",
  );
});

void test("forecasts made before a gap are not held against readings after it", async (t) => {
  const shape: ScorerShape = { features: ["a"], forecasts: [{ output: 0, feature: 0, horizon: 1, deviation: undefined }] };
  const readings = noise(1000, 7).map(([x], i): Judged => ({
    x: [x! + (i >= 900 ? 1 : 0)],
    y: [i === 899 ? 1e6 : 0],
    broken: i === 900,
  }));
  const { scores } = run(shape, readings);
  t.ok(scores[900]! < 0.5);
  const whole = readings.map((reading) => ({ ...reading, broken: false }));
  t.ok(run(shape, whole).scores[900]! > 0.5);
});

void test("all that is remembered lies in the row: one scorer serves many streams, and another goes on with their rows", async (t) => {
  const shape: ScorerShape = { features: ["a", "b"], forecasts: [{ output: 0, feature: 1, horizon: 2, deviation: undefined }] };
  const [one, two] = [8, 9].map((seed) => noise(1200, seed, 2).map((x): Judged => ({ x, y: [0.1 * x[0]!] })));
  const alone = run(shape, one!);
  const scorer = new Scorer(shape, { falseAlarmsPerWeek: 1 });
  const rows = [new Float64Array(scorer.rowSize), new Float64Array(scorer.rowSize)];
  for (const row of rows) scorer.begin(row);
  const mixed: number[] = [];
  one!.forEach((reading, i) => {
    const judge = { xFrom: 0, missing: undefined, missingFrom: 0, yFrom: 0, time: START + i * MINUTE, broken: false };
    scorer.judge(rows[0]!, { ...judge, x: reading.x, y: reading.y! });
    mixed.push(scorer.score);
    scorer.judge(rows[1]!, { ...judge, x: two![i]!.x, y: two![i]!.y! });
  });
  t.same(mixed, alone.scores);
  t.same(rows[0], alone.row);
  const first = run(shape, one!.slice(0, 700));
  const rest = one!.slice(700).map((reading, i) => ({ ...reading, time: START + (700 + i) * MINUTE }));
  const goneOn = goOn(new Scorer(shape, { falseAlarmsPerWeek: 1 }), first.row.slice(), rest);
  t.same([...first.scores, ...goneOn.scores], alone.scores);
});

void test("values that are no numbers and times that make no sense poison nothing", async (t) => {
  const shape: ScorerShape = { features: ["a"], forecasts: [{ output: 0, feature: 0, horizon: 1, deviation: 1 }] };
  const times = [Number.NaN, -1e300, Infinity, 0, 9e15];
  const readings = noise(2000, 10).map(([x], i): Judged => {
    if (i >= 500 && i < 600 && i % 7 === 0) return { x: [[Number.NaN, Infinity, -Infinity][i % 3]!], y: [Number.NaN, 0] };
    return { x: [x!], y: [0, i % 11 === 0 ? 0 : 1], time: i % 50 === 0 ? times[(i / 50) % 5]! : START + i * MINUTE };
  });
  const { scores, row, alarms } = run(shape, readings);
  t.ok(scores.every((score) => score >= 0 && score <= 1));
  t.ok(alarms.length <= 3);
  t.ok(
    scores.slice(700).some((score) => score > 0.1),
    "still judging",
  );
  t.ok(row.filter(Number.isNaN).length <= 4, "only what waits for a forecast may be none");
});

void test("a stream is silent before it has had 100 readings", async (t) => {
  const rows = noise(200, 11);
  rows[90] = [1000];
  const { alarms, scores } = run(oneFeature, asReadings(rows.slice(0, 100)));
  t.same(alarms, []);
  t.ok(scores.every((score) => score === 0));
});
