import { EventEmitter } from "node:events";
import { request } from "node:http";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { createRandom } from "../../src/base/random.ts";
import { limits } from "../../src/base/limits.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { EventClient } from "../../src/dashboard/http-server.ts";
import { LiveFeed } from "../../src/dashboard/live-feed.ts";
import { LogMemory } from "../../src/dashboard/log-memory.ts";
import { Sampler } from "../../src/dashboard/sampler.ts";
import { StreamList } from "../../src/dashboard/stream-list.ts";
import { alarmDetails } from "../../src/dashboard/alarm-details.ts";
import { StreamWatch, thin } from "../../src/dashboard/stream-watch.ts";
import type { ReadingsEvent } from "../../src/journal/events.ts";
import { encodeAlarm } from "../../src/message/alarm.ts";
import type { Point } from "../../src/dashboard/stream-watch.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Status } from "../../src/runtime/status.ts";
import { box, reading } from "../support/one-group.ts";
import { DashboardWorld } from "../support/dashboard-world.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { until } from "../support/until.ts";
import { examplePrediction } from "../support/example-prediction.ts";

interface Told {
  readonly event: string;
  readonly data: unknown;
}

/** Listens to server-sent events until closed. */
function listen(url: string): { readonly told: Told[]; close(): void } {
  const told: Told[] = [];
  let rest = "";
  const asked = request(url, { agent: false }, (response) => {
    response.setEncoding("utf8").on("data", (chunk: string) => {
      const blocks = (rest + chunk).split("\n\n");
      rest = blocks.pop()!;
      for (const block of blocks) {
        const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(block)!;
        told.push({ event: event!, data: JSON.parse(data!) });
      }
    });
    response.on("error", () => {});
  });
  asked.on("error", () => {}).end();
  return { told, close: () => asked.destroy() };
}

const pointsIn = (told: readonly Told[]): Point[] =>
  told.filter(({ event }) => event === "points").flatMap(({ data }) => (data as { points: Point[] }).points);

t.test("a stream's readings are told with outputs, gaps and facts, and only while somebody watches", async (t) => {
  const world = await DashboardWorld.open({ folder: t.testdir({}), score: {} });
  t.teardown(() => world.close());
  await world.publish("a", 0);
  await until("it is stepped", () => world.accepted === 1);
  const watcher = listen(`${world.url}live?stream=a`);
  await until("it begins", () => watcher.told.length >= 3);
  t.match(watcher.told.slice(0, 3), [
    {
      event: "about",
      data: {
        stream: "a",
        group: "presses",
        task: "forecast",
        scored: true,
        features: [{ name: "feature1" }, { name: "feature0", unit: "Pa" }],
        outputs: [{ name: "output0", horizon: 1, deviation: 1, feature: 0 }],
      },
    },
    { event: "points", data: { points: [], leftOut: 0 } },
    { event: "now", data: { steps: 1, boot: 1, sequence: 0, alarm: false, held: 0, state: [{ name: "h", count: 8 }] } },
  ]);
  await world.publish("b", 0);
  for (const sequence of [1, 2, 5]) await world.publish("a", sequence, sequence === 2 ? { feature0: null } : {});
  await until("they are told", () => pointsIn(watcher.told).length === 3);
  const points = pointsIn(watcher.told);
  t.strictSame(
    points.map(({ sequence, missed }) => [sequence, missed]),
    [
      [1, 0],
      [2, 0],
      [5, 2],
    ],
  );
  t.equal(points[1]!.values[1], null, "a missing value is none");
  t.equal(points[0]!.values[0], Math.fround(10 * Math.sin(1 / 5)));
  t.equal(points[0]!.outputs.length, 2);
  t.match(points[0], { score: Number, alarm: false });
  watcher.close();
  const other = listen(`${world.url}live?stream=nobody`);
  await until("it is told", () => other.told.length > 0);
  t.match(other.told[0], { event: "gone", data: { stream: "nobody" } });
  other.close();
  const again = listen(`${world.url}live?stream=a`);
  await until("it begins", () => again.told.length >= 3);
  t.equal(pointsIn(again.told).length, 3, "who comes back finds what was shown");
  again.close();
});

t.test("alarms are told to the log, and to the page in words, with what was unusual", async (t) => {
  const one = await box();
  await one.deliver(reading("a", 0));
  const noted: unknown[] = [];
  const watch = new StreamWatch(one.state.fold, one.clock, (alarm) => noted.push(alarmDetails(alarm)));
  const contributions = [
    { feature: "feature1", expected: 1.25, seen: 9.5, share: 0.8 },
    { feature: "feature0", expected: 101_320, seen: 101_321, share: 0.2 },
  ];
  const label = { stream: "a", boot: 1, nonce: 9, sequence: 1, time: Date.UTC(2026, 0, 1), score: 0.7 };
  const opened = encodeAlarm({ ...label, open: true, kind: "residual", probability: 1e-7, extrapolated: false, contributions });
  const event = {
    kind: "readings",
    group: 0,
    row: 0,
    firstSequence: 1,
    count: 1,
    times: Float64Array.of(1),
    features: 2,
    values: Float32Array.of(1, 2),
    outputs: Float32Array.of(3),
    alarms: [opened],
  } as const;
  t.ok(watch.wants("b", event as unknown as ReadingsEvent), "alarms are seen whoever watches");
  t.notOk(watch.wants("b", { ...event, alarms: [] } as unknown as ReadingsEvent));
  const prediction = examplePrediction;
  watch.released({ stream: "a", event: event as unknown as ReadingsEvent, prediction });
  const closed = encodeAlarm({ ...label, open: false });
  watch.released({ stream: "b", event: { ...event, alarms: [closed] } as unknown as ReadingsEvent, prediction });
  t.strictSame(noted, [
    { stream: "a", score: "0.7", kind: "residual", because: "feature1 80 %, feature0 20 %" },
    { stream: "a", score: "0.7" },
  ]);
  const { alarmWords } = (await import(new URL("../../src/dashboard/page/alarm-words.js", import.meta.url).href)) as {
    readonly alarmWords: (standing: unknown, units: ReadonlyMap<string, string>, now: number) => string;
  };
  const standing = { open: true, since: label.time, kind: "residual", contributions };
  t.match(
    alarmWords(standing, new Map([["feature1", "mm/s"]]), 0),
    /^An alarm opened at .*: readings differ from what was predicted\. feature1 9\.5 mm\/s where 1\.25 mm\/s was expected \(80 % of it\); feature0 101321 where 101320 was expected \(20 % of it\)\.$/,
  );
  const closedLater = { ...standing, open: false, closed: label.time + 60_000, said: "fault", muted: 2000 };
  t.match(
    alarmWords(closedLater, new Map(), 1000),
    /^The last alarm opened at .*\. It closed at .*\. It was called a fault\. No alarms are raised until .*\.$/,
  );
  t.match(alarmWords(closedLater, new Map(), 2000), /It was called a fault\.$/, "a mute that is over is not told");
  t.equal(alarmWords({}, new Map(), 0), "");
  watch.close();
  one.pipeline.stop();
});

t.test("a browser that takes nothing keeps no reading waiting, and holds a bounded part of memory", async (t) => {
  const world = await DashboardWorld.open({ folder: t.testdir({}) });
  t.teardown(() => world.close());
  await world.publish("a", 0);
  await until("it is stepped", () => world.accepted === 1);
  // Opened, asked, and never read from.
  const { port } = new URL(world.url);
  const sockets = ["live", "live?stream=a", "live?stream=a"].map((path) => {
    const socket = connect({ port: Number(port), host: "127.0.0.1" }).pause();
    socket.on("error", () => {});
    socket.write(`GET /${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    return socket;
  });
  t.teardown(() => sockets.forEach((socket) => socket.destroy()));
  const watcher = listen(`${world.url}live?stream=a`);
  await until("it begins", () => watcher.told.some(({ event }) => event === "now"));
  const COUNT = 4000;
  for (let from = 1; from < COUNT; from += 500)
    await Promise.all(Array.from({ length: 500 }, (_, i) => world.publish("a", from + i)));
  await until("all are stepped", () => world.accepted > COUNT - 500);
  await until("the other browser has the last", () => pointsIn(watcher.told).at(-1)?.sequence === COUNT);
  const updates = watcher.told.filter(({ event }) => event === "points") as { data: { points: Point[]; leftOut: number } }[];
  t.ok(updates.every(({ data }) => data.points.length <= limits.dashboardPointsPerUpdateMax + 1));
  const told = updates.reduce((sum, { data }) => sum + data.points.length + data.leftOut, 0);
  t.equal(told, COUNT, "what was left out was counted");
  watcher.close();
});

t.test("a browser that lags gets no more until it has taken what there is, and is cut off after half a minute", async (t) => {
  const response = Object.assign(new EventEmitter(), {
    writableLength: 0,
    written: [] as string[],
    write: (text: string) => void response.written.push(text),
    destroy: () => void response.emit("close"),
  });
  const client = new EventClient(response as unknown as ServerResponse);
  const clock = new FakeClock();
  const log = new LogMemory(silentLog, clock);
  const setting = { version: "1.0.0", broker: "b", durability: "strict", state: "s", commands: false } as const;
  const status = { groups: [], broker: {}, outbox: {}, metrics: {} } as unknown as Status;
  const standing = () => Promise.resolve({ status, troubles: [], freeBytes: 1, alarms: 0 });
  const feed = new LiveFeed({ metrics: new Metrics(), clock, log, setting, standing });
  feed.start();
  await feed.add(client);
  t.strictSame(
    response.written.map((text) => text.split("\n")[0]),
    ["event: setting", "event: history", "event: lines", "event: standing"],
  );
  response.writableLength = limits.dashboardBufferBytesMax + 1;
  log.warn("one");
  log.warn("two");
  t.equal(response.written.length, 4, "nothing is heaped up");
  response.writableLength = 0;
  log.warn("three");
  t.match(response.written[4], /^event: lines\ndata: \[\{"id":3,.*"text":"three","details":\{\}\}\]\n\n$/);
  response.writableLength = limits.dashboardBufferBytesMax + 1;
  log.warn("four");
  clock.advance(limits.dashboardLagMsMax - 1);
  log.warn("five");
  t.ok(client.isOpen);
  clock.advance(2);
  log.warn("six");
  t.notOk(client.isOpen);
  feed.stop();
});

t.test("pages and streams that are open are bounded", async (t) => {
  const world = await DashboardWorld.open({ folder: t.testdir({}) });
  t.teardown(() => world.close());
  const watchers = Array.from({ length: limits.dashboardWatchersMax }, () => listen(`${world.url}live`));
  await until("all are open", () => watchers.every(({ told }) => told.some(({ event }) => event === "standing")));
  t.match(await world.ask("live"), { status: 503, body: "too many pages are open; close one\n" });
  watchers.pop()!.close();
  let last = 503;
  for (let i = 0; i < 200 && last === 503; i++) {
    await sleep(10);
    const again = listen(`${world.url}live`);
    await sleep(20);
    last = again.told.length > 0 ? 200 : 503;
    again.close();
  }
  t.equal(last, 200, "one that is closed makes room");
  for (const watcher of watchers) watcher.close();
});

t.test("states are changed only where the config lets the page do it", async (t) => {
  const post = { method: "POST", headers: { "content-type": "application/json" } };
  const reset = JSON.stringify({ command: "reset", stream: "a", transaction: "t-1" });
  const closed = await DashboardWorld.open({ folder: t.testdir({ one: {} }) });
  await closed.publish("a", 0);
  await until("it is stepped", () => closed.accepted === 1);
  t.match(await closed.ask("command", { ...post, body: reset }), { status: 403, body: /dashboard\.commands is false/ });
  const saved = JSON.parse((await closed.ask("state?stream=a")).body) as { state: { h: number[] } };
  t.equal(saved.state.h.length, 8, "to read it is no change");
  await closed.close();

  const open = await DashboardWorld.open({ folder: t.testdir({ two: {} }), dashboard: { commands: true } });
  t.teardown(() => open.close());
  await open.publish("a", 0);
  await until("it is stepped", () => open.accepted === 1);
  t.match(await open.ask("command", { ...post, body: reset }), { status: 200, body: /"ok":true,"command":"reset","stream":"a"/ });
  t.ok((await open.started.runtime.getState("a")).state["h"]!.every((value) => value === 0));
  const set = { command: "set", stream: "a", transaction: "t-2", state: saved.state };
  t.equal((await open.ask("command", { ...post, body: JSON.stringify(set) })).status, 200);
  t.strictSame((await open.started.runtime.getState("a")).state, saved.state);
  const cases: [string, number, RegExp][] = [
    [JSON.stringify({ ...set, transaction: "t-3", state: { h: [1] } }), 400, /"error":"cannot set the state/],
    [JSON.stringify({ ...set, transaction: "t-4", stream: "b" }), 404, /there is no stream \\"b\\"/],
    [JSON.stringify({ ...set, command: "rename", to: "c" }), 400, /the page can reset and set states/],
    [
      JSON.stringify({ command: "mute", stream: "a", transaction: "t-5", until: 8e15 }),
      400,
      /has no scores; add \\"score: {}\\" to it/,
    ],
    ["[]", 400, /the page can reset and set states/],
    ["null", 400, /the page can reset and set states/],
    ["{", 400, /the body is not JSON/],
  ];
  const version = open.started.runtime.status().groups[0]!.version;
  cases.push(
    [JSON.stringify({ command: "tune", group: "presses" }), 400, /group \\"presses\\": it does not learn/],
    [JSON.stringify({ command: "rollback", group: "presses" }), 400, /no version was in force before the present one/],
    [
      JSON.stringify({ command: "restore", group: "presses", version: "../x" }),
      400,
      /not in force for group \\"presses\\" before; what was: none/,
    ],
    [JSON.stringify({ command: "restore", group: "a", version }), 400, /there is no group \\"a\\"/],
  );
  for (const [body, status, words] of cases) t.match(await open.ask("command", { ...post, body }), { status, body: words }, body);
  t.equal((await open.ask("command")).status, 404, "a link cannot command");
  const large = `{"a":"${"x".repeat(limits.dashboardBodyBytesMax)}"}`;
  await open.ask("command", { ...post, body: large }).then(
    ({ status }) => t.equal(status, 400),
    () => t.pass("it was cut off"),
  );
  t.equal((await open.ask("healthz")).status, 200);
});

t.test("the list finds by part of a name, sorts and cuts windows", async (t) => {
  const one = await box();
  for (const [i, name] of ["b", "a", "C", "ab"].entries()) {
    for (let sequence = 0; sequence <= i; sequence++) await one.deliver(reading(name, sequence));
    one.clock.advance(1000);
  }
  const list = new StreamList(one.state.fold, one.clock);
  const names = async (search: string, order: "name" | "silent" | "readings", from = 0, count = 10): Promise<string[]> =>
    (await list.window({ search, order, alarmsOnly: false }, from, count)).rows.map(({ stream }) => stream);
  t.strictSame(await names("", "name"), ["C", "a", "ab", "b"]);
  t.strictSame(await names("", "silent"), ["b", "a", "C", "ab"]);
  t.strictSame(await names("", "readings"), ["ab", "C", "a", "b"]);
  t.strictSame(await names("B", "name"), ["ab", "b"]);
  t.strictSame(await names("", "name", 1, 2), ["a", "ab"]);
  t.strictSame(await names("g", "name"), ["C", "a", "ab", "b"], "a group's name finds its streams");
  const none = await list.window({ search: "", order: "name", alarmsOnly: true }, 0, 10);
  t.match(none, { streams: 4, alarms: 0, found: 0, rows: [] });
  const before = await list.window({ search: "", order: "name", alarmsOnly: false }, 0, 1000);
  t.match(before, { rows: [{ stream: "C", group: "g", steps: 3, alarm: false }, {}, {}, {}] });
  one.pipeline.stop();
});

t.test("a muted stream is shown as such, its alarm as none that is open, and what was said of it beside it", async (t) => {
  const one = await box({}, { score: { budget: "1/day" } });
  for (let i = 0; i < 252; i++) {
    one.clock.advance(60_000);
    await one.deliver(reading("a", i, { feature0: 101_320 + Math.sin(i * 1.7) + (i === 250 ? 500 : 0) }));
  }
  const told: Told[] = [];
  const watch = new StreamWatch(one.state.fold, one.clock, () => {});
  const client = { send: (event: string, data: unknown) => told.push({ event, data }), whenClosed() {} };
  const list = new StreamList(one.state.fold, one.clock);
  const look = async (): Promise<unknown> => {
    one.clock.advance(1001);
    const { alarms, rows } = await list.window({ search: "", order: "name", alarmsOnly: false }, 0, 10);
    return { alarms, rows, now: told.findLast(({ event }) => event === "now")!.data };
  };
  watch.add("a", client as unknown as EventClient);
  const opened = { open: true, kind: String, since: Number, contributions: [{ feature: "feature0" }] };
  t.match(await look(), { alarms: 1, rows: [{ alarm: true, muted: false }], now: { alarm: true, alarms: opened } });
  const until = one.clock.wallMs() + 3_600_000;
  await one.control.muteAlarms("a", until);
  await one.control.callAlarm("a", "fault");
  const muted = { alarm: false, alarms: { ...opened, muted: until, said: "fault" } };
  t.match(await look(), { alarms: 0, rows: [{ alarm: false, muted: true }], now: muted });
  await one.control.muteAlarms("a", undefined);
  await one.control.callAlarm("a", "normal");
  await one.control.setAlarmBudget("a", "3/week");
  const closed = { alarm: false, alarms: { open: false, closed: Number, said: "normal", budget: 3 }, budget: 7 };
  t.match(await look(), { alarms: 0, rows: [{ alarm: false, muted: false }], now: closed });
  watch.close();
  one.pipeline.stop();
});

t.test("thinning keeps the ends, the gaps and the changes of an alarm", async (t) => {
  const random = createRandom(5);
  const points = Array.from({ length: 1000 }, (_, i): Point => ({
    time: i,
    sequence: i,
    missed: i === 333 ? 2 : 0,
    values: [random.next()],
    outputs: [],
    score: 0,
    alarm: i >= 501 && i < 504,
  }));
  const kept = thin(points, 50);
  t.ok(kept.length >= 50 && kept.length <= 55, String(kept.length));
  for (const sequence of [0, 333, 501, 504, 999])
    t.ok(
      kept.some((point) => point.sequence === sequence),
      String(sequence),
    );
  t.equal(thin(points.slice(0, 50), 50).length, 50);
});

t.test("rates and latencies are those of the last samples", async (t) => {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const told: unknown[] = [];
  const sampler = new Sampler(metrics, clock, (sample) => told.push(sample));
  sampler.start();
  metrics.counter("readings_accepted").add(10);
  metrics.counter("readings_refused", "range").add(1);
  metrics.counter("messages_refused", "shape").add(1);
  for (let i = 0; i < 100; i++) metrics.histogram("message_latency").observe(1.5);
  clock.advance(limits.dashboardSampleMs);
  t.match(told, [{ readingsPerSecond: 5, refusedPerSecond: 1, confirmedPerSecond: 0, latencyMsP50: 1.5, latencyMsP99: 1.99 }]);
  clock.advance(limits.dashboardSampleMs);
  t.match(told[1], { readingsPerSecond: 0, latencyMsP50: null, latencyMsP99: null });
  t.match(sampler.latency("message_latency"), { count: 100, msP50: 1.5 });
  clock.advance(60_000);
  t.equal(sampler.latency("message_latency").count, 0, "a minute later they are forgotten");
  clock.advance(1000 * limits.dashboardSampleMs);
  t.equal(sampler.samples.length, limits.dashboardSamplesMax);
  sampler.stop();
  const count = told.length;
  clock.advance(60_000);
  t.equal(told.length, count);
});

t.test("the last lines of the log are kept, with texts of bounded length", async (t) => {
  const passed: string[] = [];
  const clock = new FakeClock();
  const log = new LogMemory({ ...silentLog, warn: (text) => passed.push(text) }, clock);
  log.debug("not kept");
  for (let i = 0; i < limits.dashboardLinesMax + 5; i++) log.warn(`line ${i}`, { i, long: "x".repeat(1000), groups: ["a"] });
  t.equal(passed.length, limits.dashboardLinesMax + 5);
  t.equal(log.lines.length, limits.dashboardLinesMax);
  t.match(log.lines.at(-1), {
    id: limits.dashboardLinesMax + 5,
    kind: "warn",
    details: { i: String(limits.dashboardLinesMax + 4), long: /^x{300}\.\.\.$/, groups: '["a"]' },
  });
});

t.test("predictions are drawn at the time they are for, and for nothing where readings are missing", async (t) => {
  const { columnOf, forecastColumns, gapsOf, meanError } = (await import(
    new URL("../../src/dashboard/page/stream-points.js", import.meta.url).href
  )) as {
    readonly forecastColumns: (points: unknown[], output: unknown, index: number) => (number | null)[][];
    readonly columnOf: (points: unknown[], valueOf: (point: { score: number }) => number) => (number | null)[][];
    readonly gapsOf: (points: unknown[]) => unknown;
    readonly meanError: (columns: (number | null)[][]) => number | undefined;
  };
  const point = (sequence: number, value: number | null, mean: number, missed = 0) => ({
    time: sequence * 1000,
    sequence,
    missed,
    values: [value],
    outputs: [mean, 0.5],
    score: sequence / 10,
  });
  const points = [point(0, 1, 2), point(1, 3, 4), point(2, null, 5), point(5, 7, 8, 2)];
  t.strictSame(forecastColumns(points, { feature: 0, horizon: 1, deviation: 1 }, 0), [
    [0, 1, 2, 5, 6],
    [1, 3, null, 7, null],
    [null, 2, 4, null, 8],
    [null, 2 - 0.8225, 4 - 0.8225, null, 8 - 0.8225],
    [null, 2 + 0.8225, 4 + 0.8225, null, 8 + 0.8225],
  ]);
  const [seconds, , ahead] = forecastColumns(points.slice(0, 3), { feature: 0, horizon: 2, deviation: -1 }, 0);
  t.strictSame(seconds, [0, 1, 2, 3, 4]);
  t.strictSame(ahead, [null, null, 2, 4, 5]);
  t.strictSame(forecastColumns([], { feature: 0, horizon: 1, deviation: -1 }, 0), [[], [], [], [], []]);
  t.strictSame(gapsOf(points), { gaps: 1, missed: 2 });
  t.equal(meanError([[], [1, 3, null, 7], [null, 2, 4, 4]]), 2);
  t.equal(meanError([[], [1], [null]]), undefined);
  t.strictSame(
    columnOf(points.slice(0, 2), ({ score }) => score),
    [
      [0, 1],
      [0, 0.1],
    ],
  );
});
