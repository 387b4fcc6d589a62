import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { ByteWriter } from "../../src/base/bytes.ts";
import { crc32c } from "../../src/base/crc32c.ts";
import { createRandom } from "../../src/base/random.ts";
import { CheckpointFiles } from "../../src/journal/checkpoint-file.ts";
import { payloadCodec } from "../../src/message/codecs.ts";
import { restoreSnapshot } from "../../src/pipeline/snapshot.ts";
import { Box, text } from "../support/box.ts";
import type { Message } from "../support/box.ts";
import { box, group, models, offline, outputsOf, reading, turns } from "../support/one-group.ts";

t.test("readings that come late within bounds are put in order, behind the journal", async (t) => {
  const one = await box({}, { reorder: { readings: 3, within: "2s" } });
  const order = async (...sequences: number[]): Promise<void> => {
    for (const sequence of sequences) await one.deliver(reading("a", sequence));
  };
  const sequencesSeen = (): number[] =>
    one.published.flatMap(({ payload }) => {
      const { sequence, sequences, count } = JSON.parse(text(payload)) as {
        sequence: number;
        sequences?: number[];
        count: number;
      };
      return sequences ?? Array.from({ length: count }, (_, i) => sequence + i);
    });
  await order(0, 2, 3, 2, 1, 4);
  one.publishAll();
  t.strictSame(sequencesSeen(), [0, 1, 2, 3, 4], "in order");
  t.match(one.counters("readings"), { readings_accepted: 5, 'readings_refused{reason="duplicate"}': 1, readings_held: 2 });
  t.strictSame(outputsOf(one), offline([0, 1, 2, 3, 4].map((i) => [101_320 + i, Math.sin(i)])), "and stepped in order");
  await order(6, 8);
  t.match((await one.control.getState("a")).facts, { sequence: 4 }, "5 and 7 are waited for");
  one.crash(3);
  await one.start();
  await order(5);
  t.match((await one.control.getState("a")).facts, { sequence: 6 }, "what was held is not lost in a crash");
  one.clock.advance(2000);
  await turns();
  t.match((await one.control.getState("a")).facts, { sequence: 8, steps: 8 }, "and not for ever");
  t.match(one.counters("readings"), { readings_missed: 1 });
  await order(7);
  t.match(one.counters("readings_refused"), { 'readings_refused{reason="duplicate"}': 1 }, "then it is too late");
  await order(12, 14, 16, 18);
  t.match((await one.control.getState("a")).facts, { sequence: 12 }, "more than three are not held");
  await one.deliver(reading("a", 0, {}, 2, 10));
  one.publishAll();
  t.strictSame(sequencesSeen().slice(-5), [12, 14, 16, 18, 0], "a restart releases what was held before it");
  one.crash(4);
  await one.start();
  t.equal(one.recovered.mismatches, 0);
  t.match((await one.control.getState("a")).facts, { boot: 2, sequence: 0 });
  await one.pipeline.checkpoint();
  await one.deliver(reading("a", 2, {}, 2, 10));
  await one.pipeline.checkpoint();
  one.crash(5);
  await one.start();
  await one.deliver(reading("a", 1, {}, 2, 10));
  t.match((await one.control.getState("a")).facts, { boot: 2, sequence: 2 }, "held readings are part of a checkpoint");
});

t.test("a reading that is held and comes again in a batch is stepped once, in its turn", async (t) => {
  const one = await box({}, { reorder: { readings: 3, within: "2s" } });
  const batch = (...sequences: number[]): Promise<void> => {
    const rows = sequences.map((sequence) => JSON.parse(reading("a", sequence).payload as string) as unknown);
    return one.deliver({ topic: "s/a/r", payload: JSON.stringify(rows) });
  };
  await batch(0);
  await batch(2);
  await batch(1, 2, 3);
  t.match(one.counters("readings"), { readings_accepted: 4, 'readings_refused{reason="duplicate"}': 1 });
  t.strictSame(outputsOf(one), offline([0, 1, 2, 3].map((i) => [101_320 + i, Math.sin(i)])));
});

t.test("what was held before a restart goes on in time, whether other readings come or not", async (t) => {
  const one = await box({}, { reorder: { readings: 3, within: "2s" } });
  await one.deliver(reading("a", 0));
  await one.deliver(reading("a", 2));
  one.crash(1);
  await one.start();
  await turns();
  t.match(one.control.listStreams(), [{ sequence: 0 }]);
  one.clock.advance(2000);
  await turns();
  t.match(one.control.listStreams(), [{ sequence: 2 }]);
});

t.test("a device that has lost its boot counter is believed after real silence, not after the wall clock was set", async (t) => {
  const one = await box();
  await one.deliver(reading("a", 0, {}, 3, 1));
  one.clock.jumpWall(24 * 3_600_000);
  await one.deliver(reading("a", 0, {}, 2, 2));
  t.match(one.counters("readings_refused"), { 'readings_refused{reason="stale_boot"}': 1 });
  one.clock.jumpWall(-48 * 3_600_000);
  one.clock.advance(10 * 60_000);
  await one.deliver(reading("a", 0, {}, 2, 2));
  t.match((await one.control.getState("a")).facts, { boot: 2, sequence: 0, steps: 2 });
});

t.test("in volatile mode too a prediction leaves once", async (t) => {
  const one = await box({ durability: { mode: "volatile" } });
  for (let i = 0; i < 20; i++) {
    void one.deliver(reading("a", i));
    await turns(1 + (i % 3));
  }
  await one.pipeline.drain();
  one.publishAll();
  t.equal(one.published.length, 20);
});

t.test("what the page calls a bound's gauge is one, with a high-water mark", async (t) => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/recovery.md"), "utf8");
  const table = page.slice(page.indexOf("| what | bound | gauge |"), page.indexOf("## How it is tested"));
  const named = [...table.matchAll(/`([a-z_]+)` \|$/gm)].map((match) => match[1]!);
  const one = await box({}, { reorder: { readings: 3, within: "2s" } });
  await one.deliver(reading("a", 0));
  await one.deliver(reading("a", 2));
  const values = one.metrics.snapshot();
  const outside = new Set(["unsettled_messages", "unsettled_bytes", "sink_in_flight"]);
  t.equal(named.length, 12);
  for (const name of named.filter((gauge) => !outside.has(gauge))) t.type(values[`${name}_highest`], "number", name);
  t.match(values, { held_readings: 1, streams: 1, journal_bytes_to_replay: Number, journal_bytes_written: Number });
});

t.test("a stream that sends more than its group allows is cut down to that, and counted; others are not", async (t) => {
  const one = await box({}, { rate: { perSecond: 2, burst: 5 } });
  for (let i = 0; i < 10; i++) await one.deliver(reading("a", i));
  await one.deliver(reading("b", 0));
  t.match(one.counters("readings"), { readings_accepted: 6, 'readings_refused{reason="rate"}': 5 });
  one.clock.advance(1000);
  for (let i = 10; i < 20; i++) await one.deliver(reading("a", i));
  t.match(one.counters("readings"), { readings_accepted: 8 });
});

t.test("a payload that brings a mistake of ours to light is put aside, and the next one is handled", async (t) => {
  const one = await box();
  const codec = payloadCodec("json");
  const decode = codec.decode.bind(codec);
  codec.decode = () => {
    throw new TypeError("a mistake");
  };
  await one.deliver(reading("a", 0));
  codec.decode = decode;
  await one.deliver(reading("a", 1));
  t.match(one.counters("messages_refused"), { 'messages_refused{reason="poison"}': 1 });
  t.match((await one.control.getState("a")).facts, { steps: 1 });
});

t.test("relaxed acks after the write and syncs soon after; volatile acks at once", async (t) => {
  for (const [mode, before] of [
    ["strict", ["write", "datasync"]],
    ["relaxed", ["write"]],
    ["volatile", []],
  ] as const) {
    const one = await box({ durability: { mode } });
    await one.deliver(reading("a", 0));
    await turns();
    const calls: string[] = [];
    one.disk.intercept = (call) => {
      if (call === "write" || call === "datasync") calls.push(call);
    };
    let seen: string[] = [];
    await new Promise<void>((done) => {
      const settle = (): void => {
        seen = [...calls];
        done();
      };
      one.pipeline.receive(one.delivery(reading("a", 1), settle));
    });
    t.strictSame(seen, before, mode);
    await turns();
    one.clock.advance(1000);
    await turns();
    t.strictSame(calls.slice(0, 2), ["write", "datasync"], `${mode}: written and synced in the end`);
    one.crash();
    await one.start();
    t.match((await one.control.getState("a")).facts, { steps: 2 }, `${mode}: the process may die`);
    await one.control.resetState("a");
    await one.pipeline.checkpoint();
    one.crash(1);
    await one.start();
    t.match((await one.control.getState("a")).facts, { steps: 2 }, `${mode}: a checkpoint is on stable storage`);
    t.notOk(one.recovered.damaged);
  }
});

t.test(
  "with a linger events share a write while more keep coming, for a bounded time, and go at once when none come",
  async (t) => {
    const one = await box({ durability: { linger: "100ms" } });
    const settled: number[] = [];
    const deliver = (sequence: number): void => void one.deliver(reading("a", sequence)).then(() => settled.push(sequence));
    deliver(0);
    await turns();
    t.strictSame(settled, [], "it waits for others");
    one.clock.advance(20);
    await turns();
    t.strictSame(settled, [0], "none came: it goes");
    const syncs = one.disk.syncs;
    for (let sequence = 1; sequence <= 20; sequence++) {
      deliver(sequence);
      await turns(5);
      one.clock.advance(10);
      await turns(5);
    }
    one.clock.advance(100);
    await turns();
    t.equal(settled.length, 21);
    t.ok(one.disk.syncs - syncs <= 3, `20 messages in 200 ms: ${one.disk.syncs - syncs} syncs`);
    for (let sequence = 21; sequence < 21 + 600; sequence++) deliver(sequence);
    await turns();
    t.ok(settled.length >= 521, "a full block does not wait");
  },
);

t.test(
  "a full disk is waited for: nothing is acked or lost, the reserve gives one more segment, and it goes on by itself",
  async (t) => {
    const one = await box();
    const state = { full: false };
    one.disk.intercept = (call, path) => {
      if (state.full && call === "write" && !/segment-00000[12]$/.test(path))
        throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    };
    const removed: string[] = [];
    const remove = one.disk.remove.bind(one.disk);
    one.disk.remove = async (path) => {
      removed.push(path);
      await remove(path);
    };
    state.full = true;
    const payload = JSON.stringify(Array.from({ length: 200 }, (_, i) => ({ feature0: 101_320, feature1: i })));
    const settled = { count: 0 };
    const count = 60;
    for (let i = 0; i < count; i++) void one.deliver({ topic: `s/d${i}/r`, payload, qos: 0 }).then(() => settled.count++);
    await turns(100);
    t.match(one.metrics.snapshot(), { disk_full: 1 });
    t.ok(settled.count < count, "what does not fit is not acked");
    t.ok(
      removed.some((path) => path.endsWith("/reserve")),
      "the reserve is given up",
    );
    t.equal(one.fatal, undefined);
    state.full = false;
    for (let second = 0; second < 5; second++) {
      one.clock.advance(1000);
      await turns(50);
    }
    t.equal(settled.count, count);
    t.match(one.metrics.snapshot(), { disk_full: 0 });
    one.crash(3);
    await one.start();
    t.equal(one.state.fold.streamCount, count);
    t.notOk(one.recovered.damaged);
  },
);

t.test("a disk that the journal itself fills never stops it, though there is no reserve", async (t) => {
  const one = new Box({ models, groups: [group] });
  one.disk.intercept = (call, path) => {
    if (call === "write" && (path.endsWith("/reserve") || /segment-00000[^123]$/.test(path)))
      throw Object.assign(new Error("no space"), { code: "ENOSPC" });
  };
  await one.start();
  const payload = JSON.stringify(Array.from({ length: 50 }, (_, i) => ({ feature0: 101_320, feature1: i })));
  for (let i = 0; i < 400; i++) await one.deliver({ topic: `s/d${i % 4}/r`, payload, qos: 0 });
  t.match(one.metrics.snapshot(), { disk_full: 0, readings_accepted: 20_000 });
  t.ok(one.state.journal.bytes > 4 * 64 * 1024, "more than the disk holds");
  one.crash(3);
  await one.start();
  t.notOk(one.recovered.damaged);
  t.equal(one.state.fold.streamCount, 4);
});

t.test("what is written is counted, journal and checkpoints apart", async (t) => {
  const one = await box();
  const before = one.state.journal.bytes;
  await one.deliver(reading("a", 0));
  await one.deliver(reading("a", 1));
  t.match(one.metrics.snapshot(), { journal_writes: 2, journal_bytes_written: one.state.journal.bytes - before });
  t.equal(one.metrics.snapshot()["checkpoint_bytes_written"], undefined);
  await one.pipeline.checkpoint();
  const names = (await one.disk.list("/state/journal")).filter((name) => name.startsWith("checkpoint-"));
  const file = await one.disk.open(`/state/journal/${names[0]!}`, "read");
  t.same([names.length, one.metrics.counter("checkpoint_bytes_written").value], [1, await file.size()]);
});

t.test("a checkpoint that finds no room is told, tried again later, and the one before it stays", async (t) => {
  const one = await box();
  await one.deliver(reading("a", 0));
  await one.pipeline.checkpoint();
  await one.deliver(reading("a", 1));
  one.disk.intercept = (call, path) => {
    if (call === "write" && path.includes("checkpoint")) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
  };
  await one.pipeline.checkpoint();
  t.match(one.metrics.snapshot(), { checkpoints_failed: 1, checkpoints_written: 1 });
  t.equal(one.fatal, undefined);
  one.crash(2);
  await one.start();
  t.match((await one.control.getState("a")).facts, { steps: 2 });
});

t.test("damage is gone on from and told, or stops the start, as the config says; nothing damaged is written over", async (t) => {
  const flip = (one: Box, name: string, at: number): void => {
    one.disk.bytes(`/state/journal/${name}`)[at]! ^= 1;
  };
  const many = async (one: Box): Promise<void> => {
    for (let i = 0; i < 900; i++) await one.deliver(reading("a", one.state.fold.streamCount === 0 ? 0 : i + 1));
  };
  // In the middle of the journal: the events before it are there.
  const one = await box();
  await many(one);
  one.crash();
  flip(one, "segment-000001", 20_000);
  one.options = { ...one.options, durability: { onDamage: "stop" } };
  const before = one.disk.paths.map((path) => [path, crc32c(one.disk.bytes(path))]);
  await t.rejects(one.start(), {
    code: "state_damaged",
    message: /cannot continue from \/state: its journal is damaged; restore a copy .* or set durability\.onDamage: continue/,
  });
  t.strictSame(
    one.disk.paths.map((path) => [path, crc32c(one.disk.bytes(path))]),
    before,
  );
  one.crash();
  one.options = { ...one.options, durability: {} };
  await one.start();
  t.ok(one.recovered.damaged);
  const { steps } = (await one.control.getState("a")).facts;
  t.ok(steps > 50 && steps < 900, `${steps} steps`);
  // Both checkpoints, after the beginning of the journal is gone: nothing can be recovered.
  for (let i = 0; i < 6; i++) {
    for (let k = 0; k < 300; k++) await one.deliver(reading("b", i * 300 + k));
    await one.pipeline.checkpoint();
  }
  one.crash();
  flip(one, "checkpoint-a", 4200);
  flip(one, "checkpoint-b", 4200);
  await one.start();
  t.ok(one.recovered.damaged);
  t.equal(one.state.fold.streamCount, 0);
  t.ok(
    one.disk.paths.some((path) => path.endsWith("/damaged-1-checkpoint-a")),
    "what was there is kept",
  );
  await one.deliver(reading("b", 0));
  one.crash(4);
  await one.start();
  t.notOk(one.recovered.damaged);
  t.match((await one.control.getState("b")).facts, { steps: 1 });
  // One checkpoint: the other and the longer journal serve.
  await one.pipeline.checkpoint();
  await one.deliver(reading("b", 1));
  await one.pipeline.checkpoint();
  one.crash();
  flip(one, "checkpoint-b", 4200);
  await one.start();
  t.notOk(one.recovered.damaged);
  t.match(one.counters("checkpoints_damaged"), { checkpoints_damaged: 1 });
  t.match((await one.control.getState("b")).facts, { steps: 2 });
});

t.test("whatever is crashed, cut and redelivered: states and predictions are those of an uninterrupted run", async (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = createRandom(seed);
    const devices = 1 + (seed % 5);
    const script: (Message | { readonly reset: string; readonly transaction: string })[] = [];
    const sequences = new Map<string, number>();
    for (let i = 0; i < 120; i++) {
      const device = `d${random.uint32() % devices}`;
      const sequence = (sequences.get(device) ?? -1) + 1 + (random.next() < 0.05 ? 3 : 0);
      const count = random.next() < 0.2 ? 1 + (random.uint32() % 6) : 1;
      const rows = Array.from({ length: count }, (_, k) => ({
        boot: 1,
        nonce: 9,
        sequence: sequence + k,
        time: Date.UTC(2026, 0, 1) + i * 1000 + k,
        feature0: 101_320 + 5 * random.normal(),
        feature1: random.next() < 0.1 && sequence > 0 ? null : random.normal(),
      }));
      sequences.set(device, sequence + count - 1);
      if (random.next() < 0.03 && i > 20) script.push({ reset: device, transaction: `${seed}-${i}` });
      else script.push({ topic: `s/${device}/r`, payload: JSON.stringify(rows) });
    }
    const gap = [{ gap: "carry" }, { gap: "reset" }, { gap: { decay: "2s" } }][seed % 3]!;
    const run = async (crashes: boolean): Promise<Box> => {
      const one = await box({}, { ...gap, missing: "hold", holdReadings: 250 });
      let next = 0;
      while (next < script.length) {
        const step = script[next]!;
        const done =
          "reset" in step
            ? one.control
                .resetState(step.reset, { transaction: step.transaction })
                .catch((thrown: { code: string }) => (thrown.code === "unavailable" ? new Promise(() => {}) : undefined))
            : one.deliver(step);
        if (!crashes || random.next() > 0.06) {
          await done;
          next++;
          if (crashes && random.next() < 0.05) void one.pipeline.checkpoint().catch(() => {});
          if (random.next() < 0.5) one.publishAll();
          continue;
        }
        // The process dies somewhere between the arrival and the ack; what was not acked comes again.
        let calls = random.uint32() % 8;
        one.disk.intercept = () => {
          if (calls-- <= 0) throw Object.assign(new Error("dead"), { code: "EIO" });
        };
        const turns = random.uint32() % 12;
        for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
        one.crash(random.next() < 0.5 ? random.uint32() : undefined);
        await one.start();
      }
      await one.pipeline.drain();
      one.publishAll();
      return one;
    };
    const calm = await run(false);
    const wild = await run(true);
    t.equal(wild.recovered.mismatches, 0);
    const states = async (one: Box): Promise<unknown[]> =>
      Promise.all(one.control.listStreams().map(async ({ stream }) => ({ ...(await one.control.getState(stream)) })));
    t.strictSame(await states(wild), await states(calm), `seed ${seed}: states`);
    const byId = (one: Box): Map<string, string> => {
      const found = new Map<string, string>();
      for (const { payload } of one.published) {
        const message = JSON.parse(text(payload)) as { id?: string };
        if (message.id === undefined) continue;
        const known = found.get(message.id);
        if (known !== undefined && known !== text(payload))
          t.fail(`seed ${seed}: ${message.id} was published twice and differently`);
        found.set(message.id, text(payload));
      }
      return found;
    };
    t.strictSame(Object.fromEntries(byId(wild)), Object.fromEntries(byId(calm)), `seed ${seed}: predictions`);
  }
});

t.test("a checkpoint asked for in the middle of a pass is of its end", async (t) => {
  const one = await box();
  await one.deliver(reading("a", 0));
  const { engine } = one.state.fold.groups[0]!;
  const step = engine.step.bind(engine);
  let written: Promise<void> | undefined;
  // As onnxruntime does it, a step ends later than it begins.
  engine.step = async (batch) => {
    written ??= one.pipeline.checkpoint();
    await new Promise(setImmediate);
    await step(batch);
  };
  await one.deliver(reading("a", 1));
  await written;
  const state = await one.control.getState("a");
  one.crash(1);
  await one.start();
  t.equal(one.recovered.checkpointPosition, one.recovered.position);
  t.strictSame(await one.control.getState("a"), state);
});

t.test("a checkpoint that a stop has not waited for is not begun after it", async (t) => {
  const one = await box();
  const { engine } = one.state.fold.groups[0]!;
  const step = engine.step.bind(engine);
  engine.step = async (batch) => {
    void one.pipeline.checkpoint();
    one.pipeline.stop();
    await new Promise(setImmediate);
    await step(batch);
  };
  await one.deliver(reading("a", 0));
  await turns();
  t.equal(one.metrics.counter("checkpoints_written").value, 0);
});

t.test("a row that its checkpoint's head does not have is refused before the rows up to it come into being", async (t) => {
  const one = await box();
  await one.deliver(reading("a", 0));
  await one.pipeline.checkpoint();
  const { chunks } = (await new CheckpointFiles(one.disk, "/state/journal").load())!;
  const other = await box();
  // Kind, group, and the row as a whole number of three bytes.
  const far = new ByteWriter();
  far.u8(2);
  far.varint(0);
  far.varint(900_000);
  far.raw(chunks[1]!.subarray(3));
  await t.rejects(restoreSnapshot([chunks[0]!, far.written], other.state.fold), {
    code: "state_damaged",
    message: "cannot read the checkpoint: row 900000 is none of 1",
  });
  t.equal(other.state.fold.groups[0]!.columns.keys.length, 0);
});
