import t from "tap";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { hasKernel } from "../../src/kernels/simd-module.ts";
import { kernelVersions } from "../../src/kernels/recurrent-network.ts";
import { Box, text } from "../support/box.ts";
import type { Message } from "../support/box.ts";
import { box, group, model, models, offline, outputsOf, reading } from "../support/one-group.ts";
import { needsOnnxruntime } from "../support/onnxruntime.ts";
import { randomModel } from "../support/random-model.ts";

t.test("a reading is stepped once, published and settled only when it is durable", async (t) => {
  const one = await box();
  let synced = false;
  one.disk.intercept = (call) => {
    if (call === "datasync") synced = true;
  };
  await one.deliver(reading("a", 0));
  t.ok(synced, "settled after the sync");
  t.strictSame(outputsOf(one), offline([[101_320, 0]]));
  const message = JSON.parse(text(one.published[0]!.payload)) as Record<string, unknown>;
  t.match(message, {
    id: `a/1/0/${model.version.slice(0, 16)}`,
    stream: "a",
    boot: 1,
    nonce: 9,
    sequence: 0,
    engine: "native",
    count: 1,
  });
  t.equal(one.published[0]!.topic, "hiddenstate/box/prediction/a");
});

t.test("nothing leaves while the disk is at work", async (t) => {
  const one = await box();
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const datasync = one.disk.open.bind(one.disk);
  one.disk.open = async (path, mode) => datasync(path, mode);
  const journal = one.state.journal;
  const append = journal.append.bind(journal);
  journal.append = async (block) => {
    await held;
    return append(block);
  };
  let settled = false;
  const done = one.deliver(reading("a", 0)).then(() => {
    settled = true;
  });
  const asked = one.control.getState("a").then(() => {
    t.ok(settled, "an answer leaves after what came before it");
  });
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  one.publishAll();
  t.notOk(settled);
  t.strictSame(one.published, []);
  release();
  await done;
  await asked;
});

t.test("repeats, gaps, restarts and stale boots are told apart, and each is counted", async (t) => {
  const one = await box();
  for (const sequence of [0, 1, 1, 0, 4, 5]) await one.deliver(reading("a", sequence));
  await one.deliver(reading("a", 0, {}, 2, 10));
  await one.deliver(reading("a", 6));
  await one.deliver(reading("a", 1, {}, 2, 11));
  t.match(one.counters("readings"), {
    readings_received: 9,
    readings_accepted: 5,
    readings_missed: 2,
    'readings_refused{reason="duplicate"}': 2,
    'readings_refused{reason="stale_boot"}': 1,
    'readings_refused{reason="boot_conflict"}': 1,
  });
  t.match((await one.control.getState("a")).facts, { steps: 5, boot: 2, sequence: 0 });
  one.clock.advance(11 * 60_000);
  await one.deliver(reading("a", 0, {}, 1, 12));
  t.match(
    (await one.control.getState("a")).facts,
    { boot: 1, sequence: 0 },
    "a lost boot counter is believed after ten silent minutes",
  );
});

t.test("a message's readings are judged one by one: a refused one leaves a gap of one", async (t) => {
  const one = await box({}, { range: { feature1: [-1, 1] } });
  const rows = [0.1, 0.2, 5, 0.3].map((feature1, i) => ({ boot: 1, nonce: 9, sequence: i, feature0: 101_320, feature1 }));
  await one.deliver({ topic: "s/a/r", payload: JSON.stringify(rows) });
  t.strictSame(outputsOf(one), offline([0.1, 0.2, 0.3].map((value) => [101_320, value])));
  const [prediction, letter] = one.published;
  t.match(JSON.parse(text(prediction!.payload)), { sequence: 0, count: 3, sequences: [0, 1, 3] });
  t.equal(letter!.topic, "hiddenstate/box/dead-letter");
  t.match(JSON.parse(text(letter!.payload)), {
    reason: "range",
    stream: "a",
    readings: 1,
    topic: "s/a/r",
    detail: '"feature1" is 5, outside what the config allows',
  });
  await one.deliver({ topic: "s/a/r", payload: JSON.stringify(rows) });
  t.match(
    one.counters("readings_refused"),
    { 'readings_refused{reason="duplicate"}': 4 },
    "the refused one is below the last accepted",
  );
});

t.test("bad messages are counted by reason, dead-lettered and settled, and the next one is handled", async (t) => {
  const one = await box();
  const huge = `{"feature0": ${"1".repeat(300_000)}}`;
  const bad: [string, Message][] = [
    ["undecodable", { topic: "s/a/r", payload: "hello" }],
    ["undecodable", { topic: "s/a/r", payload: new Uint8Array([255, 254]) }],
    ["shape", { topic: "s/a/r", payload: '{"feature0":"warm"}' }],
    ["oversize", { topic: "s/a/r", payload: huge }],
    ["unknown_topic", { topic: "elsewhere", payload: "{}" }],
    ["range", reading("a", 0, { feature0: 1e300 })],
    ["range", reading("a", 0, { feature0: 2e12 })],
    ["missing", reading("a", 0, { feature0: null })],
  ];
  for (const [, message] of bad) await one.deliver(message);
  one.publishAll();
  t.strictSame(
    one.published
      .map(({ payload }) => (JSON.parse(text(payload)) as { reason: string }).reason)
      .map((reason, i) => (bad[i]![0] === "range" && reason === "nonfinite" ? "range" : reason)),
    bad.map(([reason]) => reason),
  );
  await one.deliver({ ...reading("a", 0), retain: true });
  t.match(one.counters("messages_refused"), { 'messages_refused{reason="retained"}': 1 });
  await one.deliver(reading("a", 0));
  t.equal(outputsOf(one).length, 1);
});

t.test("a stream whose readings were all refused is none, and takes nobody's place", async (t) => {
  const one = await box({ streamsMax: 1 });
  await one.deliver(reading("a", 0, { feature0: null }));
  t.equal(one.state.fold.streamCount, 0);
  t.match(one.counters("readings_refused"), { 'readings_refused{reason="missing"}': 1 });
  await one.deliver(reading("b", 0));
  t.match(one.counters("readings_accepted"), { readings_accepted: 1 });
  one.crash(1);
  await one.start();
  t.ok(one.state.fold.find("b"));
  t.equal(one.state.fold.streamCount, 1);
});

t.test("a flood of bad messages is counted in full and dead-lettered at a bounded rate", async (t) => {
  const one = await box();
  for (let i = 0; i < 500; i++) void one.deliver({ topic: "s/a/r", payload: "x" });
  await one.pipeline.drain();
  one.publishAll();
  t.equal(one.published.length, 100);
  t.match(one.counters("dead_letters"), { dead_letters: 100, dead_letters_suppressed: 400 });
  one.clock.advance(1000);
  for (let i = 0; i < 50; i++) void one.deliver({ topic: "s/a/r", payload: "x" });
  await one.pipeline.drain();
  one.publishAll();
  t.equal(one.published.length, 110);
});

t.test("missing values are held, filled with the training mean or refused, as the config says", async (t) => {
  const one = await box({}, { missing: { feature0: "mean", feature1: "hold" }, holdReadings: 2 });
  await one.deliver(reading("a", 0, { feature1: 0.5 }));
  for (let i = 1; i < 5; i++) await one.deliver(reading("a", i, { feature1: null }));
  await one.deliver(reading("a", 5, { feature0: null, feature1: 0.7 }));
  t.match(one.counters("readings_refused"), { 'readings_refused{reason="missing"}': 2 });
  const mean = model.weights.xMean.data[0]!;
  t.strictSame(
    outputsOf(one),
    offline([
      [101_320, 0.5],
      [101_321, 0.5],
      [101_322, 0.5],
      [mean, 0.7],
    ]),
  );
});

t.test(
  "a replay steps on the kernel that the journal names, to the bit, and the new run on the one that the config names",
  async (t) => {
    const kernels = (["scalar", "plain", "relaxed"] as const).filter(hasKernel);
    const one = await box({}, { kernel: kernels[0] });
    let sequence = 0;
    for (const kernel of [...kernels, "scalar"] as const) {
      one.crash(1);
      one.options = { models, groups: [{ ...group, kernel }] };
      await one.start();
      t.equal(one.recovered.mismatches, 0, kernel);
      t.equal(one.state.fold.groups[0]!.engine.kernel, kernelVersions[kernel]);
      for (let i = 0; i < 5; i++, sequence++) await one.deliver(reading("a", sequence));
    }
    one.crash(1);
    await one.start();
    t.ok(one.recovered.events > 10, `${one.recovered.events} events`);
    t.equal(one.recovered.mismatches, 0);
  },
);

t.test("at a gap the state is carried, decayed or reset, as the config says", async (t) => {
  const at = (seconds: number): { time: number } => ({ time: Date.UTC(2026, 0, 1) + seconds * 1000 });
  for (const gap of ["carry", "reset", { decay: "10s" }]) {
    const one = await box({}, { gap });
    await one.deliver(reading("a", 0, at(0)));
    await one.deliver(reading("a", 1, at(1)));
    const before = (await one.control.getState("a")).state["h"]!;
    await one.deliver(reading("a", 7, at(11)));
    const engine = new NativeEngine(model);
    const slot = engine.allocate();
    const factor = gap === "carry" ? 1 : gap === "reset" ? 0 : Math.exp(-1);
    engine.write(slot, { h: Float32Array.from(before, (value) => Math.fround(value) * Math.fround(factor)) });
    const y = new Float32Array(1);
    engine.step({ slots: Int32Array.of(slot), count: 1, steps: 1, x: Float32Array.of(101_327, Math.sin(7)), y });
    t.equal(outputsOf(one).at(-1), y[0], JSON.stringify(gap));
  }
});

t.test("readings without identity are all taken at QoS 0, and at QoS 1 a repeat is told by packet id and content", async (t) => {
  const one = await box();
  const weak = (more: Partial<Message>): Message => ({ topic: "s/a/r", payload: '{"feature0":101320,"feature1":1}', ...more });
  await one.deliver(weak({ qos: 0 }));
  await one.deliver(weak({ qos: 0 }));
  await one.deliver(weak({ packetId: 5 }));
  await one.deliver(weak({ packetId: 6, dup: true }));
  await one.deliver(weak({ packetId: 5, dup: true }));
  t.match(one.counters("readings"), { readings_accepted: 4, 'readings_refused{reason="duplicate"}': 1 });
  t.match((await one.control.getState("a")).facts, { boot: 0, sequence: 3 });
  one.crash(1);
  await one.start();
  await one.deliver(weak({ packetId: 5, dup: true }));
  t.match(one.counters("readings"), { 'readings_refused{reason="duplicate"}': 1 }, "also after a crash");
  one.pipeline.sessionAnswered("began");
  await one.deliver(weak({ qos: 0 }));
  one.crash(2);
  await one.start();
  await one.deliver(weak({ packetId: 5, dup: true }));
  t.match(one.counters("readings"), { readings_accepted: 1 }, "but not in another session, whatever happened since it began");
  await one.deliver(reading("a", 0));
  await one.deliver(weak({ qos: 0 }));
  t.match(one.counters("readings"), { 'readings_refused{reason="identity_missing"}': 1 });
});

t.test("a session that the broker may have begun just before a crash is taken for another one, and only then", async (t) => {
  const one = await box();
  const weak = { topic: "s/a/r", payload: '{"feature0":101320,"feature1":1}', packetId: 5 };
  const crash = async (seed: number): Promise<void> => {
    one.crash(seed);
    await one.start();
  };
  const { position } = one.state.journal;
  await one.pipeline.connecting();
  one.pipeline.sessionAnswered("began");
  await one.deliver(weak);
  t.equal(one.state.journal.position, position + 2, "a stream and its reading: nothing was remembered that could be doubted");
  await one.pipeline.connecting();
  one.pipeline.sessionAnswered("kept");
  await one.deliver({ ...weak, packetId: 6, dup: true });
  await one.deliver({ ...weak, dup: true });
  t.match(one.counters(""), { 'readings_refused{reason="duplicate"}': 1, session_in_doubt: undefined }, "the broker kept it");

  await one.pipeline.connecting();
  await crash(1);
  await one.pipeline.connecting();
  one.pipeline.sessionAnswered("kept");
  await one.deliver({ ...weak, dup: true });
  t.match(one.counters(""), { readings_accepted: 1, session_in_doubt: 1 }, "nobody knows which session it kept");
  await crash(2);
  await one.deliver({ ...weak, dup: true });
  t.match(one.counters(""), { 'readings_refused{reason="duplicate"}': 1 }, "accepted in the session at hand");

  await one.pipeline.connecting();
  await one.pipeline.checkpoint();
  await crash(3);
  t.equal(one.state.fold.sessionInDoubt, true, "a checkpoint says so too");
  await one.pipeline.connecting();
  await one.pipeline.connecting();
  t.equal(one.counters("")["session_in_doubt"], 1, "with nothing remembered there is nothing to be doubted");
});

t.test("streams are bounded: past the bound new ones are refused, old ones go on", async (t) => {
  const one = await box({ streamsMax: 2 });
  for (const device of ["a", "b", "c", "a"]) await one.deliver(reading(device, device === "a" ? one.published.length : 0));
  await one.deliver(reading("a", 1));
  t.match(one.counters("readings_refused"), { 'readings_refused{reason="cardinality"}': 1 });
  t.strictSame(
    one.control.listStreams().map(({ stream }) => stream),
    ["a", "b"],
  );
});

t.test("a stream that is silent for too long is forgotten, and what was retained of it is cleared", async (t) => {
  const one = await box({}, { predictions: { latest: true } });
  await one.deliver(reading("a", 0));
  one.clock.advance(20 * 24 * 3_600_000);
  await one.deliver(reading("b", 0));
  one.clock.advance(11 * 24 * 3_600_000);
  one.clock.synced = false;
  await one.deliver(reading("b", 1));
  t.equal(one.state.fold.streamCount, 2, "a clock that is not set removes nothing");
  one.clock.synced = true;
  one.clock.jumpWall(400 * 24 * 3_600_000);
  one.clock.advance(3_600_000);
  await one.deliver(reading("b", 2));
  t.equal(one.state.fold.streamCount, 2, "nor does one that has just been set");
  one.clock.advance(29 * 24 * 3_600_000);
  await one.deliver(reading("b", 3));
  t.equal(one.state.fold.streamCount, 2, "since then it has been silent for less than a month, for all that is known");
  one.clock.advance(2 * 24 * 3_600_000);
  await one.deliver(reading("b", 4));
  t.strictSame(
    one.control.listStreams().map(({ stream }) => stream),
    ["b"],
  );
  one.publishAll();
  const last = one.published.findLast(({ topic }) => topic === "hiddenstate/box/prediction/a/latest");
  t.match(last, { retain: true, payload: { length: 0 } });
  one.crash(3);
  await one.start();
  t.strictSame(
    one.control.listStreams().map(({ stream }) => stream),
    ["b"],
  );
  await one.deliver(reading("c", 0));
  t.equal(one.state.fold.find("c")!.row, 0, "its row is used again");
});

t.test("what a stream holds for its turn has been acked, and keeps the stream from being forgotten", async (t) => {
  const reorder = { readings: 4, within: "100d" };
  const one = await box({}, { reorder });
  await one.deliver(reading("a", 0));
  await one.deliver(reading("a", 2));
  for (let day = 0; day < 31; day++) one.clock.advance(24 * 3_600_000);
  await one.deliver(reading("b", 0));
  one.clock.advance(2 * 3_600_000);
  await one.deliver(reading("b", 1));
  await one.deliver(reading("a", 1));
  t.match((await one.control.getState("a")).facts, { steps: 3, sequence: 2 });
});

t.test("a stream that takes the row of another one begins with a full bucket", async (t) => {
  const one = await box({}, { rate: { perSecond: 0.000_001, burst: 2 } });
  await one.deliver(reading("a", 0));
  await one.deliver(reading("a", 1));
  one.clock.advance(31 * 24 * 3_600_000);
  await one.deliver(reading("b", 0));
  t.equal(one.state.fold.find("a"), undefined);
  await one.deliver(reading("c", 0));
  await one.deliver(reading("c", 1));
  await one.deliver(reading("c", 2));
  t.equal(one.state.fold.find("c")!.row, 0, "the row of a");
  t.match(one.counters("readings"), { readings_accepted: 5, 'readings_refused{reason="rate"}': 1 });
});

t.test("a renamed stream leaves nothing behind under its old name", async (t) => {
  const one = await box({}, { predictions: { latest: true } });
  const weak: Message = { topic: "s/a/r", payload: '{"feature0":101320,"feature1":1}', packetId: 5 };
  await one.deliver(weak);
  await one.control.renameStream("a", "b");
  one.publishAll();
  const retained = one.published.filter(({ retain }) => retain).map(({ topic, payload }) => [topic, payload.length > 0]);
  t.strictSame(retained, [
    ["hiddenstate/box/prediction/a/latest", true],
    ["hiddenstate/box/prediction/a/latest", false],
  ]);
  await one.deliver({ ...weak, dup: true });
  t.match(one.counters("readings"), { readings_accepted: 1, 'readings_refused{reason="duplicate"}': 1 }, "it was stepped as a");
  one.crash(4);
  await one.start();
  one.publishAll();
  const again = one.published.findLast(({ topic }) => topic === "hiddenstate/box/prediction/a/latest");
  t.match(again, { retain: true, payload: { length: 0 } }, "also after a crash");
  await one.deliver({ ...weak, dup: true });
  await one.deliver({ ...weak, packetId: 6 });
  t.strictSame(
    one.control.listStreams().map(({ stream }) => stream),
    ["a", "b"],
  );
});

t.test("a payload names parts of its own device only", async (t) => {
  const one = await box();
  const part = (stream: string): Message => ({
    topic: "s/a/r",
    payload: JSON.stringify({ stream, feature0: 101_320, feature1: 1 }),
  });
  await one.deliver(part("motor"));
  await one.deliver(part("x".repeat(127)));
  t.strictSame(
    one.control.listStreams().map(({ stream }) => stream),
    ["a/motor"],
  );
  t.match(one.counters("readings_refused"), { 'readings_refused{reason="bad_key"}': 1 });
  const open = await box({}, { topic: "s/#" });
  await open.deliver({ ...part("b"), topic: "s/a" });
  t.match(
    open.counters("readings_refused"),
    { 'readings_refused{reason="bad_key"}': 1 },
    "below # a/b is another device's topic",
  );
});

t.test("setState and resetState take effect between two readings, once a transaction, and survive a crash", async (t) => {
  const one = await box();
  await one.deliver(reading("a", 0));
  const kept = await one.control.getState("a");
  await one.deliver(reading("a", 1));
  const set = one.control.setState("a", kept.state, { transaction: "t1" });
  void one.deliver(reading("a", 2));
  await set;
  await one.control.setState("a", kept.state, { transaction: "t1" });
  await one.pipeline.drain();
  const [, , third] = outputsOf(one);
  t.equal(
    third,
    offline([
      [101_320, 0],
      [101_322, Math.sin(2)],
    ])[1],
    "the second reading is forgotten",
  );
  await one.control.resetState("a", { transaction: "t2" });
  one.crash(4);
  await one.start();
  t.ok(
    Object.values((await one.control.getState("a")).state).every((values) => values.every((value) => value === 0)),
    "a reset stays a reset",
  );
  await one.deliver(reading("a", 3));
  await one.control.resetState("a", { transaction: "t2" });
  t.notOk(
    (await one.control.getState("a")).state["h"]!.every((value) => value === 0),
    "a transaction is carried out once, over a crash too",
  );
});

t.test("a state from outside must be the model's own", async (t) => {
  const one = await box();
  await one.deliver(reading("a", 0));
  const h = Array.from({ length: 8 }, () => 0);
  const cases: [unknown, string][] = [
    [{ h: h.slice(1) }, 'cannot set the state: "h" takes 8 numbers, not 7'],
    [{ h: [...h.slice(1), Number.NaN] }, 'cannot set the state: "h"[7] is NaN'],
    [{ h: [1.5, ...h.slice(1)] }, 'cannot set the state: "h"[0] is 1.5, the cell keeps it within 1'],
    [{ c: h }, `cannot set the state: "h" is absent; this model's state has h`],
    [{ h, c: h }, `cannot set the state: "c" is unknown; this model's state has h`],
    [null, "cannot set the state: it is no object with the arrays h"],
  ];
  for (const [state, message] of cases) await t.rejects(one.control.setState("a", state), { code: "bad_state", message });
  await t.rejects(one.control.resetState("b"), {
    code: "unknown_stream",
    message: 'cannot reset the state: there is no stream "b"; list them first',
  });
});

t.test(
  "groups have models, features and rules of their own; one that is taken out of the config keeps its streams",
  async (t) => {
    const wide = randomModel({ features: 3, outputs: 2, hidden: [5, 4], seed: 8 });
    const second = { name: "h", topic: "w/{device}/r", codec: "json", model: "wide", features: ["a", "b", "c"] };
    const options = { models: { m: model, wide }, groups: [group, second] };
    const one = await new Box(options).start();
    await one.deliver(reading("x", 0));
    await one.deliver({ topic: "w/y/r", payload: JSON.stringify({ a: 101_320, b: 1, c: 2 }) });
    await one.deliver({ topic: "w/x/r", payload: JSON.stringify({ a: 101_320, b: 1, c: 2 }) });
    t.match(one.counters("readings_refused"), { 'readings_refused{reason="foreign_stream"}': 1 }, "a key belongs to one group");
    const kept = await one.control.getState("y");
    t.strictSame(
      Object.entries(kept.state).map(([name, values]) => [name, values.length]),
      [
        ["h1", 5],
        ["h2", 4],
      ],
    );
    one.publishAll();
    t.match(JSON.parse(text(one.published[1]!.payload)), {
      stream: "y",
      boot: 0,
      outputs: { output0: [Number], output1: [Number] },
    });
    one.crash(5);
    one.options = { ...options, groups: [group] };
    await one.start();
    await one.deliver(reading("x", 1));
    await one.pipeline.checkpoint();
    one.crash(6);
    one.options = { ...options, groups: [{ ...second, gap: "reset" }, group] };
    await one.start();
    t.strictSame((await one.control.getState("y")).state, kept.state);
    t.match((await one.control.getState("x")).facts, { steps: 2 });
  },
);

t.test(
  "states move between engines, and a replay of what another engine stepped is held to a tolerance",
  needsOnnxruntime,
  async (t) => {
    const one = await box();
    for (let i = 0; i < 20; i++) await one.deliver(reading("a", i));
    const before = [...(await one.control.getState("a")).state["h"]!];
    for (const engine of ["onnx", "native"]) {
      one.crash(7);
      one.options = { models, groups: [{ ...group, engine }] };
      await one.start();
      t.equal(one.recovered.mismatches, 0);
      t.equal(one.state.fold.groups[0]!.engine.name, engine);
      const after = (await one.control.getState("a")).state["h"]!;
      t.ok(
        after.every((value, i) => Math.abs(value - before[i]!) < 1e-5),
        engine,
      );
      for (let i = 0; i < 5; i++) await one.deliver(reading("a", (engine === "onnx" ? 20 : 25) + i));
      before.splice(0, before.length, ...(await one.control.getState("a")).state["h"]!);
    }
    t.match((await one.control.getState("a")).facts, { steps: 30 });
  },
);

t.test("a renamed stream keeps its state; its name must be free", async (t) => {
  const one = await box();
  await one.deliver(reading("a", 0));
  await one.deliver(reading("b", 0));
  await t.rejects(one.control.renameStream("a", "b"), { code: "bad_argument" });
  const before = await one.control.getState("a");
  await one.control.renameStream("a", "c");
  one.crash(2);
  await one.start();
  t.strictSame((await one.control.getState("c")).state, before.state);
  await t.rejects(one.control.getState("a"), { code: "unknown_stream" });
});

t.test("commands over MQTT are answered below response/, also the second time, and refused with a reason", async (t) => {
  const one = await box({ commands: true });
  await one.deliver(reading("a", 0));
  one.publishAll();
  one.published.length = 0;
  const ask = async (name: string, fields: Readonly<Record<string, unknown>>, more: Partial<Message> = {}): Promise<unknown> => {
    const expires = one.clock.wallMs() + 1000;
    await one.deliver({ topic: `hiddenstate/box/command/${name}`, payload: JSON.stringify({ expires, ...fields }), ...more });
    one.publishAll();
    const last = one.published.pop();
    return last === undefined ? undefined : { ...(JSON.parse(text(last.payload)) as object), topic: last.topic };
  };
  const done = { topic: "hiddenstate/box/response/t1", transaction: "t1", ok: true, command: "reset", stream: "a" };
  t.strictSame(await ask("reset", { transaction: "t1", stream: "a" }), done);
  t.strictSame(await ask("reset", { transaction: "t1", stream: "a" }), done);
  t.match(await ask("get", { transaction: "t2", stream: "a" }), {
    ok: true,
    facts: { steps: 1 },
    state: { h: Array.from({ length: 8 }, () => 0) },
  });
  t.match(await ask("reset", { transaction: "t3", stream: "nobody" }), { ok: false, error: { code: "unknown_stream" } });
  t.match(await ask("reset", { transaction: "t4", stream: "a", expires: 5 }), {
    ok: false,
    error: { message: "cannot carry out the command: it has expired" },
  });
  t.match(await ask("explode", { transaction: "t5", stream: "a" }), {
    ok: false,
    error: { message: /there is no command "explode", only get, set, reset, rename/ },
  });
  t.match(await ask("reset", { stream: "a" }), {
    topic: "hiddenstate/box/dead-letter",
    reason: "bad_command",
    detail: 'cannot read the command: "transaction" must be a text',
  });
  t.equal(await ask("reset", { transaction: "t6", stream: "a" }, { retain: true }), undefined);
  t.match(one.counters("messages_refused"), { 'messages_refused{reason="retained"}': 1 });
  const off = await box();
  await off.deliver({ topic: "hiddenstate/box/command/reset", payload: "{}" });
  t.match(
    off.counters("messages_refused"),
    { 'messages_refused{reason="unknown_topic"}': 1 },
    "without commands: mqtt it is a topic like any other",
  );
});

t.test("a full outbox holds the intake back and drops nothing", async (t) => {
  const one = await box();
  const settled = { count: 0 };
  const rows = Array.from({ length: 200 }, (_, i) => ({ feature0: 101_320, feature1: i }));
  const payload = JSON.stringify(rows);
  const count = 2500;
  for (let i = 0; i < count; i++) void one.deliver({ topic: `s/d${i % 50}/r`, payload, qos: 0 }).then(() => settled.count++);
  for (let turn = 0; turn < 3000 && !one.outbox.isFull; turn++) await new Promise(setImmediate);
  t.ok(one.outbox.isFull);
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
  t.ok(settled.count < count, "still held back");
  while (settled.count < count) {
    one.publishAll();
    await new Promise(setImmediate);
  }
  one.publishAll();
  t.equal(one.published.length, count);
});

t.test("a disk that fails ends it: no ack, no message, and every question is refused", async (t) => {
  const one = await box();
  await one.deliver(reading("a", 0));
  one.publishAll();
  one.disk.intercept = (call) => {
    if (call === "datasync") throw Object.assign(new Error("EIO"), { code: "EIO" });
  };
  let settled = false;
  void one.deliver(reading("a", 1)).then(() => {
    settled = true;
  });
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  t.notOk(settled);
  t.match(one.fatal, { code: "disk_failed" });
  one.publishAll();
  t.equal(one.published.length, 1);
  await t.rejects(one.control.getState("a"), { code: "unavailable" });
});
