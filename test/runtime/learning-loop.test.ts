// The loop as a runtime has it: a real journal on a real disk, the learning thread, the switch; only time goes faster.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import type { Clock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { trainOnTable } from "../../src/learn/train-on-table.ts";
import { defaultTrainingSettings } from "../../src/learn/training-settings.ts";
import type { Model } from "../../src/model/model.ts";
import { startEmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import { parseConfig } from "../../src/runtime/config.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";

/** What is looked at once a minute is looked at twenty times a second. */
const hurried: Clock = {
  wallMs: () => systemClock.wallMs(),
  monotonicMs: () => systemClock.monotonicMs(),
  isSynced: () => true,
  after: (delayMs, run, options) => systemClock.after(delayMs === limits.learningCheckMs ? 50 : delayMs, run, options),
  soon: (run) => systemClock.soon(run),
};

interface Box {
  readonly runtime: Runtime;
  readonly folder: string;
  publish(count: number): Promise<void>;
  /** Asks for a fine-tune over MQTT; returns the answer. */
  askOverMqtt(transaction: string, group: string): Promise<unknown>;
  /** Publishes a reading of another group's device, and returns what that can do by what is announced of it to Home Assistant. */
  announced(topic: string, stream: string): Promise<string[]>;
  stop(): Promise<void>;
}

async function start(folder: string, url: string, more: string, from = 0): Promise<Box> {
  const text = `
node: box
state: ./state
log: silent
mqtt: { url: "${url}" }
commands: { mqtt: true }
homeAssistant: true
learning: { cpu: 1, verify: false }
groups:
  - name: presses
    topic: plant/{press}/readings
    codec: json
    model: press.onnx
    learn: { every: never, drift: false, readings: 200 }
${more}  - { name: mills, topic: "mill/{mill}/readings", codec: json, features: [load], learn: {} }
  - { name: doors, topic: "door/{door}/readings", codec: json, model: door.onnx, learn: {} }
`;
  const runtime = await createRuntime(parseConfig(text, join(folder, "config.yaml")), { clock: hurried });
  await runtime.connected;
  const client = await connectAsync(url);
  const answers: unknown[] = [];
  const devices = new Map<string, string>();
  client.on("message", (topic, payload) => {
    if (topic.startsWith("homeassistant/")) devices.set(topic.split("/")[2]!, payload.toString());
    else answers.push(JSON.parse(payload.toString()));
  });
  await client.subscribeAsync(["hiddenstate/box/response/+", "homeassistant/device/+/config"], { qos: 1 });
  let next = from;
  return {
    runtime,
    folder,
    publish: async (count) => {
      for (const end = next + count; next < end; next++) {
        const [feature0, feature1] = valuesAt(next, 15);
        const payload = JSON.stringify({ boot: 1, nonce: 9, sequence: next, feature0, feature1 });
        await client.publishAsync("plant/a/readings", payload, { qos: 1 });
      }
      await until("all is stepped", () =>
        runtime.control.listStreams().some(({ stream, sequence }) => stream === "a" && sequence === next - 1),
      );
    },
    askOverMqtt: async (transaction, group) => {
      const before = answers.length;
      const asked = JSON.stringify({ transaction, expires: 8e15, group });
      await client.publishAsync("hiddenstate/box/command/tune", asked, { qos: 1 });
      await until("it is answered", () => answers.length > before);
      return answers.at(-1);
    },
    announced: async (topic, stream) => {
      await client.publishAsync(topic, JSON.stringify({ load: 1, feature0: 1, feature1: 1 }), { qos: 1 });
      const id = `hiddenstate_box_${stream}`;
      await until("it is announced", () => devices.has(id));
      return Object.keys((JSON.parse(devices.get(id)!) as { components: object }).components);
    },
    stop: async () => {
      await client.endAsync();
      await runtime.stop();
    },
  };
}

/** Of a press that turns faster than the one that will be met. */
async function trainFirst(): Promise<Model> {
  const count = 600;
  const values = Float32Array.from({ length: 2 * count }, (_, i) => valuesAt(Math.floor(i / 2), 9)[i % 2]!);
  const times = Float64Array.from({ length: count }, (_, i) => 60_000 * i);
  const outcome = await trainOnTable({
    table: { features: ["feature0", "feature1"], streams: [{ key: "", count, times, values }] },
    name: "press",
    source: "test",
    targets: ["feature0", "feature1"],
    horizon: 1,
    split: { train: 0.6, validation: 0.2, test: 0.2 },
    settings: { ...defaultTrainingSettings, hidden: [8] },
    clock: systemClock,
  });
  return outcome.model;
}

function valuesAt(step: number, period: number): readonly [number, number] {
  return [101_320 + 40 * Math.sin(step / period), Math.cos(step / period)];
}

function learningOf({ runtime }: Box): string {
  return runtime.status().groups[0]!.learning ?? "";
}

for (const more of ["", "    horizons: [1, 4, 9]\n"]) {
  t.test(
    `a model is fine-tuned when a person asks, proves itself on later readings, and comes into force by itself ${more.trim()}`,
    { timeout: 120_000 },
    async (t) => {
      const folder = t.testdir();
      const first = await trainFirst();
      writeFileSync(join(folder, "press.onnx"), first.bytes);
      writeFileSync(join(folder, "door.onnx"), randomModel({ features: 2, outputs: 3, head: "classifier" }).bytes);
      const broker = await startEmbeddedBroker();
      t.teardown(() => broker.close());
      let one = await start(folder, broker.url, more);
      await one.publish(100);
      t.equal(learningOf(one), "waiting for its time, or for errors to grow");
      // Its streams learn by themselves.
      const message = 'cannot fine-tune group "mills": it does not learn; those that do: presses';
      await t.rejects(one.runtime.control.fineTune("mills"), { code: "bad_argument", message });
      t.strictSame(one.runtime.learningOf("mills"), undefined);
      const refused = { transaction: "m", ok: false, error: { code: "bad_argument", message } };
      t.strictSame(await one.askOverMqtt("m", "mills"), refused);
      const classifier = {
        code: "bad_argument",
        message: /^cannot fine-tune model \S+: it is a classifier, and readings carry no classes$/,
      };
      await t.rejects(one.runtime.control.fineTune("doors"), classifier);
      t.ok((await one.announced("plant/b/readings", "b")).includes("tune"));
      t.notOk((await one.announced("mill/m/readings", "m")).includes("tune"));
      t.notOk((await one.announced("door/d/readings", "d")).includes("tune"));
      const done = { transaction: "p", ok: true, command: "tune", group: "presses" };
      t.strictSame(await one.askOverMqtt("p", "presses"), done);
      await until("too few readings are told", () => learningOf(one).startsWith("not tuned: cannot fine-tune model"));
      t.match(learningOf(one), /readings to learn from and \d+ to choose by, at least 400 and 80 are needed/);
      await one.publish(700);
      await one.runtime.control.fineTune("presses");
      await until("a challenger", () => learningOf(one).startsWith("a challenger, version "), 60_000);
      await t.rejects(one.runtime.control.fineTune("presses"), { code: "bad_argument", message: /is held against the model/ });
      t.ok(existsSync(join(folder, "state/learning/presses.onnx")));
      t.equal(one.runtime.status().groups[0]!.version, first.version, "it is not in force yet");
      t.strictSame(await one.askOverMqtt("p", "presses"), done, "of a transaction it is asked once");
      await one.stop();
      one = await start(folder, broker.url, more, 800);
      t.strictSame(await one.askOverMqtt("p", "presses"), done, "over a restart too");
      t.match(await one.askOverMqtt("q", "presses"), { ok: false, error: { message: /is held against the model/ } });
      await until("a restart forgets nothing", () => learningOf(one).startsWith("a challenger, version "));
      await one.publish(210);
      await until("the switch", () => one.runtime.status().groups[0]!.version !== first.version, 60_000);
      await until("the probation", () => learningOf(one).endsWith("is on probation"));
      await one.publish(210);
      await until("the end of the probation", () => learningOf(one).startsWith("kept: "), 60_000);
      const [inForce, before] = await one.runtime.control.listModels();
      t.equal(before!.version, first.version);
      t.match(inForce, { inForce: true, lineage: { base: first.version } });
      const noted = () => JSON.parse(readFileSync(join(folder, "state/learning.json"), "utf8")).groups.presses;
      await until("it is noted", () => noted().course.stage === "idle");
      const decided = noted().decisions.map(({ decision }: { decision: string }) => decision);
      t.strictSame(decided, ["not tuned", "tuned", "promoted", "kept"]);
      await one.stop();
    },
  );
}
