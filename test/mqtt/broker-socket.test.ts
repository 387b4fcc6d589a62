import fc from "fast-check";
import t from "tap";
import { silentLog } from "../../src/base/log.ts";
import type { LogFields } from "../../src/base/log.ts";
import { Keepalive } from "../../src/mqtt/keepalive.ts";
import { PacketLimiter } from "../../src/mqtt/packet-limiter.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { freePort } from "../support/free-port.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { until } from "../support/until.ts";
import { bytes, openPort, publishTo, text } from "./open-port.ts";
import { connack5, publish, startScriptedBroker } from "./scripted-broker.ts";
import { certificate, privateKey } from "./tls-fixture.ts";

const needsMosquitto = { skip: mosquittoMissing() };

const PAYLOAD_BYTES_MAX = 200;

interface Part {
  readonly type: number;
  readonly qos: number;
  readonly topicBytes: number;
  readonly propertyBytes: number;
  readonly payloadBytes: number;
}

function lengthBytes(length: number): number[] {
  return length < 128 ? [length] : [(length % 128) | 0x80, ...lengthBytes(Math.floor(length / 128))];
}

function packet(first: number, body: readonly number[]): Buffer {
  return Buffer.from([first, ...lengthBytes(body.length), ...body]);
}

function filled(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => (seed + i * 7) % 256);
}

/** The packet as a broker sends it, and as the reader should get it. */
function build(
  { type, qos, topicBytes, propertyBytes, payloadBytes }: Part,
  protocol: 4 | 5,
): { sent: Buffer; expected: Buffer } {
  if (type !== 3) {
    const sent = packet(type << 4, filled(Math.min(payloadBytes, PAYLOAD_BYTES_MAX), 3));
    return { sent, expected: sent };
  }
  const first = 0x30 | (qos << 1);
  const topic = [topicBytes >> 8, topicBytes & 0xff, ...filled(topicBytes, 1)];
  const id = qos > 0 ? [0x12, 0x34] : [];
  const properties = protocol === 5 ? [...lengthBytes(propertyBytes), ...filled(propertyBytes, 5)] : [];
  const payload = filled(payloadBytes, 9);
  const body = [...topic, ...id, ...properties, ...payload];
  const sent = packet(first, body);
  if (body.length <= PAYLOAD_BYTES_MAX) return { sent, expected: sent };
  const cut = [...topic, ...id, ...(protocol === 5 ? [0] : []), ...payload.slice(0, PAYLOAD_BYTES_MAX + 1)];
  return { sent, expected: packet(first, cut) };
}

const part: fc.Arbitrary<Part> = fc.record({
  type: fc.constantFrom(3, 3, 3, 4, 9, 13),
  qos: fc.constantFrom(0, 1),
  topicBytes: fc.integer({ min: 1, max: 300 }),
  propertyBytes: fc.integer({ min: 0, max: 300 }),
  payloadBytes: fc.integer({ min: 0, max: 1000 }),
});

t.test("whatever the chunks, packets pass as they came and oversized publishes pass cut, without their properties", async (t) => {
  let cutOnes = 0;
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 8 }),
      fc.constantFrom(4 as const, 5 as const),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }),
      (parts, protocol, sizes) => {
        const built = parts.map((one) => build(one, protocol));
        const sent = Buffer.concat(built.map(({ sent: bytes }) => bytes));
        const expected = Buffer.concat(built.map(({ expected: bytes }) => bytes));
        if (expected.length < sent.length) cutOnes++;
        const got: Buffer[] = [];
        const limiter = new PacketLimiter(protocol, PAYLOAD_BYTES_MAX, (bytes) => got.push(Buffer.from(bytes)));
        for (let at = 0, i = 0; at < sent.length; i++) {
          const size = sizes[i % sizes.length]!;
          limiter.take(sent.subarray(at, at + size));
          at += size;
        }
        const tooLong = parts.filter(({ type, payloadBytes }) => type === 3 && payloadBytes > PAYLOAD_BYTES_MAX);
        for (const { payloadBytes } of tooLong) if (limiter.takeOversizedBytes() !== payloadBytes) return false;
        return limiter.takeOversizedBytes() === undefined && Buffer.concat(got).equals(expected);
      },
    ),
    { numRuns: 1000, seed: 1 },
  );
  t.ok(cutOnes > 300, `${cutOnes} of 1000 runs had something to cut`);
});

t.test("what cannot be MQTT is refused", async (t) => {
  const take = (bytes: Uint8Array): void => new PacketLimiter(5, PAYLOAD_BYTES_MAX, () => t.fail("passed")).take(bytes);
  t.throws(() => take(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 1])), { message: /a length of more than four bytes/ });
  t.throws(() => take(packet(0x40, filled(PAYLOAD_BYTES_MAX + 1, 0))), {
    message: "a packet of type 4 with 201 bytes",
  });
  const tooLongInside = packet(0x30, [0, 1, 97, 0xff, 0x7f, ...filled(300, 0)]);
  t.throws(() => take(tooLongInside), { message: "malformed packet: its parts are longer than the whole" });
});

t.test("a connection is pinged twice a keepalive time, and given up after one and a half of silence", async (t) => {
  const clock = new FakeClock();
  const events: string[] = [];
  const keepalive = new Keepalive(clock, 30, { ping: () => events.push("ping"), lost: () => events.push("lost") });
  clock.advance(30_000);
  t.same(events, ["ping", "ping"]);
  keepalive.heard();
  clock.advance(30_000);
  t.equal(events.includes("lost"), false);
  clock.advance(15_000);
  t.same(events, ["ping", "ping", "ping", "ping", "lost"]);
  keepalive.stop();
  clock.advance(100_000);
  t.equal(events.length, 5);
});

t.test("while held, pings go on and silence says nothing; after it the full time counts again", async (t) => {
  const clock = new FakeClock();
  const events: string[] = [];
  const keepalive = new Keepalive(clock, 30, { ping: () => events.push("ping"), lost: () => events.push("lost") });
  clock.advance(15_000);
  keepalive.hold(true);
  clock.advance(300_000);
  t.same(
    events,
    Array.from({ length: 21 }, () => "ping"),
  );
  keepalive.hold(false);
  clock.advance(30_000);
  t.equal(events.includes("lost"), false);
  clock.advance(15_000);
  t.equal(events.at(-1), "lost");
  keepalive.stop();
});

t.test("a message over the size bound arrives cut and can be acked; its neighbours are untouched", async (t) => {
  const large = Buffer.alloc(3_000_000, 7);
  const acks: number[] = [];
  const broker = await startScriptedBroker((packet, socket) => {
    if (packet.type === 4) acks.push(packet.body.readUInt16BE(0));
    if (packet.type !== 1) return;
    socket.write(connack5());
    socket.write(publish("a", 1, bytes("before"), []));
    socket.write(publish("b", 2, large, [0x26, 0, 1, 107, 0, 1, 118]));
    socket.write(publish("c", 3, bytes("after"), []));
  });
  t.teardown(() => broker.close());
  const { port, packets, downs } = openPort({ url: broker.url, clientId: "c" });
  await until("three packets", () => packets.length === 3);
  t.same(
    packets.map(({ topic, packetId, payload }) => [topic, packetId, payload.length]),
    [
      ["a", 1, 6],
      ["b", 2, 262_145],
      ["c", 3, 5],
    ],
  );
  t.same([text(packets[0]!.payload), text(packets[2]!.payload)], ["before", "after"]);
  for (const { packetId } of packets) port.acknowledge(packetId);
  await until("acks", () => acks.length === 3);
  t.same([acks, downs], [[1, 2, 3], []]);
  await port.close();
});

t.test("an oversized packet that is no PUBLISH, and bytes that are no MQTT, end the connection and nothing else", async (t) => {
  const broker = await startScriptedBroker((packet, socket, connection) => {
    if (packet.type !== 1) return;
    socket.write(connack5());
    const bad = [[], [0x90, 0xff, 0xff, 0x7f], [0x30, 0xff, 0xff, 0xff, 0xff, 0xff], [0x36, 2, 0, 0]][connection];
    if (bad !== undefined) setTimeout(() => socket.write(Buffer.from(bad)), 20);
  });
  t.teardown(() => broker.close());
  const { port, ups, downs } = openPort({ url: broker.url, clientId: "c" });
  await until("up a fourth time", () => ups.length === 4);
  t.match(downs, [
    { reason: "a packet of type 9 with 2097151 bytes", byBroker: false },
    { reason: "malformed packet: a length of more than four bytes", byBroker: false },
    { reason: "Packet must not have both QoS bits set to 1", byBroker: false },
  ]);
  await port.close();
});

t.test("over TLS a broker is believed only where its certificate is", needsMosquitto, async (t) => {
  const port = await freePort();
  const broker = await startMosquitto({
    files: { "cert.pem": certificate, "key.pem": privateKey },
    config: [`listener ${port} 127.0.0.1`, "certfile FOLDER/cert.pem", "keyfile FOLDER/key.pem"],
  });
  t.teardown(() => broker.close());
  for (const host of ["127.0.0.1", "localhost"]) {
    const { port: client, ups, packets } = openPort({ url: `mqtts://${host}:${port}`, tls: { ca: certificate }, clientId: host });
    await until("up", () => ups.length === 1);
    await client.subscribe([{ filter: "a", qos: 1, retained: false }]);
    await publishTo(client, { topic: "a", payload: bytes("x") });
    await until("a packet", () => packets.length === 1);
    await client.close();
  }
  const reasons: unknown[] = [];
  const log = { ...silentLog, warn: (_message: string, fields?: LogFields) => void reasons.push(fields?.["reason"]) };
  const stranger = openPort({ url: `mqtts://127.0.0.1:${port}`, clientId: "tls", log });
  await until("a failed attempt", () => reasons.length === 1);
  t.match(reasons, [/self-signed certificate/]);
  t.equal(stranger.ups.length, 0);
  await stranger.port.close();
});
