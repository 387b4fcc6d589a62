// What src/mqtt takes for granted about mqtt.js beyond its documented interface. A new version that fails here needs a look at
// src/mqtt/mqttjs-connection.ts before anything else.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { MqttClient } from "mqtt";
import type { IClientOptions } from "mqtt";
import t from "tap";
import { until } from "../support/until.ts";
import { connack5, publish, puback, startScriptedBroker } from "./scripted-broker.ts";
import type { Received } from "./scripted-broker.ts";

const ours: IClientOptions = {
  clientId: "contract",
  protocolVersion: 5,
  clean: false,
  keepalive: 1,
  reconnectPeriod: 0,
  resubscribe: false,
  queueQoSZero: false,
  properties: { sessionExpiryInterval: 60, receiveMaximum: 10 },
  timerVariant: { set: () => 0, clear: () => {} },
};

const five = [1, 2, 3, 4, 5].map((id) => publish("t", id, Buffer.from(`${id}`), []));

async function start(answer: (packet: Received) => readonly Uint8Array[]) {
  const received: Received[] = [];
  const broker = await startScriptedBroker((packet, socket) => {
    received.push(packet);
    for (const bytes of answer(packet)) socket.write(bytes);
  });
  const { port } = new URL(broker.url);
  const client = new MqttClient(() => connect(Number(port), "127.0.0.1"), { ...ours });
  const errors: Error[] = [];
  client.on("error", (error) => errors.push(error));
  const end = async (): Promise<void> => {
    client.stream.destroy();
    await broker.close();
  };
  const ids = (type: number): number[] =>
    received.filter((packet) => packet.type === type).map(({ body }) => body.readUInt16BE(0));
  return { client, received, ids, errors, end };
}

t.test("the version is pinned, and it is the one these tests were written against", async (t) => {
  const installed = createRequire(import.meta.url).resolve("mqtt/package.json");
  t.match(JSON.parse(readFileSync(installed, "utf8")), { version: "5.16.0" });
  const own = new URL("../../../package.json", import.meta.url);
  t.match(JSON.parse(readFileSync(own, "utf8")), { dependencies: { mqtt: "5.16.0" } });
});

t.test(
  "a message called back with an error is followed by the next and not acked; `_sendPacket` acks it later, in any order",
  async (t) => {
    const { client, ids, errors, end } = await start(({ type }) => (type === 1 ? [connack5(), ...five] : []));
    const taken: number[] = [];
    client.handleMessage = (packet, done) => {
      taken.push(packet.messageId ?? 0);
      done(new Error("acked later"));
    };
    await until("all taken", () => taken.length === 5);
    await sleep(20);
    t.same([taken, ids(4), errors], [[1, 2, 3, 4, 5], [], []]);
    for (const id of [2, 1, 5]) client["_sendPacket"]({ cmd: "puback", messageId: id, reasonCode: 0 });
    await until("acks", () => ids(4).length === 3);
    t.same(ids(4), [2, 1, 5]);
    await end();
  },
);

t.test("while a callback is withheld nothing else is handed over, and once it comes all goes on", async (t) => {
  const { client, end } = await start(({ type }) => (type === 1 ? [connack5(), ...five] : []));
  const taken: number[] = [];
  let go: (() => void) | undefined;
  client.handleMessage = (packet, done) => {
    taken.push(packet.messageId ?? 0);
    if (taken.length === 2) go = () => done(new Error("acked later"));
    else done(new Error("acked later"));
  };
  await until("the second", () => taken.length === 2);
  await sleep(20);
  t.same(taken, [1, 2]);
  go?.();
  await until("the rest", () => taken.length === 5);
  await end();
});

t.test(
  "`packetreceive` tells of the CONNACK first, and of each packet before it is handled, when the client already counts as connected",
  async (t) => {
    const { client, end } = await start(({ type }) => (type === 1 ? [Buffer.concat([connack5([0x21, 0, 33]), five[0]!])] : []));
    const order: string[] = [];
    client.on("packetreceive", (packet) => {
      const max = packet.cmd === "connack" ? packet.properties?.receiveMaximum : "";
      order.push(`${packet.cmd} ${max} connected=${client.connected}`);
    });
    client.handleMessage = (_packet, done) => {
      order.push("handled");
      done(new Error("acked later"));
    };
    await until("the message", () => order.length === 3);
    t.same(order, ["connack 33 connected=false", "publish  connected=true", "handled"]);
    await end();
  },
);

t.test("the timer it is given is the only one it pings by, and `sendPing` sends a PINGREQ", async (t) => {
  const { client, received, end } = await start(({ type }) => (type === 1 ? [connack5()] : []));
  await until("connected", () => client.connected);
  t.equal(client.keepalive, 1);
  await sleep(1700);
  t.equal(client.connected, true, "no keepalive timeout of its own");
  t.same(
    received.map(({ type }) => type),
    [1],
  );
  client.sendPing();
  await until("a ping", () => received.length === 2);
  t.equal(received[1]?.type, 12);
  await end();
});

t.test(
  "publishes are answered by packet id; one that is left over is neither called back nor sent again by itself",
  async (t) => {
    const { client, ids, received, end } = await start((packet) => {
      if (packet.type === 1) return [connack5()];
      const nameLength = packet.type === 3 ? packet.body.readUInt16BE(0) : 0;
      const id = packet.type === 3 ? packet.body.readUInt16BE(2 + nameLength) : 0;
      return packet.type === 3 && ids(3).length < 3 ? [puback(id)] : [];
    });
    await until("connected", () => client.connected);
    const done: string[] = [];
    for (const name of ["a", "b", "c"])
      client.publish(name, Buffer.from("x"), { qos: 1 }, (error) => done.push(`${name} ${error}`));
    await until("two answers", () => done.length === 2);
    t.same(done, ["a null", "b null"]);
    client.stream.destroy();
    await sleep(50);
    t.equal(done.length, 2);
    t.same(received.filter(({ type }) => type === 1).length, 1, "it does not connect again");
    await end();
  },
);
