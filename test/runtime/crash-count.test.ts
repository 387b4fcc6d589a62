import t from "tap";
import { CrashCount } from "../../src/runtime/crash-count.ts";
import { MemoryDisk } from "../support/memory-disk.ts";

const MINUTE = 60_000;
const SINCE = 1_000_000;
const switched = { since: SINCE, before: ["v"] };

async function lives(disk: MemoryDisk, ...startsAtMs: number[]): Promise<CrashCount> {
  let count!: CrashCount;
  for (const atMs of startsAtMs) {
    count = await CrashCount.load(disk, "/state", atMs);
    await count.begin();
  }
  return count;
}

async function newDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.makeDirectory("/state");
  return disk;
}

t.test("three crashes within ten minutes of a switch condemn it, and two do not", async (t) => {
  const two = await lives(await newDisk(), SINCE - MINUTE, SINCE + MINUTE, SINCE + 2 * MINUTE);
  t.notOk(two.condemns(switched));
  const three = await lives(await newDisk(), SINCE - MINUTE, SINCE + MINUTE, SINCE + 2 * MINUTE, SINCE + 10 * MINUTE);
  t.ok(three.condemns(switched));
  t.notOk(three.condemns({ since: 0, before: ["v"] }), "what a rollback went back to is not taken back");
  t.notOk(three.condemns({ since: SINCE, before: [] }), "a first model has nothing before it");
});

t.test("crashes before the switch or long after it say nothing of it, nor do stops", async (t) => {
  const early = await lives(await newDisk(), 0, SINCE - 2, SINCE - 1, SINCE + 1, SINCE + 2);
  t.notOk(early.condemns(switched));
  const late = await lives(await newDisk(), 0, SINCE + 1, SINCE + 2, SINCE + 10 * MINUTE + 1);
  t.notOk(late.condemns(switched));
  const disk = await newDisk();
  for (let life = 0; life < 4; life++) await (await lives(disk, SINCE + life)).end();
  t.notOk((await CrashCount.load(disk, "/state", SINCE + 5)).condemns(switched));
});

t.test("a start that is refused writes nothing, and a file that is none counts nothing", async (t) => {
  const disk = await newDisk();
  await CrashCount.load(disk, "/state", SINCE);
  t.strictSame(await disk.list("/state"), []);
  disk.put("/state/crashes.json", new TextEncoder().encode('{"format":1,"running":true,"crashes":"many"}'));
  t.notOk((await CrashCount.load(disk, "/state", SINCE)).condemns(switched));
  disk.intercept = () => {
    throw Object.assign(new Error("EIO"), { code: "EIO" });
  };
  const count = await CrashCount.load(disk, "/state", SINCE);
  await count.begin();
  t.notOk(count.condemns(switched));
});
