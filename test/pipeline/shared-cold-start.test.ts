// `scope: group`: one network that all streams of a group teach. Its weights are a fold of the journal's readings in the journal's order,
// whatever batches they came in and wherever it was cut.
import { createHash } from "node:crypto";
import { serialize } from "node:v8";
import t from "tap";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { limits } from "../../src/base/limits.ts";
import { sharedStateOf } from "../../src/engine/engine.ts";
import { startingModel } from "../../src/learn/starting-model.ts";
import { decodeModel } from "../../src/onnx/decode-model.ts";
import { encodeModel } from "../../src/onnx/encode-model.ts";
import type { CheckpointWriter } from "../../src/journal/checkpoint-file.ts";
import { LearningEngine } from "../../src/learn/learning-engine.ts";
import { Snapshot } from "../../src/pipeline/snapshot.ts";
import { Stepper } from "../../src/pipeline/stepper.ts";
import { Box, text } from "../support/box.ts";
import type { BoxOptions, Message } from "../support/box.ts";
import { turns } from "../support/one-group.ts";

const group = {
  name: "own",
  topic: "s/{device}/r",
  codec: "json",
  features: ["flow"],
  horizons: [1, 6],
  scope: "group",
  score: { budget: "1/day" },
};
const START_MS = Date.UTC(2024, 0, 1);

function start(more: Readonly<Record<string, unknown>> = {}, options: Partial<BoxOptions> = {}): Promise<Box> {
  return new Box({ models: {}, groups: [{ ...group, ...more }], ...options }).start();
}

/** Readings `from` to `to` of a device in one message: streams of one kind, each in a range of its own. */
function message(device: string, from: number, to: number): Message {
  const kind = device.charCodeAt(0) - 96;
  const readings = Array.from({ length: to - from }, (_, i) => {
    const sequence = from + i;
    const flow = 40 * kind + kind * (5 * Math.sin(sequence / 8 + kind) + 0.3 * Math.sin(sequence * sequence));
    return { boot: 1, nonce: 9, sequence, time: START_MS + sequence * 60_000, flow };
  });
  return { topic: `s/${device}/r`, payload: JSON.stringify(readings) };
}

/** In turn, a reading each. */
async function feed(one: Box, devices: readonly string[], from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    for (const device of devices) void one.deliver(message(device, i, i + 1));
    if (i % 16 === 0) await one.pipeline.drain();
  }
  await one.pipeline.drain();
}

interface Learned {
  readonly shared: string;
  readonly streams: Readonly<Record<string, string>>;
}

/** Of all bits: what differs is told by its name, not by its ten thousand numbers. */
function hashOf(state: unknown): string {
  return createHash("sha256").update(serialize(state)).digest("hex").slice(0, 16);
}

async function learned(one: Box): Promise<Learned> {
  const streams: Record<string, string> = {};
  for (const { stream } of one.control.listStreams()) streams[stream] = hashOf((await one.control.getState(stream)).state);
  return { shared: hashOf(sharedStateOf(one.state.fold.groups[0]!.engine)), streams };
}

/** What was predicted, each once, in the order of each stream. */
function predictions(one: Box): Record<string, string[]> {
  one.publishAll();
  const byTopic: Record<string, string[]> = {};
  for (const { topic, payload } of one.published) {
    if (topic.includes("/prediction/")) (byTopic[topic] ??= []).push(text(payload));
  }
  return Object.fromEntries(Object.entries(byTopic).map(([topic, payloads]) => [topic, [...new Set(payloads)]]));
}

/** Readings of four devices, one of them busy and one late, in messages of 1 to 40. */
function schedule(random: Random, readings: number): Message[] {
  const messages: Message[] = [];
  const next: Record<string, number> = { a: 0, b: 0, c: 0, d: 0 };
  for (let sent = 0; sent < readings;) {
    const drawn = ["a", "a", "a", "a", "b", "c", "d"][Math.floor(7 * random.next())]!;
    const device = drawn === "d" && sent < readings / 2 ? "b" : drawn;
    const count = random.next() < 0.8 ? 1 : 1 + Math.floor(40 * random.next());
    messages.push(message(device, next[device]!, next[device]! + count));
    next[device]! += count;
    sent += count;
  }
  return messages;
}

t.test("weights and states are the same to the bit however the readings are batched, cut and recovered", async (t) => {
  for (let seed = 1; seed <= 4; seed++) {
    const messages = schedule(createRandom(seed), 2400);
    const singly = await start();
    for (const one of messages) await singly.deliver(one);
    const owed = await learned(singly);

    const random = createRandom(100 + seed);
    const cut = await start({}, { segmentBytes: 256 * 1024 });
    for (let from = 0; from < messages.length;) {
      const to = Math.min(messages.length, from + 1 + Math.floor(120 * random.next()));
      let settled = from;
      for (let i = from; i < to; i++) {
        void cut.deliver(messages[i]!).then(() => settled++);
        if (random.next() < 0.02) void cut.pipeline.checkpoint();
        if (random.next() < 0.1) await turns(1 + Math.floor(10 * random.next()));
      }
      if (random.next() < 0.5) await cut.pipeline.drain();
      else if (random.next() < 0.7) {
        cut.crash(seed * 1000 + to);
        await cut.start();
        t.equal(cut.recovered.mismatches, 0);
      } else await turns(40);
      // What was not acknowledged is sent again, as a broker would.
      from = settled;
    }
    await cut.pipeline.drain();
    t.strictSame(await learned(cut), owed, `seed ${seed}`);
    cut.crash();
    await cut.start();
    t.equal(cut.recovered.mismatches, 0);
    t.strictSame(await learned(cut), owed, `seed ${seed}, recovered`);
  }
});

t.test("what stands before a reading is done in its place", async (t) => {
  const stepper = (): Stepper =>
    new Stepper(new LearningEngine(startingModel({ name: "own", features: ["flow"], horizons: [1], scope: "group" }), undefined));
  const [together, singly] = [stepper(), stepper()];
  const slot = together.engine.allocate();
  t.equal(singly.engine.allocate(), slot);
  for (let i = 0; i < 300; i++) {
    for (const one of [together, singly]) {
      const index = one.stage(slot, i === 150 ? "reset" : i % 40 === 0 ? "decay" : "none", 0.5, START_MS + i * 60_000);
      one.x[index] = Math.sin(i / 5);
      if (one === singly || i % 50 === 49) {
        await one.run();
        one.clear();
      }
    }
  }
  t.match(together.engine.warmUp!(slot), { readings: singly.engine.warmUp!(slot).readings });
  t.equal(hashOf(sharedStateOf(together.engine)), hashOf(sharedStateOf(singly.engine)));
});

t.test("commands, renames and streams that go change nothing of the network, and are replayed in their places", async (t) => {
  const [whole, cut] = [await start(), await start()];
  const steps: ((one: Box) => Promise<unknown>)[] = [
    (one) => feed(one, ["a", "b", "c", "d"], 0, 200),
    (one) => one.control.resetState("b", { transaction: "reset" }),
    (one) => feed(one, ["a", "b", "c"], 200, 260),
    (one) => one.control.renameStream("c", "e", { transaction: "rename" }),
    async (one) => {
      const { state } = await one.control.getState("a");
      await one.control.setState("b", state, { transaction: "set" });
    },
    (one) => feed(one, ["a", "b"], 260, 330),
    async (one) => {
      // d and e have been silent for longer than streams are kept.
      for (let day = 0; day < 31; day++) {
        one.clock.advance(24 * 3_600_000);
        await feed(one, ["a", "b"], 330 + day, 331 + day);
      }
      t.notOk(one.state.fold.find("e"), "its time has come");
    },
    (one) => feed(one, ["a", "b", "f"], 361, 500),
  ];
  for (const [index, step] of steps.entries()) {
    await step(whole);
    await step(cut);
    if (index % 3 === 2) await cut.pipeline.checkpoint();
    cut.crash(index);
    await cut.start();
    t.equal(cut.recovered.mismatches, 0);
  }
  t.strictSame(await learned(cut), await learned(whole));
});

t.test("a command touches a stream's own part, never what all have learned", async (t) => {
  const one = await start();
  await feed(one, ["a", "b", "c"], 0, 600);
  const before = await learned(one);
  await one.control.resetState("a", { transaction: "1" });
  const { shared, streams } = await learned(one);
  t.equal(shared, before.shared);
  t.strictSame({ ...streams, a: "" }, { ...before.streams, a: "" });
  const { engine, columns } = one.state.fold.find("a")!.group;
  const row = one.state.fold.find("a")!.row;
  t.match(engine.warmUp!(columns.slot[row]!), { readings: 0, readingsNeeded: 100, warm: false });
  // It profits from what it and the others have taught.
  await feed(one, ["a", "b", "c"], 600, 701);
  t.match(engine.warmUp!(columns.slot[row]!), { readings: 101, warm: true });
  const { state } = await one.control.getState("a");
  t.notOk(Object.keys(state).includes("weights"));
  const after = await learned(one);
  await one.control.setState("b", state, { transaction: "2" });
  t.strictSame(await learned(one), { ...after, streams: { ...after.streams, b: after.streams["a"] } });
});

t.test("a checkpoint has what was learned at its position, however long it takes to be written", async (t) => {
  const one = await start();
  await feed(one, ["a", "b"], 0, 200);
  const chunksOf = async (snapshot: Snapshot): Promise<string[]> => {
    const chunks: string[] = [];
    await snapshot.write({ chunk: async (bytes: Uint8Array) => void chunks.push(hashOf(bytes)) } as CheckpointWriter);
    return chunks;
  };
  const snapshots = Array.from({ length: 2 }, () => new Snapshot(one.state.fold, one.clock, Infinity));
  const [, shared] = await chunksOf(snapshots[0]!);
  await feed(one, ["a", "b"], 200, 220);
  t.equal((await chunksOf(snapshots[1]!))[1], shared);
  t.not((await chunksOf(new Snapshot(one.state.fold, one.clock, Infinity)))[1], shared);
});

t.test("a stream that joins a warm group predicts from its hundredth reading on, and never nothing", async (t) => {
  const one = await start();
  await feed(one, ["a", "b", "c"], 0, 700);
  t.ok(one.state.fold.groups[0]!.engine.shared!.warmUp().warm);
  t.ok(predictions(one)["hiddenstate/box/prediction/a"]!.length > 50);
  // All in one message: the first have no outputs yet, so none of it is said.
  await one.deliver(message("d", 0, 120));
  t.notOk(predictions(one)["hiddenstate/box/prediction/d"]);
  await feed(one, ["d"], 120, 300);
  const said = predictions(one)["hiddenstate/box/prediction/d"]!.map(
    (payload) => JSON.parse(payload) as { sequence: number; outputs: Record<string, number[]> },
  );
  t.equal(said[0]!.sequence, 120);
  let [squares, persistence] = [0, 0];
  const flowAt = (sequence: number): number =>
    (JSON.parse(message("d", sequence, sequence + 1).payload as string) as { flow: number }[])[0]!.flow;
  for (const { sequence, outputs } of said) {
    squares += (outputs["flow+6"]![0]! - flowAt(sequence + 6)) ** 2;
    persistence += (flowAt(sequence) - flowAt(sequence + 6)) ** 2;
  }
  t.ok(squares < 0.2 * persistence, `six readings ahead ${squares / persistence} of the last value's squared error`);
});

t.test("more streams find room than there may be networks of their own", async (t) => {
  const one = await start({}, { streamsMax: limits.learningStreamsMax + 100 });
  for (let i = 0; i < limits.learningStreamsMax + 50; i++) {
    void one.deliver({ topic: `s/d${i}/r`, payload: JSON.stringify({ boot: 1, nonce: 9, sequence: 0, flow: 1 }) });
  }
  await one.pipeline.drain();
  t.equal(one.state.fold.streamCount, limits.learningStreamsMax + 50);
});

t.test("a change of scope begins anew, with each stream's last readings and everything else that is known of it", async (t) => {
  for (const [from, to] of [
    ["stream", "group"],
    ["group", "stream"],
  ] as const) {
    const one = await start({ scope: from });
    await feed(one, ["a", "b"], 0, 300);
    const { version } = one.state.fold.groups[0]!.settings;
    one.crash();
    one.options = { ...one.options, groups: [{ ...group, scope: to, switch: "carry" }] };
    await t.rejects(one.start(), { code: "foreign_state", message: /streams that learn by themselves remember other things/ });
    one.options = { ...one.options, groups: [{ ...group, scope: to }] };
    await one.start();
    const { settings, engine } = one.state.fold.groups[0]!;
    t.match(settings, { before: [version] });
    t.equal(engine.shared !== undefined, to === "group");
    t.match(one.control.listStreams(), [
      { stream: "a", steps: 300, sequence: 299 },
      { stream: "b", steps: 300, sequence: 299 },
    ]);
    // Here b is built anew before a teaches, in the replay after it.
    await one.control.getState("b");
    await feed(one, ["a"], 300, 310);
    const owed = await learned(one);
    t.match(engine.warmUp!(one.state.fold.groups[0]!.columns.slot[1]!), { readings: 64 });
    one.crash();
    await one.start();
    t.equal(one.recovered.mismatches, 0);
    t.strictSame(await learned(one), owed);
  }
});

t.test("a model is promoted over it and rolled back to a network that begins anew", async (t) => {
  const one = await start();
  await feed(one, ["a", "b"], 0, 300);
  const { spec, weights } = startingModel({ name: "trained", features: ["flow"], horizons: [1, 6] });
  const { learner: _, ...shipped } = spec;
  const model = decodeModel(encodeModel(shipped, weights), "trained");
  const { settings } = one.state.fold.groups[0]!;
  one.state.fold.groups[0]!.follow({ ...settings, switch: "carry" });
  await t.rejects(one.models.promote(model, "trained.onnx", "own"), {
    code: "bad_model",
    message: /streams that learn by themselves remember other things, and "switch: carry" keeps what they remember/,
  });
  one.state.fold.groups[0]!.follow(settings);
  await one.models.promote(model, "trained.onnx", "own");
  t.equal(one.state.fold.groups[0]!.engine.shared, undefined);
  await feed(one, ["a", "b"], 300, 310);
  await one.pipeline.checkpoint();
  await one.models.rollback("own");
  t.match(one.state.fold.groups[0]!.engine.shared!.warmUp(), { readings: 0 });
  await feed(one, ["a", "c"], 310, 500);
  const owed = await learned(one);
  one.crash(3);
  await one.start();
  t.equal(one.recovered.mismatches, 0);
  t.strictSame(await learned(one), owed);
});

t.test("another kernel goes on with the same weights", async (t) => {
  const one = await start({ kernel: "plain" });
  await feed(one, ["a", "b"], 0, 300);
  const owed = await learned(one);
  one.crash();
  one.options = { ...one.options, groups: [{ ...group, kernel: "scalar" }] };
  await one.start();
  t.match(one.state.fold.groups[0]!.engine.kernel, /scalar/);
  t.strictSame(await learned(one), owed);
});
