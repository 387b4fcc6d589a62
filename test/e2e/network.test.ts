// Twelve faults of the network between a runtime and a real broker, one after the other on the same runtime, each under readings. After
// each: every reading stepped once, every prediction there with the bits of an undisturbed run, and what the fault says besides.
import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import mqtt from "mqtt";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { createRandom } from "../../src/base/random.ts";
import { createMqttPort } from "../../src/mqtt/mqttjs-port.ts";
import { parseConfig } from "../../src/runtime/config.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { model, offline } from "../support/one-group.ts";
import { until } from "../support/until.ts";

t.setTimeout(240_000);

const KEEPALIVE_SECONDS = 2;
const MESSAGES = 150;
/** What an idle connection may be dead for before it is noticed, and a new one stands, on a machine that is busy. */
const NOTICED_MS_MAX = 20_000;

interface Fault {
  readonly name: string;
  /** Whether connections live through it. */
  readonly holds: boolean;
  /** Begins it; what it returns ends it, before the proxy heals. */
  readonly begin: (proxy: FaultProxy) => void | (() => Promise<void>);
}

/** Until the runtime has left the connections that nothing comes of. */
function noticed(proxy: FaultProxy): () => Promise<void> {
  const before = proxy.accepted;
  return () => until("both connections are made anew", () => proxy.accepted >= before + 2, NOTICED_MS_MAX);
}

const faults: readonly Fault[] = [
  { name: "latency of 150 ms each way", holds: true, begin: ({ up, down }) => void (up.latencyMs = down.latencyMs = 150) },
  {
    name: "bandwidth of 10 kB/s",
    holds: true,
    begin: ({ up, down }) => void (up.bytesPerSecond = down.bytesPerSecond = 10_000),
  },
  { name: "slices of 3 bytes", holds: true, begin: ({ up, down }) => void (up.sliceBytes = down.sliceBytes = 3) },
  {
    name: "stalls shorter than the keepalive",
    holds: true,
    begin: ({ up, down }) => {
      up.stall = down.stall = true;
      const over = sleep(800).then(() => {
        up.stall = down.stall = false;
      });
      return () => over;
    },
  },
  { name: "connections ended in order", holds: false, begin: (proxy) => proxy.cut("end") },
  { name: "connections reset", holds: false, begin: (proxy) => proxy.cut("reset") },
  {
    name: "a cut in the middle of a packet to the runtime",
    holds: false,
    begin: ({ down }) => void (down.cutAfterBytes = 3001),
  },
  { name: "a cut in the middle of a packet to the broker", holds: false, begin: ({ up }) => void (up.cutAfterBytes = 1501) },
  {
    name: "half-open: nothing comes from the broker",
    holds: false,
    begin: (proxy) => {
      proxy.down.swallow = true;
      return noticed(proxy);
    },
  },
  {
    name: "half-open: nothing reaches the broker",
    holds: false,
    begin: (proxy) => {
      proxy.up.swallow = true;
      return noticed(proxy);
    },
  },
  {
    name: "a black hole",
    holds: false,
    begin: (proxy) => {
      proxy.up.swallow = proxy.down.swallow = true;
      return noticed(proxy);
    },
  },
  {
    name: "a broker that refuses, and then one that says nothing",
    holds: false,
    begin: (proxy) => {
      proxy.door = "refuse";
      proxy.cut("reset");
      return async () => {
        await until("it tries again and again", () => proxy.turnedAway >= 4);
        proxy.door = "silent";
        const before = proxy.turnedAway;
        await until("it tries once more", () => proxy.turnedAway >= before + 2);
      };
    },
  },
];

t.test(
  "twelve faults of the network lose nothing, step nothing twice and change no bit",
  { skip: mosquittoMissing() },
  async (t) => {
    const broker = await startMosquitto({ config: ["max_inflight_messages 1000"] });
    t.teardown(() => broker.close());
    const proxy = await FaultProxy.start(broker.port);
    t.teardown(() => proxy.close());
    const folder = t.testdir({});
    writeFileSync(join(folder, "model.onnx"), model.bytes);
    const config = parseConfig(
      `node: net\nstate: state\nmqtt: { url: "${proxy.url}" }\ngroups:\n` +
        `  - { name: g, topic: "s/{device}/r", codec: json, model: model.onnx, engine: native }\n`,
      join(folder, "config.yaml"),
    );
    const metrics = new Metrics();
    const port = (clientId: string, sessionExpirySeconds: number): ReturnType<typeof createMqttPort> =>
      createMqttPort({
        url: proxy.url,
        clientId,
        sessionExpirySeconds,
        keepaliveSeconds: KEEPALIVE_SECONDS,
        receiveMax: 1000,
        reconnectDelayMsMin: 50,
        reconnectDelayMsMax: 300,
        clock: systemClock,
        random: createRandom(1),
        log: silentLog,
      });
    const ports = { intake: port("net", 3600), sink: port("net-sink", 0) };
    const runtime = await createRuntime(config, { ports, metrics, log: silentLog });
    t.teardown(() => runtime.stop());
    await runtime.connected;

    const client = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
    t.teardown(() => client.endAsync(true));
    const outputs = new Map<string, number>();
    let differing = 0;
    client.on("message", (_topic, payload) => {
      const message = JSON.parse(payload.toString()) as { stream: string; sequence: number; outputs: { output0: number[] } };
      for (const [i, y] of message.outputs.output0.entries()) {
        const id = `${message.stream}/${message.sequence + i}`;
        if (outputs.has(id) && outputs.get(id) !== Math.fround(y)) differing++;
        outputs.set(id, Math.fround(y));
      }
    });
    await client.subscribeAsync("hiddenstate/net/prediction/+", { qos: 1 });

    for (const [index, { name, holds, begin }] of faults.entries()) {
      const device = `d${index}`;
      const random = createRandom(index + 1);
      const rows = Array.from({ length: MESSAGES }, () => [101_320 + random.normal(), random.normal()].map(Math.fround));
      const publish = async (from: number, to: number): Promise<void> => {
        for (let i = from; i < to; i++) {
          const [feature0, feature1] = rows[i]!;
          const payload = JSON.stringify({ boot: 1, nonce: 9, sequence: i, feature0, feature1 });
          await client.publishAsync(`s/${device}/r`, payload, { qos: 1 });
          if (i % 10 === 9) await sleep(5);
        }
      };
      const [connectionsBefore, startedAt] = [proxy.accepted, performance.now()];
      await publish(0, 30);
      const end = begin(proxy);
      await publish(30, MESSAGES);
      await end?.();
      const connections = proxy.accepted - connectionsBefore;
      proxy.heal();
      const has = (): boolean => rows.every((_, i) => outputs.has(`${device}/${i}`));
      await until(`${name}: all predictions are there`, has, 40_000);
      t.strictSame(
        rows.map((_, i) => outputs.get(`${device}/${i}`)),
        offline(rows),
        `${name}: every prediction, bit for bit`,
      );
      t.equal((await runtime.getState(device)).facts.steps, MESSAGES, `${name}: stepped once each`);
      t.equal(differing, 0, `${name}: repetitions are the same`);
      if (holds) t.equal(proxy.accepted, connectionsBefore, `${name}: the connections hold`);
      else t.ok(proxy.accepted > connectionsBefore, `${name}: there are new connections`);
      t.comment(`${name}: ${connections} new connections, ${Math.round(performance.now() - startedAt)} ms`);
      await until("both connections stand", () => runtime.status().broker.intake && runtime.status().broker.sink);
    }
    const counted = metrics.snapshot();
    t.equal(counted["session_lost"] ?? 0, 0, "the session is never lost");
    t.equal(counted["readings_accepted"], faults.length * MESSAGES);
    t.ok((counted['readings_refused{reason="duplicate"}'] ?? 0) > 0, "acks were lost, and readings came twice");
    t.ok((counted["sink_publishes_repeated"] ?? 0) > 0, "confirmations were lost, and predictions were published twice");
  },
);
