import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { HiddenstateError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { createRandom } from "../../src/base/random.ts";
import type { Delivery } from "../../src/message/delivery.ts";
import { AckQueue } from "../../src/mqtt/ack-queue.ts";
import type { AckTicket } from "../../src/mqtt/ack-queue.ts";
import { startEmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import { Intake } from "../../src/mqtt/intake.ts";
import type { IntakeOptions } from "../../src/mqtt/intake.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { until } from "../support/until.ts";
import { FakePort } from "./fake-port.ts";
import { load, loadFromOutside } from "./load.ts";
import { bytes, keepLog, makePort, openPort, publishTo, text } from "./open-port.ts";
import type { PortOptions } from "./open-port.ts";

const needsMosquitto = { skip: mosquittoMissing() };
const SUBSCRIPTION = { filter: "in/#", qos: 1, retained: false } as const;

t.test("acks leave in the order of arrival and only on their own connection, whatever the order of settling", async () => {
  const command = fc.oneof(
    { weight: 5, arbitrary: fc.constant({ kind: "arrive" as const, pick: 0 }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("settle" as const), pick: fc.nat() }) },
    { weight: 1, arbitrary: fc.constant({ kind: "cut" as const, pick: 0 }) },
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
      const acked: number[] = [];
      const queue = new AckQueue((packetId) => acked.push(packetId));
      // The model: what came on this connection, in order, and what of it is settled.
      let arrived: number[] = [];
      let settled = new Set<number>();
      const expected: number[] = [];
      const open: AckTicket[] = [];
      let nextId = 1;
      for (const { kind, pick } of commands) {
        if (kind === "arrive") {
          arrived.push(nextId);
          open.push(queue.arrive(nextId++));
        } else if (kind === "cut") {
          queue.cut();
          arrived = [];
          settled = new Set();
        } else if (open.length > 0) {
          const [ticket] = open.splice(pick % open.length, 1);
          const isCurrent = arrived.includes(ticket!.packetId);
          if (queue.settle(ticket!) !== isCurrent) return false;
          settled.add(ticket!.packetId);
          while (arrived.length > 0 && settled.has(arrived[0]!)) expected.push(arrived.shift()!);
        }
        if (queue.owed !== arrived.length || acked.join() !== expected.join()) return false;
      }
      return true;
    }),
    { numRuns: 500, seed: 2 },
  );
});

function startFake(options: Partial<IntakeOptions> = {}) {
  const port = new FakePort();
  const clock = new FakeClock();
  const metrics = new Metrics();
  const deliveries: Delivery[] = [];
  const refusals: string[] = [];
  const logged: string[] = [];
  const intake = new Intake({
    port,
    clock,
    metrics,
    log: keepLog(logged),
    subscriptions: [SUBSCRIPTION],
    receive: (delivery) => deliveries.push(delivery),
    refused: (reason) => refusals.push(reason),
    ...options,
  });
  intake.start();
  return { port, clock, metrics, deliveries, refusals, logged, intake };
}

t.test("a delivery carries the message and the time of its arrival", async (t) => {
  const { port, clock, deliveries } = startFake();
  port.up({ present: true });
  clock.synced = false;
  const arrived = clock.wallMs();
  port.packet(3, { topic: "in/a", payload: bytes("x"), dup: true });
  clock.advance(5);
  clock.synced = true;
  port.packet(0, { topic: "in/b", qos: 0, retain: true });
  port.packet(9, { topic: "in/c", qos: 2 });
  t.match(deliveries, [
    {
      topic: "in/a",
      qos: 1,
      dup: true,
      retain: false,
      packetId: 3,
      receivedAt: arrived,
      clockSynced: false,
    },
    {
      topic: "in/b",
      qos: 0,
      dup: false,
      retain: true,
      packetId: 0,
      receivedAt: arrived + 5,
      clockSynced: true,
    },
    { topic: "in/c", qos: 0, packetId: 0 },
  ]);
  t.equal(text(deliveries[0]!.payload), "x");
  for (const delivery of deliveries) delivery.settle();
  t.same(port.acked, [3], "QoS 0 asks for no ack, and QoS 2 has had its own");
  t.throws(() => deliveries[0]?.settle(), { message: "a message is settled once" });
});

t.test("messages settled out of order are acked in order; what settles after a cut is acked nowhere", async (t) => {
  const { port, deliveries, metrics } = startFake();
  port.up();
  for (const id of [11, 12, 13, 14]) port.packet(id);
  deliveries[2]?.settle();
  deliveries[1]?.settle();
  t.same(port.acked, []);
  deliveries[0]?.settle();
  t.same(port.acked, [11, 12, 13]);
  port.events.down("cut", true);
  port.up();
  port.packet(14, { dup: true });
  deliveries[3]?.settle();
  t.same(port.acked, [11, 12, 13], "the first 14 is not acked with the id of the second");
  deliveries[4]?.settle();
  t.same(port.acked, [11, 12, 13, 14]);
  t.match(metrics.snapshot(), { acks_sent: 4, acks_stale: 1, intake_messages: 5, intake_connects: 2, intake_disconnects: 1 });
});

t.test("at the bound of messages or bytes the port is held, and let go at half of it", async (t) => {
  const { port, deliveries, intake, metrics } = startFake({ unsettledMessagesMax: 4, unsettledBytesMax: 100 });
  port.up();
  for (const id of [1, 2, 3]) port.packet(id);
  t.same(port.held, []);
  port.packet(4);
  t.same(port.held, [true]);
  deliveries[0]?.settle();
  t.same([port.held, intake.unsettled], [[true], 3]);
  deliveries[1]?.settle();
  t.same(port.held, [true, false]);
  port.packet(5, { payload: new Uint8Array(80) });
  t.same(port.held, [true, false, true], "100 bytes");
  port.events.down("cut", false);
  port.up();
  t.equal(intake.unsettled, 3, "what is not settled counts over a cut");
  deliveries[4]?.settle();
  t.same(port.held, [true, false, true, false]);
  t.match(metrics.snapshot(), {
    unsettled_messages: 2,
    unsettled_bytes: 20,
    unsettled_bytes_highest: 100,
    intake_holds: 2,
    intake_held: 0,
  });
});

t.test("a hold from above and a full window add up, and after a stop nothing is taken any more", async (t) => {
  const { port, deliveries, intake } = startFake({ unsettledMessagesMax: 2 });
  port.up();
  intake.hold(true);
  port.packet(1);
  port.packet(2);
  t.same(port.held, [true]);
  intake.hold(false);
  t.same(port.held, [true], "still full");
  deliveries[0]?.settle();
  t.same(port.held, [true, false]);
  intake.stop();
  intake.hold(false);
  deliveries[1]?.settle();
  t.same(port.held, [true, false, true]);
  t.same(port.acked, [1, 2], "what was taken before is acked");
  await intake.close();
  t.equal(port.closed, true);
});

t.test("a session goes on over cuts and restarts; whether it did is told before anything of it comes", async (t) => {
  const told: string[] = [];
  const { port, metrics, logged } = startFake({
    session: (outcome) => told.push(outcome),
    receive: (delivery) => told.push(text(delivery.payload)),
  });
  port.up({ present: false });
  port.packet(1, { payload: bytes("early") });
  t.same(told, ["began", "early"]);
  t.equal(port.subscribed.length, 1);
  port.subscribing?.resolve();
  await sleep(0);
  port.events.down("cut", false);
  port.events.failed?.(true);
  t.same(told, ["began", "early"], "what came of that is not known");
  port.events.failed?.(false);
  port.up({ present: true });
  t.same(told, ["began", "early", "kept", "kept"]);
  t.equal(port.subscribed.length, 1, "the session has the subscription");
  port.events.down("cut", false);
  port.up({ present: false });
  port.events.down("cut", false);
  port.up({ present: false });
  t.same(told.slice(4), ["began", "began"]);
  t.same(port.subscribed, [[SUBSCRIPTION], [SUBSCRIPTION], [SUBSCRIPTION]]);
  t.equal(metrics.snapshot()["session_lost"], 2);
  t.equal(logged[0], "warn: the broker has lost our session: messages sent while we were away may be missing");

  const restarted = startFake({ hadSession: true });
  restarted.port.up({ present: false });
  t.equal(restarted.metrics.snapshot()["session_lost"], 1);

  const unknown = startFake();
  unknown.port.up({ present: true });
  t.equal(unknown.port.subscribed.length, 1, "a session older than our memory, whose subscriptions may be another config's");
});

t.test("a connection waits until what it may begin is noted, and after a stop none is made", async (t) => {
  let note = (): void => {};
  const connecting = (): Promise<void> =>
    new Promise((resolve) => {
      note = resolve;
    });
  const told: string[] = [];
  const { port, intake } = startFake({ connecting, session: (outcome) => told.push(outcome) });
  let mayLeave = false;
  const wait = async (): Promise<void> => {
    mayLeave = false;
    await port.events.connecting!();
    mayLeave = true;
  };
  void wait();
  await sleep(0);
  t.equal(mayLeave, false);
  note();
  await sleep(0);
  t.equal(mayLeave, true);
  intake.stop();
  void wait();
  note();
  await sleep(0);
  t.equal(mayLeave, false, "nobody notes what becomes of it");
  port.events.failed!(false);
  t.same(told, []);
});

t.test("a subscription that a cut leaves open is made again; one without an answer breaks the connection", async (t) => {
  const { port, clock } = startFake();
  port.up({ present: false });
  port.subscribing?.reject(new HiddenstateError("unavailable", "Connection closed"));
  port.events.down("cut", false);
  await sleep(0);
  t.same(port.dropped, []);
  port.up({ present: true });
  t.equal(port.subscribed.length, 2);
  clock.advance(29_999);
  t.same(port.dropped, []);
  clock.advance(1);
  t.same(port.dropped, ["the broker does not answer a SUBSCRIBE"]);
  port.events.down("dropped", false);
  port.up({ present: true });
  port.subscribing?.resolve();
  await sleep(0);
  clock.advance(60_000);
  t.equal(port.dropped.length, 1);
});

t.test("a broker that refuses a subscription refuses us, unless it granted it before", async (t) => {
  const first = startFake();
  first.port.up({ present: false });
  first.port.subscribing?.reject(new HiddenstateError("broker_refused", "cannot subscribe to in/#: the broker refuses"));
  await sleep(0);
  t.same([first.port.closed, first.refusals], [true, ["cannot subscribe to in/#: the broker refuses"]]);

  const { port, refusals } = startFake();
  port.up({ present: false });
  port.subscribing?.resolve();
  await sleep(0);
  port.events.down("cut", false);
  port.up({ present: false });
  port.subscribing?.reject(new HiddenstateError("broker_refused", "cannot subscribe to in/#: the broker refuses"));
  await sleep(0);
  t.same([port.closed, refusals, port.dropped], [false, [], ["cannot subscribe to in/#: the broker refuses"]]);
  port.events.refused("the client id is taken");
  t.same(refusals, ["the client id is taken"]);
});

function startReal(options: PortOptions & Partial<IntakeOptions>, receive: (delivery: Delivery) => void) {
  const metrics = new Metrics();
  const refusals: string[] = [];
  const intake = new Intake({
    port: makePort(options),
    subscriptions: [SUBSCRIPTION],
    clock: systemClock,
    metrics,
    log: silentLog,
    receive,
    refused: (reason) => refusals.push(reason),
    ...options,
  });
  intake.start();
  return { intake, metrics, refusals };
}

const LOAD = 20_000;
const SIZE = 8192;

const numberOf = ({ payload }: Delivery): number => Number.parseInt(text(payload), 10);

t.test(
  "while nothing is settled no more than the window comes and memory stays; then everything comes, once",
  needsMosquitto,
  async (t) => {
    const broker = await startMosquitto({ config: ["max_inflight_messages 0"] });
    t.teardown(() => broker.close());
    const numbers: number[] = [];
    const waiting: Delivery[] = [];
    let settling = false;
    // The broker is told that it may have far more under way than the window: the hold alone must bound it.
    const { intake, metrics } = startReal({ url: broker.url, clientId: "window", receiveMax: 65_535 }, (delivery) => {
      numbers.push(numberOf(delivery));
      if (settling) delivery.settle();
      else waiting.push(delivery);
    });
    await until("up", () => intake.isReady && metrics.snapshot()["intake_connects"] === 1);
    await sleep(50);
    const before = process.memoryUsage().rss;
    await loadFromOutside(broker.url, LOAD, SIZE);
    await until("the window is full", () => numbers.length >= 1000);
    await sleep(200);
    t.equal(numbers.length, 1000);
    const grown = process.memoryUsage().rss - before;
    t.ok(
      grown < (LOAD * SIZE) / 2,
      `the resident set grew by ${Math.round(grown / 1e6)} MB; the messages have ${(LOAD * SIZE) / 1e6} MB`,
    );
    settling = true;
    // Last first: acks still leave in order.
    for (const delivery of waiting.toReversed()) delivery.settle();
    await until("all have come", () => numbers.length === LOAD);
    t.same(
      numbers,
      Array.from({ length: LOAD }, (_, i) => i),
    );
    t.match(metrics.snapshot(), { acks_sent: LOAD, acks_stale: 0, unsettled_messages: 0, unsettled_messages_highest: 1000 });
    await intake.close();
  },
);

t.test(
  "through cuts, settled in random order, nothing is lost, and what was acked does not come again",
  needsMosquitto,
  async (t) => {
    const broker = await startMosquitto({ config: ["max_inflight_messages 50"] });
    t.teardown(() => broker.close());
    const random = createRandom(5);
    const seen = new Map<number, number>();
    let waiting: Delivery[] = [];
    const port = makePort({ url: broker.url, clientId: "cuts" });
    const metrics = new Metrics();
    const intake = new Intake({
      port,
      subscriptions: [SUBSCRIPTION],
      unsettledMessagesMax: 40,
      clock: systemClock,
      metrics,
      log: silentLog,
      receive: (delivery) => {
        const number = numberOf(delivery);
        if (!seen.has(number) && number !== seen.size) t.fail(`${number} came before ${seen.size}`);
        seen.set(number, (seen.get(number) ?? 0) + 1);
        waiting.push(delivery);
      },
      refused: (reason) => t.fail(reason),
    });
    intake.start();
    await until("up", () => intake.isReady);
    await sleep(50);
    await load(broker.url, 1000, 20);
    let turns = 0;
    let quietTurns = 0;
    let count = 0;
    await until("all have come, are settled, and the broker has nothing more", () => {
      const settleNow = waiting.filter(() => random.next() < 0.7);
      waiting = waiting.filter((delivery) => !settleNow.includes(delivery));
      for (const delivery of settleNow.toSorted(() => random.next() - 0.5)) delivery.settle();
      if (++turns % 15 === 0 && turns < 150) port.drop("a test cuts it");
      const { intake_messages: now = 0 } = metrics.snapshot();
      quietTurns = now === count && turns > 150 && intake.isReady && intake.unsettled === 0 ? quietTurns + 1 : 0;
      count = now;
      return seen.size === 1000 && quietTurns === 50;
    });
    await intake.close();
    const { acks_stale: stale = 0, intake_disconnects: disconnects = 0 } = metrics.snapshot();
    t.ok(disconnects >= 3 && stale > 0, `${disconnects} cuts, ${stale} acks came too late`);
    const after = startReal({ url: broker.url, clientId: "cuts", hadSession: true }, (delivery) =>
      t.fail(`came again: ${numberOf(delivery)}`),
    );
    await until("up", () => after.intake.isReady);
    await sleep(100);
    t.equal(after.metrics.snapshot()["session_lost"], 0);
    await after.intake.close();
  },
);

t.test("a broker killed with its sessions is come back to under a new session, subscribed anew", needsMosquitto, async (t) => {
  const broker = await startMosquitto();
  t.teardown(() => broker.close());
  const got: string[] = [];
  const { intake, metrics } = startReal({ url: broker.url, clientId: "killed" }, (delivery) => {
    got.push(text(delivery.payload));
    delivery.settle();
  });
  const sender = openPort({ url: broker.url, clientId: "sender" });
  await until("both up", () => intake.isReady && sender.ups.length === 1);
  await sleep(50);
  await publishTo(sender.port, { topic: "in/a", payload: bytes("before") });
  await until("one", () => got.length === 1);
  await broker.kill();
  await until("both down", () => !intake.isReady && sender.downs.length === 1);
  await broker.restart();
  await until("both up", () => intake.isReady && sender.ups.length === 2);
  await sleep(50);
  await publishTo(sender.port, { topic: "in/a", payload: bytes("after") });
  await until("two", () => got.length === 2);
  t.same(got, ["before", "after"]);
  t.equal(metrics.snapshot()["session_lost"], 1);
  await intake.close();
  await sender.port.close();
});

t.test("a broker that keeps its sessions keeps what was sent while we were away", needsMosquitto, async (t) => {
  const broker = await startMosquitto({ persistence: true });
  t.teardown(() => broker.close());
  const got: string[] = [];
  const keep = (delivery: Delivery): void => {
    got.push(text(delivery.payload));
    delivery.settle();
  };
  const first = startReal({ url: broker.url, clientId: "away" }, keep);
  await until("up", () => first.intake.isReady);
  await sleep(50);
  await first.intake.close();
  const sender = openPort({ url: broker.url, clientId: "sender" });
  await until("up", () => sender.ups.length === 1);
  await publishTo(sender.port, { topic: "in/a", payload: bytes("meanwhile") });
  await sender.port.close();
  await broker.stop();
  await broker.restart();
  const second = startReal({ url: broker.url, clientId: "away", hadSession: true }, keep);
  await until("one", () => got.length === 1);
  t.same(got, ["meanwhile"]);
  t.equal(second.metrics.snapshot()["session_lost"], 0);
  await second.intake.close();
});

t.test("with the embedded broker (3.1.1) an intake that holds back does not stop other clients, and loses nothing", async (t) => {
  const broker = await startEmbeddedBroker();
  t.teardown(() => broker.close());
  let count = 0;
  const { intake } = startReal({ url: broker.url, clientId: "demo" }, (delivery) => {
    count++;
    delivery.settle();
  });
  await until("up", () => intake.isReady);
  await sleep(50);
  intake.hold(true);
  // First fill what lies between broker and intake, then have more publishers wait than aedes would deliver for at a time.
  const filling = load(broker.url, 1000, 8192, "filling");
  await sleep(500);
  const waiting = [1, 2, 3, 4].map((i) => load(broker.url, 500, 20, `waiting${i}`));
  const other = openPort({ url: broker.url, clientId: "other" });
  await until("up", () => other.ups.length === 1);
  await other.port.subscribe([{ filter: "out/x", qos: 0, retained: false }]);
  await sleep(300);
  for (let i = 0; i < 300; i++) await publishTo(other.port, { topic: "out/x", payload: bytes("x") });
  await until("the others' messages pass", () => other.packets.length === 300);
  t.equal(count, 0);
  intake.hold(false);
  await Promise.all([filling, ...waiting]);
  await until("all have come", () => count === 3000);
  await intake.close();
  await other.port.close();
});
