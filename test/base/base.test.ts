import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "../../src/base/bytes.ts";
import { systemClock, sleep, within } from "../../src/base/clock.ts";
import { crc32c } from "../../src/base/crc32c.ts";
import { readFully, readWhole, replaceFile, systemDisk, writeFully } from "../../src/base/disk.ts";
import type { DiskFile } from "../../src/base/disk.ts";
import { HiddenstateError, reasonOf, systemCodeOf } from "../../src/base/errors.ts";
import { createLog } from "../../src/base/log.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { createRandom, createSystemRandom, randomName } from "../../src/base/random.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryDisk } from "../support/memory-disk.ts";

t.test("crc32c gives the values of RFC 3720, appendix B.4", async (t) => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  const cases: [Uint8Array, number][] = [
    [new TextEncoder().encode("123456789"), 0xe3069283],
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [ascending, 0x46dd794e],
    [ascending.toReversed(), 0x113fdb5c],
    [new Uint8Array(0), 0],
  ];
  for (const [bytes, expected] of cases) t.equal(crc32c(bytes), expected);
});

t.test("crc32c goes on where another left off, and tells every flipped bit", async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), fc.nat(), (bytes, cut, flip) => {
      const middle = cut % bytes.length;
      const whole = crc32c(bytes);
      t.equal(crc32c(bytes, crc32c(bytes, 0, 0, middle), middle), whole);
      const damaged = bytes.slice();
      damaged[flip % bytes.length]! ^= 1 << (flip & 7);
      t.not(crc32c(damaged), whole);
    }),
    { seed: 1, numRuns: 200 },
  );
});

t.test("bytes come back as they were written, and reading past the end is an error", async (t) => {
  const value = fc.oneof(
    fc.record({ kind: fc.constant("varint" as const), value: fc.maxSafeNat() }),
    fc.record({ kind: fc.constant("signedVarint" as const), value: fc.integer({ min: -(2 ** 51), max: 2 ** 51 }) }),
    fc.record({ kind: fc.constant("u32" as const), value: fc.integer({ min: 0, max: 2 ** 32 - 1 }) }),
    fc.record({ kind: fc.constant("f64" as const), value: fc.double() }),
    fc.record({ kind: fc.constant("f32" as const), value: fc.float() }),
    fc.record({ kind: fc.constant("text" as const), value: fc.string({ unit: "grapheme" }) }),
  );
  fc.assert(
    fc.property(fc.array(value, { maxLength: 30 }), (values) => {
      const writer = new ByteWriter(1);
      for (const one of values) writer[one.kind](one.value as never);
      const reader = new ByteReader(writer.written);
      for (const one of values) if (!Object.is(reader[one.kind](), one.value)) t.fail(`${one.kind} ${String(one.value)}`);
      t.equal(reader.remaining, 0);
      t.throws(() => reader.u8(), { code: "bad_payload", message: /^cannot decode bytes: 1 wanted at \d+, 0 left$/ });
    }),
    { seed: 2, numRuns: 300 },
  );
  t.throws(() => new ByteReader(new Uint8Array(9).fill(0xff)).varint(), { message: /longer than 8 bytes|over 2\^53/ });
  t.throws(() => new ByteReader(Uint8Array.of(2, 0xff, 0xfe)).text(), { message: "cannot decode a text: it is not UTF-8" });
});

t.test("a seed gives the same numbers everywhere; forks go their own way", async (t) => {
  const random = createRandom(42);
  t.strictSame(
    Array.from({ length: 4 }, () => random.uint32()),
    [660444221, 3652823732, 77672526, 910233633],
  );
  const [a, b] = [createRandom(7), createRandom(7)];
  const fork = a.fork();
  b.fork();
  for (let i = 0; i < 100; i++) fork.uint32();
  t.equal(a.uint32(), b.uint32(), "what a fork draws changes nothing for its parent");
  const draws = Array.from({ length: 20_000 }, () => random.normal());
  const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
  const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
  t.ok(Math.abs(mean) < 0.03 && Math.abs(variance - 1) < 0.04, `normal: mean ${mean}, variance ${variance}`);
  t.not(randomName(createSystemRandom()), randomName(createSystemRandom()));
  t.match(randomName(random), /^[0-9a-f]{32}$/);
});

t.test("a write in pieces writes all, and a disk that takes nothing is an error", async (t) => {
  const bytes = new Uint8Array(10);
  const file = (step: number): DiskFile => ({
    read: async (into, position) => {
      const count = Math.min(step, into.length, bytes.length - position);
      into.set(bytes.subarray(position, position + count));
      return count;
    },
    write: async (from, position) => {
      const count = Math.min(step, from.length);
      bytes.set(from.subarray(0, count), position);
      return count;
    },
    datasync: async () => {},
    truncate: async () => {},
    size: async () => bytes.length,
    close: async () => {},
  });
  await writeFully(
    file(3),
    Uint8Array.from({ length: 10 }, (_, i) => i),
    0,
  );
  const back = new Uint8Array(10);
  t.equal(await readFully(file(4), back, 0), 10);
  t.strictSame([...back], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  await t.rejects(writeFully(file(0), new Uint8Array(2), 0), {
    code: "disk_failed",
    message: "cannot write 2 bytes: the disk took none",
  });
});

t.test("a replaced file is the old one or the new one after a power cut, at every moment", async (t) => {
  const [before, after] = [new Uint8Array(300).fill(1), new Uint8Array(500).fill(2)];
  for (let calls = 0; calls < 10; calls++) {
    for (let seed = 0; seed < 30; seed++) {
      const disk = new MemoryDisk();
      await disk.makeDirectory("/d");
      await replaceFile(disk, "/d/f", before);
      let left = calls;
      disk.intercept = () => {
        if (left-- <= 0) throw new Error("power");
      };
      const done = await replaceFile(disk, "/d/f", after).then(
        () => true,
        () => false,
      );
      disk.intercept = () => {};
      disk.powerCut(createRandom(seed));
      const found = await readWhole(disk, "/d/f");
      const whole =
        found !== undefined &&
        (found.length === 300 ? found.every((byte) => byte === 1) : found.length === 500 && found.every((byte) => byte === 2));
      if (!whole || (done && found.length !== 500)) t.fail(`after ${calls} calls, seed ${seed}: ${found?.length} bytes`);
    }
  }
});

t.test("the system's disk reads, lists, renames and removes", async (t) => {
  const folder = t.testdir({ a: "first" });
  t.strictSame(await systemDisk.list(folder), ["a"]);
  t.strictSame(await systemDisk.list(join(folder, "absent")), []);
  t.equal(await readWhole(systemDisk, join(folder, "absent")), undefined);
  t.equal(Buffer.from((await readWhole(systemDisk, join(folder, "a")))!).toString(), "first");
  await systemDisk.makeDirectory(join(folder, "b/c"));
  await systemDisk.makeDirectory(join(folder, "b/c"));
  await t.rejects(systemDisk.makeDirectory(join(folder, "a")), { code: "EEXIST" });
  await t.rejects(systemDisk.makeDirectory(join(folder, "a/b")), { code: "ENOTDIR" });
  await replaceFile(systemDisk, join(folder, "b/c/d"), Buffer.from("second"));
  t.equal(readFileSync(join(folder, "b/c/d"), "utf8"), "second");
  t.strictSame(await systemDisk.list(join(folder, "b/c")), ["d"]);
  await systemDisk.remove(join(folder, "b/c/d"));
  await systemDisk.remove(join(folder, "b/c/d"));
  t.strictSame(await systemDisk.list(join(folder, "b/c")), []);
  await t.rejects(systemDisk.open(join(folder, "none"), "write"), { code: "ENOENT" });
  mkdirSync(join(folder, "e"));
  writeFileSync(join(folder, "e/f"), "");
  await t.rejects(readWhole(systemDisk, join(folder, "e")), { code: "EISDIR" });
  t.ok((await systemDisk.freeBytes(folder)) > 0);
});

t.test("a folder that its file system does not take ends in an error, and not in a wait", async (t) => {
  await t.rejects(systemDisk.makeDirectory("/proc/none/of/these"), { code: "ENOENT", message: /mkdir '\/proc\/none'/ });
});

t.test("clocks: timers run once and can be cancelled, and a deadline passes failures on", async (t) => {
  const clock = new FakeClock();
  const ran: string[] = [];
  clock.after(10, () => ran.push("b"));
  clock.after(5, () => ran.push("a"));
  clock.after(7, () => ran.push("never")).cancel();
  clock.advance(20);
  t.strictSame(ran, ["a", "b"]);
  const before = systemClock.monotonicMs();
  await sleep(systemClock, 5);
  t.ok(systemClock.monotonicMs() > before);
  t.type(systemClock.isSynced(), "boolean");
  t.equal(await within(systemClock, 1000, Promise.resolve()), true);
  t.equal(await within(systemClock, 1, new Promise(() => {})), false);
  await t.rejects(within(systemClock, 1000, Promise.reject(new Error("no"))), { message: "no" });
});

t.test("counters and gauges are told by name and reason, gauges with their highest", async (t) => {
  const metrics = new Metrics();
  metrics.counter("refused", "range").add(2);
  metrics.counter("refused", "range").add();
  metrics.gauge("window").set(7);
  metrics.gauge("window").set(3);
  t.strictSame(metrics.snapshot(), { 'refused{reason="range"}': 3, window: 3, window_highest: 7 });
});

t.test("a log line is one JSON object with time, level and message, down to its level", async (t) => {
  const lines: string[] = [];
  const log = createLog("info", { write: (line) => lines.push(line) });
  log.debug("not this");
  log.info("this", { streams: 3 });
  t.equal(lines.length, 1);
  t.match(JSON.parse(lines[0]!), { level: 30, msg: "this", streams: 3, time: /^\d{4}-\d\d-\d\dT/ });
});

t.test("an error keeps its code and cause", async (t) => {
  const cause = Object.assign(new Error("gone"), { code: "ENOENT" });
  const error = new HiddenstateError("disk_failed", "cannot read x: gone", cause);
  t.match(error, { name: "HiddenstateError", code: "disk_failed", message: "cannot read x: gone", cause });
  t.equal(reasonOf("text"), "text");
  t.equal(systemCodeOf(cause), "ENOENT");
  t.equal(systemCodeOf("text"), undefined);
});
