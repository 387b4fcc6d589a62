import t from "tap";
import { createRandom } from "../../src/base/random.ts";
import { HistoryTable } from "../../src/learn/history-table.ts";
import { readHistory } from "../../src/journal/read-history.ts";
import type { JournalEvent } from "../../src/journal/events.ts";
import type { ListedAlarm } from "../../src/pipeline/alarm-commands.ts";
import { text } from "../support/box.ts";
import type { Box } from "../support/box.ts";
import { box, reading, turns } from "../support/one-group.ts";

const scored = { score: { budget: "1/day" } };
const STEP_MS = 60_000;
const HOUR_MS = 60 * STEP_MS;
/** Two leaps, far enough from each other for two alarms. */
const LEAPS: ReadonlySet<number> = new Set([250, 500]);

async function feed(one: Box, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    one.clock.advance(STEP_MS);
    await one.deliver(reading("a", i, { feature0: 101_320 + Math.sin(i * 1.7) + (LEAPS.has(i) ? 500 + i : 0) }));
  }
}

interface Body {
  readonly id: string;
  readonly open: boolean;
  readonly muted?: number;
  readonly said?: string;
  readonly sequence: number;
  readonly kind?: string;
}

function published(one: Box, topic: string): { body: string; retain: boolean }[] {
  one.publishAll();
  return one.published
    .filter((message) => message.topic === topic)
    .map(({ payload, retain }) => ({ body: text(payload), retain }));
}

function alarms(one: Box): Body[] {
  const messages = published(one, "hiddenstate/box/alarm/a");
  return messages.map(({ body }) => JSON.parse(body) as Body);
}

/** Of the readings published, where the alarm is up. */
function alarming(one: Box): number[] {
  return published(one, "hiddenstate/box/prediction/a").flatMap(({ body }) => {
    const { sequence, outputs } = JSON.parse(body) as { sequence: number; outputs: { alarm: number[] } };
    return outputs.alarm.flatMap((alarm, i) => (alarm === 1 ? [sequence + i] : []));
  });
}

async function journalled(one: Box): Promise<JournalEvent[]> {
  const events: JournalEvent[] = [];
  await readHistory(one.disk, "/state/journal", 0, (event) => events.push(event));
  return events;
}

t.test("a muted stream is scored and raises nothing until the time is over; what is still wrong then is raised", async (t) => {
  const one = await box({}, scored);
  await feed(one, 0, 240);
  const until = one.clock.wallMs() + HOUR_MS;
  await one.control.muteAlarms("a", until, { transaction: "m" });
  t.match(alarms(one), [{ id: "a/m/alarm", open: false, muted: until, sequence: 239 }]);
  t.match(one.control.listAlarms(), [{ stream: "a", group: "g", open: false, muted: until }]);
  await feed(one, 240, 290);
  t.equal(alarms(one).length, 1, "it opened at 250, and nobody was told");
  t.strictSame(alarming(one), []);
  t.match(one.control.listAlarms(), [{ open: true, muted: until, since: one.clock.wallMs() - 39 * STEP_MS }]);
  const outputs = (await journalled(one)).flatMap((event) => (event.kind === "readings" ? [event.outputs.at(-1)] : []));
  t.equal(outputs.indexOf(1), 250, "the journal knows, for those who learn from it");
  await feed(one, 290, 310);
  t.match(
    alarms(one).slice(1),
    [{ id: "a/1/299/unmuted/alarm", open: true, muted: 0, sequence: 250, kind: String }],
    "with the first reading after the hour",
  );
  t.equal(alarming(one)[0], 299);
  await feed(one, 310, 480);
  t.match(alarms(one).slice(2), [{ open: false }]);
  await one.control.muteAlarms("a", one.clock.wallMs() + HOUR_MS);
  await one.control.muteAlarms("a", undefined, { transaction: "off" });
  t.match(alarms(one).slice(4), [{ id: "a/off/alarm", open: false, muted: 0 }]);
  await feed(one, 480, 510);
  t.match(alarms(one).slice(5), [{ id: "a/1/500/alarm", open: true }], "and is raised again");
});

t.test("an alarm that was nothing closes; one that was a fault stays what it is, and says so to its end", async (t) => {
  const one = await box({}, scored);
  await feed(one, 0, 260);
  await one.control.callAlarm("a", "normal", { transaction: "n" });
  await feed(one, 260, 300);
  t.match(alarms(one), [{ open: true }, { id: "a/n/alarm", open: false, said: "normal", sequence: 259 }]);
  t.equal(alarming(one).at(-1), 259);
  const [listed] = one.control.listAlarms() as [ListedAlarm];
  t.match(listed, { open: false, said: "normal", closed: one.clock.wallMs() - 40 * STEP_MS, kind: String, score: Number });
  await feed(one, 300, 510);
  await one.control.callAlarm("a", "fault", { transaction: "f" });
  t.match(alarms(one).slice(2), [{ open: true }, { id: "a/f/alarm", open: true, said: "fault", sequence: 500 }]);
  await feed(one, 510, 700);
  t.match(alarms(one).slice(4), [{ open: false, said: "fault" }]);
  await one.control.callAlarm("a", "normal");
  t.match(alarms(one).at(-1), { open: false, said: "normal" }, "the last word holds");
});

t.test("what cannot be said is refused, and what is said twice is done once", async (t) => {
  const one = await box({ commands: true }, scored);
  await feed(one, 0, 3);
  const refused = async (work: Promise<void>, message: RegExp): Promise<void> => {
    await t.rejects(work, { message });
  };
  await refused(one.control.callAlarm("a", "fault"), /^cannot call an alarm of "a" fault: it has had none$/);
  await refused(one.control.callAlarm("b", "normal"), /^cannot call an alarm of "b" normal: there is no stream "b"/);
  await refused(one.control.muteAlarms("a", one.clock.wallMs()), /^cannot mute "a": "until" is past/);
  await refused(one.control.muteAlarms("a", 1e16), /^cannot mute "a": "until" must be milliseconds since 1970/);
  const { position } = one.state.journal;
  const until = one.clock.wallMs() + HOUR_MS;
  for (const _ of [1, 2]) await one.control.muteAlarms("a", until, { transaction: "m" });
  t.equal(one.state.journal.position, position + 1);
  const say = (name: string, more: Readonly<Record<string, unknown>>): Promise<void> => {
    const payload = JSON.stringify({ transaction: name, expires: 8e15, stream: "a", ...more });
    return one.deliver({ topic: `hiddenstate/box/command/${name}`, payload });
  };
  await say("unmute", {});
  await say("mute", { until: "2100-01-01T00:00:00Z" });
  await say("normal", {});
  await say("fault", { expires: 0 });
  await say("mute", { until: 1, transaction: "past" });
  const answer = (transaction: string): unknown => {
    const [first] = published(one, `hiddenstate/box/response/${transaction}`);
    return JSON.parse(first!.body);
  };
  t.strictSame(answer("unmute"), { transaction: "unmute", ok: true, command: "unmute", stream: "a" });
  t.strictSame(answer("mute"), { transaction: "mute", ok: true, command: "mute", stream: "a" });
  t.match(answer("normal"), { ok: false, error: { message: /it has had none/ } });
  t.match(answer("fault"), { ok: false, error: { message: /it has expired/ } });
  t.match(answer("past"), { ok: false, error: { message: /"until" is past/ } });
  t.equal(one.control.listAlarms()[0]!.muted, Date.UTC(2100, 0, 1));
  const plain = await box();
  await plain.deliver(reading("a", 0));
  await t.rejects(plain.control.muteAlarms("a", 8e15), { message: /^cannot mute "a": group "g" has no scores; add/ });
});

t.test("what is learned from the journal heeds alarms, muted ones too, and what was said of them", async (t) => {
  const one = await box({}, scored);
  const learnedFrom = async (): Promise<number[][]> => {
    const table = new HistoryTable({ group: 0, features: 2, scored: false, rowsMax: 10_000, random: createRandom(1) });
    for (const [position, event] of (await journalled(one)).entries()) table.visit(event, position);
    return table.runs().map(({ values, count }) => [values[1]!, values[2 * count - 1]!].map((value) => Math.round(value)));
  };
  // The second feature numbers the readings.
  const feedNumbered = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) {
      one.clock.advance(STEP_MS);
      const feature0 = 101_320 + Math.sin(i * 1.7) + (LEAPS.has(i) ? 500 + i : 0);
      await one.deliver(reading("a", i, { feature0, feature1: i }));
    }
  };
  await feedNumbered(0, 240);
  await one.control.muteAlarms("a", one.clock.wallMs() + HOUR_MS);
  await feedNumbered(240, 400);
  t.strictSame(await learnedFrom(), [[0, 249]]);
  await one.control.callAlarm("a", "normal");
  t.strictSame(await learnedFrom(), [[0, 399]]);
  await one.control.callAlarm("a", "fault");
  one.clock.advance(25 * HOUR_MS);
  await feedNumbered(400, 450);
  t.strictSame(await learnedFrom(), [
    [0, 249],
    [400, 449],
  ]);
});

/** Readings of a stream, one a minute; of those in `leaps` the first is a little beyond all before. */
async function feedMild(one: Box, stream: string, from: number, to: number, leaps: ReadonlyMap<number, number>): Promise<void> {
  for (let i = from; i < to; i++) {
    one.clock.advance(STEP_MS);
    await one.deliver(reading(stream, i, { feature0: 101_320 + Math.sin(i * 1.7) + (leaps.get(i) ?? 0) }));
  }
}

t.test("a stream's own budget decides what is an alarm, whatever its group's is, until it is taken back", async (t) => {
  // About one reading in 10,000 is as unusual: rare enough for an alarm a day, not for one a year.
  const leaps = new Map([[250, 1.2]]);
  const alarmsAt = async (budget: string | undefined, takenBackAt = Infinity): Promise<number> => {
    const one = await box({}, scored);
    await feedMild(one, "a", 0, 200, leaps);
    if (budget !== undefined) await one.control.setAlarmBudget("a", budget);
    await feedMild(one, "a", 200, Math.min(takenBackAt, 300), leaps);
    if (takenBackAt < 300) {
      await one.control.setAlarmBudget("a", undefined);
      await feedMild(one, "a", takenBackAt, 300, leaps);
    }
    return alarms(one).filter(({ open }) => open).length;
  };
  t.equal(await alarmsAt(undefined), 1);
  t.equal(await alarmsAt("1/day"), 1);
  t.equal(await alarmsAt("1/year"), 0);
  t.equal(await alarmsAt("1/year", 240), 1);
});

t.test("a budget is refused where it is none, and is done once by its transaction", async (t) => {
  const one = await box({ commands: true }, scored);
  await feed(one, 0, 3);
  const expected =
    /^cannot set the alarm budget of "a": expected a number of alarms per hour, day, week, month or year, such as 1\/week, and that from 0\.01 to 10000 a week; or null for the config's budget$/;
  for (const wrong of ["", "3", "1/fortnight", "0/week", "1/week ago", "1000/hour"])
    await t.rejects(one.control.setAlarmBudget("a", wrong), { code: "bad_argument", message: expected }, wrong);
  await t.rejects(one.control.handle("budget", { stream: "a" }), { message: expected });
  const { position } = one.state.journal;
  for (const _ of [1, 2]) await one.control.setAlarmBudget("a", "2/day", { transaction: "b" });
  t.equal(one.state.journal.position, position + 1);
  t.match(one.control.listAlarms(), [{ stream: "a", group: "g", open: false, budget: 14 }]);
  const say = (transaction: string, budget: unknown): Promise<void> => {
    const payload = JSON.stringify({ transaction, expires: 8e15, stream: "a", budget });
    return one.deliver({ topic: "hiddenstate/box/command/budget", payload });
  };
  await say("h", "0.5/week");
  t.match(one.control.listAlarms(), [{ budget: 0.5 }]);
  await say("h", "9/week");
  t.match(one.control.listAlarms(), [{ budget: 0.5 }], "the same transaction");
  await say("x", 3);
  await say("off", null);
  t.strictSame(one.control.listAlarms(), []);
  const answers = ["h", "x", "off"].map((transaction) =>
    published(one, `hiddenstate/box/response/${transaction}`).map(({ body }) => JSON.parse(body) as unknown),
  );
  const done = { transaction: "h", ok: true, command: "budget", stream: "a" };
  t.strictSame(answers[0], [done, done]);
  t.match(answers.slice(1), [[{ ok: false, error: { message: expected } }], [{ ok: true, command: "budget" }]]);
  const plain = await box();
  await plain.deliver(reading("a", 0));
  await t.rejects(plain.control.setAlarmBudget("a", "1/day"), { message: /: group "g" has no scores; add/ });
});

t.test(
  "budgets survive crashes, checkpoints, another name and another budget of the group, and go with their stream",
  async (t) => {
    const leaps = new Map([[250, 1.2]]);
    const run = async (crashes: ReadonlySet<number>, checkpoints: ReadonlySet<number>): Promise<Box> => {
      const one = await box({}, scored);
      for (let at = 0; at < 300; at++) {
        if (at === 5) await one.control.setAlarmBudget("a", "1/year", { transaction: "a" });
        if (at === 240) await one.control.setAlarmBudget("b", "1/year", { transaction: "b" });
        if (at === 245) await one.control.setAlarmBudget("a", undefined, { transaction: "off" });
        if (checkpoints.has(at)) await one.pipeline.checkpoint();
        if (crashes.has(at)) {
          one.crash(at);
          await one.start();
          t.equal(one.recovered.mismatches, 0);
        }
        for (const stream of ["a", "b", "c"]) await feedMild(one, stream, at, at + 1, leaps);
      }
      return one;
    };
    const whole = await run(new Set(), new Set());
    t.strictSame(
      whole.control
        .listAlarms()
        .map(({ stream, budget, since }) => [stream, budget, since !== undefined])
        .toSorted(([a], [b]) => (a! < b! ? -1 : 1)),
      [
        ["a", undefined, true],
        ["b", 1 / 52.18, false],
        ["c", undefined, true],
      ],
    );
    for (const crashes of [[6, 241, 246], [250], [251, 299]]) {
      for (const checkpoints of [[], [6, 240], [246]]) {
        const one = await run(new Set(crashes), new Set(checkpoints));
        t.strictSame(
          one.control.listAlarms(),
          whole.control.listAlarms(),
          `crashes at ${crashes.join()}, checkpoints at ${checkpoints.join()}`,
        );
      }
    }
    await whole.control.renameStream("b", "d");
    const { group, row } = whole.state.fold.find("d")!;
    await whole.pipeline.changeEpoch((present) => ({
      ...present,
      groups: present.groups.map((settings) => ({ ...settings, score: { falseAlarmsPerWeek: 2 } })),
    }));
    t.equal(group.scores!.budgetOf(row), 1 / 52.18);
    t.equal(group.scores!.budgetOf(whole.state.fold.find("a")!.row), 2);
    whole.clock.advance(31 * 24 * HOUR_MS);
    await whole.deliver(reading("e", 0));
    await whole.pipeline.drain();
    t.equal(group.scores!.notes.budgetCount, 0);
  },
);

interface Step {
  /** Before this reading. */
  readonly at: number;
  readonly say: (one: Box, transaction: string) => Promise<void>;
}

const muteFor =
  (ms: number): Step["say"] =>
  (one, transaction) =>
    one.control.muteAlarms("a", one.clock.wallMs() + ms, { transaction });

const SAID: readonly Step[] = [
  { at: 230, say: muteFor(HOUR_MS) },
  { at: 260, say: (one, transaction) => one.control.muteAlarms("a", undefined, { transaction }) },
  { at: 270, say: (one, transaction) => one.control.callAlarm("a", "fault", { transaction }) },
  { at: 280, say: muteFor(HOUR_MS) },
  { at: 285, say: (one, transaction) => one.control.callAlarm("a", "normal", { transaction }) },
  { at: 495, say: muteFor(HOUR_MS / 2) },
  { at: 560, say: (one, transaction) => one.control.callAlarm("a", "fault", { transaction }) },
];

/** All of it, ended by a crash before each reading of `crashes`, with a checkpoint before each of `checkpoints`. */
async function live(crashes: ReadonlySet<number>, checkpoints: ReadonlySet<number>): Promise<Box> {
  const one = await box({}, scored);
  for (let at = 0; at < 650; at++) {
    const said = SAID.find((step) => step.at === at);
    const saying = said?.say(one, `t${at}`);
    // It may be on its way to the disk when the crash comes, and then is answered by nobody.
    if (crashes.has(at)) await turns(at % 20);
    else await saying;
    if (checkpoints.has(at)) await one.pipeline.checkpoint();
    if (crashes.has(at)) {
      // What the broker has not confirmed comes again.
      if (at % 2 === 0) one.publishAll();
      one.crash(at);
      await one.start();
      t.equal(one.recovered.mismatches, 0);
      // Whoever was not answered asks again.
      await said?.say(one, `t${at}`);
    }
    await feed(one, at, at + 1);
  }
  return one;
}

t.test("whenever it crashes, a replay comes to the same alarms, mutes and words", async (t) => {
  const whole = await live(new Set(), new Set());
  const owed = published(whole, "hiddenstate/box/alarm/a").map(({ body }) => body);
  t.strictSame(
    alarms(whole).map(({ id, open, muted, said }) => [id, open, muted === undefined ? "-" : muted > 0, said ?? "-"]),
    [
      ["a/t230/alarm", false, true, "-"],
      ["a/t260/alarm", true, false, "-"],
      ["a/t270/alarm", true, "-", "fault"],
      ["a/t280/alarm", false, true, "fault"],
      ["a/t285/alarm", false, true, "normal"],
      ["a/1/339/unmuted/alarm", false, false, "normal"],
      ["a/t495/alarm", false, true, "normal"],
      ["a/1/524/unmuted/alarm", true, false, "-"],
      ["a/t560/alarm", true, "-", "fault"],
      ["a/1/600/alarm", false, "-", "fault"],
    ],
  );
  const random = createRandom(11);
  const draw = (count: number): Set<number> =>
    new Set(Array.from({ length: count }, () => 225 + Math.floor(random.next() * 400)));
  for (let round = 0; round < 9; round++) {
    const crashes = round === 0 ? new Set(SAID.map(({ at }) => at)) : draw(6);
    const one = await live(crashes, round % 3 === 0 ? new Set() : draw(3));
    const seen = published(one, "hiddenstate/box/alarm/a").map(({ body }) => body);
    t.strictSame([...new Set(seen)], owed, `round ${round}, crashes at ${[...crashes].join(", ")}`);
    t.strictSame([...new Set(alarming(one))], [...new Set(alarming(whole))]);
    t.strictSame(one.control.listAlarms(), whole.control.listAlarms());
  }
});

t.test("what was said goes with its stream, also under another name", async (t) => {
  const one = await box({}, scored);
  await feed(one, 0, 260);
  await one.control.renameStream("a", "b");
  await one.control.callAlarm("b", "fault");
  t.match(one.control.listAlarms(), [{ stream: "b", open: true, said: "fault" }]);
  t.match(JSON.parse(published(one, "hiddenstate/box/alarm/b").at(-1)!.body), { stream: "b", open: true });
  one.clock.advance(31 * 24 * HOUR_MS);
  await one.deliver(reading("c", 0));
  await one.pipeline.drain();
  t.strictSame(one.control.listAlarms(), []);
});
