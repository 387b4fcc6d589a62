import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { HiddenstateError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { startEmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import { PublishRefused } from "../../src/mqtt/packet-port.ts";
import type { PublishRefusal } from "../../src/mqtt/packet-port.ts";
import { Sink } from "../../src/mqtt/sink.ts";
import type { OutboxEntry, OutboxSource } from "../../src/pipeline/outbox.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { until } from "../support/until.ts";
import { FakePort } from "./fake-port.ts";
import { bytes, keepLog, makePort, openPort, publishTo, text } from "./open-port.ts";
import type { PortOptions } from "./open-port.ts";
import { connack, puback, startScriptedBroker } from "./scripted-broker.ts";

const needsMosquitto = { skip: mosquittoMissing() };
const lost = new HiddenstateError("unavailable", "cannot publish: the connection is gone");

/** An outbox in memory that checks what it is told: every entry confirmed once, and only after it was taken. */
class Source implements OutboxSource {
  readonly confirmed: string[] = [];
  readonly #entries: OutboxEntry[] = [];
  readonly #open = new Set<OutboxEntry>();
  #available: () => void = () => {};

  add(...values: readonly string[]): void {
    for (const value of values) {
      const topic = `out/${value.replace(/[0-9]/g, "")}`;
      this.#entries.push({ position: 0, topic, payload: bytes(value), retain: false, qos: 1 });
    }
    this.#available();
  }

  next(): OutboxEntry | undefined {
    const entry = this.#entries.shift();
    if (entry !== undefined) this.#open.add(entry);
    return entry;
  }

  confirm(entry: OutboxEntry): void {
    if (!this.#open.delete(entry)) throw new Error(`confirmed twice: ${text(entry.payload)}`);
    this.confirmed.push(text(entry.payload));
  }

  onAvailable(callback: () => void): void {
    this.#available = callback;
  }
}

function startFake(windowMax = 3) {
  const port = new FakePort();
  const clock = new FakeClock();
  const metrics = new Metrics();
  const source = new Source();
  const logged: string[] = [];
  const refusals: string[] = [];
  const log = keepLog(logged);
  const sink = new Sink({ port, source, windowMax, clock, metrics, log, refused: (reason) => refusals.push(reason) });
  sink.start();
  return { port, clock, metrics, source, sink, logged, refusals };
}

t.test("no more than the window is under way, and the broker's is obeyed where it is smaller", async (t) => {
  const { port, source, metrics } = startFake(3);
  source.add("1", "2", "3", "4", "5");
  t.same(port.takePublished(), []);
  port.up({ receiveMax: 2 });
  const [first, second] = port.published;
  t.same(port.takePublished(), ["1", "2"]);
  second!.done();
  t.same(port.takePublished(), ["3"]);
  t.same(source.confirmed, ["2"]);
  first!.done();
  t.same([port.takePublished(), source.confirmed], [["4"], ["2", "1"]]);
  port.events.down("cut", false);
  port.up({ receiveMax: 100 });
  t.same(port.takePublished(), ["3", "4", "5"], "what was under way goes again, before anything new");
  t.match(metrics.snapshot(), { sink_publishes: 7, sink_publishes_repeated: 2, sink_confirmed: 2, sink_in_flight: 3 });
});

t.test("answers of a connection that is gone count for nothing, and nothing is confirmed twice", async (t) => {
  const { port, source } = startFake();
  source.add("1", "2");
  port.up();
  const before = port.published;
  port.published = [];
  before[0]!.done(lost);
  port.events.down("cut", false);
  before[1]!.done();
  t.same(source.confirmed, []);
  port.up();
  const after = port.published;
  t.same(port.takePublished(), ["1", "2"]);
  for (const { done } of after) done();
  t.same(source.confirmed, ["1", "2"]);
});

t.test("what the broker will not take is counted by reason and given up; its followers go on", async (t) => {
  const { port, source, metrics, logged } = startFake(2);
  source.add("a1", "b2", "a3");
  port.up();
  const [first] = port.published;
  port.takePublished();
  first!.done(new PublishRefused("not_authorized", "cannot publish to out/a: not authorized"));
  t.same([port.takePublished(), source.confirmed], [["a3"], ["a1"]]);
  t.same(logged, ["error: a message was not published"]);
  t.match(metrics.snapshot(), { 'publish_refused{reason="not_authorized"}': 1, sink_confirmed: 0 });
});

t.test("a publish without an answer breaks the connection after 30 s, measured from the oldest", async (t) => {
  const { port, clock, source } = startFake();
  source.add("1");
  port.up();
  clock.advance(20_000);
  source.add("2");
  const [first, second] = port.published;
  clock.advance(5000);
  first!.done();
  clock.advance(24_999);
  t.same(port.dropped, []);
  clock.advance(1);
  t.same(port.dropped, ["the broker has not confirmed a publish for 30000 ms"]);
  port.events.down("dropped", false);
  second!.done();
  port.up();
  port.published.at(-1)!.done();
  clock.advance(100_000);
  t.equal(port.dropped.length, 1);
  t.same(source.confirmed, ["1", "2"]);
});

t.test("a message on which the broker always closes is found by sending it alone, and given up", async (t) => {
  const { port, source, metrics } = startFake(3);
  source.add("bad1", "ok2", "ok3");
  const rounds: string[][] = [];
  for (let i = 0; i < 5; i++) {
    port.up();
    rounds.push(port.takePublished());
    port.events.down("closed", true);
  }
  t.same(rounds, [["bad1", "ok2", "ok3"], ["bad1", "ok2", "ok3"], ["bad1"], ["bad1"], ["ok2"]]);
  t.same(source.confirmed, ["bad1"]);
  t.equal(metrics.snapshot()['publish_refused{reason="closed_on_publish"}'], 1);
  port.up();
  port.published[0]!.done();
  t.same(port.takePublished(), ["ok2", "ok3"], "the first confirmation brings the window back");
});

t.test("broken networks, and closings that follow a confirmation, find no culprit", async (t) => {
  const { port, source, metrics } = startFake(2);
  source.add("1", "2", "3", "4", "5", "6", "7", "8", "9");
  for (let i = 0; i < 20; i++) {
    port.up();
    if (i % 3 === 0 && i < 15) port.published[0]!.done();
    port.takePublished();
    port.events.down("reset", i % 3 === 0);
  }
  t.equal(metrics.snapshot()['publish_refused{reason="closed_on_publish"}'], undefined);
  t.same(source.confirmed, ["1", "2", "3", "4", "5"]);
});

t.test("draining ends once all is confirmed, or when its time is over", async (t) => {
  const { port, clock, source, sink } = startFake(2);
  t.equal(await sink.drain(1000), true, "nothing there");
  source.add("1", "2", "3");
  const late = sink.drain(1000);
  clock.advance(1000);
  t.equal(await late, false, "no connection");
  const drained = sink.drain(1000);
  port.up();
  for (let i = 0; i < 3; i++) port.published[i]!.done();
  t.equal(await drained, true);
  t.same(source.confirmed, ["1", "2", "3"]);
  source.add("4");
  await sink.close();
  clock.advance(100_000);
  t.same([port.closed, port.dropped], [true, []], "nobody waits for an answer any more");
});

t.test("whatever happens, all is confirmed once, order is kept, and the window is never passed", async () => {
  const command = fc.record({
    kind: fc.constantFrom("add", "add", "up", "down", "down by broker", "answer", "answer", "answer", "refuse", "lose"),
    pick: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 120 }), fc.integer({ min: 1, max: 5 }), (commands, windowMax) => {
      const { port, source } = startFake(windowMax);
      let isUp = false;
      let added = 0;
      const open = (): FakePort["published"] => port.published;
      const take = (pick: number): ((error?: Error) => void) | undefined =>
        port.published.splice(pick % open().length, 1)[0]?.done;
      const end = (byBroker: boolean): void => {
        for (const { done } of port.published.splice(0)) done(lost);
        port.events.down("x", byBroker);
        isUp = false;
      };
      const check = (): void => {
        const numbers = open().map(({ message }) => Number(text(message.payload)));
        const sorted = numbers.toSorted((a, b) => a - b);
        if (numbers.join() !== sorted.join() || numbers.length > windowMax) throw new Error(`under way: ${numbers.join()}`);
      };
      for (const { kind, pick } of commands) {
        if (kind === "add") source.add(`${++added}`);
        else if (kind === "up" && !isUp) {
          isUp = true;
          port.up();
        } else if (kind.startsWith("down") && isUp) end(kind === "down by broker");
        else if (open().length > 0) {
          if (kind === "answer") take(pick)?.();
          if (kind === "refuse") take(pick)?.(new PublishRefused("quota_exceeded", "cannot publish: quota"));
          if (kind === "lose") {
            take(pick)?.(lost);
            end(false);
          }
        }
        check();
      }
      if (!isUp) port.up();
      while (open().length > 0) take(0)?.();
      return source.confirmed.length === added && new Set(source.confirmed).size === added;
    }),
    { numRuns: 1000, seed: 3 },
  );
});

function startReal(options: PortOptions, windowMax = 1000) {
  const source = new Source();
  const metrics = new Metrics();
  const refusals: string[] = [];
  const port = makePort({ sessionExpirySeconds: 0, ...options });
  const refused = (reason: string): void => void refusals.push(reason);
  const sink = new Sink({ port, source, windowMax, clock: systemClock, metrics, log: silentLog, refused });
  sink.start();
  return { source, metrics, refusals, port, sink };
}

t.test(
  "through a killed broker and cuts, every message arrives, in order per round, with a real window",
  needsMosquitto,
  async (t) => {
    const broker = await startMosquitto({ config: ["max_inflight_messages 30"] });
    t.teardown(() => broker.close());
    const count = 3000;
    const arrived: number[] = [];
    const reader = openPort({ url: broker.url, clientId: "reader", sessionExpirySeconds: 0 }, ({ payload, packetId }) => {
      arrived.push(Number(text(payload)));
      reader.port.acknowledge(packetId);
    });
    const subscribe = (): Promise<void> => reader.port.subscribe([{ filter: "out/#", qos: 1, retained: false }]);
    await until("the reader is up", () => reader.ups.length === 1);
    await subscribe();
    const { source, metrics, port, sink } = startReal({ url: broker.url, clientId: "sink" });
    source.add(...Array.from({ length: count }, (_, i) => `${i}`));
    await until("a part is confirmed", () => source.confirmed.length > 200);
    port.drop("a test cuts it");
    await until("more is confirmed", () => source.confirmed.length > 800);
    await broker.kill();
    await until("both down", () => !sink.isUp && reader.downs.length === 1);
    await broker.restart();
    await until("the reader is up", () => reader.ups.length === 2);
    await subscribe();
    t.equal(await sink.drain(20_000), true);
    t.equal(source.confirmed.length, count);
    t.equal(new Set(source.confirmed).size, count);
    const {
      sink_publishes: sent = 0,
      sink_publishes_repeated: repeated = 0,
      sink_in_flight_highest: highest,
    } = metrics.snapshot();
    t.equal(highest, 30, "mosquitto's window of 30 is filled and not passed");
    t.equal(sent, count + repeated);
    t.ok(repeated <= 60, `${repeated} were sent again`);
    // The broker was killed with what its reader had not got yet: what it confirms afterwards arrives, though not at the same moment.
    await until("the last has arrived", () => arrived.includes(count - 1));
    let falls = 0;
    for (let i = 1; i < arrived.length; i++) if (arrived[i]! < arrived[i - 1]!) falls++;
    t.ok(falls <= 2, `the order fell back ${falls} times, at most once a new connection`);
    await sink.close();
    await reader.port.close();
  },
);

t.test("what a topic's access list or a size bound refuses does not stop the rest", needsMosquitto, async (t) => {
  const broker = await startMosquitto({
    config: ["acl_file FOLDER/acl", "max_packet_size 2000"],
    files: { acl: "topic readwrite out/ok\n" },
  });
  t.teardown(() => broker.close());
  const { source, metrics, sink } = startReal({ url: broker.url, clientId: "sink" });
  source.add("ok1", "bad2", "ok3", `ok${"4".repeat(3000)}`, "ok5");
  // mosquitto 2.0.11 answers the forbidden publish and then ends the connection for it: the others go again.
  t.equal(await sink.drain(10_000), true);
  t.match(metrics.snapshot(), {
    'publish_refused{reason="not_authorized"}': 1,
    'publish_refused{reason="packet_too_large"}': 1,
    sink_confirmed: 3,
  });
  await sink.close();
});

t.test("a 3.1.1 broker that closes on one topic loses that message and gets the others", async (t) => {
  const got: string[] = [];
  const broker = await startScriptedBroker(({ type, body }, socket) => {
    if (type === 1) socket.write(connack());
    if (type !== 3) return;
    const nameLength = body.readUInt16BE(0);
    const topic = body.toString("utf8", 2, 2 + nameLength);
    if (topic === "out/bad") {
      socket.end();
      return;
    }
    if (!socket.writable) return;
    got.push(text(body.subarray(4 + nameLength)));
    socket.write(puback(body.readUInt16BE(2 + nameLength)));
  });
  t.teardown(() => broker.close());
  const { source, metrics, sink, refusals } = startReal({ url: broker.url, clientId: "sink", protocol: 4 });
  source.add("ok1", "bad2", "ok3", "ok4");
  t.equal(await sink.drain(10_000), true);
  t.same(got, ["ok1", "ok3", "ok4"]);
  t.same(refusals, []);
  const refusal: PublishRefusal = "closed_on_publish";
  t.equal(metrics.snapshot()[`publish_refused{reason="${refusal}"}`], 1);
  await sink.close();
});

t.test("the embedded broker takes the sink's messages and keeps retained ones", async (t) => {
  const broker = await startEmbeddedBroker();
  t.teardown(() => broker.close());
  await t.rejects(startEmbeddedBroker({ port: broker.port }), {
    code: "unavailable",
    message: /cannot start a broker on 127\.0\.0\.1:\d+: .*EADDRINUSE.*; choose another port or stop what uses it/,
  });
  const { source, sink } = startReal({ url: broker.url, clientId: "sink" }, 10);
  source.add(...Array.from({ length: 500 }, (_, i) => `${i}`));
  t.equal(await sink.drain(10_000), true);
  t.same(
    source.confirmed,
    Array.from({ length: 500 }, (_, i) => `${i}`),
  );
  await sink.close();
  const { port, ups, packets } = openPort({ url: broker.url, clientId: "other" });
  await until("up", () => ups.length === 1);
  await publishTo(port, { topic: "kept", payload: bytes("x"), retain: true });
  await port.subscribe([{ filter: "kept", qos: 1, retained: true }]);
  await until("a packet", () => packets.length === 1);
  t.match(packets, [{ topic: "kept", retain: true }]);
  await port.close();
  await sleep(0);
});
