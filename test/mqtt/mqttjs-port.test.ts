import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { Timer } from "../../src/base/clock.ts";
import { createRandom } from "../../src/base/random.ts";
import { parseBrokerUrl } from "../../src/mqtt/broker-address.ts";
import { startEmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import { PublishRefused } from "../../src/mqtt/packet-port.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { freePort } from "../support/free-port.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { until } from "../support/until.ts";
import { bytes, keepLog, openPort, publishTo, text } from "./open-port.ts";
import { connack, connack5, disconnect5, protocolOf, publish, startScriptedBroker } from "./scripted-broker.ts";

t.jobs = 8;
const needsMosquitto = { skip: mosquittoMissing() };
const slow = { buffered: true };

t.test("a broker's URL gives host, port and credentials, and shows none of these to a log", async (t) => {
  t.match(parseBrokerUrl("mqtt://box"), {
    host: "box",
    port: 1883,
    secure: false,
    display: "mqtt://box:1883",
    username: undefined,
  });
  t.match(parseBrokerUrl("mqtts://u%40x:p%3Aw@[::1]:99/"), {
    host: "::1",
    port: 99,
    secure: true,
    display: "mqtts://[::1]:99",
    username: "u@x",
    password: "p:w",
  });
  t.throws(() => parseBrokerUrl("box:1883"), { code: "bad_config", message: /cannot use box:\/\/ for a broker/ });
  t.throws(() => parseBrokerUrl("1883"), { code: "bad_config", message: /it is not a URL; write mqtt:\/\/host:port/ });
  t.throws(() => parseBrokerUrl("http://box"), { code: "bad_config", message: /cannot use http:\/\/ for a broker/ });
  t.throws(() => parseBrokerUrl("mqtt://"), { code: "bad_config", message: /it names no host/ });
  t.throws(() => parseBrokerUrl("mqtt://box/topic?x=1"), { code: "bad_config", message: /"\/topic\?x=1" follows the host/ });
});

t.test("with mosquitto", needsMosquitto, async (t) => {
  const broker = await startMosquitto({ config: ["max_inflight_messages 33", "max_packet_size 5000"] });
  t.teardown(() => broker.close());

  t.test("a port speaks MQTT 5, takes session facts from the CONNACK, and finds its session again", async (t) => {
    const first = openPort({ url: broker.url, clientId: "facts" });
    await until("up", () => first.ups.length === 1);
    t.same(first.ups, [{ present: false, protocol: 5, receiveMax: 33 }]);
    await first.port.close();
    t.same(first.downs, [{ reason: "closed", byBroker: false }]);
    t.same(first.logged, ["info: connected to the broker"], "an orderly end is no warning");
    const second = openPort({ url: broker.url, clientId: "facts" });
    await until("up", () => second.ups.length === 1);
    t.equal(second.ups[0]?.present, true);
    await second.port.close();
    const fresh = openPort({ url: broker.url, clientId: "facts", sessionExpirySeconds: 0 });
    await until("up", () => fresh.ups.length === 1);
    t.equal(fresh.ups[0]?.present, false, "a port without a session begins anew");
    await fresh.port.close();
  });

  t.test("messages come as they were sent, and a QoS 1 publish is called back when the broker has it", async (t) => {
    const { port, ups, packets } = openPort({ url: broker.url, clientId: "echo" });
    await until("up", () => ups.length === 1);
    await port.subscribe([
      { filter: "echo/#", qos: 1, retained: false },
      { filter: "other/+", qos: 0, retained: false },
    ]);
    await publishTo(port, { topic: "echo/a", payload: bytes("one") });
    await publishTo(port, { topic: "other/b", payload: bytes("two") });
    await publishTo(port, { topic: "echo/c", payload: bytes("three"), qos: 0 });
    await until("three packets", () => packets.length === 3);
    t.same(
      packets.map(({ topic, payload, qos, dup, retain }) => [topic, text(payload), qos, dup, retain]),
      [
        ["echo/a", "one", 1, false, false],
        ["other/b", "two", 0, false, false],
        ["echo/c", "three", 0, false, false],
      ],
    );
    t.same([packets[0]!.packetId > 0, packets[1]?.packetId, packets[2]?.packetId], [true, 0, 0]);
    await port.close();
  });

  t.test("retained messages come at subscription only where they are asked for", async (t) => {
    const { port, ups, packets } = openPort({ url: broker.url, clientId: "retained" });
    await until("up", () => ups.length === 1);
    await publishTo(port, { topic: "kept/a", payload: bytes("a"), retain: true });
    await publishTo(port, { topic: "kept/b", payload: bytes("b"), retain: true });
    await port.subscribe([
      { filter: "kept/a", qos: 1, retained: false },
      { filter: "kept/b", qos: 1, retained: true },
    ]);
    await publishTo(port, { topic: "kept/a", payload: bytes("live"), retain: true });
    await until("two packets", () => packets.length === 2);
    t.same(
      packets.map(({ topic, payload, retain }) => [topic, text(payload), retain]),
      [
        ["kept/b", "b", true],
        ["kept/a", "live", false],
      ],
    );
    await port.close();
  });

  t.test("a message that the broker is known not to take is refused without being sent", async (t) => {
    const { port, ups, downs } = openPort({ url: broker.url, clientId: "large" });
    await until("up", () => ups.length === 1);
    const sent = publishTo(port, { topic: "large", payload: new Uint8Array(5000) });
    await t.rejects(sent, { refusal: "packet_too_large", message: "cannot publish to large: 5015 bytes; the broker takes 5000" });
    await publishTo(port, { topic: "large", payload: new Uint8Array(4900) });
    t.same(downs, []);
    await port.close();
  });

  t.test("a publish that a connection leaves unanswered is called back with an error, before `down`", async (t) => {
    const order: string[] = [];
    const { port, ups, downs } = openPort({ url: broker.url, clientId: "cut" });
    t.teardown(() => port.close());
    await until("up", () => ups.length === 1);
    port.publish({ topic: "cut", payload: bytes("x"), qos: 1, retain: false }, (error) => {
      order.push(`${error instanceof PublishRefused} ${error?.message} ${downs.length}`);
    });
    port.drop("a test cuts it");
    await until("down", () => downs.length === 1);
    t.same(order, ["false cannot publish: a test cuts it 0"]);
    t.same(downs, [{ reason: "a test cuts it", byBroker: false }]);
    await until("up again", () => ups.length === 2);
    t.equal(ups[1]?.present, true);
    await publishTo(port, { topic: "cut", payload: bytes("y") });
    t.equal(order.length, 1, "and it is called back once");
  });

  t.test("while there is no connection nothing is queued: subscribe and publish say so, an ack is void", async (t) => {
    const { port } = openPort({ url: broker.url, clientId: "early" });
    await t.rejects(port.subscribe([{ filter: "a", qos: 1, retained: false }]), { code: "unavailable" });
    await t.rejects(publishTo(port, { topic: "a" }), {
      code: "unavailable",
      message: "cannot publish: no connection to the broker",
    });
    port.acknowledge(1);
    port.drop("nothing there yet");
    await port.close();
  });

  t.test("acks written before a close reach the broker", async (t) => {
    const options = { url: broker.url, clientId: "last-acks" };
    const sender = openPort({ url: broker.url, clientId: "sender" });
    const first = openPort(options);
    await until("both up", () => first.ups.length === 1 && sender.ups.length === 1);
    await first.port.subscribe([{ filter: "acks", qos: 1, retained: false }]);
    for (let i = 0; i < 20; i++) await publishTo(sender.port, { topic: "acks", payload: bytes(`${i}`) });
    await until("20 packets", () => first.packets.length === 20);
    for (const { packetId } of first.packets.slice(0, 15)) first.port.acknowledge(packetId);
    await first.port.close();
    const second = openPort(options);
    await until("the unacked come again", () => second.packets.length === 5);
    t.same(
      second.packets.map(({ payload, dup }) => [text(payload), dup]),
      ["15", "16", "17", "18", "19"].map((value) => [value, true]),
    );
    await second.port.close();
    await sender.port.close();
  });
});

t.test("held for twice the keepalive and more, a connection lives", { ...needsMosquitto, ...slow }, async (t) => {
  // More than all buffers on the way take, so that PINGRESP too is stuck behind messages.
  const count = 400;
  const size = 32_768;
  const broker = await startMosquitto({ config: ["max_inflight_messages 0"] });
  t.teardown(() => broker.close());
  const hold = async (protocol: 4 | 5): Promise<void> => {
    const topic = `held${protocol}`;
    const sender = openPort({ url: broker.url, clientId: `sender${protocol}` });
    const { port, ups, downs, packets } = openPort({ url: broker.url, clientId: topic, keepaliveSeconds: 1, protocol });
    await until("both up", () => ups.length === 1 && sender.ups.length === 1);
    await port.subscribe([{ filter: topic, qos: 1, retained: false }]);
    port.hold(true);
    for (let i = 0; i < count; i++) {
      const payload = new Uint8Array(size);
      payload.set(bytes(`${i} `));
      await publishTo(sender.port, { topic, payload });
    }
    await sleep(3500);
    t.same([packets.length, downs.length], [0, 0], "nothing is handed over, and mosquitto has heard from us");
    port.hold(false);
    await until("all have come", () => packets.length === count);
    t.same(
      packets.map(({ payload, dup }) => [Number.parseInt(text(payload), 10), dup]),
      Array.from({ length: count }, (_, i) => [i, false]),
    );
    t.equal(ups.length, 1, "on one connection");
    await port.close();
    await sender.port.close();
  };
  await Promise.all([hold(4), hold(5)]);
});

t.test("a broker that goes away while messages are held is missed at once", async (t) => {
  const broker = await startScriptedBroker((packet, socket) => {
    if (packet.type !== 1) return;
    socket.write(connack5());
    for (let i = 1; i <= 5; i++) socket.write(publish("a", i, bytes("x"), []));
    setTimeout(() => socket.end(), 50);
  });
  t.teardown(() => broker.close());
  const { port, downs, packets } = openPort({ url: broker.url, clientId: "c" }, () => port.hold(true));
  await until("down", () => downs.length === 1, 5000);
  t.same([downs, packets.length], [[{ reason: "the broker closed the connection", byBroker: true }], 1]);
  await port.close();
});

t.test("a close while messages are held ends in order, whatever is still unread", async (t) => {
  const received: number[] = [];
  const broker = await startScriptedBroker((packet, socket) => {
    received.push(packet.type);
    if (packet.type === 14) socket.end();
    if (packet.type !== 1) return;
    socket.write(connack5());
    for (let i = 1; i <= 500; i++) socket.write(publish("a", i, new Uint8Array(10_000), []));
  });
  t.teardown(() => broker.close());
  // A clock that stands still: nothing but the broker's own end can finish the close.
  const { port, packets } = openPort({ url: broker.url, clientId: "c", clock: new FakeClock() }, () => port.hold(true));
  await until("a packet", () => packets.length === 1);
  await sleep(100);
  port.acknowledge(1);
  await port.close();
  t.same([received, packets.length], [[1, 4, 14], 1]);
});

t.test("what has not been acked comes again in order with DUP, and a hold outlives a cut", needsMosquitto, async (t) => {
  const broker = await startMosquitto();
  t.teardown(() => broker.close());
  const sender = openPort({ url: broker.url, clientId: "sender" });
  const { port, ups, downs, packets } = openPort({ url: broker.url, clientId: "again" }, ({ payload }) => {
    if (text(payload) === "6") port.hold(true);
  });
  await until("both up", () => ups.length === 1 && sender.ups.length === 1);
  await port.subscribe([{ filter: "again", qos: 1, retained: false }]);
  for (let i = 0; i < 10; i++) await publishTo(sender.port, { topic: "again", payload: bytes(`${i}`) });
  await until("the hold", () => packets.length === 7);
  port.acknowledge(packets[0]!.packetId);
  port.acknowledge(packets[1]!.packetId);
  await sleep(50);
  port.drop("a test cuts it");
  await until("up again", () => downs.length === 1 && ups.length === 2);
  t.same(ups[1], { present: true, protocol: 5, receiveMax: ups[0]!.receiveMax });
  await sleep(50);
  t.equal(packets.length, 7);
  await until("the rest", () => {
    port.hold(false);
    return packets.length === 15;
  });
  const again = packets.slice(7).map(({ payload, dup }) => [text(payload), dup]);
  t.same(
    again,
    ["2", "3", "4", "5", "6", "7", "8", "9"].map((value) => [value, true]),
  );
  await port.close();
  await sender.port.close();
});

t.test("falling back to MQTT 3.1.1", async (t) => {
  t.test("with aedes, which refuses 5: at once, and for good", async (t) => {
    const broker = await startEmbeddedBroker();
    t.teardown(() => broker.close());
    const { port, ups, downs, packets, logged } = openPort({ url: broker.url, clientId: "old" });
    await until("up", () => ups.length === 1);
    t.same(ups[0], { present: false, protocol: 4, receiveMax: 65_535 });
    await port.subscribe([{ filter: "a", qos: 1, retained: false }]);
    await publishTo(port, { topic: "a", payload: bytes("x") });
    await until("a packet", () => packets.length === 1);
    port.drop("a test cuts it");
    await until("up again", () => downs.length === 1 && ups.length === 2);
    t.same(ups[1], { present: true, protocol: 4, receiveMax: 65_535 });
    await until("it again", () => packets.length === 2);
    t.equal(packets[1]?.dup, false, "aedes 1.2 never sets DUP");
    await port.close();
    t.same(logged, ["info: connected to the broker", "warn: lost the connection to the broker", "info: connected to the broker"]);
  });

  t.test("a broker that closes without a word on a CONNECT of 5 is asked with 3.1.1, and only so from then on", async (t) => {
    const asked: number[] = [];
    const broker = await startScriptedBroker((packet, socket, connection) => {
      if (packet.type !== 1) return;
      asked.push(protocolOf(packet));
      if (protocolOf(packet) === 5) socket.end();
      else socket.write(connack(), () => connection === 2 && socket.destroy());
    });
    t.teardown(() => broker.close());
    const { port, ups } = openPort({ url: broker.url, clientId: "old" });
    await until("up twice", () => ups.length === 2);
    t.same(asked, [5, 4, 4]);
    await port.close();
  });

  t.test("where nothing ever answers, 5 has its turn again", async (t) => {
    const asked: number[] = [];
    const broker = await startScriptedBroker((packet, socket) => {
      asked.push(protocolOf(packet));
      socket.end();
    });
    t.teardown(() => broker.close());
    const { port, logged } = openPort({ url: broker.url, clientId: "old" });
    await until("five attempts", () => asked.length >= 5);
    t.same(asked.slice(0, 5), [5, 4, 5, 4, 5]);
    t.same(logged, ["warn: cannot connect to the broker; trying again"]);
    await port.close();
  });

  t.test("a version that the config fixes is not left", async (t) => {
    const broker = await startEmbeddedBroker();
    t.teardown(() => broker.close());
    const { port, refusals } = openPort({ url: broker.url, clientId: "fixed", protocol: 5 });
    await until("refused", () => refusals.length === 1);
    t.same(refusals, [`cannot connect to ${broker.url} as "fixed": it does not speak this MQTT version`]);
    await port.close();
  });
});

t.test("who may not in is told what to check, in either version", needsMosquitto, async (t) => {
  const broker = await startMosquitto({ anonymous: false });
  t.teardown(() => broker.close());
  for (const protocol of [5, 4] as const) {
    const { port, ups, refusals } = openPort({ url: broker.url, clientId: "stranger", username: "u", password: "p", protocol });
    await until("refused", () => refusals.length === 1);
    t.match(refusals, [
      `cannot connect to ${broker.url} as "stranger": not authorized; check the user name, the password and the broker's access list`,
    ]);
    t.equal(ups.length, 0);
    await port.close();
  }
});

t.test("CONNACK codes: what will be the same tomorrow ends the attempts, what may pass does not", async (t) => {
  const code = { now: 0 };
  const broker = await startScriptedBroker((packet, socket) => {
    if (packet.type === 1) socket.end(protocolOf(packet) === 5 ? connack5([], code.now) : connack(code.now));
  });
  t.teardown(() => broker.close());
  const cases = [
    [4, 2, /rejects the client id; choose another client id/],
    [4, 4, /bad user name or password; check the user name and the password/],
    [5, 0x85, /rejects the client id/],
    [5, 0x86, /bad user name or password/],
    [5, 0x8a, /has banned this client; check the broker's ban list/],
    [5, 0x9d, /has moved; change the URL/],
  ] as const;
  for (const [protocol, given, expected] of cases) {
    code.now = given;
    const { port, refusals } = openPort({ url: broker.url, clientId: "c", protocol });
    await until(`refusal of ${given}`, () => refusals.length === 1);
    t.match(refusals[0], expected);
    await port.close();
  }
  for (const [protocol, given] of [
    [4, 3],
    [5, 0x89],
    [5, 0x97],
  ] as const) {
    code.now = given;
    const before = broker.connections();
    const { port, refusals, ups, logged } = openPort({ url: broker.url, clientId: "c", protocol });
    await until("three attempts", () => broker.connections() >= before + 3);
    code.now = 0;
    await until("up", () => ups.length > 0);
    t.same(
      [refusals, logged.slice(0, 2)],
      [[], ["warn: cannot connect to the broker; trying again", "info: connected to the broker"]],
    );
    await port.close();
  }
});

t.test("CONNECT leaves when it may, and what may have come of one without an answer is told", async (t) => {
  const asked: number[] = [];
  const broker = await startScriptedBroker((packet, socket, connection) => {
    if (packet.type !== 1) return;
    asked.push(connection);
    // Without a word, with a refusal, and well.
    if (connection === 2) socket.destroy();
    else socket.write(connack5([], connection === 3 ? 0x89 : 0));
  });
  t.teardown(() => broker.close());
  const failed: boolean[] = [];
  const waiting: (() => void)[] = [];
  const connecting = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
    });
  const { port, ups, downs } = openPort({ url: broker.url, clientId: "c", protocol: 5 }, undefined, {
    connecting,
    failed: (maybe) => failed.push(maybe),
  });
  await until("the broker is reached", () => waiting.length === 1);
  await sleep(20);
  t.same(asked, [], "nothing has left");
  port.drop("a test cuts it");
  await until("another attempt", () => waiting.length === 2);
  t.same(failed, [false], "it had not been asked for");
  waiting[0]!();
  waiting[1]!();
  await until("a third", () => waiting.length === 3);
  t.same(failed, [false, true]);
  waiting[2]!();
  await until("a fourth", () => waiting.length === 4);
  t.same(failed, [false, true, false], "a refusal begins no session");
  waiting[3]!();
  await until("up", () => ups.length === 1);
  t.same([asked, downs], [[2, 3, 4], []]);
  await port.close();
  t.equal(failed.length, 3);
});

t.test("credentials that have been good before are tried again", async (t) => {
  const broker = await startScriptedBroker((packet, socket, connection) => {
    if (packet.type !== 1) return;
    socket.write(connack5([], connection === 2 ? 0x87 : 0), () => connection === 1 && socket.destroy());
  });
  t.teardown(() => broker.close());
  const { port, ups, refusals, logged } = openPort({ url: broker.url, clientId: "c" });
  await until("up again", () => ups.length === 2);
  t.same(refusals, []);
  t.same(logged, [
    "info: connected to the broker",
    "warn: lost the connection to the broker",
    "warn: cannot connect to the broker; trying again",
    "info: connected to the broker",
  ]);
  await port.close();
});

t.test("in MQTT 5 a client whose id another takes stops for good", async (t) => {
  const broker = await startScriptedBroker((packet, socket) => {
    if (packet.type === 1) socket.end(Buffer.concat([connack5(), disconnect5(0x8e)]));
  });
  t.teardown(() => broker.close());
  const { port, downs, refusals } = openPort({ url: broker.url, clientId: "twice" });
  await until("refused", () => refusals.length === 1);
  t.same(refusals, [
    `cannot stay connected to ${broker.url}: another client uses the client id "twice"; stop it or choose another id`,
  ]);
  t.same(downs, [{ reason: "another client uses our client id", byBroker: true }]);
  await port.close();
  t.equal(broker.connections(), 1);
});

t.test("a broker that keeps closing soon after it let us in, and says nothing, ends the attempts", slow, async (t) => {
  for (const protocol of [5, 4] as const) {
    const broker = await startScriptedBroker((packet, socket) => {
      if (packet.type === 1) socket.end(protocol === 5 ? connack5() : connack());
    });
    const { port, ups, refusals } = openPort({ url: broker.url, clientId: "c", protocol });
    await until("refused", () => refusals.length === 1);
    t.equal(ups.length, 8);
    t.match(
      refusals[0],
      /closed the connection 8 times soon after it stood; check that no other client uses the client id "c" and/,
    );
    await port.close();
    await broker.close();
  }
});

t.test("two clients of one id: one gives way and the other stays", { ...needsMosquitto, ...slow }, async (t) => {
  // mosquitto 2.0.11 does not send the reason it has for MQTT 5, aedes speaks 3.1.1 only: the closings must tell.
  for (const broker of [await startMosquitto(), await startEmbeddedBroker()]) {
    t.teardown(() => broker.close());
    const both = [1, 2].map(() =>
      openPort({ url: broker.url, clientId: "same", reconnectDelayMsMin: 10, reconnectDelayMsMax: 150 }),
    );
    await until("one gives way", () => both.some(({ refusals }) => refusals.length === 1));
    const stays = both.find(({ refusals }) => refusals.length === 0)!;
    await until("the other is up", () => stays.ups.length > stays.downs.length);
    await publishTo(stays.port, { topic: "x" });
    t.equal(stays.refusals.length, 0);
    for (const { port } of both) await port.close();
  }
});

/** A clock on which pauses between attempts pass at once, and are kept. */
class PauseClock extends FakeClock {
  readonly pauses: number[] = [];

  override after(delayMs: number, run: () => void): Timer {
    // The keepalive's ticks are no pauses.
    if (delayMs === 15_000) return { cancel: () => {} };
    this.pauses.push(delayMs);
    const immediate = setImmediate(run);
    return { cancel: () => clearImmediate(immediate) };
  }
}

t.test("pauses between attempts double up to a bound, with full jitter, and start anew after a good connection", async (t) => {
  const half = { ...createRandom(1), next: () => 0.5 };
  const defaults = { random: half, reconnectDelayMsMin: 1000, reconnectDelayMsMax: 60_000 };
  const absent = new PauseClock();
  const nobody = openPort({ url: `mqtt://127.0.0.1:${await freePort()}`, clientId: "c", clock: absent, ...defaults });
  await until("eight attempts", () => absent.pauses.length >= 8);
  await nobody.port.close();
  t.same(absent.pauses.slice(0, 8), [1500, 2500, 4500, 8500, 16_500, 30_500, 30_500, 30_500]);

  const broker = await startScriptedBroker((packet, socket) => {
    if (packet.type === 1) socket.write(connack5(), () => socket.resetAndDestroy());
  });
  t.teardown(() => broker.close());
  for (const [lastsMs, expected] of [
    [59_999, [1500, 2500, 4500]],
    [60_000, [1500, 1500, 1500]],
  ] as const) {
    const clock = new PauseClock();
    const log = { ...keepLog([]), info: () => clock.advance(lastsMs) };
    const { port, ups } = openPort({ url: broker.url, clientId: "c", protocol: 5, clock, log, ...defaults });
    await until("up four times", () => ups.length >= 4);
    await port.close();
    t.same(clock.pauses.slice(0, 3), expected);
  }
});

t.test("a broker that is not there yet is waited for, and one line says so", slow, async (t) => {
  const port = await freePort();
  const { port: client, ups, logged } = openPort({ url: `mqtt://127.0.0.1:${port}`, clientId: "patient" });
  await sleep(700);
  t.same(logged, ["warn: cannot connect to the broker; trying again"]);
  const broker = await startEmbeddedBroker({ port });
  t.teardown(() => broker.close());
  await until("up", () => ups.length === 1);
  await client.close();
});

t.test("who hears that the broker is back does not wait out the pause", async (t) => {
  const port = await freePort();
  const [url, hour] = [`mqtt://127.0.0.1:${port}`, { reconnectDelayMsMin: 3_600_000, reconnectDelayMsMax: 3_600_000 }];
  const waiting = openPort({ url, clientId: "waiting", ...hour });
  await until("a first attempt", () => waiting.logged.length === 1);
  const broker = await startEmbeddedBroker({ port });
  t.teardown(() => broker.close());
  const other = openPort({ url, clientId: "other", reached: () => waiting.port.hurry() });
  await until("both up", () => other.ups.length === 1 && waiting.ups.length === 1);
  waiting.port.hurry();
  t.equal(waiting.ups.length, 1, "who is up stays so");
  waiting.port.drop("a test");
  await until("down", () => waiting.downs.length === 1);
  waiting.port.hurry();
  t.equal(waiting.ups.length, 1, "after a connection as short as that the pause is kept");
  await waiting.port.close();
  waiting.port.hurry();
  t.same(waiting.logged, [
    "warn: cannot connect to the broker; trying again",
    "info: connected to the broker",
    "warn: lost the connection to the broker",
  ]);
  await other.port.close();
});

t.test("a broker that falls silent is left, and one that asks for quicker pings gets them", slow, async (t) => {
  const types: number[] = [];
  const broker = await startScriptedBroker((packet, socket, connection) => {
    types.push(packet.type);
    // Server Keep Alive (0x13): 1 s.
    if (packet.type === 1) socket.write(connack5([0x13, 0, 1]));
    if (packet.type === 12 && connection === 2) socket.write(Buffer.from([0xd0, 0]));
  });
  t.teardown(() => broker.close());
  const { port, ups, downs } = openPort({ url: broker.url, clientId: "c", keepaliveSeconds: 60 });
  await until("up again", () => ups.length === 2);
  t.same(downs, [{ reason: "the broker has not been heard from for one and a half keepalive times", byBroker: false }]);
  t.same(types, [1, 12, 12, 1], "two pings went out");
  await until("four more pings", () => types.length >= 8);
  t.equal(downs.length, 1, "who answers is kept");
  await port.close();
});

t.test("an MQTT 5 broker's reason for ending a connection is told", async (t) => {
  const broker = await startScriptedBroker((packet, socket, connection) => {
    if (packet.type !== 1) return;
    socket.write(connack5());
    if (connection === 1) socket.end(disconnect5(0x8b));
    if (connection === 2) socket.end(disconnect5(0xa1));
  });
  t.teardown(() => broker.close());
  const { port, ups, downs } = openPort({ url: broker.url, clientId: "c" });
  await until("up a third time", () => ups.length === 3);
  t.same(downs, [
    { reason: "the broker is shutting down", byBroker: true },
    { reason: "the broker ended the connection with code 0xa1", byBroker: true },
  ]);
  await port.close();
});

t.test(
  "a broker's refusals of single topics: a subscription names the filter, a publish its reason",
  needsMosquitto,
  async (t) => {
    const broker = await startMosquitto({
      config: ["acl_file FOLDER/acl"],
      files: { acl: "topic readwrite open/#\n" },
    });
    t.teardown(() => broker.close());
    const { port, ups, downs } = openPort({ url: broker.url, clientId: "limited" });
    await until("up", () => ups.length === 1);
    await publishTo(port, { topic: "open/a" });
    await t.rejects(publishTo(port, { topic: "closed/a" }), {
      refusal: "not_authorized",
      message: /cannot publish to closed\/a: .*Not authorized/,
    });
    t.same(downs, []);
    await port.close();

    const strict = await startScriptedBroker((packet, socket) => {
      if (packet.type === 1) socket.write(connack());
      if (packet.type === 8) socket.write(Buffer.from([0x90, 4, packet.body[0]!, packet.body[1]!, 1, 0x80]));
    });
    t.teardown(() => strict.close());
    const other = openPort({ url: strict.url, clientId: "limited", protocol: 4 });
    await until("up", () => other.ups.length === 1);
    const wanted = other.port.subscribe([
      { filter: "open/a", qos: 1, retained: false },
      { filter: "closed/a", qos: 1, retained: false },
    ]);
    await t.rejects(wanted, {
      code: "broker_refused",
      message: "cannot subscribe to closed/a: the broker refuses; check the topic filters and the broker's access list",
    });
    await t.rejects(other.port.subscribe([{ filter: "a/#/b", qos: 1, retained: false }]), {
      code: "broker_refused",
      message: /cannot subscribe to Invalid topic a\/#\/b; check the topic filters/,
    });
    t.equal(other.downs.length, 0);
    await other.port.close();
  },
);

t.test("a broker that keeps sessions for a shorter time than asked for is told of once", async (t) => {
  const broker = await startScriptedBroker((packet, socket, connection) => {
    // Session Expiry Interval (0x11): 300 s.
    if (packet.type === 1) socket.write(connack5([0x11, 0, 0, 1, 44]));
    if (packet.type === 1 && connection === 1) setTimeout(() => socket.destroy(), 20);
    if (packet.type === 14) socket.end();
  });
  t.teardown(() => broker.close());
  const { port, ups, logged } = openPort({ url: broker.url, clientId: "c" });
  await until("up again", () => ups.length === 2);
  const warnings = logged.filter((line) => line.includes("session"));
  t.same(warnings, [
    "warn: the broker keeps our session for 300 s only: what is sent to us while we are away for longer is lost; raise the broker's limit",
  ]);
  await Promise.all([port.close(), port.close()]);
  await port.close();
});
