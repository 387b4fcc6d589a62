// Devices whose messages carry some of the features: what is kept, what steps, how long a value stands in, and that a crash changes none of it.
import t from "tap";
import { box as start, offline, outputsOf } from "../support/one-group.ts";
import type { Box, Message } from "../support/box.ts";

const MINUTE_MS = 60_000;

function message(values: Readonly<Record<string, number | null>>, device = "a"): Message {
  return { topic: `s/${device}/r`, payload: JSON.stringify(values), qos: 0 };
}

const pressure = (value: number): Message => message({ feature0: 101_320 + value });
const other = (value: number): Message => message({ feature1: value });

async function say(box: Box, ...messages: readonly Message[]): Promise<void> {
  for (const one of messages) await box.deliver(one);
}

function steps(box: Box): Record<string, number> {
  return Object.fromEntries(box.control.listStreams().map(({ stream, steps }) => [stream, steps]));
}

function facts(box: Box): Record<string, number> {
  const counters = box.counters("readings_");
  return { kept: counters["readings_kept"] ?? 0, refused: counters['readings_refused{reason="missing"}'] ?? 0 };
}

t.test("values that come one by one are kept until a reading is whole, and then stand in for each other", async (t) => {
  const box = await start({}, { holdFor: "10m" });
  await say(box, pressure(1));
  t.strictSame(facts(box), { kept: 1, refused: 0 });
  t.strictSame(outputsOf(box), [], "nothing has been stepped");
  await say(box, other(0.5), pressure(2), other(0.25));
  t.strictSame(
    outputsOf(box),
    offline([
      [101_321, 0.5],
      [101_322, 0.5],
      [101_322, 0.25],
    ]).map(Math.fround),
  );
  t.strictSame(facts(box), { kept: 1, refused: 0 });
});

t.test("a value stands in for as long as the config says, by the readings' times, however many they are", async (t) => {
  const box = await start({}, { holdFor: "10m" });
  await say(box, message({ feature0: 101_320, feature1: 0.5 }));
  for (let i = 0; i < 20; i++) {
    box.clock.advance(MINUTE_MS / 2);
    await say(box, pressure(i));
  }
  t.equal(outputsOf(box).length, 21, "more than holdReadings");
  box.clock.advance(MINUTE_MS / 2);
  await say(box, pressure(20));
  t.strictSame(facts(box), { kept: 1, refused: 0 }, "too old by now: the new value is kept, and nothing is stepped");
  await say(box, other(0.75));
  t.equal(outputsOf(box).length, 22, "the other one has come again, and what was kept meanwhile stands beside it");
});

t.test("only what stepOn names makes a step; the rest is kept", async (t) => {
  const box = await start({}, { holdFor: "10m", stepOn: ["feature1"] });
  await say(box, pressure(1), pressure(2), other(0.5), pressure(3), pressure(4), other(0.25));
  t.strictSame(
    outputsOf(box),
    offline([
      [101_322, 0.5],
      [101_324, 0.25],
    ]).map(Math.fround),
  );
  t.strictSame(facts(box), { kept: 4, refused: 0 });
});

t.test("readings of one message are kept and stepped in their order", async (t) => {
  const box = await start({}, { holdFor: "10m", stepOn: ["feature1"] });
  const rows = [
    { feature0: 101_321 },
    { feature1: 0.5 },
    { feature0: 101_322 },
    { feature0: 101_323 },
    { feature0: 101_324, feature1: 0.25 },
  ];
  await say(box, { topic: "s/a/r", payload: JSON.stringify(rows), qos: 0 });
  t.strictSame(
    outputsOf(box),
    offline([
      [101_321, 0.5],
      [101_324, 0.25],
    ]).map(Math.fround),
  );
});

t.test("what is kept and since when survives a crash, from the journal and from a checkpoint", async (t) => {
  for (const checkpoint of [false, true]) {
    const box = await start({}, { holdFor: "10m" });
    await say(box, pressure(1), message({ feature0: 101_330, feature1: 0.5 }));
    box.clock.advance(6 * MINUTE_MS);
    await say(box, pressure(2), message({ feature0: 101_000 }, "b"));
    if (checkpoint) await box.pipeline.checkpoint();
    box.crash(7);
    await box.start();
    t.equal(box.recovered.mismatches, 0);
    t.equal(box.state.fold.streamCount, 2, "a stream that has only been heard of is one");
    await say(box, pressure(3));
    t.strictSame(steps(box), { a: 3, b: 0 }, "six minutes old");
    box.clock.advance(5 * MINUTE_MS);
    await say(box, pressure(4));
    t.strictSame(steps(box), { a: 3, b: 0 }, "eleven minutes old");
    await say(box, other(1), message({ feature1: 2 }, "b"));
    t.strictSame(steps(box), { a: 4, b: 1 }, "b's first value is five minutes old");
  }
});

t.test("a reading with an identity, or without any value, is not kept", async (t) => {
  const box = await start({}, { holdFor: "10m" });
  await say(box, message({ feature0: 1, boot: 1, nonce: 2, sequence: 3 }), message({ feature0: null, feature1: null }));
  t.strictSame(facts(box), { kept: 0, refused: 2 });
  const refusing = await start({}, { holdFor: "10m", missing: { feature1: "refuse" } });
  await say(refusing, pressure(1));
  t.strictSame(facts(refusing), { kept: 0, refused: 1 });
  const plain = await start();
  await say(plain, pressure(1), other(1));
  t.strictSame(facts(plain), { kept: 0, refused: 2 }, "without holdFor readings are whole or refused");
});
