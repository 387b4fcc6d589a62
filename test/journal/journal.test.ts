import t from "tap";
import fc from "fast-check";
import { crc32c } from "../../src/base/crc32c.ts";
import { createRandom } from "../../src/base/random.ts";
import { CheckpointFiles } from "../../src/journal/checkpoint-file.ts";
import type { CheckpointWriter } from "../../src/journal/checkpoint-file.ts";
import { Journal } from "../../src/journal/journal.ts";
import type { JournalEvent } from "../../src/journal/events.ts";
import { BlockBuffer, SEGMENT_HEADER_BYTES } from "../../src/journal/segment.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { rounds } from "../support/emulation.ts";

const directory = "/state/journal";
const random = createRandom(3);
const sizes = { segmentBytes: 16 * 1024, blockBytesMax: 4 * 1024 };

function notice(text: string): JournalEvent {
  return { kind: "notice", topic: text, payload: new Uint8Array(text.length % 50) };
}

async function append(journal: Journal, texts: readonly string[]): Promise<void> {
  const block = new BlockBuffer();
  for (const text of texts) block.add(notice(text));
  await journal.append(block);
  await journal.sync();
}

interface Opened {
  readonly journal: Journal;
  readonly texts: string[];
  readonly damaged: boolean;
}

async function reopen(disk: MemoryDisk, from = 0): Promise<Opened> {
  const journal = await Journal.open({ disk, directory, random, ...sizes });
  const texts: string[] = [];
  const { damaged } = await journal.replay(from, (event) => {
    if (event.kind === "notice") texts.push(event.topic);
  });
  return { journal, texts, damaged };
}

async function begun(disk: MemoryDisk): Promise<Journal> {
  const { journal } = await reopen(disk);
  await journal.makeWritable();
  return journal;
}

/** Writes a checkpoint of one chunk that says its position. */
const one = (text: string) => async (writer: CheckpointWriter) => {
  await writer.chunk(new TextEncoder().encode(text));
  return Number(text);
};

t.test("a journal gives back what was appended, in order and with positions", async (t) => {
  const disk = new MemoryDisk();
  const journal = await begun(disk);
  await append(journal, ["a", "b"]);
  await append(journal, ["c"]);
  t.equal(journal.position, 3);
  const { texts, journal: again } = await reopen(disk);
  t.strictSame(texts, ["a", "b", "c"]);
  t.equal(again.position, 3);
  t.strictSame((await reopen(disk, 2)).texts, ["c"], "from a position inside a block's range on");
});

t.test("opening and replaying write nothing", async (t) => {
  const disk = new MemoryDisk();
  await append(await begun(disk), ["a"]);
  disk.intercept = (call) => {
    if (!["list", "open", "size", "read", "close"].includes(call)) throw new Error(`${call} while only reading`);
  };
  t.strictSame((await reopen(disk)).texts, ["a"]);
});

t.test("segments follow one another, and those before a checkpoint are used again", async (t) => {
  const disk = new MemoryDisk();
  const journal = await begun(disk);
  const all: string[] = [];
  for (let i = 0; i < 400; i++) {
    const texts = Array.from({ length: 1 + (i % 7) }, (_, k) => `event ${i}.${k} ${"x".repeat(i % 60)}`);
    all.push(...texts);
    await append(journal, texts);
    if (i % 100 === 99) await journal.recycle(all.length - 50);
  }
  t.ok(disk.paths.length < 10, "files are recycled");
  const { texts } = await reopen(disk, all.length - 50);
  t.strictSame(texts, all.slice(-50));
  await t.rejects(reopen(disk, 0), {
    code: "state_damaged",
    message: /cannot recover from \/state\/journal: its first event is \d+, and none of the events from 0 on is left; restore/,
  });
});

t.test("after a power cut every appended block is there, and nothing that was not appended", async (t) => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = createRandom(seed);
    const disk = new MemoryDisk();
    const durable: string[] = [];
    for (let life = 0; life < 4; life++) {
      const { journal, texts, damaged } = await reopen(disk);
      if (damaged) t.fail(`seed ${seed}: a power cut reads as damage`);
      const extra = texts.slice(durable.length);
      t.strictSame(texts.slice(0, durable.length), durable, `seed ${seed}: all that was durable`);
      durable.push(...extra);
      await journal.makeWritable();
      const blocks = Math.floor(random.next() * 30);
      for (let i = 0; i < blocks; i++) {
        const texts = [`${seed}/${life}/${i}`, "y".repeat(Math.floor(random.next() * 1500))];
        await append(journal, texts);
        durable.push(...texts);
      }
      // The power goes in the middle of one more append.
      let calls = Math.floor(random.next() * 4);
      disk.intercept = () => {
        if (calls-- <= 0) throw Object.assign(new Error("power"), { code: "EIO" });
      };
      await append(journal, [`${seed}/${life}/torn`, "z".repeat(1000)]).catch(() => {});
      disk.intercept = () => {};
      disk.powerCut(random);
    }
  }
});

t.test(
  "what was recovered once stays: a block read from the page cache is made durable before anything new is written",
  async (t) => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = createRandom(seed);
      const disk = new MemoryDisk();
      const journal = await begun(disk);
      await append(journal, ["a"]);
      // Killed between write and sync: the block lies in the page cache only.
      disk.intercept = (call) => {
        if (call === "datasync") throw Object.assign(new Error("killed"), { code: "EIO" });
      };
      await t.rejects(append(journal, ["b"]));
      disk.intercept = () => {};
      const first = await reopen(disk);
      t.strictSame(first.texts, ["a", "b"]);
      await first.journal.makeWritable();
      disk.powerCut(random);
      t.strictSame((await reopen(disk)).texts, ["a", "b"], `seed ${seed}`);
    }
  },
);

t.test(
  "a checkpoint that is read but need not be on the disk is made durable before the other one is written over",
  async (t) => {
    for (let seed = 1; seed <= 100; seed++) {
      const disk = new MemoryDisk();
      const files = new CheckpointFiles(disk, directory);
      await files.write(one("10"));
      // The process dies of the last sync: the header stands in the page cache only.
      const calls: string[] = [];
      disk.intercept = (call) => {
        if (call === "datasync") calls.push(call);
        if (calls.length === 3) throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
      };
      await t.rejects(files.write(one("20")), { code: "disk_failed" });
      disk.intercept = () => {};
      const again = new CheckpointFiles(disk, directory);
      t.match(await again.load(), { position: 20 });
      await t.rejects(
        again.write(() => Promise.reject(new Error("the power goes"))),
        { code: "disk_failed" },
      );
      disk.powerCut(createRandom(seed));
      t.match(await new CheckpointFiles(disk, directory).load(), { position: 20 }, `seed ${seed}`);
    }
  },
);

t.test("the only checkpoint there is is not touched while another one is written", async (t) => {
  const disk = new MemoryDisk();
  const files = new CheckpointFiles(disk, directory);
  await files.write(one("10"));
  await files.write(one("20"));
  disk.bytes(`${directory}/checkpoint-a`)[6]! ^= 1;
  const again = new CheckpointFiles(disk, directory);
  t.match(await again.load(), { position: 20 });
  disk.intercept = (call, path) => {
    if (call === "write" && path.endsWith("-b")) throw new Error("a power cut could spoil it");
  };
  await again.write(one("30"));
  t.match(await new CheckpointFiles(disk, directory).load(), { position: 30 });
});

t.test("a checkpoint that was given up does not come back in a power cut", async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const disk = new MemoryDisk();
    const files = new CheckpointFiles(disk, directory);
    await files.write(one("10"));
    await files.write(one("20"));
    // The process dies once it has truncated the older one.
    disk.intercept = (call) => {
      if (call === "datasync" && disk.bytes(`${directory}/checkpoint-a`).length === 0) throw new Error("killed");
    };
    const { journal } = await reopen(disk, 20);
    t.equal(journal.position, 20);
    await t.rejects(files.write(one("30")));
    disk.intercept = () => {};
    const again = new CheckpointFiles(disk, directory);
    t.match(await again.load(), { position: 20 });
    await again.clear();
    disk.powerCut(createRandom(seed));
    disk.bytes(`${directory}/checkpoint-b`)[6]! ^= 1;
    t.equal(await new CheckpointFiles(disk, directory).load(), undefined, `seed ${seed}`);
  }
});

t.test("a checkpoint of another format is told from a damaged one", async (t) => {
  const disk = new MemoryDisk();
  const files = new CheckpointFiles(disk, directory);
  await files.write(async (writer) => {
    await writer.chunk(new Uint8Array(5));
    return 7;
  });
  const path = `${directory}/checkpoint-a`;
  const bytes = disk.bytes(path).slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(4, 1, true);
  disk.put(path, bytes);
  const damaged = new CheckpointFiles(disk, directory);
  t.equal(await damaged.load(), undefined, "its header's CRC is wrong");
  t.equal(damaged.damagedCount, 1);
  view.setUint32(24, crc32c(bytes, 0, 0, 24), true);
  disk.put(path, bytes);
  await t.rejects(new CheckpointFiles(disk, directory).load(), {
    code: "foreign_state",
    message: /^cannot read the checkpoint: it has format 1, this version reads 5; an older release has written it/,
  });
});

t.test("old bytes behind a torn block are never taken for events", async (t) => {
  const disk = new MemoryDisk();
  const journal = await begun(disk);
  const block = (text: string): BlockBuffer => {
    const one = new BlockBuffer();
    one.add(notice(text));
    return one;
  };
  await append(journal, ["a"]);
  // Two blocks written and not yet synced: the first is lost in a power cut, the second is not.
  await journal.append(block("b1"));
  await journal.append(block("c"));
  const start = SEGMENT_HEADER_BYTES + block("a").bytes;
  disk.bytes(`${directory}/segment-000001`).fill(0, start, start + block("b1").bytes);
  const { journal: again, texts, damaged } = await reopen(disk);
  t.strictSame(texts, ["a"]);
  t.notOk(damaged, "what was not synced may be lost");
  await again.makeWritable();
  await append(again, ["b2"]);
  t.equal(block("b2").bytes, block("b1").bytes, "c would follow");
  t.strictSame((await reopen(disk)).texts, ["a", "b2"]);
});

t.test("a segment file that can be neither finished nor removed is the next to be made, and is no damage", async (t) => {
  const disk = new MemoryDisk();
  let removes = true;
  disk.intercept = (call, path) => {
    if (call === "write" && !path.endsWith("1")) throw Object.assign(new Error("full"), { code: "ENOSPC" });
    if (call === "remove" && !removes) throw Object.assign(new Error("bad"), { code: "EIO" });
  };
  const journal = await begun(disk);
  await append(journal, ["a"]);
  await journal.close();
  removes = false;
  const { journal: again } = await reopen(disk);
  await t.rejects(again.makeWritable(), { code: "disk_full" });
  disk.intercept = () => {};
  await again.makeWritable();
  await append(again, ["b"]);
  const last = await reopen(disk);
  t.strictSame(last.texts, ["a", "b"]);
  t.notOk(last.damaged);
});

t.test("what was lost behind a block does not come back behind another one that says the same", async (t) => {
  const disk = new MemoryDisk();
  const journal = await begun(disk);
  const block = new BlockBuffer();
  block.add(notice("b"));
  await append(journal, ["a"]);
  await journal.append(block);
  const lost = new BlockBuffer();
  lost.add(notice("c"));
  await journal.append(lost);
  // A power cut takes the first of the two that were not synced. A checkpoint of position 1 proves what is before them.
  const segment = disk.bytes(`${directory}/segment-000001`);
  segment.fill(0, SEGMENT_HEADER_BYTES + block.bytes, SEGMENT_HEADER_BYTES + 2 * block.bytes);
  const { journal: again } = await reopen(disk, 1);
  await again.makeWritable();
  await append(again, ["b"]);
  t.strictSame((await reopen(disk)).texts, ["a", "b"]);
});

t.test("a broken block before one that was written after it was synced is damage, also in the last segment", async (t) => {
  const disk = new MemoryDisk();
  const journal = await begun(disk);
  for (const text of ["a", "b", "c"]) await append(journal, [text]);
  disk.bytes(`${directory}/segment-000001`)[SEGMENT_HEADER_BYTES + 73]! ^= 4;
  const { journal: again, texts, damaged } = await reopen(disk);
  t.ok(damaged);
  t.strictSame(texts, ["a"]);
  await again.makeWritable();
  await append(again, ["d"]);
  const last = await reopen(disk);
  t.strictSame(last.texts, ["a", "d"]);
  t.notOk(last.damaged, "it is told once");
});

t.test("a damage inside is told, and the damaged files are kept aside", async (t) => {
  const disk = new MemoryDisk();
  const journal = await begun(disk);
  for (let i = 0; i < 60; i++) await append(journal, [`${i}`, "x".repeat(1000)]);
  const first = disk.bytes(`${directory}/segment-000001`);
  first[SEGMENT_HEADER_BYTES + 3000]! ^= 1;
  const { journal: again, texts, damaged } = await reopen(disk);
  t.ok(damaged);
  t.ok(texts.length > 0 && texts.length < 20, "the events before the damage");
  await again.makeWritable();
  t.ok(
    disk.paths.some((path) => path.includes("damaged-")),
    "later segments are set aside",
  );
  await append(again, ["after"]);
  const last = await reopen(disk);
  t.strictSame(last.texts, [...texts, "after"]);
  t.notOk(last.damaged);
});

t.test("a segment whose header is damaged in one copy is read by the other, in both it is set aside", async (t) => {
  const disk = new MemoryDisk();
  await append(await begun(disk), ["a"]);
  disk.bytes(`${directory}/segment-000001`)[5]! ^= 1;
  t.strictSame((await reopen(disk)).texts, ["a"]);
  disk.bytes(`${directory}/segment-000001`)[SEGMENT_HEADER_BYTES / 2 + 5]! ^= 1;
  const { journal, texts } = await reopen(disk);
  t.strictSame(texts, []);
  t.equal(journal.setAsideCount, 1);
  await journal.makeWritable();
  t.ok(disk.paths.includes(`${directory}/damaged-000001`));
});

t.test(
  "a segment that is cut short, lost its header or has a second copy is told, and nothing is taken from what it is not",
  async (t) => {
    const [first, second, third] = [1, 2, 3].map((number) => `${directory}/segment-00000${number}`);
    const written = async (): Promise<{ disk: MemoryDisk; all: string[] }> => {
      const disk = new MemoryDisk();
      const journal = await begun(disk);
      const all: string[] = [];
      for (let i = 0; i < 24; i++) {
        const texts = [`${i}`, "x".repeat(900)];
        all.push(...texts);
        await append(journal, texts);
      }
      await journal.close();
      t.strictSame(disk.paths, [first, second, third], "two in use and a spare one");
      return { disk, all };
    };
    const cut = await written();
    cut.disk.put(second!, cut.disk.bytes(second!).slice(0, SEGMENT_HEADER_BYTES + 3000));
    const afterCut = await reopen(cut.disk);
    t.ok(afterCut.damaged, "cut short");
    t.strictSame(afterCut.texts, cut.all.slice(0, afterCut.texts.length));
    await afterCut.journal.makeWritable();
    t.notOk((await reopen(cut.disk)).damaged, "told once");

    const emptied = await written();
    emptied.disk.put(second!, new Uint8Array(0));
    const afterEmptied = await reopen(emptied.disk);
    t.ok(afterEmptied.damaged, "nothing is left of it");
    await afterEmptied.journal.makeWritable();
    t.notOk(emptied.disk.paths.includes(second!));

    for (const fill of [0, 7]) {
      const headless = await written();
      headless.disk.bytes(second!).fill(fill, 0, SEGMENT_HEADER_BYTES);
      const afterHeadless = await reopen(headless.disk);
      t.ok(afterHeadless.damaged, "blocks behind a lost header prove that they were durable");
      await afterHeadless.journal.makeWritable();
      t.ok(headless.disk.paths.includes(`${directory}/damaged-000002`));
    }

    const copied = await written();
    const stale = copied.disk.bytes(second!).slice();
    stale.fill(0, SEGMENT_HEADER_BYTES + 2000);
    copied.disk.put(third!, stale);
    const afterCopied = await reopen(copied.disk);
    t.strictSame(afterCopied.texts, copied.all, "the copy that goes furthest is read");
    t.ok(afterCopied.damaged);

    const unfinished = await written();
    unfinished.disk.put(third!, new Uint8Array(100));
    const afterUnfinished = await reopen(unfinished.disk);
    t.notOk(afterUnfinished.damaged, "a process may die while it makes a spare one");
    t.strictSame(afterUnfinished.texts, unfinished.all);
    await afterUnfinished.journal.makeWritable();
    t.notOk(unfinished.disk.paths.includes(third!) && unfinished.disk.bytes(third!).length === 100, "and it is not used");
  },
);

t.test("a journal that ends before the checkpoint goes on from the checkpoint", async (t) => {
  const disk = new MemoryDisk();
  await append(await begun(disk), ["a", "b"]);
  const { journal, damaged } = await reopen(disk, 10);
  t.ok(damaged);
  await journal.makeWritable();
  t.equal(journal.position, 10);
  await append(journal, ["k"]);
  const again = await reopen(disk, 10);
  t.strictSame(again.texts, ["k"]);
  t.notOk(again.damaged);
});

t.test("whoever waits for a sync behind one that fails is told the same", async (t) => {
  const disk = new MemoryDisk();
  const journal = await begun(disk);
  const block = new BlockBuffer();
  block.add(notice("a"));
  await journal.append(block);
  disk.intercept = (call) => {
    if (call === "datasync") throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
  };
  const syncs = await Promise.allSettled([journal.sync(), journal.sync()]);
  const reasons = syncs.map((sync) => (sync.status === "rejected" ? (sync.reason as unknown) : undefined));
  t.match(reasons[0], { code: "disk_failed" });
  t.equal(reasons[1], reasons[0]);
});

t.test("after a failed sync nothing is written again", async (t) => {
  const disk = new MemoryDisk();
  const journal = await begun(disk);
  disk.intercept = (call) => {
    if (call === "datasync") throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
  };
  await t.rejects(append(journal, ["a"]), {
    code: "disk_failed",
    message: "cannot write the journal in /state/journal: EIO: i/o error, fdatasync",
  });
  disk.intercept = (call) => {
    throw new Error(`${call} after a failure`);
  };
  const failure = { code: "disk_failed", message: "cannot write the journal in /state/journal: EIO: i/o error, fdatasync" };
  await t.rejects(journal.sync(), failure, "nor does another sync believe what the first one could not do");
  await t.rejects(append(journal, ["b"]), { message: "a journal is not used after a failure" });
});

t.test(
  "what a failed sync has left in the page cache is durable before anyone relies on it, and is not written over",
  async (t) => {
    for (let seed = 1; seed <= 20; seed++) {
      const disk = new MemoryDisk();
      const journal = await begun(disk);
      await append(journal, ["a"]);
      await append(journal, ["b"]);
      disk.intercept = (call) => {
        if (call === "datasync") throw Object.assign(new Error("EIO"), { code: "EIO" });
      };
      await t.rejects(append(journal, ["c"]), { code: "disk_failed" });
      disk.intercept = () => {};
      const before = disk.bytes(`${directory}/segment-000001`).slice();
      const { journal: again, texts } = await reopen(disk);
      t.strictSame(texts, ["a", "b", "c"], "the process sees it");
      await again.makeWritable();
      t.strictSame(disk.bytes(`${directory}/segment-000001`), before, "where it stands it stays");
      if (seed % 2 === 0) await append(again, ["d"]);
      disk.powerCut(createRandom(seed));
      const last = await reopen(disk);
      t.strictSame(last.texts, seed % 2 === 0 ? ["a", "b", "c", "d"] : ["a", "b", "c"]);
      t.notOk(last.damaged);
    }
  },
);

t.test("what was lost behind a carried block does not come back behind another copy of it", async (t) => {
  const disk = new MemoryDisk();
  const [first, second] = [1, 2].map((number) => `${directory}/segment-00000${number}`) as [string, string];
  const journal = await begun(disk);
  const alike = (text: string): BlockBuffer => {
    const block = new BlockBuffer();
    block.add(notice(text));
    return block;
  };
  await journal.append(alike("a"));
  await journal.append(alike("b"));
  await new Promise(setImmediate);
  // The process dies before the copy of both has its header, and so does the next one.
  const dies = async (): Promise<void> => {
    let syncs = 0;
    disk.intercept = (call, path) => {
      // The first is that of the spare file.
      if (call === "datasync" && path === second && ++syncs === 2) throw new Error("killed");
    };
    const { journal: next, texts } = await reopen(disk);
    t.strictSame(texts, ["a", "b"]);
    await t.rejects(next.makeWritable());
    disk.intercept = () => {};
  };
  await dies();
  await dies();
  // A power cut then takes the second block where it stood.
  const start = SEGMENT_HEADER_BYTES + alike("a").bytes;
  disk.bytes(first).fill(0, start, start + alike("b").bytes);
  const { journal: last, texts } = await reopen(disk);
  t.strictSame(texts, ["a"]);
  await last.makeWritable();
  t.strictSame((await reopen(disk)).texts, ["a"]);
});

t.test("a spare file whose zeros never reached the disk is made whole before it is used", async (t) => {
  const disk = new MemoryDisk();
  let isBroken = true;
  disk.intercept = (call, path) => {
    if (isBroken && call === "datasync" && path.endsWith("2")) throw Object.assign(new Error("EIO"), { code: "EIO" });
    // The process dies before it can remove the file.
    if (isBroken && call === "remove") throw new Error("killed");
  };
  await append(await begun(disk), ["a"]);
  await new Promise(setImmediate);
  isBroken = false;
  const { journal: again } = await reopen(disk);
  await again.makeWritable();
  await append(again, ["b"]);
  disk.powerCut(createRandom(1));
  const last = await reopen(disk);
  t.strictSame(last.texts, ["a", "b"]);
  t.notOk(last.damaged, "nobody has cut it short");
});

t.test("a journal of another format is refused, and nothing is called damaged", async (t) => {
  const disk = new MemoryDisk();
  await append(await begun(disk), ["a"]);
  const segment = disk.bytes(`${directory}/segment-000001`);
  for (const offset of [0, SEGMENT_HEADER_BYTES / 2]) {
    const view = new DataView(segment.buffer, segment.byteOffset + offset);
    view.setUint32(4, 1, true);
    view.setUint32(24, crc32c(segment, 0, offset, offset + 24), true);
  }
  await t.rejects(reopen(disk), {
    code: "foreign_state",
    message: /^cannot read the journal: it has format 1, this version reads 3; an older release has written it/,
  });
});

t.test("starts that follow each other quickly take no more room than one", async (t) => {
  const disk = new MemoryDisk();
  await append(await begun(disk), ["a"]);
  let files = 0;
  for (let start = 0; start < 6; start++) {
    const { journal, texts } = await reopen(disk);
    t.strictSame(texts, ["a"]);
    await journal.makeWritable();
    await journal.close();
    if (start === 1) files = disk.paths.length;
  }
  t.equal(disk.paths.length, files);
});

t.test("2,000 damaged journals give a prefix of what was written, never anything else", async (t) => {
  const disk = new MemoryDisk();
  const journal = await begun(disk);
  const all: string[] = [];
  for (let i = 0; i < 12; i++) {
    const texts = [`event ${i}`, "x".repeat((i * 37) % 200)];
    all.push(...texts);
    await append(journal, texts);
  }
  const path = `${directory}/segment-000001`;
  const whole = disk.bytes(path).slice();
  const random = createRandom(5);
  const end = 6 * 1024;
  for (let round = 0; round < 2000; round++) {
    const bytes = disk.bytes(path);
    bytes.set(whole);
    const at = Math.floor(random.next() * end);
    const length = 1 + Math.floor(random.next() * 64);
    const kind = round % 4;
    if (kind === 0) bytes[at]! ^= 1 << (round % 8);
    else if (kind === 1) bytes.fill(0, at, at + length);
    else if (kind === 2) bytes.copyWithin(at, Math.floor(random.next() * end), end);
    else for (let i = at; i < at + length; i++) bytes[i] = random.uint32() & 0xff;
    const { texts } = await reopen(disk);
    if (texts.some((text, i) => text !== all[i])) t.fail(`round ${round}: wrong events`);
  }
});

t.test("events come back from their bytes as they went in", async (t) => {
  const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
    fc.record(fields, { noNullPrototype: true });
  const bits = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => bytes.map((byte) => byte & 1));
  const readings = record({
    group: fc.nat(63),
    row: fc.nat(1e6),
    identity: fc.option(record({ boot: fc.nat(2 ** 31), nonce: fc.integer({ min: 1, max: 2 ** 32 - 1 }) }), { nil: undefined }),
    firstSequence: fc.nat(Number.MAX_SAFE_INTEGER - 100_000),
    receivedAt: fc.integer({ min: 0, max: 4e12 }),
    clockSynced: fc.boolean(),
    deviceTimes: fc.boolean(),
    fromHeld: fc.boolean(),
    silent: fc.boolean(),
    muted: fc.boolean(),
    missing: fc.option(bits, { nil: undefined }),
    weakDelivery: fc.option(
      record({ packetId: fc.integer({ min: 1, max: 65535 }), contentHash: fc.integer({ min: 0, max: 2 ** 32 - 1 }) }),
      { nil: undefined },
    ),
    alarms: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 3 }),
    rows: fc.array(
      record({ time: fc.integer({ min: 0, max: 4e12 }), skipped: fc.nat(1e9), value: fc.float(), output: fc.float() }),
      { minLength: 1, maxLength: 40 },
    ),
  }).map(({ rows, missing, ...fields }): JournalEvent => ({
    kind: "readings",
    ...fields,
    count: rows.length,
    features: 1,
    skipped: rows.some(({ skipped }) => skipped > 0) ? Float64Array.from(rows, ({ skipped }) => skipped) : undefined,
    times: Float64Array.from(rows, ({ time }) => time),
    values: Float32Array.from(rows, ({ value }) => value),
    missing: missing === undefined ? undefined : Uint8Array.from(rows, (_, i) => missing[i % missing.length]!),
    outputs: Float32Array.from(rows, ({ output }) => output),
  }));
  const command = { group: fc.nat(63), row: fc.nat(1e6), transaction: fc.string(), reply: fc.boolean() };
  const state = fc.dictionary(fc.stringMatching(/^[a-z0-9]{1,8}$/), fc.float32Array({ maxLength: 20 }), {
    noNullPrototype: true,
  });
  const blob = fc.uint8Array({ maxLength: 300 });
  const event = fc.oneof(
    readings,
    record({ kind: fc.constant("epoch" as const), settings: fc.string() }),
    record({
      kind: fc.constant("layout" as const),
      hash: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      names: fc.array(fc.string()),
      units: fc.array(fc.string()),
    }),
    record({ kind: fc.constant("streamAdded" as const), group: fc.nat(63), row: fc.nat(), key: fc.string() }),
    record({ kind: fc.constant("streamRemoved" as const), group: fc.nat(63), row: fc.nat(), key: fc.string() }),
    record({ kind: fc.constant("stateSet" as const), ...command, state }),
    record({ kind: fc.constant("stateReset" as const), ...command }),
    record({
      kind: fc.constant("held" as const),
      group: fc.nat(63),
      row: fc.nat(1e6),
      identity: record({ boot: fc.nat(2 ** 31), nonce: fc.integer({ min: 1, max: 2 ** 32 - 1 }) }),
      sequence: fc.nat(Number.MAX_SAFE_INTEGER),
      receivedAt: fc.integer({ min: 0, max: 4e12 }),
      clockSynced: fc.boolean(),
      deviceTime: fc.boolean(),
      time: fc.integer({ min: 0, max: 4e12 }),
      values: fc.float32Array({ minLength: 3, maxLength: 3 }),
      missing: fc.option(fc.constant(Uint8Array.of(0, 1, 0)), { nil: undefined }),
    }),
    record({ kind: fc.constant("streamRenamed" as const), ...command, from: fc.string(), key: fc.string() }),
    record({ kind: fc.constant("alarmMuted" as const), ...command, until: fc.nat(8.64e15), alarm: blob }),
    record({
      kind: fc.constant("alarmCalled" as const),
      ...command,
      verdict: fc.constantFrom("normal" as const, "fault" as const),
      alarm: blob,
    }),
    record({ kind: fc.constant("budgetSet" as const), ...command, perWeek: fc.double({ min: 0, max: 1e4, noNaN: true }) }),
    record({ kind: fc.constant("answered" as const), transaction: fc.string(), answer: fc.string() }),
    record({ kind: fc.constant("notice" as const), topic: fc.string(), payload: blob }),
    record({ kind: fc.constant("confirmed" as const), mark: fc.nat(Number.MAX_SAFE_INTEGER) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 8 }), async (events) => {
      const disk = new MemoryDisk();
      const options = { disk, directory, random, segmentBytes: 128 * 1024, blockBytesMax: 64 * 1024 };
      const journal = await Journal.open(options);
      await journal.makeWritable();
      const block = new BlockBuffer();
      for (const one of events) block.add(one);
      await journal.append(block);
      const again = await Journal.open(options);
      const read: JournalEvent[] = [];
      await again.replay(0, (one) => {
        if (one.kind === "notice") read.push({ ...one, payload: one.payload.slice() });
        else read.push("alarm" in one ? { ...one, alarm: one.alarm.slice() } : one);
      });
      t.strictSame(read, events);
    }),
    { seed: 7, numRuns: rounds(150) },
  );
});
