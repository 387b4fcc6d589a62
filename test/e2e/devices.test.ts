// Devices as they are: `hiddenstate run` with presets on a real broker, and messages of real kinds of devices published by mosquitto's own client.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import mqtt from "mqtt";
import { sparkplug } from "../../src/message/generated/sparkplug.js";
import { repository, runCli, startCli } from "../support/cli.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { model, offline } from "../support/one-group.ts";
import { until } from "../support/until.ts";

const skip = mosquittoMissing();

const CONFIG = `node: e2e
state: state
mqtt: { url: "URL" }
timezone: Europe/Berlin
homeAssistant: true
commands: { mqtt: true }
groups:
  - { name: kilns, preset: tasmota, model: model.onnx, score: { budget: 1/week }, learn: {}, features: { feature0: BME280.Pressure, feature1: BME280.Humidity } }
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

t.test(
  "run: Home Assistant finds a device for each stream, anew when it starts, and learns when the runtime is gone",
  { skip },
  async (t) => {
    const broker = await startMosquitto();
    t.teardown(() => broker.close());
    const folder = t.testdir({ "config.yaml": CONFIG.replace("URL", broker.url) });
    writeFileSync(join(folder, "model.onnx"), model.bytes);
    const client = await mqtt.connectAsync(broker.url);
    t.teardown(() => client.endAsync(true));
    /** The last message of each topic, and how many there were. */
    const said = new Map<string, string>();
    const counts = new Map<string, number>();
    client.on("message", (topic, payload) => {
      said.set(topic, payload.toString());
      counts.set(topic, (counts.get(topic) ?? 0) + 1);
    });
    const own = ["state", "health", "streams"].map((name) => `hiddenstate/e2e/${name}`);
    const budget = "hiddenstate/e2e/budget/kiln-room";
    await client.subscribeAsync([...own, "homeassistant/device/+/config", "hiddenstate/e2e/response/+", budget], { qos: 1 });
    const [state, , streams] = own as [string, string, string];
    const device = "homeassistant/device/hiddenstate_e2e_kiln-room/config";

    const first = startCli(["run", join(folder, "config.yaml")]);
    await first.printed("taking readings");
    const [kiln] = examples("tasmota");
    await client.publishAsync(kiln!.topic, payloadOf(kiln!), { qos: 1 });
    await until("the device is announced", () => said.has(device));
    t.equal(said.get(state), "online");
    t.match(JSON.parse(said.get(streams)!), { count: 1, streams: [{ stream: "kiln-room", group: "kilns" }] });
    const announced = JSON.parse(said.get(device)!) as {
      device: { name: string };
      components: Record<"reset" | "budget" | "tune", Readonly<Record<string, string>>>;
      state_topic: string;
    };
    t.equal(announced.device.name, "kiln-room");
    t.equal(announced.state_topic, "hiddenstate/e2e/prediction/kiln-room");

    // As Home Assistant renders their templates.
    const soon = new Date(Date.now() + 60_000).toISOString().replace("Z", "123+00:00");
    const command = async (name: "reset" | "budget" | "tune", at: string, value = ""): Promise<unknown> => {
      const { command_topic: topic, command_template: template } = announced.components[name];
      const payload = template!
        .replace("{{ now().timestamp() }}", at)
        .replace("{{ (now() + timedelta(minutes=1)).isoformat() }}", soon)
        .replace("{{ value }}", value);
      await client.publishAsync(topic!, payload, { qos: 1 });
      const response = `hiddenstate/e2e/response/home-assistant-${at}`;
      await until(`${name} is answered`, () => said.has(response));
      return JSON.parse(said.get(response)!);
    };
    t.match(await command("reset", "1741066200.123456"), { ok: true, command: "reset", stream: "kiln-room" });
    t.match(await command("tune", "1741066201.5"), { ok: true, command: "tune", group: "kilns" });
    const number = announced.components.budget;
    t.match(number, { p: "number", state_topic: budget, value_template: "{{ value_json.perWeek }}", mode: "box" });
    await until("the number has a value", () => said.has(budget));
    t.strictSame(JSON.parse(said.get(budget)!), { stream: "kiln-room", perWeek: 1, own: false });
    t.match(await command("budget", "1741066202.5", "0.5"), { ok: true, command: "budget", stream: "kiln-room" });
    const half = JSON.stringify({ stream: "kiln-room", perWeek: 0.5, own: true });
    await until("it has another", () => said.get(budget) === half);
    t.match(await command("budget", "1741066203.5", "0"), { ok: false, error: { code: "bad_argument" } });

    const before = counts.get(device)!;
    await client.publishAsync("homeassistant/status", "online", { qos: 1 });
    await until("the device is announced again", () => counts.get(device) === before + 1);
    first.child.kill("SIGKILL");
    await until("the last will", () => said.get(state) === "offline");
    await first.ended;
    said.delete(budget);
    const second = startCli(["run", join(folder, "config.yaml")]);
    await until("it is there again", () => said.get(state) === "online" && counts.get(device) === before + 2);
    await until("the number is what was set", () => said.get(budget) === half);
    const rename = ["state", "rename", "kiln-room", "kiln", "--state", join(folder, "state")];
    t.equal((await runCli(rename)).code, 0);
    await until("under another name it is another device", () => said.has(device.replace("kiln-room", "kiln")));
    t.strictSame([said.get(device), said.get(budget)], ["", ""], "and the old one is gone with its number");
    second.child.kill("SIGTERM");
    t.equal((await second.ended).code, 0);
    await until("it has taken leave", () => said.get(state) === "offline");
  },
);
