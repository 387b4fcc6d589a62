import t from "tap";
import { generateRows } from "../../firmware-sim/generate-rows.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createRandom } from "../../src/base/random.ts";
import type { JournalEvent } from "../../src/journal/events.ts";
import { beginCourse, Course, defaultCourseSettings } from "../../src/learn/course.ts";
import type { CourseActions, CourseMoment, CourseSettings } from "../../src/learn/course.ts";
import { fineTune } from "../../src/learn/fine-tune.ts";
import { HistoryTable } from "../../src/learn/history-table.ts";
import { pacedClock } from "../../src/learn/paced-clock.ts";
import type { PrequentialLoss } from "../../src/learn/prequential-loss.ts";
import { trainOnTable } from "../../src/learn/train-on-table.ts";
import { defaultTrainingSettings } from "../../src/learn/training-settings.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { runLearning } from "./learning-run.ts";

const DAY_MS = 24 * 3_600_000;

t.test(
  "a model that meets loads it has never seen does better for learning on the way, and the same rows decide the same",
  async (t) => {
    const table = generateRows({ signal: "vibration", seed: 5, devices: 1, steps: 8000 });
    const run = await runLearning({ table, targets: ["vibration"] });
    t.ok(run.learning < 0.8 * run.frozen, `RMSE ${run.learning} learning, ${run.frozen} frozen`);
    t.ok(run.swaps >= 1 && run.decisions.some(({ decision }) => decision === "promoted"));
    t.strictSame(await runLearning({ table, targets: ["vibration"] }), run);
  },
);

t.test("where nothing changes learning does no harm", async (t) => {
  const table = generateRows({ signal: "daily", seed: 5, devices: 1, steps: 8000 });
  const { frozen, learning, swaps, decisions } = await runLearning({ table, targets: ["temperature"] });
  t.ok(learning < 1.01 * frozen, `RMSE ${learning} learning, ${frozen} frozen`);
  t.ok(swaps <= 1, `${swaps} swaps`);
  t.ok(
    decisions.some(({ decision }) => decision === "dropped"),
    "it was tried",
  );
});

t.test("many streams with a short past are learned from as one with a long past is", async (t) => {
  const { streams, features } = generateRows({ signal: "vibration", seed: 5, devices: 30, steps: 120 });
  const table = { features, streams: streams.slice(0, 6) };
  const { model: champion } = await trainOnTable({
    table,
    name: "bearing",
    source: "test",
    targets: ["vibration"],
    horizon: 1,
    split: { train: 0.6, validation: 0.2, test: 0.2 },
    settings: { ...defaultTrainingSettings, hidden: [8], epochsMax: 5 },
    clock: systemClock,
  });
  const runs = streams.map((stream, index) => ({
    ...stream,
    positions: Float64Array.from({ length: stream.count }, (_, row) => row * streams.length + index),
  }));
  const { rows, model, change } = await fineTune({ champion, runs, seed: 1, clock: systemClock, source: "test" });
  // Of each stream 119 rows have a next one, or one fewer where a stretch ends before the last.
  t.ok(rows.validation >= 6 * 99 && rows.train > 3 * rows.validation, JSON.stringify(rows));
  t.ok(change > 0 && model.version !== champion.version);
  await t.rejects(fineTune({ champion, runs: runs.slice(0, 2), seed: 1, clock: systemClock, source: "test" }), {
    code: "bad_argument",
    message: /cannot fine-tune model bearing: \d+ readings to learn from and \d+ to choose by, at least 400 and 80 are needed/,
  });
});

class Stage {
  readonly said: string[] = [];
  losses: readonly [number, number] = [1, 0.5];
  readings = 600;
  wins = 9;
  change = 0.1;
  drifted: string | undefined;
  refusal: Error | undefined;
  readonly course: Course;
  moment: CourseMoment = { position: 1000, wallMs: 0, version: "first" };

  constructor(settings: Partial<CourseSettings> = {}) {
    this.course = new Course({ ...defaultCourseSettings, ...settings }, this.#actions(), beginCourse(1000, 0));
  }

  #actions(): CourseActions {
    return {
      tune: async () => {
        this.said.push("tune");
        if (this.refusal) throw this.refusal;
        return { version: "second", rows: 900, epochs: 7, change: this.change, trainedTo: this.moment.position };
      },
      judge: async (other, from): Promise<PrequentialLoss> => {
        this.said.push(`judge ${other} from ${from}`);
        return { readings: this.readings, losses: this.losses, wins: this.wins };
      },
      drift: async (from) => {
        this.said.push(`drift from ${from}`);
        return this.drifted;
      },
      promote: async () => {
        this.said.push("promote");
        if (this.refusal) throw this.refusal;
        this.moment = { ...this.moment, version: "second" };
      },
      rollback: async () => {
        this.said.push("rollback");
        this.moment = { ...this.moment, version: "first" };
      },
    };
  }

  /** Goes on after so many events and days. */
  async after(events: number, days = 0): Promise<string | undefined> {
    const { position, wallMs } = this.moment;
    this.moment = { ...this.moment, position: position + events, wallMs: wallMs + days * DAY_MS };
    return (await this.course.go(this.moment))?.decision;
  }
}

t.test(
  "a challenger takes its place when it has done better on readings that nobody trained on, and keeps it when that goes on",
  async (t) => {
    const stage = new Stage();
    t.equal(await stage.after(100, 0.5), undefined, "not before its time");
    t.equal(await stage.after(0, 0.5), "tuned");
    t.equal(await stage.after(499), undefined);
    stage.readings = 450;
    t.equal(await stage.after(1), undefined, "500 events were too few readings");
    t.equal(await stage.after(49), undefined);
    stage.readings = 500;
    t.equal(await stage.after(1), "promoted");
    stage.losses = [0.5, 0.6];
    t.equal(await stage.after(500), "kept");
    t.strictSame(stage.said, [
      "tune",
      "judge challenger from 1100",
      "judge challenger from 1100",
      "promote",
      "judge previous from 1650",
    ]);
    t.equal(stage.course.state.stage, "idle");
  },
);

t.test("a promoted model that does worse than the one before would have goes back by itself", async (t) => {
  const stage = new Stage();
  await stage.after(100, 1);
  t.equal(await stage.after(500), "promoted");
  stage.losses = [0.6, 0.5];
  t.equal(await stage.after(500), "rolled back");
  t.equal(stage.moment.version, "first");
});

t.test(
  "a challenger is dropped that is no better, went too far, or cannot be put in force, and none is trained from too little",
  async (t) => {
    for (const [change, losses, expected, wins = 9] of [
      [0.1, [1, 0.99], ["tuned", "dropped"]],
      [0.6, [1, 0.1], ["dropped", undefined]],
      [Number.NaN, [1, 0.1], ["dropped", undefined]],
      [0.1, [1, Number.NaN], ["tuned", "dropped"]],
      [0.1, [1, 0.5], ["tuned", "dropped"], 7],
    ] as const) {
      const stage = new Stage();
      stage.change = change;
      stage.losses = losses;
      stage.wins = wins;
      t.strictSame([await stage.after(100, 1), await stage.after(500)], expected);
      t.notOk(stage.said.includes("promote"));
    }
    const refused = new Stage();
    await refused.after(100, 1);
    refused.refusal = new Error("the engines are apart");
    t.equal(await refused.after(500), "dropped");
    t.equal(await refused.after(500, 1), "not tuned");
    t.equal(refused.course.state.stage, "idle", "and it is tried again another day");
  },
);

t.test(
  "errors that grow, and people, start a fine-tune before its time; a version that someone else put in force ends it",
  async (t) => {
    const stage = new Stage({ everyMs: undefined });
    t.equal(await stage.after(499, 400), undefined);
    t.strictSame(stage.said, []);
    t.equal(await stage.after(1), undefined);
    stage.drifted = "adwin";
    t.equal(await stage.after(500), "tuned");
    t.strictSame(stage.said, ["drift from 1000", "drift from 1000", "tune"]);
    t.equal(stage.course.ask(), false, "one is under way");
    stage.moment = { ...stage.moment, version: "another" };
    t.equal(await stage.after(500), "interrupted");
    stage.drifted = undefined;
    t.equal(stage.course.ask(), true);
    t.equal(await stage.after(1), "tuned");
  },
);

function event(row: number, index: number, alarm = 0, minutes = index): JournalEvent {
  return {
    kind: "readings",
    group: 2,
    row,
    identity: undefined,
    firstSequence: index,
    count: 1,
    skipped: undefined,
    receivedAt: 0,
    clockSynced: true,
    deviceTimes: true,
    fromHeld: false,
    times: Float64Array.of(minutes * 60_000),
    features: 2,
    values: Float32Array.of(index, row),
    missing: index % 10 === 9 ? Uint8Array.of(0, 1) : undefined,
    weakDelivery: undefined,
    outputs: Float32Array.of(0, 0.1, alarm),
    alarms: [],
    silent: false,
    muted: false,
  };
}

function tableOf(rowsMax: number): HistoryTable {
  return new HistoryTable({ group: 2, features: 2, outputs: 1, rowsMax, random: createRandom(1) });
}

t.test(
  "history comes back stream by stream with missing values as such, and a row that another stream has taken is another stream",
  async (t) => {
    const table = tableOf(10_000);
    for (let i = 0; i < 600; i++) for (const row of [0, 1]) table.visit(event(row, i), 2 * i + row);
    table.visit({ kind: "streamRemoved", group: 2, row: 1, key: "b" }, 1200);
    table.visit({ kind: "streamAdded", group: 2, row: 1, key: "c" }, 1201);
    table.visit({ ...event(1, 700), group: 3 } as JournalEvent, 1202);
    table.visit(event(1, 800), 1203);
    const runs = table.runs();
    t.strictSame(
      runs.map(({ count, positions }) => [count, positions[0], positions.at(-1)]),
      [
        [600, 0, 1198],
        [600, 1, 1199],
        [1, 1203, 1203],
      ],
    );
    t.strictSame(Array.from(runs[0]!.values.subarray(2 * 258, 2 * 260)), [258, 0, 259, Number.NaN]);
  },
);

t.test("of a long history the last half of the bound is whole, and of what is older a sample stays", async (t) => {
  const table = tableOf(4000);
  for (let i = 0; i < 40_000; i++) table.visit(event(0, i), i);
  t.ok(table.rows <= 8000);
  const runs = table.runs();
  const positions = runs.flatMap((run) => Array.from(run.positions));
  t.ok(positions.length <= 4000 && positions.length > 3400, `${positions.length} rows`);
  t.strictSame(
    positions,
    positions.toSorted((a, b) => a - b),
  );
  t.ok(runs.at(-1)!.count >= 2000 && positions.at(-1) === 39_999, "the last are there");
  t.ok(positions[0]! < 32_000 && runs.length > 2, "and some from long before");
  for (const { positions: run } of runs) t.equal(run.at(-1)! - run[0]!, run.length - 1, "no run has a hole");
});

const DAY_MINUTES = 24 * 60;

/** First and last position of each run. */
function spans(table: HistoryTable): (number | undefined)[][] {
  return table.runs().map(({ positions }) => [positions[0], positions.at(-1)]);
}

function called(verdict: "normal" | "fault"): JournalEvent {
  return { kind: "alarmCalled", group: 2, row: 0, transaction: "t", reply: false, verdict, alarm: new Uint8Array(0) };
}

/** An alarm from reading 40 to 49, and the readings up to 99. */
function alarmed(): HistoryTable {
  const table = tableOf(10_000);
  for (let i = 0; i < 100; i++) table.visit(event(0, i, i >= 40 && i < 50 ? 1 : 0), i);
  return table;
}

t.test("readings of an open alarm and of the day after it wait until a day has passed without another", async (t) => {
  const table = alarmed();
  table.visit(event(0, 100, 0, 49 + DAY_MINUTES - 1), 100);
  t.strictSame(spans(table), [[0, 39]]);
  table.visit(event(0, 101, 0, 49 + DAY_MINUTES), 101);
  t.strictSame(spans(table), [[0, 101]], "then they are in, in their place and without a break");
  const again = alarmed();
  again.visit(event(0, 100, 1, 49 + DAY_MINUTES - 1), 100);
  again.visit(event(0, 101, 0, 49 + DAY_MINUTES), 101);
  t.strictSame(spans(again), [[0, 39]], "another alarm, another day");
  again.visit(event(0, 102, 0, 48 + 2 * DAY_MINUTES), 102);
  t.strictSame(spans(again), [[0, 102]]);
  const left = alarmed();
  left.visit({ kind: "streamRemoved", group: 2, row: 0, key: "a" }, 100);
  left.visit({ kind: "streamAdded", group: 2, row: 0, key: "b" }, 101);
  left.visit(event(0, 0, 0, 60), 102);
  t.strictSame(spans(left), [
    [0, 39],
    [102, 102],
  ]);
});

t.test("readings of an alarm that is called normal are learned from at once, those of a fault never", async (t) => {
  const normal = alarmed();
  normal.visit(called("normal"), 100);
  normal.visit(event(0, 101), 101);
  t.strictSame(spans(normal), [[0, 101]]);
  const fault = alarmed();
  fault.visit(called("fault"), 100);
  fault.visit(event(0, 101, 0, 49 + DAY_MINUTES - 1), 101);
  for (let i = 102; i < 110; i++) fault.visit(event(0, i, 0, 49 + DAY_MINUTES + i), i);
  t.strictSame(spans(fault), [
    [0, 39],
    [102, 109],
  ]);
  fault.visit(called("normal"), 110);
  t.strictSame(spans(fault), [[0, 109]], "the last word holds");
  const two = alarmed();
  for (let i = 100; i < 110; i++) two.visit(event(0, i, i < 105 ? 1 : 0), i);
  two.visit(called("normal"), 110);
  two.visit(event(0, 111), 111);
  t.strictSame(
    spans(two),
    [
      [0, 39],
      [100, 109],
    ],
    "what is said is said of the last alarm; the one before it has yet to be over",
  );
  two.visit(called("fault"), 112);
  t.strictSame(spans(two), [[0, 39]]);
  two.visit(event(0, 113, 0, 104 + DAY_MINUTES), 113);
  t.strictSame(spans(two), [
    [0, 99],
    [111, 113],
  ]);
  const long = tableOf(4000);
  for (let i = 0; i < 3000; i++) long.visit(event(0, i), i);
  for (let i = 3000; i < 40_000; i++) {
    long.visit(event(0, i, 1), i);
    if (i === 3000) long.visit(called("fault"), i);
  }
  t.strictSame(spans(long), [[0, 2999]], "and a long fault takes no room from the rest");
});

t.test("work on a paced clock leaves the rest of the time to others, and waits while the box is hot", async (t) => {
  const clock = new FakeClock();
  let hot = false;
  const paced = pacedClock(clock, { share: 0.25, isHot: () => hot });
  let turns = 0;
  clock.advance(40);
  paced.soon(() => turns++);
  clock.advance(119);
  t.equal(turns, 0);
  clock.advance(1);
  t.equal(turns, 1, "three times as long as it worked");
  hot = true;
  clock.advance(40);
  paced.soon(() => turns++);
  clock.advance(1000);
  t.equal(turns, 1);
  hot = false;
  clock.advance(10_000);
  t.equal(turns, 2);
});
