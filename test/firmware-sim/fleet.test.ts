import { join } from "node:path";
import { readFileSync, writeFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import t from "tap";
import type { Clock } from "../../src/base/clock.ts";
import { systemDisk } from "../../src/base/disk.ts";
import { createRandom } from "../../src/base/random.ts";
import { payloadCodec } from "../../src/message/codecs.ts";
import { isAccepted, judgeSequence } from "../../src/message/identity.ts";
import type { SequencePoint, SequenceVerdict } from "../../src/message/identity.ts";
import { decodeLayout } from "../../src/message/layout.ts";
import type { CodecName } from "../../src/message/payload-codec.ts";
import type { Readings } from "../../src/message/reading.ts";
import { Device } from "../../firmware-sim/device.ts";
import type { DeviceMessage, DeviceOptions, ReadingSource } from "../../firmware-sim/device.ts";
import { clockDeviceMemory, openDeviceMemory } from "../../firmware-sim/device-memory.ts";
import { deviceTopic } from "../../firmware-sim/device-topic.ts";
import { createFleet } from "../../firmware-sim/fleet.ts";
import type { Fleet, FleetOptions } from "../../firmware-sim/fleet.ts";
import { generateRows } from "../../firmware-sim/generate-rows.ts";
import { Replay } from "../../firmware-sim/replay.ts";
import type { ReplayOptions } from "../../firmware-sim/replay.ts";
import { FakeClock } from "../support/fake-clock.ts";

/** When a fake clock begins. */
const NOW = new FakeClock().wallMs();
const SLICE_MS = 5;
const mixed = ["temperature", "vibration", "pressure", "current"];

/** Feature `a` counts the steps; `b` is missing at every third. */
const counting: ReadingSource = {
  features: [
    { name: "a", unit: "m" },
    { name: "b", unit: "" },
  ],
  read(step, values, missing) {
    values[0] = step;
    values[1] = 0.5;
    if (step % 3 === 0) missing[1] = 1;
  },
};

function createDevice(options: Partial<DeviceOptions> = {}): Device {
  return new Device({
    topic: "sensors/d7/readings",
    source: counting,
    codec: payloadCodec("protobuf"),
    batch: 1,
    clock: true,
    identity: true,
    repeatChance: 0,
    random: createRandom(1),
    ...options,
  });
}

function decode(message: DeviceMessage, features: readonly string[], codec: CodecName = "protobuf"): Readings {
  const [readings] = payloadCodec(codec).decode(message.payload, features, () => undefined);
  return readings!;
}

t.test("a device retains its layout at every boot, and its sequences begin anew", async (t) => {
  const device = createDevice();
  for (const boot of [4, 5]) {
    const layout = device.start(boot, 99 + boot);
    t.match(layout, { topic: "sensors/d7/readings/layout", retain: true, readings: 0 });
    t.same(decodeLayout(layout.payload), { names: ["a", "b"], units: ["m", ""] });
    const messages = [...device.sample(30, NOW), ...device.sample(31, NOW + 100)];
    t.same(
      messages.map(({ topic, retain, readings }) => [topic, retain, readings]),
      [0, 1].map(() => ["sensors/d7/readings", false, 1]),
    );
    const [first, second] = messages.map((message) => decode(message, ["a", "b"]));
    t.same([first!.identity, [...first!.sequences], [...first!.times]], [{ boot, nonce: 99 + boot }, [0], [NOW]]);
    t.same([[...second!.sequences], [...second!.times]], [[1], [NOW + 100]]);
    t.same([...first!.missing!], [0, 1]);
    t.equal(second!.missing, undefined);
  }
});

t.test("a batching device waits for its batch, sends the rest when flushed, and loses it when it reboots", async (t) => {
  const device = createDevice({ batch: 3 });
  device.start(1, 1);
  t.same([device.sample(0, NOW), device.sample(1, NOW + 10)], [[], []]);
  const [full] = device.sample(2, NOW + 25);
  t.same([...decode(full!, ["a", "b"]).times], [NOW, NOW + 10, NOW + 25]);
  device.sample(3, NOW + 30);
  const [rest] = device.flush();
  t.same([...decode(rest!, ["a", "b"]).sequences], [3]);
  t.same(device.flush(), []);
  device.sample(4, NOW);
  device.start(2, 2);
  t.same(device.flush(), []);
});

t.test("clocks may be right, off or absent, and an identity may be absent", async (t) => {
  const time = (clock: DeviceOptions["clock"]): number => {
    const device = createDevice({ clock });
    device.start(1, 1);
    return decode(device.sample(0, NOW)[0]!, ["a", "b"]).times[0]!;
  };
  t.equal(time(true), NOW);
  t.equal(time(-3_600_000), NOW - 3_600_000);
  t.ok(Number.isNaN(time("none")));
  for (const codec of ["protobuf", "json"] as const) {
    const device = createDevice({ identity: false, codec: payloadCodec(codec) });
    device.start(1, 1);
    t.equal(decode(device.sample(0, NOW)[0]!, ["a", "b"], codec).identity, undefined);
  }
});

t.test("what a device repeats it has sent before, bit for bit", async (t) => {
  const device = createDevice({ repeatChance: 0.3 });
  device.start(1, 1);
  const sent: string[] = [];
  let repeated = 0;
  for (let step = 0; step < 300; step++) {
    for (const message of device.sample(step, NOW + step)) {
      const bytes = Buffer.from(message.payload).toString("hex");
      if (message.repeated) {
        repeated++;
        if (!sent.slice(-3).includes(bytes)) t.fail("repeated what was not one of the last three");
      } else {
        sent.push(bytes);
      }
    }
  }
  t.equal(sent.length, 300);
  t.ok(repeated > 60, `${repeated} repetitions`);
});

t.test("a device's topic is the pattern with its name in it", async (t) => {
  t.equal(deviceTopic("sensors/{device}/readings", "press 4/a"), "sensors/press%204%2Fa/readings");
  for (const pattern of ["sensors/all", "sensors/+/{device}", "a/{device}/#", "a/{line}/{device}", "a/{line}"]) {
    t.throws(
      () => deviceTopic(pattern, "x"),
      { code: "bad_argument", message: /write it with \{device\} as its one open level/ },
      pattern,
    );
  }
});

/** Lets time go by, with promises settling in between. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let passed = 0; passed <= ms; passed += SLICE_MS) {
    // Twice: what runs in the next turn may have more for the one after.
    for (const _ of [1, 2]) await setImmediate();
    clock.advance(Math.min(SLICE_MS, ms - passed));
  }
}

interface Recorded {
  readonly fleet: Fleet;
  readonly clock: FakeClock;
  readonly messages: DeviceMessage[];
}

function createRecorded(options: Partial<FleetOptions> = {}, clock = new FakeClock()): Recorded {
  const messages: DeviceMessage[] = [];
  const fleet = createFleet({
    devices: 3,
    rate: 10,
    seed: 5,
    signal: "mixed",
    clock,
    memory: clockDeviceMemory(clock),
    nonces: createRandom(44),
    publish: (message) => messages.push(message) > 0,
    ...options,
  });
  return { fleet, clock, messages };
}

t.test("a fleet samples every device at its rate, spread over the interval, with the values of its seed", async (t) => {
  const { fleet, clock, messages } = createRecorded();
  await fleet.start();
  await pass(clock, 999);
  fleet.stop();
  t.same(
    messages.slice(0, 3).map(({ topic, retain }) => [topic, retain]),
    [
      ["sensors/device-001/readings/layout", true],
      ["sensors/device-002/readings/layout", true],
      ["sensors/device-003/readings/layout", true],
    ],
  );
  const readings = messages.slice(3);
  t.equal(readings.length, 30);
  t.same(fleet.counts, { readings: 30, messages: 33, repeated: 0, restarts: 0, droppedReadings: 0 });
  const rows = generateRows({ signal: "mixed", seed: 5, devices: 3, steps: 10 });
  readings.forEach((message, k) => {
    const [device, step] = [k % 3, Math.floor(k / 3)];
    t.equal(message.topic, `sensors/${fleet.names[device]!}/readings`);
    const { times, sequences, values } = decode(message, mixed);
    t.equal(times[0], Math.round(NOW + (k * 100) / 3));
    t.equal(sequences[0], step);
    t.same(values, rows.streams[device]!.values.slice(step * 4, step * 4 + 4));
  });
  t.same(
    fleet.source(0).features.map(({ name }) => name),
    mixed,
  );
  await pass(clock, 5000);
  t.equal(messages.length, 33, "after stop nothing more comes");
});

t.test("the same seed gives the same readings, whatever the number of devices; nonces differ", async (t) => {
  const runs: Recorded[] = [];
  for (const [devices, nonces] of [
    [2, 1],
    [4, 2],
  ] as const) {
    const run = createRecorded({
      devices,
      nonces: createRandom(nonces),
      faults: { kinds: ["spike", "dropout"], intervalSteps: 20 },
    });
    await run.fleet.start();
    await pass(run.clock, 10_000);
    run.fleet.stop();
    runs.push(run);
  }
  const [two, four] = runs.map((run) =>
    run.messages.filter((message) => message.topic === "sensors/device-002/readings").map((message) => decode(message, mixed)),
  );
  t.equal(two!.length, four!.length);
  two!.forEach((readings, i) => t.same([readings.values, readings.missing], [four![i]!.values, four![i]!.missing]));
  t.not(two![0]!.identity!.nonce, four![0]!.identity!.nonce);
  t.ok(
    two!.some((readings) => readings.missing !== undefined),
    "dropouts came through",
  );
});

t.test("a fleet flushes its batches when it stops, and counts what found no room", async (t) => {
  let room = 8;
  const taken: DeviceMessage[] = [];
  const { fleet, clock } = createRecorded({ devices: 1, batch: 4, publish: (message) => room-- > 0 && taken.push(message) > 0 });
  await fleet.start();
  await pass(clock, 5050);
  fleet.stop();
  t.equal(fleet.counts.readings, 51);
  t.same(
    taken.map((message) => message.readings),
    [0, 4, 4, 4, 4, 4, 4, 4],
  );
  t.equal(fleet.counts.droppedReadings, 51 - 28);
});

t.test("a fleet that fell behind slips instead of bursting", async (t) => {
  const fake = new FakeClock();
  let suspendedMs = 0;
  const clock: Clock = {
    wallMs: () => fake.wallMs() + suspendedMs,
    monotonicMs: () => fake.monotonicMs() + suspendedMs,
    isSynced: () => true,
    after: (delayMs, run) => fake.after(delayMs, run),
    soon: (run) => fake.soon(run),
  };
  const times: number[] = [];
  const { fleet } = createRecorded({
    devices: 1,
    clock,
    publish: (message) => {
      if (message.readings > 0) times.push(decode(message, mixed).times[0]! - NOW);
      return true;
    },
  });
  await fleet.start();
  await pass(fake, 950);
  suspendedMs = 60_000;
  await pass(fake, 1050);
  fleet.stop();
  t.same(times.slice(0, 10), [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
  t.equal(times.length, 21, "nothing is made up for");
  t.ok(times[10]! > 60_800);
  t.same(
    times.slice(10).map((time) => time - times[10]!),
    Array.from({ length: 11 }, (_, i) => i * 100),
    "and the pace is the same again",
  );
});

t.test(
  "with every quirk at once a receiver that follows the sequence rule steps no reading twice and finds every verdict it should",
  async (t) => {
    const { fleet, clock, messages } = createRecorded({
      devices: 4,
      rate: 50,
      quirks: ["repeat", "restart", "clock-offset", "no-clock"],
    });
    await fleet.start();
    await pass(clock, 60_000);
    fleet.stop();
    const { counts } = fleet;
    t.ok(counts.restarts >= 8, `${counts.restarts} restarts`);
    t.ok(counts.repeated > 100, `${counts.repeated} repeated`);
    const last = new Map<string, SequencePoint>();
    const verdicts = new Map<SequenceVerdict, number>();
    let stepped = 0;
    const offsets = new Map<string, number>();
    for (const message of messages.filter(({ readings }) => readings > 0)) {
      const { identity, sequences, times } = decode(message, mixed);
      const next = { ...identity!, sequence: sequences[0]!, seenMs: NOW };
      const { verdict, missed } = judgeSequence(last.get(message.topic), next);
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
      if (missed !== 0) t.fail("a number was left out");
      if (isAccepted(verdict)) {
        stepped++;
        last.set(message.topic, next);
        if (!offsets.has(message.topic)) offsets.set(message.topic, times[0]! - NOW);
      }
    }
    t.equal(stepped, counts.readings, "every reading once");
    t.equal(verdicts.get("first"), 4);
    t.equal(verdicts.get("new_boot"), counts.restarts);
    // What a reboot repeats can only be of its own boot: the device forgot the rest.
    t.equal(verdicts.get("duplicate"), counts.repeated);
    t.equal(verdicts.get("stale_boot"), undefined);
    const shifts = [...offsets.values()];
    t.ok(Number.isNaN(shifts[0]) && Number.isNaN(shifts[2]), "every second device has no clock");
    t.ok(
      Math.abs(shifts[1]!) > 1000 && Math.abs(shifts[1]!) <= 3_600_000 && shifts[1] !== shifts[3],
      "the others are off, each by its own",
    );
  },
);

t.test("a fleet without identities sends none, and impossible sizes are refused", async (t) => {
  const { fleet, messages } = createRecorded({ quirks: ["no-identity"] });
  await fleet.start();
  fleet.stop();
  t.equal(decode(messages.at(-1)!, mixed).identity, undefined);
  for (const wrong of [{ devices: 0 }, { rate: 0 }, { batch: 0 }, { rate: Number.NaN }]) {
    t.throws(() => createRecorded(wrong), { code: "bad_argument", message: /all must be above 0/ });
  }
});

t.test("boot numbers from a file count 1, 2, 3 over restarts; the world goes on while devices are off", async (t) => {
  const folder = join(t.testdir(), "state");
  const first = new FakeClock();
  const memory = await openDeviceMemory(systemDisk, folder, first);
  t.equal(memory.worldStartedAt, NOW);
  t.same(await memory.nextBoots(["a", "b"]), [1, 1]);
  const [once, twice] = await Promise.all([memory.nextBoots(["a"]), memory.nextBoots(["a", "c"])]);
  t.same([once, twice], [[2], [3, 1]]);
  t.same(JSON.parse(readFileSync(join(folder, "devices.json"), "utf8")), { worldStartedAt: NOW, boots: { a: 3, b: 1, c: 1 } });

  const later = new FakeClock();
  later.jumpWall(60_000);
  const again = await openDeviceMemory(systemDisk, folder, later);
  t.equal(again.worldStartedAt, NOW);
  t.same(await again.nextBoots(["a", "d"]), [4, 1]);
  const { fleet } = createRecorded({ memory: again }, later);
  await fleet.start();
  t.equal(fleet.step, 600, "a minute at ten a second");
  fleet.stop();
});

t.test("a state file that is something else is left alone", async (t) => {
  const folder = t.testdir();
  for (const text of [
    "",
    "[]",
    '{"boots": {}}',
    '{"worldStartedAt": 5, "boots": {"a": "1"}}',
    '{"worldStartedAt": -1, "boots": {}}',
  ]) {
    writeFileSync(join(folder, "devices.json"), text);
    await t.rejects(openDeviceMemory(systemDisk, folder, new FakeClock()), {
      code: "foreign_state",
      message: /devices\.json: it does not hold boot counters; choose another folder or remove it/,
    });
    t.equal(readFileSync(join(folder, "devices.json"), "utf8"), text);
  }
});

t.test("a fleet whose boot counters cannot be kept says so", async (t) => {
  const failing = new Error("disk is gone");
  let calls = 0;
  const memory = {
    worldStartedAt: NOW,
    nextBoots: (names: readonly string[]) => (calls++ === 0 ? Promise.resolve(names.map(() => 1)) : Promise.reject(failing)),
  };
  const { fleet, clock } = createRecorded({ devices: 20, rate: 50, quirks: ["restart"], memory });
  await fleet.start();
  await pass(clock, 2000);
  fleet.stop();
  await t.rejects(fleet.failure, failing);
});

t.test("without a file boot numbers come from the clock, and rise even where it stands still", async (t) => {
  const clock = new FakeClock();
  const memory = clockDeviceMemory(clock);
  const seconds = (NOW - Date.UTC(2020, 0, 1)) / 1000;
  t.same(await memory.nextBoots(["a", "b"]), [seconds, seconds]);
  t.same(await memory.nextBoots(["a"]), [seconds + 1]);
  await pass(clock, 10_000);
  t.same(await memory.nextBoots(["a"]), [seconds + 10]);
  const unset = new FakeClock();
  unset.jumpWall(-NOW);
  t.same(await clockDeviceMemory(unset).nextBoots(["a"]), [1]);
});

const table = {
  features: ["a", "b"],
  streams: [
    {
      key: "x",
      count: 4,
      times: Float64Array.of(1e12, 1e12 + 2000, 1e12 + 1000, 1e12 + 4000),
      values: Float32Array.of(1, 2, 3, Number.NaN, 5, 6, 7, 8),
    },
    { key: "y/1", count: 1, times: Float64Array.of(1e12 + 1500), values: Float32Array.of(9, 10) },
  ],
};

function createReplay(
  clock: FakeClock,
  options: Partial<ReplayOptions> = {},
): { replay: Replay; sent: [number, DeviceMessage][] } {
  const sent: [number, DeviceMessage][] = [];
  const replay = new Replay({
    table,
    name: "file",
    speed: 2,
    clock,
    memory: clockDeviceMemory(clock),
    nonces: createRandom(3),
    publish: (message) => sent.push([clock.monotonicMs(), message]) > 0,
    whenRoom: () => Promise.resolve(),
    ...options,
  });
  return { replay, sent };
}

t.test("a replay keeps the rows' order and times at its own pace; a step back in time follows at once", async (t) => {
  const clock = new FakeClock();
  const { replay, sent } = createReplay(clock);
  const done = replay.run();
  await pass(clock, 10_000);
  await done;
  t.same(
    sent.slice(0, 2).map(([, { topic }]) => topic),
    ["sensors/x/readings/layout", "sensors/y%2F1/readings/layout"],
  );
  const rows = sent.slice(2).map(([at, message]) => {
    const { times, sequences, values, missing } = decode(message, ["a", "b"]);
    return [at, message.topic.split("/")[1], times[0]! - 1e12, sequences[0], values[0], missing?.[1] ?? 0];
  });
  t.same(rows, [
    [0, "x", 0, 0, 1, 0],
    [750, "y%2F1", 1500, 0, 9, 0],
    [1000, "x", 2000, 1, 3, 1],
    [1000, "x", 1000, 2, 5, 0],
    [2000, "x", 4000, 3, 7, 0],
  ]);
  t.same(replay.counts, { readings: 5, messages: 7 });
});

t.test("at full speed a replay waits for room only, and sends the last, partial batch", async (t) => {
  const clock = new FakeClock();
  let room = 0;
  let waits = 0;
  const taken: DeviceMessage[] = [];
  const { replay } = createReplay(clock, {
    table: { features: ["a", "b"], streams: [{ ...table.streams[0]!, key: "" }] },
    speed: Infinity,
    batch: 3,
    publish: (message) => room-- > 0 && taken.push(message) > 0,
    whenRoom: () => {
      waits++;
      room = 1;
      return Promise.resolve();
    },
  });
  await replay.run();
  t.equal(clock.monotonicMs(), 0);
  t.equal(waits, 3);
  t.same(
    taken.map(({ topic, readings }) => [topic, readings]),
    [
      ["sensors/file/readings/layout", 0],
      ["sensors/file/readings", 3],
      ["sensors/file/readings", 1],
    ],
  );
});

t.test("a replay that is stopped ends at once, even in the middle of a pause or for want of room", async (t) => {
  const clock = new FakeClock();
  const { replay, sent } = createReplay(clock, { speed: 1e-6 });
  const done = replay.run();
  await pass(clock, 10);
  replay.stop();
  await done;
  t.equal(sent.length, 3);

  let release = (): void => {
    t.fail("nobody waited for room");
  };
  const full = createReplay(clock, { publish: () => false, whenRoom: () => new Promise((resolve) => (release = resolve)) });
  const ended = full.replay.run();
  await pass(clock, 10);
  full.replay.stop();
  release();
  await ended;
  t.equal(full.replay.counts.messages, 0);
});
