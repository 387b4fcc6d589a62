import t from "tap";
import { createRandom } from "../../src/base/random.ts";
import { Journal } from "../../src/journal/journal.ts";
import type { JournalEvent } from "../../src/journal/events.ts";
import { readHistory } from "../../src/journal/read-history.ts";
import { BlockBuffer } from "../../src/journal/segment.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryDisk } from "../support/memory-disk.ts";

const directory = "/state/journal";
const sizes = { segmentBytes: 16 * 1024, blockBytesMax: 4 * 1024 };
const DAY_MS = 24 * 3_600_000;

function readings(clock: FakeClock, sequence: number): JournalEvent {
  const receivedAt = clock.wallMs();
  return {
    kind: "readings",
    group: 0,
    row: 0,
    identity: undefined,
    firstSequence: sequence,
    count: 8,
    skipped: undefined,
    receivedAt,
    clockSynced: true,
    deviceTimes: false,
    times: new Float64Array(8).fill(receivedAt),
    features: 8,
    values: new Float32Array(64).fill(sequence),
    missing: undefined,
    weakDelivery: undefined,
    fromHeld: false,
    outputs: new Float32Array(8),
    alarms: [],
    silent: false,
    muted: false,
  };
}

class Recorded {
  readonly disk = new MemoryDisk();
  readonly clock = new FakeClock();
  journal!: Journal;

  async open(bytes: number): Promise<this> {
    const history = { bytes, ageMs: 30 * DAY_MS, clock: this.clock };
    this.journal = await Journal.open({ disk: this.disk, directory, ...sizes, random: createRandom(1), history });
    await this.journal.replay(this.#safe, () => {});
    await this.journal.makeWritable();
    return this;
  }

  #safe = 0;

  /** Appends events, an hour apart, and gives back what lies before the last ten. */
  async append(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.clock.advance(3_600_000);
      const block = new BlockBuffer();
      block.add(readings(this.clock, this.journal.position));
      await this.journal.append(block);
      await this.journal.sync();
      this.#safe = Math.max(0, this.journal.position - 10);
      if (i % 20 === 19) await this.journal.recycle(this.#safe);
    }
  }

  /** The positions that are still there, which must be those that the events say. */
  async positions(from = 0): Promise<number[]> {
    const found: number[] = [];
    await readHistory(this.disk, directory, from, (event, position) => {
      if (event.kind === "readings" && event.firstSequence === position) found.push(position);
    });
    return found;
  }

  names(prefix: string): string[] {
    return this.disk.paths.filter((path) => path.startsWith(`${directory}/${prefix}-`));
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

t.test(
  "segments that recovery no longer needs are kept as history, and everything can be read in order while the journal goes on",
  async (t) => {
    const one = await new Recorded().open(1024 * 1024);
    await one.append(300);
    t.ok(one.names("history").length >= 4);
    t.strictSame(await one.positions(), range(0, 300));
    t.strictSame(await one.positions(250), range(250, 300), "or from a position on");
    t.equal(one.journal.historyBytes, one.names("history").length * sizes.segmentBytes);
    await one.journal.close();
    await one.open(1024 * 1024);
    await one.append(40);
    t.strictSame(await one.positions(), range(0, 340), "after a restart too");
  },
);

t.test("history stays within its bytes, the oldest makes room, and its files are written over", async (t) => {
  const one = await new Recorded().open(3 * sizes.segmentBytes);
  await one.append(600);
  t.equal(one.names("history").length, 3);
  t.ok(one.names("segment").length <= 4, "no file too many");
  const left = await one.positions();
  t.strictSame(left, range(left[0]!, 600));
  t.ok(left[0]! > 300);
  await one.journal.close();
  await one.open(0);
  await one.append(60);
  t.strictSame(one.names("history"), [], "a smaller bound holds from the next checkpoint on");
});

t.test("history goes when its readings are older than the bound", async (t) => {
  const one = await new Recorded().open(1024 * 1024);
  await one.append(200);
  one.clock.advance(25 * DAY_MS);
  await one.append(40);
  const left = await one.positions();
  t.ok(left[0]! > 0 && left[0]! < 200, "some of it is older than 30 days by now");
  one.clock.advance(31 * DAY_MS);
  await one.append(200);
  t.ok((await one.positions())[0]! >= 200);
});

t.test("on a full disk the journal goes on in the files of its history, oldest first", async (t) => {
  const one = await new Recorded().open(1024 * 1024);
  await one.append(200);
  const files = (): number => one.names("history").length + one.names("segment").length;
  const count = files();
  one.disk.intercept = (call, path) => {
    if (call === "open" && !one.disk.paths.includes(path)) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
  };
  await one.append(100);
  t.equal(files(), count, "no file is made");
  const left = await one.positions();
  t.strictSame(left, range(left[0]!, 300));
  t.ok(left[0]! > 40, "the oldest readings are gone");
  await one.journal.close();
  await one.open(1024 * 1024);
  t.equal(one.journal.position, 300, "recovery needs none of it");
});

t.test("a damaged file of the history costs its own readings and nothing else", async (t) => {
  const one = await new Recorded().open(1024 * 1024);
  await one.append(200);
  const [first, second] = one.names("history");
  one.disk.bytes(first!).fill(0, 0, 4096);
  one.disk.bytes(second!).fill(7, 8192, 9000);
  await one.journal.close();
  await one.open(1024 * 1024);
  const left = await one.positions();
  t.ok(left.length > 60 && left.at(-1) === 199);
  t.strictSame(left.slice(-60), range(140, 200));
});
