import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import mqtt from "mqtt";
import { silentLog } from "../../src/base/log.ts";
import { startEmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import { parseConfig } from "../../src/runtime/config.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";
import { runCli } from "../support/cli.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";

function write(folder: string, url: string, more = "", model = "model.onnx"): string {
  const path = join(folder, "config.yaml");
  const group = `{ name: g, topic: "s/{device}/r", codec: json, model: ${model}, score: {} }`;
  writeFileSync(path, `node: n\nstate: state\nmqtt: { url: "${url}" }\n${more}groups: [${group}]\n`);
  return path;
}

t.test("check says what a start would do, before, while and after a runtime works, and changes nothing", async (t) => {
  const folder = t.testdir({});
  writeFileSync(join(folder, "model.onnx"), randomModel({ features: 2, hidden: [8], seed: 3 }).bytes);
  writeFileSync(join(folder, "other.onnx"), randomModel({ features: 2, hidden: [8], seed: 4 }).bytes);
  const broker = await startEmbeddedBroker();
  t.teardown(() => broker.close());
  const path = write(folder, broker.url, "dashboard: { commands: true }\n");
  const first = await runCli(["check", path]);
  t.match(first, { code: 0, stderr: "" });
  const lines = first.stdout.trimEnd().split("\n");
  t.match(lines, [
    `${path} is good: n would connect to ${broker.url}`,
    `state: ${join(folder, "state")} is new`,
    "group g",
    "  subscribes to s/+/r (json)",
    /^ {2}steps random [0-9a-f]{16} \(rnn_tanh 8\) with the native engine \((relaxed|plain)-\d+\)$/,
    "  takes feature0, feature1",
    "  predicts output0 (1 ahead), with score and alarm",
    "  publishes to hiddenstate/n/prediction/<stream> in json",
    "dashboard: on 127.0.0.1:8787",
    /^note: no user name and no certificate/,
    /^note: dashboard\.commands without a token/,
  ]);
  t.equal(lines.length, 11);
  t.notOk(existsSync(join(folder, "state")), "nothing was made");

  const config = parseConfig(readFileSync(write(folder, broker.url), "utf8"), path);
  const runtime = await createRuntime(config, { log: silentLog });
  await runtime.connected;
  const client = await mqtt.connectAsync(broker.url);
  t.teardown(() => client.endAsync(true));
  await client.publishAsync("s/a/r", '{"feature0":1,"feature1":2}', { qos: 1 });
  await until("it is stepped", () => runtime.status().streams === 1);
  const running = JSON.parse((await runCli(["check", path, "--json"])).stdout) as { state: unknown; notes: string[] };
  t.match(running.state, { standing: "running", streams: 1 });
  t.match(running.notes.at(-1), /^a runtime is working on the state directory/);
  const swapped = JSON.parse((await runCli(["check", write(folder, broker.url, "", "other.onnx"), "--json"])).stdout) as {
    notes: string[];
  };
  t.match(swapped.notes.at(-1), /^group g: the config names another model than it did; a start would switch to it$/);
  await runtime.stop();

  const switching = await runCli(["check", path]);
  t.match(switching, {
    code: 0,
    stdout:
      /note: group g: a start would switch it from model [0-9a-f]{16} to [0-9a-f]{16}, with the states by "switch: replay"\n/,
  });
  writeFileSync(join(folder, "other.onnx"), randomModel({ features: 2, outputs: 2, seed: 5 }).bytes);
  const foreign = await runCli(["check", path]);
  t.match(foreign, {
    code: 78,
    stdout: "",
    stderr: /cannot use this state directory for group "g": its states are of model /,
  });
  write(folder, broker.url);
  const present = await runCli(["check", path]);
  t.match(present, { code: 0, stdout: /\nstate: .* fits; 1 stream would go on where it was\n/ });
  const again = await createRuntime(config, { log: silentLog });
  t.equal(again.status().streams, 1, "and it can be started all the same");
  await again.stop();
});

t.test("check tells what is wrong with its place, as a start would", async (t) => {
  const folder = t.testdir({ "model.onnx": "no model" });
  const url = "mqtt://127.0.0.1:1";
  const cases: [string, number, RegExp][] = [
    [write(folder, url), 65, /config\.yaml:4:64: groups\[0\]\.model: cannot /],
    [join(folder, "absent.yaml"), 78, /^hiddenstate: cannot read the config .*absent\.yaml: ENOENT/],
  ];
  for (const [path, code, words] of cases) t.match(await runCli(["check", path]), { code, stdout: "", stderr: words });
  writeFileSync(join(folder, "model.onnx"), randomModel({ features: 2, hidden: [8], seed: 3 }).bytes);
  const secret = await runCli(["check", write(folder, url, "dashboard: { tokenFile: none }\n")]);
  t.match(secret, { code: 78, stderr: /cannot read the dashboard's token: there is no file .*none/ });
  const open = await runCli(["check", write(folder, url, 'dashboard: { listen: "0.0.0.0:1" }\n')]);
  t.match(open, { code: 78, stderr: /config\.yaml:4:22: dashboard\.listen: 0\.0\.0\.0:1 can be reached from other machines/ });
});

t.test("what is shown of a broker's URL holds no credentials, and they count as such", async (t) => {
  const folder = t.testdir({});
  writeFileSync(join(folder, "model.onnx"), randomModel({ features: 2, hidden: [8], seed: 3 }).bytes);
  const path = write(folder, "mqtt://box:secret@127.0.0.1:1");
  const checked = await runCli(["check", path]);
  t.match(checked, { code: 0, stderr: "" });
  t.match(checked.stdout, "n would connect to mqtt://127.0.0.1:1\n");
  t.notMatch(checked.stdout, /secret|no user name/);
  const doctor = await runCli(["doctor", path, "--json"]);
  t.match(
    (JSON.parse(doctor.stdout) as { about: string; text: string }[]).find(({ about }) => about === "broker"),
    { text: /^mqtt:\/\/127\.0\.0\.1:1 cannot be used: / },
  );
  t.notMatch(doctor.stdout + doctor.stderr, "secret");
});

t.test("a group that learns by itself is timed by the engine that learns", async (t) => {
  const folder = t.testdir({});
  const path = join(folder, "config.yaml");
  const group = '{ name: g, topic: "s/{device}/r", codec: json, features: [a, b], score: {} }';
  writeFileSync(path, `node: n\nstate: state\nmqtt: { url: "mqtt://127.0.0.1:1" }\ngroups: [${group}]\n`);
  const { stdout } = await runCli(["doctor", path, "--json"]);
  t.match(
    (JSON.parse(stdout) as { about: string; text: string }[]).find(({ about }) => about === "group g"),
    { text: /^the learning engine \(/ },
  );
});
