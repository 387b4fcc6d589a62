import t from "tap";
import { limits } from "../../src/base/limits.ts";
import { updateChunkTopic } from "../../src/message/topics.ts";
import { createPrivateKeyText, parsePrivateKey } from "../../src/message/update-key.ts";
import { chunksOf, encodeManifest, hashOf, manifestOf, signManifest } from "../../src/message/update-manifest.ts";
import type { UpdateManifest } from "../../src/message/update-manifest.ts";
import { decodeReport } from "../../src/message/update-report.ts";
import type { UpdateReport } from "../../src/message/update-report.ts";
import type { Model } from "../../src/model/model.ts";
import { HiddenstateError } from "../../src/base/errors.ts";
import { Announcements } from "../../src/runtime/announcements.ts";
import { Updates } from "../../src/runtime/updates.ts";
import { FakePort } from "../mqtt/fake-port.ts";
import { keepLog } from "../mqtt/open-port.ts";
import type { Box } from "../support/box.ts";
import { Life } from "../support/life.ts";
import { box, model, reading, turns } from "../support/one-group.ts";
import { randomModel } from "../support/random-model.ts";
import { privateKey, trustedKey } from "../support/update-key.ts";

const other = randomModel({ features: 2, hidden: [8], seed: 4 });
/** Of a dozen chunks. */
const large = randomModel({ features: 2, hidden: [420], seed: 5 });
/** Of two. */
const pair = randomModel({ features: 2, hidden: [130], seed: 7 });
const wider = randomModel({ features: 3, hidden: [8], seed: 6 });
const TOPIC = "hiddenstate/box/update/g";
const REPORT = "hiddenstate/box/update-report/g";
const DAY_MS = 24 * 3_600_000;
/** As the box's clock begins. */
const START_MS = Date.UTC(2026, 0, 1);

function manifest(of: Model, counter: number, more: Partial<UpdateManifest> = {}): Uint8Array {
  const update = { node: "box", group: "g", counter, expires: START_MS + DAY_MS };
  return signManifest(encodeManifest({ ...manifestOf(of, update), ...more }), privateKey);
}

/** One process that takes updates: its connection, what is retained on the broker, and what it says. */
class Taker {
  readonly port = new FakePort();
  readonly retained = new Map<string, Uint8Array>();
  readonly logged: string[] = [];
  readonly #box: Box;
  readonly #life: Life;
  readonly #announcements: Announcements;
  readonly updates: Updates;
  #served = 0;
  #packetId = 1;

  constructor(one: Box) {
    this.#box = one;
    this.#life = new Life(one.clock, one.disk);
    this.#announcements = new Announcements(one.outbox);
    this.updates = new Updates({
      node: "box",
      groups: new Set(["g"]),
      keys: [trustedKey],
      verifyModel: (file) => one.verifyModel(file),
      directory: "/state/updates",
      port: this.port,
      announcements: this.#announcements,
      fold: one.state.fold,
      modelSwitch: one.models,
      disk: this.#life.disk,
      clock: this.#life.clock,
      log: keepLog(this.logged),
      metrics: one.metrics,
    });
    this.updates.start();
    this.port.up({ present: false });
  }

  /** What is retained stays. */
  put(of: Model): void {
    chunksOf(of.bytes).forEach((chunk, index) => this.retained.set(updateChunkTopic("box", "g", of.version, index), chunk));
  }

  async say(topic: string, payload: Uint8Array): Promise<void> {
    this.port.packet(this.#packetId++, { topic, payload });
    await this.settle();
  }

  /** The broker answers each subscription with what is retained there. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 12; idle++) {
      for (const subscriptions of this.port.subscribed.slice(this.#served)) {
        this.#served++;
        idle = 0;
        this.port.subscribing!.resolve();
        for (const { filter } of subscriptions) {
          const payload = this.retained.get(filter);
          if (payload !== undefined) this.port.packet(this.#packetId++, { topic: filter, payload });
        }
      }
      await turns(10);
      // Those that this flood has made wait.
      if (this.port.held.at(-1) === true) this.#box.clock.advance(1000);
    }
  }

  /** A manifest that is judged now: time for the next has come. */
  async offer(payload: Uint8Array): Promise<UpdateReport | undefined> {
    this.#box.clock.advance(limits.updateReportMs);
    await this.say(TOPIC, payload);
    return this.report();
  }

  /** The last that was said; undefined where it was taken back, or nothing was said. */
  report(): UpdateReport | undefined {
    let payload: Uint8Array | undefined;
    for (let entry = this.#announcements.next(); entry !== undefined; entry = this.#announcements.next()) {
      this.#announcements.confirm(entry);
      if (entry.topic === REPORT) payload = entry.payload;
    }
    return payload === undefined || payload.length === 0 ? undefined : decodeReport(payload);
  }

  get inForce(): string {
    return this.#box.state.fold.groups[0]!.settings.version;
  }

  kill(): void {
    this.#life.end();
  }
}

t.test("a signed model is fetched, put in force between two readings, and told of", async (t) => {
  const one = await box();
  const taker = new Taker(one);
  taker.put(large);
  await one.deliver(reading("a", 0));
  const payload = manifest(large, 2);
  const report = await taker.offer(payload);
  t.match(report, {
    outcome: "in force",
    group: "g",
    manifest: hashOf(payload),
    key: "release",
    counter: 2,
    version: large.version,
  });
  t.equal(taker.inForce, large.version);
  await one.deliver(reading("a", 1));
  one.publishAll();
  const chunks = chunksOf(large.bytes).length;
  t.match(one.counters("update"), { update_chunks_received: chunks, updates_accepted: 1, updates_in_force: 1 });
  t.ok(
    taker.port.subscribed.every(({ length }) => length <= limits.updateChunksAskedMax),
    "a few chunks at a time",
  );
  t.equal(taker.port.unsubscribed.length, chunks, "and each only until it is here");
  t.match(await one.models.list(), [
    {
      version: large.version,
      inForce: true,
      lineage: { why: "update", update: { key: "release", counter: 2 }, base: model.version },
    },
    { version: model.version },
  ]);
  t.notOk(one.disk.paths.some((path) => path.endsWith(".part")));
  t.match(taker.updates.describe("g"), /^update 2, signed by release, version [0-9a-f]{16}: in force$/);
  t.match(await taker.offer(payload), { outcome: "in force" }, "the same again is only told of again");
  t.match(one.counters("updates"), { updates_accepted: 1, updates_in_force: 1 });
  await one.models.rollback("g");
  t.match(await taker.offer(payload), { outcome: "replaced" }, "what was taken back does not come again by itself");
  t.equal(taker.inForce, model.version);
});

t.test("a group that rolls its model forward takes a model that is like the one in its file", async (t) => {
  const shape = { features: 2, outputs: 2, hidden: [8] };
  const next = randomModel({ ...shape, seed: 9 });
  const one = await box({ models: { m: randomModel({ ...shape, seed: 8 }) } }, { horizons: [1, 3] });
  const taker = new Taker(one);
  taker.put(next);
  await one.deliver(reading("a", 0));
  t.match(await taker.offer(manifest(other, 1)), {
    outcome: "refused",
    reason: "wrong_shape",
    why: /^it gives the outputs output0: /,
  });
  t.match(await taker.offer(manifest(next, 2)), { outcome: "in force", version: next.version });
  t.match(one.state.fold.groups[0]!, { settings: { horizons: [1, 3] }, outputs: 8, model: { version: next.version } });
});

t.test("whatever is wrong with a manifest is told with its reason, and nothing is fetched for it", async (t) => {
  const one = await box();
  const taker = new Taker(one);
  for (const of of [other, large, wider]) taker.put(of);
  const stranger = signManifest(
    encodeManifest(manifestOf(other, { node: "box", group: "g", counter: 9, expires: 9e15 })),
    parsePrivateKey(createPrivateKeyText()),
  );
  const cases: [Uint8Array, string, RegExp][] = [
    [Buffer.from("?"), "malformed", /does not begin with a signature/],
    [Buffer.alloc(limits.updateManifestBytesMax + 1), "too_large", /the manifest has over 131072 bytes/],
    [stranger, "unknown_key", /^key [0-9a-f]{16} is none of the config's$/],
    [Buffer.concat([manifest(other, 3), Buffer.from(" ")]), "bad_signature", /not what key release has signed/],
    [manifest(other, 3, { bytes: 1e6 }), "bad_manifest", /1 chunks do not make 1000000 bytes/],
    [manifest(other, 3, { node: "box-2" }), "elsewhere", /signed for box-2\/g, and was sent to box\/g/],
    [manifest(other, 3, { group: "h" }), "elsewhere", /signed for box\/h/],
    [manifest(other, 3, { expires: START_MS - 1 }), "expired", /it was to be in force before 2025-12-31T23:59:59Z/],
    [manifest(wider, 3), "wrong_shape", /it takes the features feature0 \(Pa\), feature1, feature2, and the model in force/],
  ];
  const asked = taker.port.subscribed.length;
  for (const [payload, reason, why] of cases) {
    const report = await taker.offer(payload);
    t.match(report, { outcome: "refused", reason, why, manifest: hashOf(payload), group: "g" }, reason);
    t.ok(taker.updates.describe("g")!.endsWith(`refused: ${report!.why}`));
  }
  t.equal(taker.logged.filter((line) => line === "warn: an update is refused").length, cases.length);
  const counted = Object.entries(one.counters("updates_refused")).map(([name, count]) => [/"(.*)"/.exec(name)![1], count]);
  const reasons = cases.map(([, reason]) => reason);
  t.strictSame(
    counted,
    [...new Set(reasons)].map((reason) => [reason, reasons.filter((other) => other === reason).length]),
  );
  t.equal(taker.port.subscribed.length, asked, "no chunk was asked for");
  t.equal(taker.inForce, model.version);
  one.clock.advance(limits.updateReportMs);
  await taker.say("hiddenstate/box/update/h", manifest(other, 3, { group: "h" }));
  t.equal(one.counters("updates_refused")['updates_refused{reason="no_group"}'], 1);
  t.match(await taker.offer(manifest(other, 3)), { outcome: "in force" }, "none of them has used up the counter");
});

t.test("a counter must rise, over restarts too, and a record that cannot be read lets nothing in", async (t) => {
  const one = await box();
  let taker = new Taker(one);
  taker.put(other);
  const old = manifest(large, 4);
  t.match(await taker.offer(manifest(other, 5)), { outcome: "in force" });
  t.match(await taker.offer(old), { reason: "old_counter", why: "its counter is 4, and 5 was accepted before" });
  t.match(await taker.offer(manifest(large, 5)), { reason: "old_counter" });
  taker.kill();
  one.crash(3);
  await one.start();
  taker = new Taker(one);
  t.match(await taker.offer(old), { reason: "old_counter" }, "after a power cut");
  t.equal(taker.inForce, other.version);
  taker.kill();
  const record = Buffer.from(one.disk.bytes("/state/updates/record.json"));
  one.disk.put("/state/updates/record.json", record.subarray(0, 20));
  taker = new Taker(one);
  t.match(await taker.offer(manifest(large, 6)), {
    reason: "no_record",
    why: /cannot read \/state\/updates\/record.json, which says what updates came before: remove it/,
  });
});

t.test("a transfer goes on where it was, and asks for nothing twice", async (t) => {
  const one = await box();
  let taker = new Taker(one);
  const chunks = chunksOf(large.bytes).length;
  taker.put(large);
  const topics = [...taker.retained.keys()];
  const half = Math.floor(chunks / 2);
  for (const topic of topics.slice(half)) taker.retained.delete(topic);
  t.match(await taker.offer(manifest(large, 1)), { outcome: "fetching", chunks });
  t.match(taker.updates.describe("g"), new RegExp(`fetching, ${half} of ${chunks} chunks are here$`));
  taker.kill();
  // What the page cache had is there after a kill; after a power cut a chunk is found broken, and fetched again.
  const path = "/state/updates/g.part";
  const part = new Uint8Array(one.disk.bytes(path));
  part[1]! ^= 1;
  one.disk.put(path, part);
  const before = one.counters("update_chunks")["update_chunks_received"]!;
  t.equal(before, half);
  taker = new Taker(one);
  taker.put(large);
  t.match(await taker.offer(manifest(large, 1)), { outcome: "in force" });
  t.equal(one.counters("update_chunks")["update_chunks_received"], chunks + 1, "the rest, and the broken one");
  t.equal(taker.inForce, large.version);
});

t.test("chunks that are not what was signed are counted and not taken, and asked for again after a while", async (t) => {
  const one = await box();
  const taker = new Taker(one);
  taker.put(large);
  const [first, second] = [...taker.retained.keys()];
  const right = taker.retained.get(first!)!;
  taker.retained.set(first!, new Uint8Array(right.length));
  taker.retained.delete(second!);
  const chunks = chunksOf(large.bytes).length;
  t.match(await taker.offer(manifest(large, 1)), { outcome: "fetching", received: 0 });
  await taker.say(first!, new Uint8Array(1000));
  await taker.say(updateChunkTopic("box", "g", other.version, 0), chunksOf(other.bytes)[0]!);
  t.match(one.counters("update_chunks"), { update_chunks_received: chunks - 2, update_chunks_refused: 2 });
  one.clock.advance(limits.updateAnswerMsMax);
  t.match(taker.report(), { outcome: "waiting", received: chunks - 2, why: "its chunks do not come; are they published?" });
  taker.put(large);
  one.clock.advance(limits.updateRetryMs);
  await taker.settle();
  t.match(taker.report(), { outcome: "in force" });
  t.equal(one.counters("update_chunks")["update_chunks_received"], chunks);
});

t.test("a lost connection ends nothing: what is missing is asked for on the next", async (t) => {
  const one = await box();
  const taker = new Taker(one);
  t.match(await taker.offer(manifest(large, 1)), { outcome: "fetching" });
  taker.port.events.down("cut", false);
  taker.put(large);
  taker.port.up({ present: false });
  await taker.settle();
  t.match(taker.report(), { outcome: "in force" });
});

t.test("a newer manifest takes a transfer's place, and one that is taken back ends it", async (t) => {
  const one = await box();
  const taker = new Taker(one);
  await taker.offer(manifest(large, 1));
  taker.put(other);
  t.match(await taker.offer(manifest(other, 2)), { outcome: "in force", counter: 2 });
  t.match(await taker.offer(manifest(large, 1)), { reason: "old_counter" });
  t.match(await taker.offer(manifest(large, 3)), { outcome: "fetching" });
  t.ok(one.disk.paths.includes("/state/updates/g.part"));
  t.equal(await taker.offer(new Uint8Array(0)), undefined);
  t.equal(taker.updates.describe("g"), undefined);
  t.notOk(one.disk.paths.includes("/state/updates/g.part"));
  taker.put(large);
  one.clock.advance(limits.updateAnswerMsMax + limits.updateRetryMs);
  await taker.settle();
  t.equal(taker.inForce, other.version);
  t.match(await taker.offer(manifest(large, 3)), { outcome: "in force" }, "it may be sent again");
});

t.test("what expires on its way, and what is no model after all, is refused for good", async (t) => {
  const one = await box();
  let taker = new Taker(one);
  t.match(await taker.offer(manifest(large, 1)), { outcome: "fetching" });
  one.clock.jumpWall(2 * DAY_MS);
  one.clock.advance(limits.updateAnswerMsMax);
  await taker.settle();
  t.match(taker.report(), { outcome: "refused", reason: "expired" });
  one.clock.jumpWall(-2 * DAY_MS);
  const bytes = new Uint8Array(other.bytes);
  bytes[bytes.length - 9]! ^= 0xff;
  const broken = { ...other, bytes, version: hashOf(bytes) };
  taker.put(broken);
  const payload = manifest(broken, 2);
  t.match(await taker.offer(payload), { outcome: "refused", reason: "bad_model", why: /in update 2: / });
  const lying = { ...other, version: "0".repeat(64) };
  taker.put(lying);
  t.match(await taker.offer(manifest(lying, 3)), { reason: "bad_model", why: /not the file that the manifest names/ });
  taker.put(wider);
  const { shape } = manifestOf(other, { node: "box", group: "g", counter: 4, expires: 1 });
  t.match(await taker.offer(manifest(wider, 4, { shape })), { reason: "wrong_shape" }, "whatever its manifest says");
  one.verifyModel = async () => {
    throw new HiddenstateError("unavailable", "cannot compare the engines");
  };
  taker.put(other);
  const last = manifest(other, 5);
  t.match(await taker.offer(last), { reason: "unverified" });
  one.verifyModel = async () => {};
  taker.kill();
  taker = new Taker(one);
  taker.put(other);
  const fetched = one.counters("update_chunks")["update_chunks_received"];
  t.match(await taker.offer(last), { outcome: "refused", reason: "unverified" }, "and is not tried again by the next start");
  t.equal(one.counters("update_chunks")["update_chunks_received"], fetched);
  t.equal(taker.inForce, model.version);
});

t.test("a full disk and a clock that is not set are waited for", async (t) => {
  const one = await box();
  const taker = new Taker(one);
  taker.put(other);
  one.clock.synced = false;
  t.match(await taker.offer(manifest(other, 1)), { outcome: "waiting", why: "the clock is not set" });
  t.equal(taker.port.subscribed.length, 1);
  one.clock.synced = true;
  let isFull = true;
  one.disk.intercept = (call, path) => {
    if (isFull && call === "write" && path.endsWith(".part")) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
  };
  one.clock.advance(limits.updateRetryMs);
  await taker.settle();
  t.match(taker.report(), { outcome: "waiting", why: /cannot fetch a model: no space left/ });
  isFull = false;
  one.clock.advance(limits.updateRetryMs);
  await taker.settle();
  t.match(taker.report(), { outcome: "in force" });
});

t.test("a model over which the process ends three times is given up; a stop in between does not count", async (t) => {
  const one = await box();
  one.verifyModel = () => new Promise(() => {});
  const payload = manifest(other, 1);
  const begin = async (): Promise<Taker> => {
    const taker = new Taker(one);
    taker.put(other);
    await taker.offer(payload);
    return taker;
  };
  await (await begin()).updates.stop();
  for (let crash = 0; crash < limits.updateTriesMax; crash++) {
    const taker = await begin();
    t.match(taker.report() ?? taker.updates.describe("g"), /fetching/, `crash ${crash}`);
    taker.kill();
    one.crash(crash);
    await one.start();
  }
  const taker = await begin();
  t.match(taker.updates.describe("g"), /refused: the process has ended 3 times over it$/);
});

t.test(
  "whichever disk call fails, and the power after it: the old model or the new one, and the next start ends it",
  async (t) => {
    const older = manifest(other, 1);
    const newer = manifest(pair, 2);
    let calls = 0;
    let [failed, accepted] = [0, 0];
    for (let fault = 0; fault === 0 || fault < calls; fault++) {
      const one = await box();
      const taker = new Taker(one);
      taker.put(pair);
      await taker.settle();
      let call = 0;
      one.disk.intercept = (name, path) => {
        if (call++ === fault && fault > 0) throw Object.assign(new Error(`${name} ${path} fails`), { code: "EIO" });
      };
      await taker.offer(newer);
      if (fault === 0) calls = call;
      if (taker.inForce !== pair.version) failed++;
      const isAccepted = one.counters("updates")["updates_accepted"] === 1;
      taker.kill();
      one.crash(fault + 1);
      await one.start();
      t.ok([model.version, pair.version].includes(one.state.fold.groups[0]!.settings.version), `call ${fault}`);
      const next = new Taker(one);
      next.put(pair);
      next.put(other);
      if (isAccepted) {
        accepted++;
        t.match(await next.offer(older), { reason: "old_counter" }, `call ${fault}: what was accepted stays so`);
      }
      t.match(await next.offer(newer), { outcome: "in force" }, `call ${fault}`);
      t.equal(next.inForce, pair.version);
      next.kill();
      one.crash();
    }
    t.comment(`${calls} calls; after ${failed} of them the new model was not in force, after ${accepted} it was accepted`);
    t.ok(calls > 30 && failed > 10 && accepted > 10);
  },
);

t.test("a flood waits in the broker, costs a judgement a second, and keeps nothing but the last", async (t) => {
  const one = await box();
  const taker = new Taker(one);
  taker.put(other);
  for (let i = 0; i < 200; i++) {
    taker.port.packet(i + 1, {
      topic: i % 2 === 0 ? TOPIC : `hiddenstate/box/update/made-up-${i}`,
      payload: Buffer.from(`${i}`),
    });
  }
  t.strictSame(taker.port.held, [true], "taking them is held at the bound");
  await turns();
  t.equal(one.counters("updates_refused")['updates_refused{reason="malformed"}'], 1);
  one.clock.advance(limits.updateReportMs);
  await turns();
  t.strictSame(taker.port.held, [true, false]);
  t.equal(
    one.counters("updates_refused")['updates_refused{reason="malformed"}'],
    3,
    "one of the group, one of all names made up",
  );
  t.match(await taker.offer(manifest(other, 1)), { outcome: "in force" });
});
