import { createServer, connect as connectTcp } from "node:net";
import type { Server, Socket } from "node:net";
import { connectAsync } from "mqtt";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { createRandom } from "../../src/base/random.ts";
import type { DeviceMessage } from "../../firmware-sim/device.ts";
import { Publisher } from "../../firmware-sim/publisher.ts";
import type { PublisherOptions } from "../../firmware-sim/publisher.ts";
import { freePort } from "../support/free-port.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { until } from "../support/until.ts";

const needsMosquitto = { skip: mosquittoMissing() };

function createPublisher(port: number, options: Partial<PublisherOptions> = {}): Publisher {
  return new Publisher({
    broker: { host: "127.0.0.1", port, secure: false, username: undefined, password: undefined },
    clock: systemClock,
    random: createRandom(port),
    ...options,
  });
}

function message(number: number): DeviceMessage {
  return { topic: "a/b", payload: Buffer.from(String(number)), retain: false, readings: 1, repeated: false };
}

/** Everything that arrives on a/b, as numbers. */
async function listen(port: number): Promise<{ numbers: number[]; end: () => Promise<void> }> {
  const numbers: number[] = [];
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 4 });
  client.on("message", (_topic, payload) => numbers.push(Number(payload.toString())));
  await client.subscribeAsync("a/b", { qos: 1 });
  return { numbers, end: () => client.endAsync() };
}

/** A wire to a port that can be cut. */
async function startWire(to: number): Promise<{ port: number; cut: () => void; close: () => Promise<void> }> {
  const open = new Set<Socket>();
  const server: Server = createServer((inbound) => {
    const outbound = connectTcp(to, "127.0.0.1");
    for (const socket of [inbound, outbound]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        open.delete(socket);
        inbound.destroy();
        outbound.destroy();
      });
    }
    inbound.pipe(outbound).pipe(inbound);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      cut();
      server.close(() => resolve());
    });
  return { port, cut, close };
}

t.test(
  "over a wire that is cut again and again every message arrives, for the first time in order",
  needsMosquitto,
  async (t) => {
    const mosquitto = await startMosquitto();
    t.teardown(() => mosquitto.close());
    const wire = await startWire(mosquitto.port);
    t.teardown(() => wire.close());
    const { numbers, end } = await listen(mosquitto.port);
    let downs = 0;
    const publisher = createPublisher(wire.port, { onDown: () => downs++ });
    publisher.open();
    const count = 3000;
    for (let number = 0; number < count; number++) {
      if (!publisher.offer(message(number))) t.fail("there was no room");
      if (number % 1000 === 500) {
        await publisher.whenUp();
        await until("something is confirmed", () => publisher.confirmed > number / 2);
        wire.cut();
      }
    }
    await publisher.whenConfirmed();
    t.equal(publisher.confirmed, count);
    t.equal(publisher.unconfirmed, 0);
    t.equal(downs, 3);
    await until("all have arrived", () => new Set(numbers).size === count);
    const firsts = [...new Set(numbers)];
    t.same(
      firsts,
      Array.from({ length: count }, (_, i) => i),
      "first arrivals are in order",
    );
    t.ok(numbers.length >= count, `${numbers.length - count} came twice`);
    await publisher.close();
    await end();
  },
);

t.test("a connection may be cut on purpose, and comes back by itself", needsMosquitto, async (t) => {
  const mosquitto = await startMosquitto();
  t.teardown(() => mosquitto.close());
  let ups = 0;
  const publisher = createPublisher(mosquitto.port, { cutEveryMs: 50, onUp: () => ups++ });
  publisher.open();
  await until("it is up a second time", () => ups === 2);
  publisher.offer(message(1));
  await publisher.whenConfirmed();
  await publisher.close();
});

t.test("without a broker messages are kept up to the bound, and the reason is told once an attempt", async (t) => {
  const port = await freePort();
  const reasons: string[] = [];
  const publisher = createPublisher(port, { messagesMax: 3, onDown: (reason) => reasons.push(reason) });
  publisher.open();
  t.same(
    [1, 2, 3, 4].map((number) => publisher.offer(message(number))),
    [true, true, true, false],
  );
  await until("an attempt failed", () => reasons.length === 1);
  t.match(reasons[0], new RegExp(`connect ECONNREFUSED 127.0.0.1:${port}`));
  await publisher.whenConfirmed(1);
  t.equal(publisher.unconfirmed, 3);
  const waiting = Promise.all([publisher.whenRoom(), publisher.whenUp(), publisher.whenConfirmed()]);
  await publisher.close();
  await waiting;
  t.equal(publisher.offer(message(5)), false, "closed, it takes nothing");
});

t.test("a broker that wants a password says why it refuses", needsMosquitto, async (t) => {
  const mosquitto = await startMosquitto({ anonymous: false });
  t.teardown(() => mosquitto.close());
  const reasons: string[] = [];
  const publisher = createPublisher(mosquitto.port, { onDown: (reason) => reasons.push(reason) });
  publisher.open();
  await until("an attempt failed", () => reasons.length > 0);
  t.match(reasons[0], /Not authorized/);
  await publisher.close();
});

t.test("room comes back as the broker confirms", needsMosquitto, async (t) => {
  const mosquitto = await startMosquitto();
  t.teardown(() => mosquitto.close());
  const publisher = createPublisher(mosquitto.port, { messagesMax: 10 });
  publisher.open();
  let refused = 0;
  for (let number = 0; number < 500; number++) {
    while (!publisher.offer(message(number))) {
      refused++;
      await publisher.whenRoom();
    }
  }
  await publisher.whenConfirmed();
  t.equal(publisher.confirmed, 500);
  t.ok(refused > 0);
  await publisher.close();
});
