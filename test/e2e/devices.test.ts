// Devices as they are: `hiddenstate run` with presets on a real broker, and messages of real kinds of devices published by mosquitto's own client.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import mqtt from "mqtt";
import { sparkplug } from "../../src/message/generated/sparkplug.js";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { repository, startCli } from "../support/cli.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";

const skip = mosquittoMissing();
const model = randomModel({ features: 2, hidden: [8], seed: 3 });

const CONFIG = `node: e2e
state: state
mqtt: { url: "URL" }
timezone: Europe/Berlin
groups:
  - { name: kilns, preset: tasmota, model: model.onnx, features: { feature0: BME280.Pressure, feature1: BME280.Humidity } }
  - { name: wells, preset: esphome, topic: "well-house/+/{feature}/state", model: model.onnx, features: { feature0: water_level, feature1: pump_running } }
  - { name: presses, preset: sparkplug, model: model.onnx, features: { feature0: Bearing/Temperature, feature1: Motor/Torque } }
`;

interface Example {
  readonly id: string;
  readonly topic: string;
  readonly payload_type: string;
  readonly retain: boolean;
  readonly payload?: unknown;
  readonly payload_b64?: string;
}

function examples(file: string): Example[] {
  return JSON.parse(readFileSync(join(repository, "test/fixtures/mqtt", `${file}.json`), "utf8")) as Example[];
}

function payloadOf({ payload, payload_type, payload_b64 }: Example): Buffer {
  if (payload_b64 !== undefined) return Buffer.from(payload_b64, "base64");
  return Buffer.from(payload_type === "json" ? JSON.stringify(payload) : String(payload));
}

/** What the model gives for rows of features from the initial state. */
function offline(rows: readonly (readonly number[])[]): number[] {
  const engine = new NativeEngine(model);
  const slots = Int32Array.of(engine.allocate());
  return rows.map((row) => {
    const y = new Float32Array(1);
    engine.step({ slots, count: 1, steps: 1, x: Float32Array.from(row), y });
    return y[0]!;
  });
}

t.test("run: devices with presets give the predictions of their values, and no dead letters", { skip }, async (t) => {
  const broker = await startMosquitto();
  t.teardown(() => broker.close());
  const folder = t.testdir({ "config.yaml": CONFIG.replace("URL", broker.url) });
  writeFileSync(join(folder, "model.onnx"), model.bytes);
  const publish = (example: Example): void => {
    const { port } = new URL(broker.url);
    const flags = example.retain ? ["-r"] : [];
    execFileSync("mosquitto_pub", ["-p", port, "-q", "1", "-t", example.topic, ...flags, "-s"], { input: payloadOf(example) });
  };
  const client = await mqtt.connectAsync(broker.url);
  t.teardown(() => client.endAsync(true));
  const outputs = new Map<string, number[]>();
  const times = new Map<string, number[]>();
  const asked: Uint8Array[] = [];
  const letters: string[] = [];
  client.on("message", (topic, payload) => {
    if (topic.endsWith("/dead-letter")) letters.push((JSON.parse(payload.toString()) as { reason: string }).reason);
    else if (topic.includes("/NCMD/")) asked.push(payload);
    else {
      const said = JSON.parse(payload.toString()) as { stream: string; times: number[]; outputs: { output0: number[] } };
      outputs.set(said.stream, [...(outputs.get(said.stream) ?? []), ...said.outputs.output0.map(Math.fround)]);
      times.set(said.stream, [...(times.get(said.stream) ?? []), ...said.times]);
    }
  });
  await client.subscribeAsync(["hiddenstate/e2e/prediction/+", "hiddenstate/e2e/dead-letter", "spBv1.0/+/NCMD/+"], { qos: 1 });
  const run = startCli(["run", join(folder, "config.yaml")]);
  await run.printed("taking readings");

  for (const example of examples("tasmota")) publish(example);
  // Retained by the devices; as they are published they are readings.
  for (const example of examples("esphome")) publish(example);
  const [birth, data] = examples("sparkplug_b");
  publish(data!);
  await until("a rebirth is asked for", () => asked.length === 1);
  t.match(sparkplug.Payload.decode(asked[0]!).metrics, [{ name: "Node Control/Rebirth", booleanValue: true }]);
  publish(birth!);
  publish(data!);
  await until(
    "all predictions are there",
    () => outputs.get("millA/edge-3")?.length === 2 && outputs.has("well-house") && outputs.has("kiln-room"),
  );

  t.strictSame([...outputs.keys()].toSorted(), ["kiln-room", "millA/edge-3", "well-house"]);
  t.strictSame(outputs.get("kiln-room"), offline([[987.6, 22.4]]));
  t.strictSame(times.get("kiln-room"), [Date.UTC(2025, 2, 4, 5, 20, 11)], "Tasmota's local time");
  t.strictSame(outputs.get("well-house"), offline([[1.842, 1]]), "one value a message: the first was kept");
  t.strictSame(
    outputs.get("millA/edge-3"),
    offline([
      [48.31, -14],
      [48.36, -14],
    ]),
  );
  t.strictSame(letters, ["layout"], "what came before the birth, and nothing else");
  run.child.kill("SIGTERM");
  t.equal((await run.ended).code, 0);
});
