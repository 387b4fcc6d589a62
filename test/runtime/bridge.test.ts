// What a runtime says of itself and its streams: when, once, and again when it has to.
import t from "tap";
import { Composer } from "../../src/pipeline/compose.ts";
import type { Fold } from "../../src/pipeline/fold.ts";
import { Announcements } from "../../src/runtime/announcements.ts";
import { Bridge, healthOf } from "../../src/runtime/bridge.ts";
import type { BridgeOptions } from "../../src/runtime/bridge.ts";
import { text } from "../support/box.ts";
import type { Box } from "../support/box.ts";
import { box as startBox, reading, turns } from "../support/one-group.ts";

const DEVICE = (stream: string): string => `homeassistant/device/hiddenstate_box_${stream}/config`;

interface Bridged {
  readonly box: Box;
  readonly bridge: Bridge;
  /** What has been said since the last call, by topic, in order. */
  readonly said: () => Promise<Record<string, string>>;
}

async function bridged(more: Partial<BridgeOptions> = {}, group: Readonly<Record<string, unknown>> = {}): Promise<Bridged> {
  const box = await startBox({ segmentBytes: 256 * 1024 }, group);
  const announcements = new Announcements(box.outbox);
  const bridge = new Bridge({
    node: "box",
    announcements,
    fold: box.state.fold,
    clock: box.clock,
    homeAssistant: "homeassistant",
    formerHomeAssistant: undefined,
    takesCommands: false,
    tunes: () => false,
    settled: () => box.pipeline.drain(),
    health: () => healthOf(box.metrics, { upSeconds: 7, intakeUp: true, unconfirmed: box.outbox.count }),
    ...more,
  });
  bridge.start();
  const said = async (): Promise<Record<string, string>> => {
    box.clock.advance(1000);
    await turns();
    const messages: Record<string, string> = {};
    for (let entry = announcements.next(); entry !== undefined; entry = announcements.next()) {
      announcements.confirm(entry);
      // Predictions and dead letters are not retained.
      if (entry.retain) messages[entry.topic] = text(entry.payload);
    }
    return messages;
  };
  return { box, bridge, said };
}

t.test("a connection is told that the runtime is there, how it is doing and what streams it has", async (t) => {
  const { box, bridge, said } = await bridged();
  bridge.connected();
  await box.deliver(reading("a", 0));
  await box.deliver({ topic: "s/a/r", payload: "?" });
  const messages = await said();
  t.strictSame(Object.keys(messages), [
    "hiddenstate/box/state",
    "hiddenstate/box/health",
    "hiddenstate/box/streams",
    DEVICE("a"),
  ]);
  t.equal(messages["hiddenstate/box/state"], "online");
  t.match(JSON.parse(messages["hiddenstate/box/health"]!), {
    upSeconds: 7,
    intakeUp: true,
    diskFull: false,
    streams: 1,
    readingsAccepted: 1,
    readingsRefused: 0,
    messagesRefused: 1,
  });
  t.strictSame(JSON.parse(messages["hiddenstate/box/streams"]!), { count: 1, streams: [{ stream: "a", group: "g" }] });
  t.match(JSON.parse(messages[DEVICE("a")]!), {
    device: { name: "a", model: "g" },
    components: { output_0: { name: "output0" } },
    state_topic: "hiddenstate/box/prediction/a",
  });
  t.strictSame(await said(), {}, "nothing is said twice");
  box.clock.advance(60_000);
  t.strictSame(Object.keys(await said()), ["hiddenstate/box/health"], "but how it is doing, once a minute");
});

t.test("streams that come and are renamed are announced, and none that has gone before its turn came", async (t) => {
  const { box, bridge, said } = await bridged();
  await box.deliver(reading("a", 0));
  await said();
  await box.deliver(reading("b", 0));
  t.strictSame(Object.keys(await said()), ["hiddenstate/box/streams", DEVICE("b")]);
  await box.control.renameStream("b", "c");
  t.strictSame(Object.keys(await said()), ["hiddenstate/box/streams", DEVICE("c")]);
  bridge.connected();
  box.clock.advance(1000);
  const { group, row } = box.state.fold.find("a")!;
  box.state.fold.removeStream(group, row);
  t.match(await said(), { [DEVICE("a")]: "", [DEVICE("c")]: /"name":"c"/ });
});

t.test(
  "of a scored stream it is retained how many alarms are few enough, and anew when a person or the config says otherwise",
  async (t) => {
    const scored = { score: { budget: "1/year" } };
    const { box, bridge, said } = await bridged({ takesCommands: true, tunes: (group) => group === "g" }, scored);
    await box.deliver(reading("a", 0));
    await box.deliver(reading("b", 0));
    const budget = async (stream: string): Promise<unknown> => {
      const { [`hiddenstate/box/budget/${stream}`]: payload } = await said();
      return payload === undefined || payload === "" ? payload : JSON.parse(payload);
    };
    const first = await said();
    t.strictSame(JSON.parse(first["hiddenstate/box/budget/a"]!), { stream: "a", perWeek: 0.02, own: false });
    t.ok("hiddenstate/box/budget/b" in first);
    const { components } = JSON.parse(first[DEVICE("a")]!) as { components: Readonly<Record<string, { readonly p: string }>> };
    t.match(components, { budget: { p: "number" }, tune: { p: "button" } });
    await box.control.setAlarmBudget("a", "3/day");
    t.strictSame(await budget("a"), { stream: "a", perWeek: 21, own: true });
    t.equal(await budget("b"), undefined, "nothing is said twice");
    bridge.connected();
    t.strictSame(await budget("a"), { stream: "a", perWeek: 21, own: true });
    await box.pipeline.changeEpoch((present) => ({
      ...present,
      groups: present.groups.map((group) => ({ ...group, score: { falseAlarmsPerWeek: 7 } })),
    }));
    t.strictSame(await budget("b"), { stream: "b", perWeek: 7, own: false });
    await box.control.setAlarmBudget("a", undefined);
    t.strictSame(await budget("a"), { stream: "a", perWeek: 7, own: false });
    await box.control.setAlarmBudget("b", "2/day");
    const { group, row } = box.state.fold.find("b")!;
    box.clock.advance(1000);
    await turns();
    box.state.fold.removeStream(group, row);
    t.equal(await budget("b"), "", "one that has gone before its turn came");
  },
);

t.test("everything is said again when a connection stands, and when Home Assistant has started", async (t) => {
  const { box, bridge, said } = await bridged();
  await box.deliver(reading("a", 0));
  await said();
  bridge.connected();
  t.strictSame(Object.keys(await said()), [
    "hiddenstate/box/state",
    "hiddenstate/box/health",
    "hiddenstate/box/streams",
    DEVICE("a"),
  ]);
  const heard = (topic: string, payload: string): boolean => bridge.hears({ topic, payload: Buffer.from(payload) });
  t.equal(heard("homeassistant/status", "offline"), true);
  t.strictSame(await said(), {});
  t.equal(heard("homeassistant/status", "online"), true);
  t.ok(DEVICE("a") in (await said()));
  t.equal(heard("other/status", "online"), false);
});

t.test("a stream is announced once it is durable, and not before", async (t) => {
  let settle: () => void = () => {};
  const settled = (): Promise<void> => new Promise((resolve) => (settle = resolve));
  const { box, said } = await bridged({ settled });
  await box.deliver(reading("a", 0));
  t.notOk(DEVICE("a") in (await said()));
  await box.deliver(reading("b", 0));
  settle();
  const first = await said();
  t.ok(DEVICE("a") in first);
  t.notOk(DEVICE("b") in first, "nor is one that came meanwhile");
  await said();
  settle();
  t.ok(DEVICE("b") in (await said()));
});

t.test("where the config no longer wants them, devices are taken back at the start", async (t) => {
  const box = await startBox();
  await box.deliver(reading("a", 0));
  const announcements = new Announcements(box.outbox);
  box.publishAll();
  new Bridge({
    node: "box",
    announcements,
    fold: box.state.fold,
    clock: box.clock,
    homeAssistant: undefined,
    formerHomeAssistant: "homeassistant",
    takesCommands: false,
    tunes: () => false,
    settled: () => Promise.resolve(),
    health: () => healthOf(box.metrics, { upSeconds: 0, intakeUp: true, unconfirmed: 0 }),
  }).start();
  const entry = announcements.next()!;
  t.strictSame([entry.topic, entry.payload.length, entry.retain], [DEVICE("a"), 0, true]);
});

t.test("the events that remove and rename a stream take back its device, too", async (t) => {
  const settings = { predictions: { latest: false }, score: { falseAlarmsPerWeek: 1 } };
  const fold = { settings: { node: "box", homeAssistant: "homeassistant" }, groups: [{ settings }] } as unknown as Fold;
  const composer = new Composer(fold);
  const goodbye = ["hiddenstate/box/alarm/a", DEVICE("a"), "hiddenstate/box/budget/a"].map((topic) => ({
    topic,
    payload: new Uint8Array(0),
    retain: true,
  }));
  t.strictSame(composer.messagesOf({ kind: "streamRemoved", group: 0, row: 0, key: "a" }), goodbye);
  const command = { group: 0, row: 0, transaction: "t", reply: false };
  t.strictSame(composer.messagesOf({ kind: "streamRenamed", ...command, from: "a", key: "b" }), goodbye);
});

t.test("taking leave comes before whatever was still to be said", async (t) => {
  const { box, bridge, said } = await bridged();
  await box.deliver(reading("a", 0));
  box.clock.advance(1000);
  bridge.stop();
  t.strictSame(await said(), { "hiddenstate/box/state": "offline" });
});

t.test("predictions go out before announcements, and each is confirmed where it came from", async (t) => {
  const box = await startBox();
  const announcements = new Announcements(box.outbox);
  let calls = 0;
  announcements.onAvailable(() => calls++);
  announcements.offer("x", () => Buffer.from("old"));
  announcements.offer("y", () => Buffer.from("y"));
  announcements.offer("x", () => Buffer.from("new"));
  t.equal(calls, 3);
  await box.deliver(reading("a", 0));
  const taken = [announcements.next()!, announcements.next()!, announcements.next()!];
  t.equal(announcements.next(), undefined);
  t.strictSame(
    taken.map(({ topic }) => topic),
    ["hiddenstate/box/prediction/a", "y", "x"],
  );
  t.equal(text(taken[2]!.payload), "new", "the newest of a topic");
  for (const entry of taken) announcements.confirm(entry);
  t.equal(box.outbox.count, 0);
});
