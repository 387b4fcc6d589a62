import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import mqtt from "mqtt";
import { runCli, startCli } from "../support/cli.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";

t.setTimeout(120_000);

const skip = mosquittoMissing();
const model = randomModel({ features: 2, hidden: [8], seed: 3 });

t.test(
  "a model is put in force while readings come, taken back, and taken back by itself after three crashes",
  { skip, timeout: 120_000 },
  async (t) => {
    const broker = await startMosquitto();
    t.teardown(() => broker.close());
    const folder = t.testdir({});
    const path = join(folder, "config.yaml");
    writeFileSync(join(folder, "model.onnx"), model.bytes);
    writeFileSync(
      path,
      `node: e2e\nstate: state\nmqtt: { url: "${broker.url}" }\n` +
        `groups:\n  - { name: g, topic: "s/{device}/r", codec: json, model: model.onnx }\n`,
    );
    const state = join(folder, "state");
    const other = randomModel({ features: 2, hidden: [6, 4], cells: ["gru"], seed: 4 });
    writeFileSync(join(folder, "other.onnx"), other.bytes);
    const client = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
    t.teardown(() => client.endAsync(true));
    const versions = new Map<number, string>();
    client.on("message", (_topic, payload) => {
      const { sequence, version } = JSON.parse(payload.toString()) as { sequence: number; version: string };
      versions.set(sequence, version);
    });
    await client.subscribeAsync("hiddenstate/e2e/prediction/+", { qos: 1 });
    const send = async (sequence: number): Promise<void> => {
      const reading = { boot: 1, nonce: 9, sequence, feature0: 101_320, feature1: sequence / 50 };
      await client.publishAsync("s/a/r", JSON.stringify(reading), { qos: 1 });
      await until(`${sequence} is predicted`, () => versions.has(sequence));
    };
    const models = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runCli(["models", ...args, "--state", state]);
      t.equal(code, 0, stderr);
      return stdout;
    };
    const [old, now] = [model, other].map(({ version }) => version.slice(0, 16));
    let one = startCli(["run", path]);
    await one.printed("taking readings");
    await send(0);
    const promoted = await models("promote", join(folder, "other.onnx"), "--group", "g");
    t.equal(promoted, `group "g" is now on model ${now}, before ${old}\n`);
    await send(1);
    t.strictSame([...versions.values()], [old, now]);
    t.match(
      await models("list"),
      new RegExp(
        `^group  version +since +from\ng      ${now}  in force  \\S+Z +\\S+other.onnx\ng      ${old}  before .*model.onnx  named by the config\n$`,
      ),
    );
    await models("export", now!.slice(0, 6), join(folder, "out.onnx"));
    t.ok(readFileSync(join(folder, "out.onnx")).equals(other.bytes));
    t.match(await models("show", now!), /^version {3}[0-9a-f]{64}\nmodel {5}random: gru 6, gru 4, regression head\n/);
    t.equal(await models("rollback", "--group", "g"), `group "g" is back on model ${old}, before ${now}\n`);
    await models("promote", join(folder, "other.onnx"), "--group", "g", "--unverified");
    for (let crash = 0; crash < 3; crash++) {
      one.child.kill("SIGKILL");
      await one.ended;
      one = startCli(["run", path]);
      await one.printed("taking readings");
    }
    await send(2);
    t.equal(versions.get(2), old, "three crashes in ten minutes have taken it back");
    one.child.kill("SIGTERM");
    const { stderr } = await one.ended;
    t.match(stderr, "three crashes soon after the model was switched: the one before is in force again");
    const stopped = await models("promote", join(folder, "other.onnx"), "--group", "g", "--unverified");
    t.equal(stopped, `group "g" is now on model ${now}, before ${old}\n`, "while it is stopped too");
    one = startCli(["run", path]);
    await one.printed("taking readings");
    await send(3);
    t.equal(versions.get(3), now);
    one.child.kill("SIGTERM");
    await one.ended;
    const wrong = await runCli(["models", "promote", join(folder, "model.onnx"), "--group", "h", "--state", state]);
    t.match(wrong, { code: 64, stderr: 'hiddenstate: cannot switch the model: there is no group "h", only g\n' });
  },
);
