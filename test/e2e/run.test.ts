import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import mqtt from "mqtt";
import { openEngine } from "../../src/engine/open-engine.ts";
import type { Model } from "../../src/model/model.ts";
import { rolledModel } from "../../src/model/rolled-model.ts";
import { ControlClient } from "../../src/runtime/control-socket.ts";
import { runCli, startCli } from "../support/cli.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";

const skip = mosquittoMissing();
const model = randomModel({ features: 2, hidden: [8], seed: 3 });

function config(folder: string, url: string, more = "", ofGroup = ""): string {
  const path = join(folder, "config.yaml");
  writeFileSync(join(folder, "model.onnx"), model.bytes);
  writeFileSync(
    path,
    `node: e2e\nstate: state\nmqtt: { url: "${url}" }\n${more}groups:\n` +
      `  - { name: g, topic: "s/{device}/r", codec: json, model: model.onnx, predictions: { latest: true }${ofGroup} }\n`,
  );
  return path;
}

/** Every file below a folder with its bytes. */
function contents(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const path = join(folder, name);
    if (statSync(path).isFile()) files[name] = readFileSync(path).toString("base64");
  }
  return files;
}

async function steps(state: string, stream: string): Promise<number> {
  const client = await ControlClient.connect(state);
  if (client === undefined) return -1;
  try {
    return ((await client.request("get", { stream })) as { facts: { steps: number } }).facts.steps;
  } catch {
    return 0;
  } finally {
    client.close();
  }
}

t.test("run: predictions come out, SIGTERM drains and ends with 0 within 5 s, the next run goes on", { skip }, async (t) => {
  const broker = await startMosquitto();
  t.teardown(() => broker.close());
  const folder = t.testdir({});
  const path = config(folder, broker.url);
  const client = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => client.endAsync(true));
  // A prediction that was not confirmed before a stop comes again, under the same id.
  const got = new Set<string>();
  client.on("message", (_topic, payload) => got.add((JSON.parse(payload.toString()) as { id: string }).id));
  await client.subscribeAsync("hiddenstate/e2e/prediction/+", { qos: 1 });
  const state = join(folder, "state");

  const first = startCli(["run", path]);
  await until("it answers", async () => (await steps(state, "none")) === 0);
  await first.printed("taking readings");
  for (let i = 0; i < 50; i++) {
    await client.publishAsync("s/a/r", JSON.stringify({ boot: 1, nonce: 9, sequence: i, feature0: 101_320, feature1: i / 50 }), {
      qos: 1,
    });
  }
  await until("all are stepped", async () => (await steps(state, "a")) === 50);
  const startedAt = Date.now();
  first.child.kill("SIGTERM");
  const ended = await first.ended;
  t.equal(ended.code, 0);
  t.ok(Date.now() - startedAt < 5000, "within 5 s");
  await until("all are predicted", async () => got.size === 50);
  for (const line of ended.stderr.trim().split("\n")) t.type(JSON.parse(line), Object, "logs are JSON lines");

  const second = startCli(["run", path]);
  await until("all are stepped", async () => (await steps(state, "a")) === 50);
  await client.publishAsync("s/a/r", JSON.stringify({ boot: 1, nonce: 9, sequence: 50, feature0: 101_320, feature1: 1 }), {
    qos: 1,
  });
  await until("the next is stepped", async () => (await steps(state, "a")) === 51);
  await until("the next is predicted", async () => got.size === 51);
  const late = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
  const retained = new Promise<string>((found) => late.on("message", (_topic, payload) => found(payload.toString())));
  await late.subscribeAsync("hiddenstate/e2e/prediction/a/latest");
  t.match(JSON.parse(await retained), { sequence: 50 }, "the newest prediction is retained");
  await late.endAsync(true);

  const inUse = await runCli(["run", path]);
  t.equal(inUse.code, 75);
  t.match(
    inUse.stderr,
    /cannot open the state directory .*state: another process is using it; stop that one, or name another directory/,
  );
  const listed = await runCli(["state", "list", "--json", "--state", state]);
  t.match(JSON.parse(listed.stdout), [{ stream: "a", group: "g", steps: 51, sequence: 50 }], "asked through the socket");
  t.equal((await runCli(["state", "reset", "a", "--state", state])).stdout, `the state of "a" is the model's initial one\n`);
  second.child.kill("SIGKILL");
  await second.ended;
  const { state: after } = JSON.parse((await runCli(["state", "get", "a", "--state", state])).stdout) as {
    state: { h: number[] };
  };
  t.ok(
    after.h.every((value) => value === 0),
    "asked of the directory, after a kill: the reset stands",
  );
  const all = join(folder, "all.json");
  const exported = await runCli(["state", "export", all, "--state", state]);
  t.equal(exported.stdout, `the states of 1 streams are in ${all}\n`);
  const imported = await runCli(["state", "import", all, "--state", state, "--json"]);
  t.strictSame(JSON.parse(imported.stdout), { ok: true, streams: 1 });

  const other = randomModel({ features: 3, hidden: [8], seed: 4 });
  writeFileSync(join(folder, "model.onnx"), other.bytes);
  const before = contents(state);
  const foreign = await runCli(["run", path]);
  t.equal(foreign.code, 78);
  t.match(
    foreign.stderr,
    /cannot use this state directory for group "g": its states are of model [0-9a-f]{16}, the config names model [0-9a-f]{16}, and it takes/,
  );
  t.strictSame(contents(state), before, "nothing is written");
});

t.test("run waits for a broker that is away, and goes on with one that comes back", { skip }, async (t) => {
  const broker = await startMosquitto();
  t.teardown(() => broker.close());
  await broker.stop();
  const folder = t.testdir({});
  const state = join(folder, "state");
  const one = startCli(["run", config(folder, broker.url)]);
  await one.printed(`"level":40`);
  await broker.restart();
  await one.printed("connected to the broker", 2);
  await one.printed("taking readings");
  await broker.kill();
  await broker.restart();
  await one.printed("connected to the broker", 4);
  const client = await mqtt.connectAsync(broker.url);
  t.teardown(() => client.endAsync(true));
  // A broker that was killed knows no subscription until it is made again, a moment after the connection.
  await until("it goes on", async () => {
    await client.publishAsync("s/a/r", JSON.stringify({ feature0: 101_320, feature1: 1 }), { qos: 1 });
    return ((await steps(state, "a")) ?? 0) >= 1;
  });
  await broker.stop();
  one.child.kill("SIGTERM");
  t.equal((await one.ended).code, 0, "a stop works without a broker");
});

t.test("hostile payloads are counted, dead-lettered and acked, and stop nothing", { skip }, async (t) => {
  const broker = await startMosquitto();
  t.teardown(() => broker.close());
  const folder = t.testdir({});
  const state = join(folder, "state");
  const one = startCli(["run", config(folder, broker.url)]);
  await one.printed("taking readings");
  const client = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => client.endAsync(true));
  const letters: { readonly reason: string; readonly payloadBytes: number }[] = [];
  client.on("message", (_topic, payload) => letters.push(JSON.parse(payload.toString()) as (typeof letters)[number]));
  await client.subscribeAsync("hiddenstate/e2e/dead-letter", { qos: 1 });
  const good = '{"feature0":101320,"feature1":1}';
  const hostile: [string, string | Buffer, string][] = [
    ["s/a/r", "", "undecodable"],
    ["s/a/r", "{", "undecodable"],
    ["s/a/r", Buffer.from([0xff, 0xfe, 0]), "undecodable"],
    ["s/a/r", "[".repeat(100_000), "undecodable"],
    ["s/a/r", '{"feature0":NaN}', "undecodable"],
    ["s/a/r", '{"feature0":1e999,"feature1":1}', "nonfinite"],
    ["s/a/r", '{"feature0":1e13,"feature1":1}', "range"],
    ["s/a/r", '{"feature0":"1"}', "shape"],
    ["s/a/r", '{"__proto__":{"feature0":1}}', "shape"],
    ["s/a/r", "[]", "shape"],
    ["s/a/r", "[1,2]", "shape"],
    ["s/a/r", `[${`${good},`.repeat(4096)}${good}]`, "shape"],
    ["s//r", good, "unknown_topic"],
    ["s/a/r", Buffer.alloc(300_000), "oversize"],
    ["s/a/r", Buffer.alloc(20_000_000), "oversize"],
  ];
  for (const [topic, payload] of hostile) await client.publishAsync(topic, payload, { qos: 1 });
  await client.publishAsync("s/a/r", good, { qos: 1 });
  await until("it is stepped", async () => (await steps(state, "a")) === 1);
  await until("all are told", async () => letters.length === hostile.length);
  t.strictSame(
    letters.map(({ reason, payloadBytes }) => ({ reason, payloadBytes })),
    hostile.map(([, payload, reason]) => ({ reason, payloadBytes: payload.length })),
  );
  const status = JSON.parse((await runCli(["status", "--state", state, "--json"])).stdout) as { metrics: Record<string, number> };
  t.match(status.metrics, {
    acks_sent: hostile.length + 1,
    dead_letters: hostile.length,
    readings_accepted: 1,
    'messages_refused{reason="undecodable"}': 5,
    'messages_refused{reason="shape"}': 5,
    'messages_refused{reason="oversize"}': 2,
    'messages_refused{reason="unknown_topic"}': 1,
    'readings_refused{reason="nonfinite"}': 1,
    'readings_refused{reason="range"}': 1,
  });
  t.match((await runCli(["status", "--state", state])).stdout, /^broker: readings come in, predictions go out/m);
  one.child.kill("SIGTERM");
  t.equal((await one.ended).code, 0);
});

t.test(
  "a person mutes alarms and says what they were, of a running runtime, over MQTT and of a stopped one",
  { skip },
  async (t) => {
    const broker = await startMosquitto();
    t.teardown(() => broker.close());
    const folder = t.testdir({});
    const state = join(folder, "state");
    const path = config(folder, broker.url, "commands: { mqtt: true }\n", ", score: { budget: 1/day }");
    const one = startCli(["run", path]);
    await one.printed("taking readings");
    const client = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
    t.teardown(() => client.endAsync(true));
    const got: { readonly topic: string; readonly open?: boolean; readonly muted?: number; readonly ok?: boolean }[] = [];
    client.on("message", (topic, payload) => got.push({ topic, ...(JSON.parse(payload.toString()) as object) }));
    await client.subscribeAsync(["hiddenstate/e2e/alarm/+", "hiddenstate/e2e/response/+"], { qos: 1 });
    const alarms = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runCli(["alarms", ...args, "--state", state]);
      return code === 0 ? stdout : `${code}: ${stderr}`;
    };
    const readings = Array.from({ length: 251 }, (_, i) => ({
      feature0: 101_320 + Math.sin(i * 1.7) + (i === 250 ? 500 : 0),
      feature1: 0,
    }));
    await client.publishAsync("s/a/r", JSON.stringify(readings.slice(0, 250)), { qos: 1 });
    await until("all are stepped", async () => (await steps(state, "a")) === 250);
    t.equal(await alarms("list"), "no alarm is open, and none was in the last 7 days; see --all\n");
    await client.publishAsync("s/a/r", JSON.stringify(readings[250]), { qos: 1 });
    await until("there is one", async () => got.length === 1);
    t.match(
      await alarms("list"),
      /^stream +since +score +called +muted until +budget +because\na +open +\S+Z +[01]\.\d\d +feature0 1018\d\d, expected 1013\d\d\S* \(\w+, less than one reading in a million, as far as can be told\)\n$/,
    );
    t.equal(await alarms("fault", "a"), `the alarm of "a" was a fault: its readings are never learned from\n`);
    t.match(await alarms("mute", "a", "--for", "2h"), /^"a" raises no alarm until \S+Z\n$/);
    t.match(JSON.parse(await alarms("list", "--json")), [
      { stream: "a", group: "g", open: true, said: "fault", muted: Number, kind: String },
    ]);
    t.equal(await alarms("budget", "a", "1/month"), `"a" has an alarm budget of 1/month\n`);
    t.match(
      (await runCli(["status", "--state", state])).stdout,
      /^ {2}alarms: a budget of 7\/week; 1 stream has its own; 1 stream is muted$/m,
    );
    await client.publishAsync(
      "hiddenstate/e2e/command/unmute",
      JSON.stringify({ transaction: "u", expires: 8e15, stream: "a" }),
      { qos: 1 },
    );
    await until("there are five", async () => got.length === 5);
    t.match(got, [
      { open: true },
      { open: true, said: "fault" },
      { open: false, said: "fault", muted: Number },
      { open: true, said: "fault", muted: 0 },
      { topic: "hiddenstate/e2e/response/u", ok: true, command: "unmute", stream: "a" },
    ]);
    one.child.kill("SIGTERM");
    t.equal((await one.ended).code, 0);
    t.equal(await alarms("normal", "a"), `the alarm of "a" was nothing: it is closed, and its readings may be learned from\n`);
    t.match(await alarms("list"), /\na +closed +\S+Z +\S+ +normal +0\.23\/week +feature0/);
    t.equal(await alarms("budget", "a", "--off"), `"a" has its group's alarm budget\n`);
    t.match(await alarms("list"), /\na +closed +\S+Z +\S+ +normal +feature0/);
    const two = startCli(["run", path]);
    await until("there are more", async () => got.length > 5);
    t.match(
      got[5],
      { topic: "hiddenstate/e2e/alarm/a", open: false, said: "normal" },
      "the broker hears of it with the next start",
    );
    two.child.kill("SIGTERM");
    t.equal((await two.ended).code, 0);
    t.equal(await alarms("mute", "a"), `64: hiddenstate: cannot mute "a": say either --for 2h, or --off\n`);
    const either = `64: hiddenstate: cannot set the alarm budget of "a": say either a budget, such as 1/week, or --off\n`;
    t.equal(await alarms("budget", "a"), either);
    t.equal(await alarms("budget", "a", "1/day", "--off"), either);
    t.match(
      await alarms("budget", "a", "often"),
      /^64: hiddenstate: cannot set the alarm budget of "a": expected a number of alarms per hour/,
    );
    t.match(
      await alarms("fault", "b"),
      /hiddenstate: cannot call an alarm of "b" fault: there is no stream "b"; list them first\n$/,
    );
  },
);

/** What an engine that is rolled forward gives for readings of `rowAt`, by output. */
async function rolledOffline(file: Model, horizons: readonly number[], count: number): Promise<Record<string, number>[]> {
  const { spec } = rolledModel(file, horizons);
  const engine = await openEngine(rolledModel(file, horizons), { engine: "native" });
  const y = new Float32Array(count * spec.outputs.length);
  const x = Float32Array.from({ length: 2 * count }, (_, i) => rowAt(i >> 1)[i & 1]!);
  await engine.step({ slots: Int32Array.of(engine.allocate()), count: 1, steps: count, x, y });
  return Array.from({ length: count }, (_, i) =>
    Object.fromEntries(spec.outputs.map(({ name }, o) => [name, y[i * spec.outputs.length + o]!])),
  );
}

function rowAt(i: number): readonly [number, number] {
  return [101_320 + 4 * Math.sin(i / 5), Math.cos(i)];
}

t.test(
  "a model with horizons is rolled forward over a kill, and says at every horizon what it would have said",
  { skip },
  async (t) => {
    const file = randomModel({ features: 2, outputs: 2, hidden: [8], cells: ["gru"], head: "gaussian", seed: 3 });
    const broker = await startMosquitto();
    t.teardown(() => broker.close());
    const folder = t.testdir({});
    const state = join(folder, "state");
    const write = (horizons: string): string => {
      const path = config(folder, broker.url, "homeAssistant: true\n", `, horizons: ${horizons}`);
      writeFileSync(join(folder, "model.onnx"), file.bytes);
      return path;
    };
    const path = write("[1, 3, 8]");
    const client = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
    t.teardown(() => client.endAsync(true));
    const got = new Map<number, Record<string, number>>();
    let announced = "";
    client.on("message", (topic, payload) => {
      if (topic.startsWith("homeassistant/")) announced = payload.toString();
      else {
        const { sequence, outputs } = JSON.parse(payload.toString()) as { sequence: number; outputs: Record<string, number[]> };
        const counts = Object.values(outputs)[0]!.length;
        for (let i = 0; i < counts; i++) {
          const row = Object.entries(outputs).map(([name, values]) => [name, Math.fround(values[i]!)]);
          got.set(sequence + i, Object.fromEntries(row) as Record<string, number>);
        }
      }
    });
    await client.subscribeAsync(["hiddenstate/e2e/prediction/+", "homeassistant/#"], { qos: 1 });
    const publish = async (from: number, to: number): Promise<void> => {
      for (let i = from; i < to; i++) {
        const [feature0, feature1] = rowAt(i);
        const payload = JSON.stringify({ boot: 1, nonce: 9, sequence: i, feature0, feature1 });
        await client.publishAsync("s/a/r", payload, { qos: 1 });
      }
      await until("all are stepped", async () => (await steps(state, "a")) === to);
      await until("all are predicted", async () => got.size === to);
    };

    const first = startCli(["run", path]);
    await first.printed("taking readings");
    await publish(0, 60);
    first.child.kill("SIGKILL");
    await first.ended;
    const second = startCli(["run", path]);
    await second.printed("taking readings");
    await publish(60, 90);
    const expected = await rolledOffline(file, [1, 3, 8], 90);
    t.strictSame(
      expected.map((_, i) => got.get(i)),
      expected,
    );
    await until("it is announced", async () => announced !== "");
    for (const name of ["feature0+8", "feature1+3 deviation"]) t.ok(announced.includes(JSON.stringify(name).slice(1, -1)), name);
    const all = join(folder, "all.json");
    await runCli(["state", "export", all, "--state", state]);
    const imported = await runCli(["state", "import", all, "--state", state, "--json"]);
    t.strictSame(JSON.parse(imported.stdout), { ok: true, streams: 1 });
    second.child.kill("SIGTERM");
    t.equal((await second.ended).code, 0);

    write("[3, 12]");
    const checked = await runCli(["check", path]);
    t.match(checked.stdout, /predicts feature0\+3 \(3 ahead\), feature1\+3 \(3 ahead\), feature0\+12 \(12 ahead\)/);
    t.match(checked.stdout, /group g: a start would have it forecast 3, 12 ahead in place of 1, 3, 8 ahead; its streams go on/);
    const third = startCli(["run", path]);
    await third.printed("the config names other horizons");
    await third.printed("taking readings");
    await publish(90, 91);
    const { "feature0+3": after, "feature0+3 deviation": deviation } = (await rolledOffline(file, [1, 3, 8], 91))[90]!;
    t.match(got.get(90), { "feature0+3": after, "feature0+3 deviation": deviation }, "it goes on where it was");
    t.ok("feature1+12 deviation" in got.get(90)!);
    third.child.kill("SIGTERM");
    t.equal((await third.ended).code, 0);

    writeFileSync(join(folder, "model.onnx"), randomModel({ features: 2, outputs: 1, hidden: [8], seed: 3 }).bytes);
    const refused = await runCli(["check", path]);
    t.equal(refused.code, 78);
    t.match(
      refused.stderr,
      /config\.yaml:6:112: groups\[0\]\.horizons: cannot use group "g": no output of the model "random" forecasts feature0 one reading ahead, .* or leave horizons out/,
    );
    write("[3, 1]");
    t.match((await runCli(["check", path])).stderr, /groups\[0\]\.horizons: the numbers must rise/);
  },
);

t.test("what cannot start says why in one line, with an exit code", async (t) => {
  const folder = t.testdir({ "text.onnx": "this is no model", "bad.yaml": "node: a\nstat: s\n" });
  mkdirSync(join(folder, "plain"));
  const path = config(folder, "mqtt://127.0.0.1:1");
  const bad = await runCli(["run", join(folder, "bad.yaml")]);
  t.equal(bad.code, 78);
  t.match(
    bad.stderr,
    /bad\.yaml:2:1: unknown key "stat"; allowed here: node, state, timezone, log, mqtt, durability, .*commands, .*streams, dashboard, groups/,
  );
  t.match(bad.stderr, /bad\.yaml:1:1: mqtt: it is absent/);
  writeFileSync(path, readFileSync(path, "utf8").replace("model.onnx", "text.onnx"));
  const noModel = await runCli(["run", path]);
  t.equal(noModel.code, 65);
  t.match(
    noModel.stderr,
    /^hiddenstate: .*config\.yaml:5:59: groups\[0\]\.model: cannot use model .*text\.onnx: it is not an ONNX file/,
  );
  for (const [more, place] of [
    ["range: { depth: [0, 1] }", '5:80: cannot use group "g": "depth" is none of its features feature0, feature1'],
    ["missing: { depth: mean }", '5:82: cannot use group "g": "depth" is none of its features'],
    [
      "features: [one]",
      '5:81: groups[0].features: cannot use group "g": it names 1 features, its model takes 2: feature0, feature1',
    ],
  ] as const) {
    const text = config(folder, "mqtt://127.0.0.1:1");
    writeFileSync(text, readFileSync(text, "utf8").replace("predictions: { latest: true }", more));
    const misfit = await runCli(["run", text]);
    t.equal(misfit.code, 78);
    t.ok(misfit.stderr.includes(`config.yaml:${place}`), misfit.stderr);
  }
  t.notOk(readdirSync(folder).includes("state"), "and nothing is written");
  t.equal((await runCli(["run", join(folder, "absent.yaml")])).code, 78);
  const nothing = await runCli(["state", "list", "--state", join(folder, "plain")]);
  t.equal(nothing.code, 78);
  t.match(nothing.stderr, /there is no hiddenstate journal in it; check --state/);
  t.strictSame(readdirSync(join(folder, "plain")), []);
  const noCommand = await runCli(["fly"]);
  t.not(noCommand.code, 0);
});
