// The config that `hiddenstate init` writes, asked for at a real terminal and without one.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import t from "tap";
import { parse } from "yaml";
import { systemDisk } from "../../src/base/disk.ts";
import { presetNames } from "../../src/message/presets.ts";
import { startEmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import { checkConfig } from "../../src/runtime/check-config.ts";
import { parseConfig } from "../../src/runtime/config.ts";
import { answer, repository, runCli, startCli } from "../support/cli.ts";
import { mosquittoMissing, passwordFileOf, startMosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";

interface Recorded {
  readonly topic: string;
  readonly payload_type: "json" | "text" | "binary";
  readonly payload?: unknown;
  readonly payload_b64?: string;
}

interface Written {
  readonly mqtt: Readonly<Record<string, unknown>>;
  readonly groups: readonly {
    readonly name: string;
    readonly preset?: string;
    readonly topic?: string | string[];
    readonly codec?: string;
    readonly model?: string;
    readonly features?: unknown;
    readonly time?: string;
  }[];
}

function bytesOf({ payload, payload_type, payload_b64 }: Recorded): Buffer {
  if (payload_b64 !== undefined) return Buffer.from(payload_b64, "base64");
  return Buffer.from(payload_type === "json" ? JSON.stringify(payload) : String(payload));
}

function written(path: string): Written {
  return parse(readFileSync(path, "utf8")) as Written;
}

/** Keeps messages on a broker, as if devices had retained them. */
async function retain(url: string, messages: readonly (readonly [string, string | Buffer])[], options = {}): Promise<void> {
  const client = await connectAsync(url, options);
  for (const [topic, payload] of messages) await client.publishAsync(topic, payload, { retain: true, qos: 1 });
  await client.endAsync();
}

t.test("for each preset a config is written that passes the check, also where no device of it has been seen", async (t) => {
  const folder = t.testdir({});
  for (const preset of presetNames) {
    const path = join(folder, `${preset}.yaml`);
    const { code, stdout } = await runCli(["init", path, "--yes", "--preset", preset, "--seconds", "0"]);
    t.match({ code, stdout }, { code: 0, stdout: `${path} is written: ${preset}\nnext: hiddenstate run ${path}\n` });
    const config = parseConfig(readFileSync(path, "utf8"), path);
    t.match(await checkConfig(config, systemDisk, {}), { groups: [{ name: preset, engine: "learning", scored: true }] });
    t.equal(written(path).groups[0]!.preset, preset);
  }
});

t.test("what is on the broker is found, told apart by kind, and written so that it passes the check", async (t) => {
  const broker = await startEmbeddedBroker();
  t.teardown(() => broker.close());
  const recorded = ["tasmota", "zigbee2mqtt", "shelly", "esphome", "ttn", "sparkplug_b", "homeassistant"].flatMap(
    (name) => JSON.parse(readFileSync(join(repository, "test/fixtures/mqtt", `${name}.json`), "utf8")) as Recorded[],
  );
  await retain(broker.url, [
    ...recorded.map((one) => [one.topic, bytesOf(one)] as const),
    ["plant/a/readings", '{"a":1,"b":2}'],
    ["plant/b/readings", '{"a":3,"b":4}'],
    ["plant/meter", "230.4"],
    ["hiddenstate/n/alarm/x", '{"score":1}'],
  ]);
  const path = join(t.testdir({}), "config.yaml");
  const { code, stdout, stderr } = await runCli(["init", path, "--yes", "--json", "--broker", broker.url, "--seconds", "1"]);
  t.equal(code, 0, stderr);
  const { groups } = written(path);
  t.strictSame(
    new Set(groups.map(({ preset }) => preset)),
    new Set(["esphome", "shelly", "sparkplug", "tasmota", "ttn", "zigbee2mqtt", undefined]),
  );
  t.strictSame(
    (JSON.parse(stdout) as { check: { groups: { name: string }[] } }).check.groups.map(({ name }) => name),
    groups.map(({ name }) => name),
  );
  const plain = groups.filter(({ preset }) => preset === undefined);
  t.match(plain, [
    { name: "plant", topic: "plant/{device}/readings", codec: "json", features: { a: "a", b: "b" }, time: "none" },
    { topic: "plant/meter", codec: "text", features: { value: "$" } },
  ]);
  t.match(
    groups.find(({ preset }) => preset === "esphome"),
    { topic: /^[^{]+\/\+\/\{feature\}\/state$/ },
  );
  t.match(
    groups.find(({ preset }) => preset === "sparkplug"),
    { features: { "Bearing/Temperature": "Bearing/Temperature" } },
  );
  t.notMatch(readFileSync(path, "utf8"), /homeassistant\/|bridge|hiddenstate\/n/);
});

t.test("three questions at a terminal, with wrong answers asked again, make a config", async (t) => {
  const broker = await startEmbeddedBroker();
  t.teardown(() => broker.close());
  await retain(broker.url, [
    ["plant/a/readings", '{"feature0":1,"feature1":2,"other":3}'],
    ["zigbee2mqtt/hall", '{"temperature":21,"humidity":50}'],
  ]);
  const folder = t.testdir({ "there.yaml": "mine" });
  writeFileSync(join(folder, "model.onnx"), randomModel({ features: 2, hidden: [8], seed: 3 }).bytes);
  const asked = startCli(["init", "--seconds", "1"], { cwd: folder, terminal: true });
  await answer(asked, [
    ["Which broker? [mqtt://127.0.0.1:1883]:", "http://somewhere"],
    ["cannot use the broker: expected mqtt://host:port", broker.url],
    ["Which readings? Numbers of the list, all, a preset", "3"],
    ["there are 2 in the list", "1,2"],
    ["A model file, or learn", "absent.onnx"],
    ["there is no such file", "model.onnx"],
  ]);
  const { code, stdout } = await asked.ended;
  t.equal(code, 0, stdout);
  t.match(stdout, /config\.yaml is written: plant\r\nnext: hiddenstate run config\.yaml\r\n$/);
  t.match(written(join(folder, "config.yaml")).groups, [{ topic: "plant/a/readings", model: "./model.onnx" }]);

  const usual = startCli(["init", "usual.yaml", "--broker", broker.url, "--seconds", "1"], { cwd: folder, terminal: true });
  await answer(usual, [
    ["or a topic such as plant/{device}/readings [all]:", ""],
    ["should each stream learn by itself? [learn]:", ""],
  ]);
  t.equal((await usual.ended).code, 0);
  t.match(
    written(join(folder, "usual.yaml"))
      .groups.map(({ name }) => name)
      .toSorted(),
    ["plant", "zigbee2mqtt"],
  );

  const typed = startCli(["init", "typed.yaml", "--broker", broker.url, "--seconds", "0"], { cwd: folder, terminal: true });
  await answer(typed, [
    ["plant/{device}/readings:", "line/{press}"],
    ["[learn]:", "learn"],
    ["Which values of a message?", "speed, load.kg"],
  ]);
  t.equal((await typed.ended).code, 0);
  t.match(written(join(folder, "typed.yaml")).groups[0], {
    topic: "line/{press}",
    features: { speed: "speed", "load.kg": "load.kg" },
  });

  const left = startCli(["init", "left.yaml"], { cwd: folder, terminal: true });
  await answer(left, [["Which broker?", "\u0004"]]);
  const { code: leftCode, stdout: leftText } = await left.ended;
  t.match({ leftCode, leftText }, { leftCode: 64, leftText: /a question was left without an answer; nothing is written/ });
  t.notOk(existsSync(join(folder, "left.yaml")));
  t.match(await runCli(["init", "there.yaml", "--yes"], { cwd: folder }), {
    code: 64,
    stderr: /there\.yaml is there already; name another file, or move it away/,
  });
  t.equal(readFileSync(join(folder, "there.yaml"), "utf8"), "mine");
});

t.test(
  "a broker that asks who we are is looked at with a password that is nowhere shown or written",
  {
    skip: mosquittoMissing(),
  },
  async (t) => {
    const folder = t.testdir({ "broker-password": "s3cret-word\n" });
    const broker = await startMosquitto({
      anonymous: false,
      config: ["password_file FOLDER/passwords"],
      files: { passwords: passwordFileOf({ box: "s3cret-word" }) },
    });
    t.teardown(() => broker.close());
    await retain(broker.url, [["zigbee2mqtt/hall", '{"temperature":21}']], { username: "box", password: "s3cret-word" });
    const asked = startCli(["init", "--broker", broker.url, "--seconds", "1", "--learn"], { cwd: folder, terminal: true });
    await answer(asked, [
      ["A user name for it, or nothing to go on without:", "box"],
      ["A file whose first line is the password [./broker-password]:", "./nothing"],
      ["there is no file ./nothing", ""],
      ["zigbee2mqtt: 1 device; temperature", ""],
    ]);
    const { code, stdout } = await asked.ended;
    t.equal(code, 0, stdout);
    const text = readFileSync(join(folder, "config.yaml"), "utf8");
    t.notMatch(text + stdout, "s3cret");
    t.match(written(join(folder, "config.yaml")).mqtt, { username: "box", passwordFile: "./broker-password" });
    const url = broker.url.replace("://", "://box:s3cret-word@");
    const refused = await runCli(["init", "--broker", url, "--yes", join(folder, "b.yaml")]);
    t.match(refused, { code: 64, stderr: /the URL holds a password; put it into a file that only you can read/ });
    t.notMatch(refused.stderr, "s3cret");
  },
);

t.test("without a terminal what is not said is told, and what cannot be is refused before anything is written", async (t) => {
  const folder = t.testdir({});
  writeFileSync(join(folder, "model.onnx"), randomModel({ features: 2, hidden: [8], seed: 3 }).bytes);
  const path = join(folder, "config.yaml");
  const quick = ["--broker", "mqtt://127.0.0.1:1", "--seconds", "0"];
  const cases: [string[], RegExp][] = [
    [[], /this is no terminal, so nothing can be asked; add --broker, --preset or --topic, --model or --learn, or --yes/],
    [["--broker", "mqtt://127.0.0.1:1", "--topic", "a/{b}"], /; add --model or --learn, or --yes for what is usual\n$/],
    [[...quick, "--yes"], /nothing has been seen that measures something; name it by --preset or --topic\n$/],
    [[...quick, "--yes", "--topic", "a/{b}"], /none of these topics has been seen; say by --features which values/],
    [
      [...quick, "--yes", "--node", "a b"],
      /^hiddenstate: cannot use the node: expected 1 to 64 of the characters A-Za-z0-9\._-\n$/,
    ],
    [[...quick, "--yes", "--topic", "a/#/b"], /cannot use the topic pattern "a\/#\/b"/],
    [["--broker", "mqtt://10.0.0.1", "--yes"], /can be read and changed on the way; .* here that is --allow-insecure\n$/],
    [
      [...quick, "--preset", "ttn", "--model", join(folder, "model.onnx"), "--features", "a"],
      /names 1, the model takes 2: feature0/,
    ],
    [[...quick, "--preset", "ttn", "--learn", "--model", "m"], /option '--learn' cannot be used with option '--model <file>'/],
  ];
  for (const [args, words] of cases) {
    const { code, stderr, stdout } = await runCli(["init", path, ...args]);
    t.match({ code, stderr, stdout }, { code: 64, stderr: words, stdout: "" });
    t.notOk(existsSync(path));
  }
  const features = ["--features", "soil.a,soil.b", "--model", join(folder, "model.onnx")];
  const { code, stderr } = await runCli(["init", path, ...quick, "--preset", "ttn", ...features]);
  t.equal(code, 0, stderr);
  t.match(written(path).groups, [{ preset: "ttn", model: "./model.onnx", features: { feature0: "soil.a", feature1: "soil.b" } }]);
});
