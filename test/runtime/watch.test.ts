// A watch on a real broker: from nothing to scores, over a restart of the process.
import { join } from "node:path";
import { connectAsync } from "mqtt";
import type { MqttClient } from "mqtt";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import type { Clock } from "../../src/base/clock.ts";
import { systemDisk } from "../../src/base/disk.ts";
import { silentLog } from "../../src/base/log.ts";
import { createSystemRandom } from "../../src/base/random.ts";
import { newsLine } from "../../src/cli/watch-lines.ts";
import { startEmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import { createMqttPort } from "../../src/mqtt/mqttjs-port.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { Watch } from "../../src/runtime/watch.ts";
import type { WatchNews } from "../../src/runtime/watch.ts";
import { until } from "../support/until.ts";

/** Nobody waits five seconds for others to be found. */
const hurried: Clock = {
  wallMs: () => systemClock.wallMs(),
  monotonicMs: () => systemClock.monotonicMs(),
  isSynced: () => true,
  after: (delayMs, run, options) => systemClock.after(delayMs / 50, run, options),
  soon: (run) => systemClock.soon(run),
};

interface Watched {
  readonly watch: Watch;
  readonly news: WatchNews[];
  readonly runtimes: Runtime[];
}

async function start(state: string, url: string): Promise<Watched> {
  const news: WatchNews[] = [];
  const runtimes: Runtime[] = [];
  const around = { clock: systemClock, random: createSystemRandom(), log: silentLog };
  const watch = await Watch.start({
    settings: { state, budget: "1/week", mqtt: { url }, log: "silent" },
    filters: ["home/#"],
    port: createMqttPort({ url, clientId: "discovery", sessionExpirySeconds: 0, ...around }),
    startRuntime: async (config) => {
      const runtime = await createRuntime(config, { log: silentLog });
      await runtime.connected;
      runtimes.push(runtime);
      return runtime;
    },
    tell: (one) => news.push(one),
    disk: systemDisk,
    clock: hurried,
    log: silentLog,
  });
  return { watch, news, runtimes };
}

async function publish(client: MqttClient, from: number, to: number, leapAt = -1): Promise<void> {
  for (let i = from; i < to; i++) {
    const temperature = (i === leapAt ? 60 : 20) + Math.sin(i * 1.7);
    await client.publishAsync("home/hall", JSON.stringify({ temperature, humidity: 50 + Math.sin(i), last_seen: Date.now() }), {
      qos: 1,
    });
    await client.publishAsync("home/meter", String(230 + Math.cos(i)), { qos: 1 });
    await client.publishAsync("home/door", JSON.stringify({ contact: i % 2 === 0 }), { qos: 1 });
  }
}

function steps({ runtimes }: Watched, stream: string): number {
  return (
    runtimes
      .at(-1)
      ?.control.listStreams()
      .find((one) => one.stream === stream)?.steps ?? 0
  );
}

t.test("what measures something is found, learned and watched, and a restart goes on with it", { timeout: 60_000 }, async (t) => {
  const broker = await startEmbeddedBroker();
  t.teardown(() => broker.close());
  const client = await connectAsync(broker.url);
  t.teardown(() => client.endAsync());
  const state = join(t.testdir(), "state");
  let one = await start(state, broker.url);
  t.strictSame(one.watch.topics, []);
  await until("the subscription", () => broker.port > 0);
  await publish(client, 0, 25);
  await until("both are found", () => one.watch.topics.length === 2);
  t.strictSame(
    one.watch.topics.map(({ topic, time }) => [topic, time]),
    [
      ["home/hall", "last_seen"],
      ["home/meter", undefined],
    ],
  );
  await until("a runtime for both", () => one.runtimes.at(-1)?.status().groups.length === 2);
  t.strictSame(
    one.news.map((news) => newsLine(news, 0)),
    ["1970-01-01 00:00:00  found    home/hall: humidity, temperature", "1970-01-01 00:00:00  found    home/meter: $"],
  );
  await publish(client, 25, 200);
  await until("all is stepped", () => steps(one, "home/hall") === 175 && steps(one, "home/meter") === 175);
  await one.watch.stop();

  one = await start(state, broker.url);
  t.equal(one.watch.topics.length, 2, "nothing is discovered twice");
  await publish(client, 200, 420, 400);
  await until("the alarm", () => one.news.some(({ what }) => what === "alarm"));
  t.equal(steps(one, "home/hall"), 395, "the streams have gone on");
  const alarm = one.news.find(({ what }) => what === "alarm")!;
  t.match(newsLine(alarm, 0), /^1970-01-01 00:00:00 {2}ALARM {4}home\/hall: temperature 60\.?\d*, expected 2\d?\.?\d* /);
  const said = [{ muted: 60_000 }, { muted: 0 }, { said: "normal" }, {}].map((more) => ({ stream: "a", open: false, ...more }));
  t.strictSame(
    said.map((one) => newsLine({ what: "alarm", alarm: one }, 0).slice(21)),
    ["muted    a: no alarms until 1970-01-01 00:01:00", "unmuted  a", "over     a, called normal", "over     a"],
  );
  await client.publishAsync("home/hall", JSON.stringify({ temperature: 20, humidity: 50, co2: 900 }), { qos: 1 });
  await until("the new field", () => one.news.some(({ what }) => what === "new field"));
  t.match(
    newsLine(one.news.at(-1)!, 0),
    /new {6}home\/hall: co2 is not part of its model; stop, and start with --forget 'home\/hall'/,
  );
  await one.watch.stop();
});
