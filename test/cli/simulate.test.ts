import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connectAsync } from "mqtt";
import t from "tap";
import { payloadCodec } from "../../src/message/codecs.ts";
import { decodeLayout } from "../../src/message/layout.ts";
import type { CodecName } from "../../src/message/payload-codec.ts";
import { freePort } from "../support/free-port.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { until } from "../support/until.ts";

const program = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "hiddenstate-simulate-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const needsMosquitto = { skip: mosquittoMissing() };
t.jobs = 4;
const slow = { buffered: true };

interface Started {
  /** Everything it has printed so far. */
  readonly said: () => { readonly out: string; readonly error: string };
  readonly interrupt: () => void;
  readonly ended: Promise<number | null>;
}

function simulate(...args: string[]): Started {
  const child = spawn(process.execPath, [program, "simulate", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let error = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (error += String(chunk)));
  const ended = once(child, "close").then(([code]: unknown[]) => (typeof code === "number" ? code : null));
  return { said: () => ({ out, error }), interrupt: () => child.kill("SIGINT"), ended };
}

interface Heard {
  /** `[sequence, first value, boot]` of each reading, by device. */
  readonly readings: Map<string, [number, number, number][]>;
  readonly layouts: Map<string, readonly string[]>;
  readonly end: () => Promise<void>;
}

async function listen(url: string, features: readonly string[], codec: CodecName = "protobuf"): Promise<Heard> {
  const client = await connectAsync(url, { protocolVersion: 4 });
  const readings: Heard["readings"] = new Map();
  const layouts: Heard["layouts"] = new Map();
  client.on("message", (topic, payload) => {
    const device = topic.split("/")[1]!;
    if (topic.endsWith("/layout")) {
      layouts.set(device, decodeLayout(payload).names);
      return;
    }
    for (const group of payloadCodec(codec).decode(payload, features, () => undefined)) {
      const list = readings.get(device) ?? [];
      for (let row = 0; row < group.count; row++)
        list.push([group.sequences[row]!, group.values[row * features.length]!, group.identity!.boot]);
      readings.set(device, list);
    }
  });
  await client.subscribeAsync("sensors/#", { qos: 1 });
  return { readings, layouts, end: () => client.endAsync() };
}

function total(heard: Heard): number {
  return [...heard.readings.values()].reduce((sum, list) => sum + list.length, 0);
}

t.test("it publishes for as long as asked and ends when everything is confirmed", { ...needsMosquitto, ...slow }, async (t) => {
  const mosquitto = await startMosquitto();
  t.teardown(() => mosquitto.close());
  const heard = await listen(mosquitto.url, ["valve", "flow", "level", "outlet_temperature"], "json");
  const options = `--devices 4 --rate 20 --seconds 1.5 --signal steps --codec json --json --url ${mosquitto.url}`;
  const { said, ended } = simulate(...options.split(" "));
  t.equal(await ended, 0);
  const { out, error } = said();
  t.equal(error, `connected to ${mosquitto.url}\n`);
  const summary = JSON.parse(out) as { readings: number };
  const count = summary.readings;
  await until("all are heard", () => total(heard) >= count);
  t.equal(total(heard), count);
  t.match(summary, {
    devices: 4,
    messages: count + 4,
    confirmed: count + 4,
    unconfirmed: 0,
    droppedReadings: 0,
    restarts: 0,
    connections: 1,
  });
  t.ok(count >= 4, `${count} readings`);
  t.same([...heard.layouts.keys()].toSorted(), ["device-001", "device-002", "device-003", "device-004"]);
  t.same(heard.layouts.get("device-001"), ["valve", "flow", "level", "outlet_temperature"]);
  for (const list of heard.readings.values())
    t.same(
      list.map(([sequence]) => sequence),
      list.map((_, i) => i),
    );
  await heard.end();
});

t.test("Ctrl-C ends it with its totals, and a state folder keeps boots counting", { ...needsMosquitto, ...slow }, async (t) => {
  const mosquitto = await startMosquitto();
  t.teardown(() => mosquitto.close());
  const state = join(folder, "state");
  const heard = await listen(mosquitto.url, ["temperature", "vibration", "pressure", "current"]);
  for (const boot of [1, 2]) {
    const before = total(heard);
    const { said, interrupt, ended } = simulate(
      "--url",
      mosquitto.url,
      "--devices",
      "2",
      "--rate",
      "50",
      "--state",
      state,
      "--quirks",
      "reconnect,repeat",
      "--faults",
      "all",
    );
    await until("readings come", () => total(heard) > before + 20);
    interrupt();
    t.equal(await ended, 0);
    t.match(said().out, /^devices 2 {2}readings \d+ .* unconfirmed 0 {2}connections [1-9]\d*\n$/);
    t.equal(heard.readings.get("device-001")!.at(-1)![2], boot);
  }
  t.match(JSON.parse(readFileSync(join(state, "devices.json"), "utf8")), { boots: { "device-001": 2, "device-002": 2 } });
  await heard.end();
});

t.test("it replays the rest of a CSV file as a device, every row in order", { ...needsMosquitto, ...slow }, async (t) => {
  const mosquitto = await startMosquitto();
  t.teardown(() => mosquitto.close());
  const file = join(folder, "boiler room.csv");
  const rows = Array.from(
    { length: 1000 },
    (_, i) => `2024-01-01 00:${String(Math.floor(i / 60)).padStart(2, "0")}:${String(i % 60).padStart(2, "0")};${i},5;x`,
  );
  writeFileSync(file, ["when;a;note", ...rows].join("\n"));
  const heard = await listen(mosquitto.url, ["a"]);
  const replay = (...more: string[]): Started =>
    simulate("--url", mosquitto.url, "--replay", file, "--time", "when", "--features", "a", ...more);
  const fast = replay("--speed", "max", "--from-fraction", "0.6", "--batch", "7", "--json");
  t.equal(await fast.ended, 0);
  t.match(JSON.parse(fast.said().out), { devices: 1, readings: 400, messages: 59, confirmed: 59, unconfirmed: 0 });
  await until("all are heard", () => total(heard) >= 400);
  t.same(
    heard.readings.get("boiler%20room")!.map(([sequence, value]) => [sequence, value]),
    Array.from({ length: 400 }, (_, i) => [i, 600.5 + i]),
  );
  const paced = replay("--speed", "1000x", "--skip-rows", "900");
  t.equal(await paced.ended, 0);
  await until("the rest is heard", () => total(heard) >= 500);
  t.equal(total(heard), 500);
  await heard.end();
});

t.test("without a broker it says so once, tries again, and Ctrl-C ends it", slow, async (t) => {
  const port = await freePort();
  const { said, interrupt, ended } = simulate("--url", `mqtt://user:secret@127.0.0.1:${port}`, "--devices", "2");
  await until("it complains", () => said().error !== "");
  interrupt();
  t.equal(await ended, 0);
  t.equal(
    said().error,
    `cannot reach mqtt://127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}; trying again every second\n`,
  );
  t.match(said().out, /^devices 2 {2}readings 0 .* connections 0\n$/);
});

t.test("options that cannot be are refused in one line, without a stack", slow, async (t) => {
  const csv = join(folder, "odd.csv");
  writeFileSync(csv, "when,a\n2024-01-01,x\n");
  const cases: [string[], RegExp][] = [
    [
      ["--signal", "sine"],
      /'--signal <kind>' argument 'sine' is invalid\. Allowed choices are daily, vibration, drift, steps, mixed/,
    ],
    [["--devices", "0"], /A whole number from 1 to 10000 is expected/],
    [["--faults", "spike,melt"], /Known are spike, stuck, dropout, drift, noise, all and none/],
    [["--speed", "fast"], /Write 1x, 1000x or max/],
    [["--url", "http://x"], /cannot use http:\/\/ for a broker; write mqtt:\/\/host:port/],
    [["--topic", "sensors/all"], /cannot publish on "sensors\/all": write it with \{device\}/],
    [["--replay", csv], /odd\.csv: its column of times is not named; add --time COLUMN/],
    [["--replay", csv, "--time", "when"], /odd\.csv: line 2, column 2 \(a\): "x" is not a number/],
    [["--replay", join(folder, "none.csv"), "--time", "when"], /none\.csv: there is no such file/],
  ];
  await Promise.all(
    cases.map(async ([args, text]) => {
      const { said, ended } = simulate(...args);
      t.not(await ended, 0);
      t.match(said().error, text);
      t.notMatch(said().error, /\n {4}at /);
    }),
  );
});
