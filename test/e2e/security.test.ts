import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import mqtt from "mqtt";
import type { IClientOptions, MqttClient } from "mqtt";
import { createPrivateKeyText, parsePrivateKey, publicKeyText } from "../../src/message/update-key.ts";
import { encodeManifest, manifestOf, signManifest } from "../../src/message/update-manifest.ts";
import { certificate, privateKey } from "../mqtt/tls-fixture.ts";
import { repository, runCli, startCli } from "../support/cli.ts";
import { mosquittoMissing, passwordFileOf, startMosquitto } from "../support/mosquitto.ts";
import type { Mosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";

const skip = mosquittoMissing();
const model = randomModel({ features: 2, hidden: [8], seed: 3 });
const READING = { feature0: 101_320, feature1: 1 };
const SECRET = "correct horse battery";

function shipped(name: string): string {
  return readFileSync(join(repository, "deploy", "mosquitto", name), "utf8");
}

/** The broker as deploy/mosquitto has it, but for its folder, its port and the folder that it keeps messages in. */
function hardened(more: (text: string) => string = (text) => text): Promise<Mosquitto> {
  const users = ["runtime", "operator", "publisher", "press-7", "press-8"];
  const text = shipped("mosquitto.conf")
    .replaceAll("/etc/mosquitto/hiddenstate", "FOLDER")
    .replace("/var/lib/mosquitto/", "FOLDER/")
    .replace("listener 8883", "listener PORT 127.0.0.1");
  return startMosquitto({
    text: more(process.getuid?.() === 0 ? `user root\n${text}` : text),
    files: {
      acl: shipped("acl"),
      passwords: passwordFileOf(Object.fromEntries(users.map((user) => [user, SECRET]))),
      "ca.pem": certificate,
      "cert.pem": certificate,
      "key.pem": privateKey,
    },
  });
}

function connect(broker: Mosquitto, options: IClientOptions): Promise<MqttClient> {
  return mqtt.connectAsync(`mqtts://127.0.0.1:${broker.port}`, {
    protocolVersion: 4,
    ca: certificate,
    reconnectPeriod: 0,
    ...options,
  });
}

/** A client that keeps the topics of what it gets. */
async function listener(
  broker: Mosquitto,
  username: string,
  ...filters: string[]
): Promise<{ client: MqttClient; topics: string[] }> {
  // mosquitto 2.0.11 without a bound on queued messages cuts off whoever publishes what is denied: a device comes back.
  const client = await connect(broker, { username, password: SECRET, reconnectPeriod: 20 });
  const topics: string[] = [];
  // What the runtime says of itself comes when it likes.
  const isOfItself = (topic: string): boolean => /\/(state|health|streams)$/.test(topic);
  client.on("message", (topic) => isOfItself(topic) || topics.push(topic));
  for (const filter of filters) await client.subscribeAsync(filter, { qos: 1 }).catch(() => {});
  return { client, topics };
}

function runConfig(folder: string, url: string, more: string): string {
  const path = join(folder, "config.yaml");
  writeFileSync(join(folder, "model.onnx"), model.bytes);
  writeFileSync(join(folder, "ca.pem"), certificate);
  writeFileSync(
    path,
    `node: hall-3\nstate: state\ncommands: { mqtt: true }\nmqtt:\n  url: "${url}"\n  username: runtime\n${more}` +
      `groups:\n  - { name: g, topic: "plant/{line}/{press}/readings", codec: json, model: model.onnx }\n`,
  );
  return path;
}

t.test("behind the shipped broker config a device can only bring its own readings", { skip }, async (t) => {
  const broker = await hardened();
  t.teardown(() => broker.close());
  await t.rejects(connect(broker, {}), "nobody without a name");
  await t.rejects(connect(broker, { username: "press-7", password: "wrong" }), "nobody by guessing");
  await t.rejects(mqtt.connectAsync(`mqtts://127.0.0.1:${broker.port}`, { reconnectPeriod: 0 }), "a stranger's certificate");

  const folder = t.testdir({});
  const url = `mqtts://127.0.0.1:${broker.port}`;
  const path = runConfig(folder, url, "  passwordEnv: BROKER_PASSWORD\n  tls: { ca: ca.pem }\n");
  const runtime = startCli(["run", path], { env: { BROKER_PASSWORD: SECRET } });
  t.teardown(() => runtime.child.kill("SIGKILL"));
  await runtime.printed("taking readings");

  const operator = await listener(broker, "operator", "hiddenstate/hall-3/#");
  const device = await listener(broker, "press-7", "#", "plant/a/press-8/readings", "hiddenstate/hall-3/prediction/+");
  const other = await listener(broker, "press-8");
  const say = (client: MqttClient, topic: string, value: unknown): Promise<unknown> =>
    client.publishAsync(topic, JSON.stringify(value), { qos: 1 });
  const command = { transaction: "t1", expires: "2100-01-01T00:00:00Z", stream: "a/press-7" };
  await say(device.client, "plant/a/press-7/readings", READING);
  await until("a prediction", () => operator.topics.length === 1);
  t.strictSame(operator.topics, ["hiddenstate/hall-3/prediction/a%2Fpress-7"], "its readings give predictions");
  await say(device.client, "plant/a/press-8/readings", READING);
  await say(device.client, "hiddenstate/hall-3/prediction/a%2Fpress-7", { forged: true });
  await say(device.client, "hiddenstate/hall-3/command/reset", command);
  await say(other.client, "plant/a/press-8/readings", READING);
  await until("the other prediction", () => operator.topics.length === 2);
  t.equal(operator.topics[1], "hiddenstate/hall-3/prediction/a%2Fpress-8", "and of all that it says of others nothing arrives");
  t.strictSame(device.topics, [], "nor does it hear anybody");
  await say(operator.client, "hiddenstate/hall-3/command/reset", command);
  await until("an answer", () => operator.topics.includes("hiddenstate/hall-3/response/t1"));
  runtime.child.kill("SIGTERM");
  const { code, stdout, stderr } = await runtime.ended;
  t.equal(code, 0);
  t.notOk((stdout + stderr).includes(SECRET), "the password is in no log line");
  t.notOk(stderr.includes("a message was not published"), "the broker takes all that the runtime says");
  for (const { client } of [operator, device, other]) await client.endAsync(true);
});

t.test("behind it only the publisher brings models", { skip }, async (t) => {
  const broker = await hardened();
  t.teardown(() => broker.close());
  const key = createPrivateKeyText();
  const folder = t.testdir({ "release.key": key, password: SECRET });
  const url = `mqtts://127.0.0.1:${broker.port}`;
  const trusted = `updates: { verify: false, keys: { release: "${publicKeyText(parsePrivateKey(key))}" } }\n`;
  const path = runConfig(folder, url, `  passwordEnv: BROKER_PASSWORD\n  tls: { ca: ca.pem }\n${trusted}`);
  const runtime = startCli(["run", path], { env: { BROKER_PASSWORD: SECRET } });
  t.teardown(() => runtime.child.kill("SIGKILL"));
  await runtime.printed("connected to the broker", 3);
  await runtime.printed("taking readings");
  const { client: device, topics } = await listener(broker, "press-7", "hiddenstate/hall-3/update-report/+");
  const other = randomModel({ features: 2, hidden: [8], seed: 4 });
  writeFileSync(join(folder, "other.onnx"), other.bytes);
  const update = { node: "hall-3", group: "g", counter: 9, expires: 4e12 };
  const signed = signManifest(encodeManifest(manifestOf(other, update)), parsePrivateKey(key));
  await device.publishAsync("hiddenstate/hall-3/update/g", Buffer.from(signed), { qos: 1, retain: true });
  const send = (username: string): ReturnType<typeof runCli> => {
    const as = ["--username", username, "--password-file", join(folder, "password"), "--ca", join(folder, "ca.pem")];
    const what = ["--node", "hall-3", "--group", "g", "--key", join(folder, "release.key"), "--unverified"];
    return runCli(["publish-model", url, join(folder, "other.onnx"), "--counter", "8", "--wait", "30s", ...what, ...as]);
  };
  const sent = await send("publisher");
  t.match(sent, { code: 0, stdout: /update 8, signed by release, version [0-9a-f]{16}: in force\n$/ }, "counter 9 never came");
  t.strictSame(topics, [], "nor does a device hear of it");
  runtime.child.kill("SIGTERM");
  const { stderr } = await runtime.ended;
  t.notOk(stderr.includes("a message was not published"));
  t.notOk(stderr.includes("an update is refused"));
  await device.endAsync(true);
});

t.test("with certificates in place of passwords the runtime shows its own", { skip }, async (t) => {
  const broker = await hardened((text) =>
    text
      .replace("#require_certificate", "require_certificate")
      .replace("#use_identity_as_username", "use_identity_as_username")
      .replace(/^password_file.*$/m, ""),
  );
  t.teardown(() => broker.close());
  await t.rejects(connect(broker, { username: "runtime", password: SECRET }), "a password is not enough");
  const folder = t.testdir({ "key.pem": privateKey });
  const url = `mqtts://127.0.0.1:${broker.port}`;
  const path = runConfig(folder, url, "  tls: { ca: ca.pem, cert: ca.pem, key: key.pem }\n");
  const runtime = startCli(["run", path]);
  t.teardown(() => runtime.child.kill("SIGKILL"));
  await runtime.printed("connected to the broker", 2);
  runtime.child.kill("SIGTERM");
  t.equal((await runtime.ended).code, 0);
});

t.test("an unchecked certificate is for --dev alone, and a missing secret says which", { skip }, async (t) => {
  const broker = await hardened();
  t.teardown(() => broker.close());
  const folder = t.testdir({ password: `${SECRET}\n` });
  const url = `mqtts://127.0.0.1:${broker.port}`;
  const unchecked = runConfig(folder, url, "  passwordFile: password\n  tls: { verify: false }\n");
  const refused = await runCli(["run", unchecked]);
  t.equal(refused.code, 78);
  t.match(
    refused.stderr,
    /config\.yaml:8:18: mqtt\.tls\.verify: false lets anybody pose as the broker; only hiddenstate run --dev/,
  );
  const dev = startCli(["run", "--dev", unchecked]);
  t.teardown(() => dev.child.kill("SIGKILL"));
  await dev.printed("connected to the broker", 2);
  dev.child.kill("SIGTERM");
  t.equal((await dev.ended).code, 0);
  const absent = await runCli(["run", runConfig(folder, url, "  passwordEnv: NO_SUCH_VARIABLE\n")]);
  t.equal(absent.code, 78);
  t.match(absent.stderr, /cannot read the broker's password: the environment has no NO_SUCH_VARIABLE/);
});
