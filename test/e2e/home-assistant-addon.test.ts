// The add-on for Home Assistant without Home Assistant. The Supervisor is a stand-in that answers the one question that it is asked, as its sources say that it answers;
// Docker is none: what the image would hold is unpacked into an empty folder, and run there. Broker and runtime are real.
import { execFile, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import t from "tap";
import type { Test } from "tap";
import { parse } from "yaml";
import { asUser, repository, runCli, startCli } from "../support/cli.ts";
import type { Ended } from "../support/cli.ts";
import { ask } from "../support/dashboard-world.ts";
import { freePort } from "../support/free-port.ts";
import { startIngress } from "../support/ingress.ts";
import { mosquittoMissing, passwordFileOf, startMosquitto } from "../support/mosquitto.ts";
import type { Mosquitto } from "../support/mosquitto.ts";
import { debianArchitecture, runScript } from "../support/project-script.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";

t.setTimeout(240_000);

const source = join(repository, "deploy/home-assistant");
const TOKEN = "the token of this add-on";
const PASSWORD = "pass:word = 'with' \"signs\"";

type Values = Readonly<Record<string, unknown>>;

interface Manifest {
  readonly options: Values;
  readonly schema: Readonly<Record<string, unknown>>;
  readonly arch: readonly string[];
  readonly map: readonly Values[];
  readonly services: readonly string[];
  readonly [key: string]: unknown;
}

const manifestOf = (folder: string): Manifest => parse(readFileSync(join(folder, "config.yaml"), "utf8")) as Manifest;

/** By the Supervisor's own check of a manifest (supervisor/addons/validate.py): which keys it knows and what it takes for them. Others it drops without a word. */
const TAKEN: Readonly<Record<string, (value: unknown) => boolean>> = {
  name: (value) => typeof value === "string",
  version: (value) => /^\d+\.\d+\.\d+$/.test(String(value)),
  slug: (value) => /^[-_.A-Za-z0-9]+$/.test(String(value)),
  description: (value) => typeof value === "string",
  arch: (value) => (value as string[]).every((arch) => ["aarch64", "amd64"].includes(arch)),
  startup: (value) => ["initialize", "system", "services", "application", "once"].includes(String(value)),
  boot: (value) => ["auto", "manual", "manual_only"].includes(String(value)),
  init: (value) => typeof value === "boolean",
  timeout: (value) => Number.isInteger(value) && Number(value) >= 10 && Number(value) <= 300,
  backup: (value) => ["hot", "cold"].includes(String(value)),
  ingress: (value) => value === true,
  ingress_port: (value) => Number.isInteger(value),
  panel_icon: (value) => String(value).startsWith("mdi:"),
  panel_title: (value) => typeof value === "string",
  watchdog: (value) => /^https?:\/\/\[HOST\]:\[PORT:\d+\]\//.test(String(value)),
  services: (value) => (value as string[]).every((service) => /^mqtt:(provide|want|need)$/.test(service)),
  map: (value) => (value as Values[]).every(({ type, read_only: only }) => type === "addon_config" && typeof only === "boolean"),
  options: (value) => typeof value === "object",
  schema: (value) => isSchema(value),
};
const REQUIRED = ["name", "version", "slug", "description", "arch"];

function isSchema(value: unknown): boolean {
  if (typeof value === "string") return /^(bool|str|int(\(\d*,\d*\))?|list\([^)]+\)|match\(.+\))\??$/.test(value);
  if (Array.isArray(value)) return value.length === 1 && !Array.isArray(value[0]) && isSchema(value[0]);
  return Object.values(value as Values).every(isSchema);
}

t.test(
  "the manifest has the keys that the Supervisor asks for, this version, and options that its own schema takes",
  async (t) => {
    const manifest = manifestOf(source);
    for (const [key, value] of Object.entries(manifest)) t.ok(TAKEN[key]?.(value), `${key}: ${JSON.stringify(value)}`);
    for (const key of REQUIRED) t.ok(key in manifest, key);
    t.equal(manifest["version"], (JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as Values)["version"]);
    t.equal(manifest["init"], true, "or a shell as process 1 does not hear that it is to stop");
    t.match(manifest["watchdog"], String(manifest["ingress_port"]));
    const optional = (value: unknown): boolean => typeof value === "string" && value.endsWith("?");
    const needed = Object.entries(manifest.schema).filter(([, value]) => !optional(value));
    t.strictSame(needed.map(([key]) => key).toSorted(), Object.keys(manifest.options).toSorted(), "each option has a default");
    const { budget } = manifest.schema as { budget: string };
    t.match(manifest.options["budget"], new RegExp(budget.slice("match(".length, -1)));
    const { configuration } = parse(readFileSync(join(source, "translations/en.yaml"), "utf8")) as { configuration: Values };
    t.strictSame(Object.keys(configuration).toSorted(), Object.keys(manifest.schema).toSorted(), "each option is explained");
  },
);

interface Supervisor {
  readonly url: string;
  /** Of the next answers. */
  answer: Values;
}

/** Answers as `supervisor/api/services.py` does, with 400 and a message where it has nothing. */
async function startSupervisor(t: Test, answer: Values): Promise<Supervisor> {
  const supervisor = { url: "", answer };
  const server = createServer((asked, reply) => {
    const isKnown = asked.headers.authorization === `Bearer ${TOKEN}` && asked.url === "/services/mqtt";
    const text = isKnown ? supervisor.answer : { result: "error", message: "unauthorized" };
    reply.writeHead(text["result"] === "ok" ? 200 : 400, { "content-type": "application/json" }).end(JSON.stringify(text));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  supervisor.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return supervisor;
}

const broken: Values = { result: "error", message: "Service not enabled" };

/** A box with the add-on's two folders. */
class Box {
  readonly data: string;
  readonly config: string;
  readonly listen: string;
  readonly #supervisor: string;

  constructor(folder: string, supervisor: string, listen: string) {
    this.data = join(folder, "data");
    this.config = join(folder, "config");
    this.listen = listen;
    this.#supervisor = supervisor;
    for (const path of [this.data, this.config]) mkdirSync(path);
  }

  options(more: Values): void {
    writeFileSync(join(this.data, "options.json"), JSON.stringify({ ...manifestOf(source).options, ...more }));
  }

  get words(): string[] {
    const folders = ["--data", this.data, "--config", this.config, "--app", repository];
    return [...folders, "--supervisor", this.#supervisor, "--listen", this.listen, "--proxy", "127.0.0.2"];
  }

  async prepare(env: NodeJS.ProcessEnv = { SUPERVISOR_TOKEN: TOKEN, TZ: "Europe/Berlin" }): Promise<Ended> {
    const user = asUser(process.execPath, [join(source, "prepare.mjs"), ...this.words]);
    return new Promise((ended) => {
      execFile(user.command, user.args, { env: { ...user.env, ...env } }, (error, stdout, stderr) =>
        ended({ code: error === null ? 0 : Number(error.code), signal: null, stdout, stderr }),
      );
    });
  }
}

async function startBroker(t: Test): Promise<{ broker: Mosquitto; service: Values; client: mqtt.MqttClient }> {
  const files = { passwords: passwordFileOf({ addons: PASSWORD }) };
  const broker = await startMosquitto({ anonymous: false, config: ["password_file FOLDER/passwords"], files });
  t.teardown(() => broker.close());
  const client = await mqtt.connectAsync(broker.url, { username: "addons", password: PASSWORD });
  t.teardown(() => client.endAsync(true));
  const data = { addon: "core_mosquitto", host: "127.0.0.1", port: broker.port, username: "addons", password: PASSWORD };
  return { broker, client, service: { result: "ok", data: { ...data, ssl: false, protocol: "3.1.1" } } };
}

t.test("what cannot work is said in words, with what to do", { skip: mosquittoMissing() }, async (t) => {
  const supervisor = await startSupervisor(t, broken);
  const box = new Box(t.testdir({}), supervisor.url, "127.0.0.1:0");
  const refused = async (text: string | RegExp, env?: NodeJS.ProcessEnv): Promise<void> => {
    const { code, stdout, stderr } = await box.prepare(env);
    t.match({ code, stdout, stderr }, { code: 1, stdout: "", stderr: text });
  };
  await refused(/cannot read .*options\.json: .*; save the add-on's options again\n/);
  box.options({ groups: [{ preset: "zigbee2mqtt", features: ["temperature"] }] });
  await refused(
    'hiddenstate: cannot find a broker: the Supervisor says "Service not enabled"; install the add-on Mosquitto broker and start it, then this one again\n',
  );
  await refused('the Supervisor says "unauthorized"', { SUPERVISOR_TOKEN: "another" });
  await refused("there is no SUPERVISOR_TOKEN; start this as an add-on of Home Assistant\n", {});
  supervisor.answer = { result: "ok", data: { host: "core-mosquitto", port: 1883 } };
  for (const [groups, text] of [
    [[{ features: ["a"] }], "cannot read anything for groups[0]: name its preset or its topic\n"],
    [
      [
        { topic: "a/{b}", features: ["c"] },
        { preset: "shelly", features: [] },
      ],
      "cannot learn anything for groups[1]: name the features",
    ],
    [[{ topic: "a/{b}", model: "../../data/options.json" }], "it lies outside the add-on's configuration folder; put it there"],
    [
      [{ topic: "a/{b}", model: "kiln.onnx" }],
      'cannot find the model "kiln.onnx": put it into the add-on\'s configuration folder\n',
    ],
  ] as const) {
    box.options({ groups });
    await refused(text);
  }
  box.options({ config_file: "/etc/passwd" });
  await refused("it lies outside the add-on's configuration folder");
  t.notOk(existsSync(join(box.data, "config.yaml")), "nothing was written");
  const nobody = new Box(t.testdir({ other: {} }) + "/other", `http://127.0.0.1:${await freePort()}`, "127.0.0.1:0");
  nobody.options({});
  t.match(
    (await nobody.prepare()).stderr,
    /cannot ask the Supervisor: connect ECONNREFUSED .*; restart the add-on, then the host\n/,
  );
});

/** Devices that report what they measure ten times a second. */
function startDevices(t: Test, client: mqtt.MqttClient, names: readonly string[]): void {
  let turn = 0;
  const timer = setInterval(() => {
    turn++;
    for (const name of names) {
      const reading = { temperature: 20 + Math.sin(turn / 7), humidity: 50 + Math.cos(turn / 11), linkquality: 80 };
      client.publish(`zigbee2mqtt/${name}`, JSON.stringify(reading));
    }
  }, 100);
  t.teardown(() => clearInterval(timer));
}

interface Discovery {
  readonly device: { readonly name: string };
  readonly components: Values;
}

/** What Home Assistant would be told of devices. */
async function discoveries(client: mqtt.MqttClient): Promise<Map<string, Discovery>> {
  const told = new Map<string, Discovery>();
  client.on("message", (topic, payload) => {
    if (topic.startsWith("homeassistant/device/") && payload.length > 0)
      told.set(topic, JSON.parse(payload.toString()) as Discovery);
  });
  await client.subscribeAsync("homeassistant/device/+/config");
  return told;
}

t.test(
  "without a word in its options the add-on finds what is there, announces it, shows it behind ingress, and goes on after a restart",
  { skip: mosquittoMissing() },
  async (t) => {
    const { client, service } = await startBroker(t);
    const supervisor = await startSupervisor(t, service);
    const listen = `127.0.0.1:${await freePort()}`;
    const box = new Box(t.testdir({}), supervisor.url, listen);
    const told = await discoveries(client);
    startDevices(t, client, ["greenhouse", "cellar"]);
    box.options({ look_round_seconds: 3 });

    const first = await box.prepare();
    t.match(first, { code: 0, stdout: `${join(box.data, "config.yaml")}\n`, stderr: "looks round on the broker for 3 s" });
    const text = readFileSync(join(box.data, "config.yaml"), "utf8");
    t.match(parse(text), {
      timezone: "Europe/Berlin",
      mqtt: { username: "addons", passwordFile: join(box.data, "broker-password"), allowInsecure: true },
      dashboard: { trustedProxies: ["127.0.0.2"], commands: false },
      commands: { mqtt: false },
      homeAssistant: true,
      groups: [{ preset: "zigbee2mqtt", score: { budget: "1/week" } }],
    });
    for (const printed of [text, first.stdout, first.stderr, readFileSync(join(box.config, "found.yaml"), "utf8")])
      t.notMatch(printed, PASSWORD);
    t.equal(readFileSync(join(box.data, "broker-password"), "utf8"), `${PASSWORD}\n`);
    for (const name of ["broker-password", "config.yaml"]) t.equal(statSync(join(box.data, name)).mode & 0o777, 0o600, name);

    const ingress = await startIngress(`http://${listen}/`, "127.0.0.2");
    t.teardown(() => ingress.close());
    const readings = async (): Promise<number> => {
      const headers = { host: "home.example.net" };
      const { status, body } = await ask(`${ingress.url}streams?count=10`, { headers }).catch(() => ({ status: 502, body: "" }));
      if (status !== 200) return 0;
      const { rows } = JSON.parse(body) as { rows: { stream: string; steps: number }[] };
      return rows.find(({ stream }) => stream === "greenhouse")?.steps ?? 0;
    };
    const running = startCli(["run", first.stdout.trim()]);
    t.teardown(() => running.child.kill("SIGKILL"));
    await until("both are announced", () => told.size === 2);
    const { device, components } = told.get("homeassistant/device/hiddenstate_home_greenhouse/config")!;
    t.match(device.name, "greenhouse");
    t.match(JSON.stringify(components), "Anomaly score");
    await until("it has learned from some readings", async () => (await readings()) > 30);
    running.child.kill("SIGTERM");
    const ended = await running.ended;
    t.equal(ended.code, 0);
    t.notMatch(ended.stdout + ended.stderr, PASSWORD);

    box.options({ look_round_seconds: 3, commands: true, budget: "2/day", log: "warn" });
    const second = await box.prepare();
    t.match(second, { code: 0, stderr: "it reads what an earlier start has found; remove found.yaml" });
    t.match(parse(readFileSync(join(box.data, "config.yaml"), "utf8")), {
      log: "warn",
      dashboard: { commands: true },
      commands: { mqtt: true },
      groups: [{ score: { budget: "2/day" } }],
    });
    told.clear();
    const again = startCli(["run", second.stdout.trim()]);
    t.teardown(() => again.child.kill("SIGKILL"));
    await until("it goes on where it was", async () => (await readings()) > 0);
    t.ok((await readings()) > 30, "nothing is forgotten");
    await until("they are announced again", () => told.size === 2);
    t.match(JSON.stringify([...told.values()]), "Mute for 2 hours", "with the buttons that the option commands brings");
    again.child.kill("SIGTERM");
    t.equal((await again.ended).code, 0);
  },
);

t.test("groups of the options, and a config of one's own, are read as they are", { skip: mosquittoMissing() }, async (t) => {
  const data = { host: "core-mosquitto", port: 8883, ssl: true, username: "addons", password: PASSWORD };
  const supervisor = await startSupervisor(t, { result: "ok", data });
  const box = new Box(t.testdir({}), supervisor.url, "127.0.0.1:0");
  const model = randomModel({ features: 2, hidden: [8], seed: 3 });
  mkdirSync(join(box.config, "models"));
  writeFileSync(join(box.config, "models/kiln.onnx"), model.bytes);
  const groups = [
    { preset: "zigbee2mqtt", features: ["temperature", "humidity"] },
    { topic: "garden/{bed}/readings", features: ["moisture"] },
    { preset: "tasmota", topic: "tele/kiln/SENSOR", model: "models/kiln.onnx", features: [] },
    { topic: "garden/{bed}/light", features: ["light"] },
  ];
  box.options({ groups });
  const { code, stdout } = await box.prepare({ SUPERVISOR_TOKEN: TOKEN, TZ: "Nowhere/Land" });
  t.equal(code, 0);
  const config = parse(readFileSync(stdout.trim(), "utf8")) as { mqtt: Values; groups: Values[]; timezone?: string };
  t.strictSame(config.mqtt, {
    url: "mqtts://core-mosquitto:8883",
    username: "addons",
    passwordFile: join(box.data, "broker-password"),
  });
  t.equal(config.timezone, undefined, "a zone that nobody knows is none");
  const more = { score: { budget: "1/week" }, predictions: { latest: true } };
  t.strictSame(config.groups, [
    { name: "zigbee2mqtt", preset: "zigbee2mqtt", features: ["temperature", "humidity"], ...more },
    { name: "garden", codec: "json", topic: "garden/{bed}/readings", features: ["moisture"], ...more },
    { name: "tasmota", preset: "tasmota", topic: "tele/kiln/SENSOR", model: join(box.config, "models/kiln.onnx"), ...more },
    { name: "garden-2", codec: "json", topic: "garden/{bed}/light", features: ["light"], ...more },
  ]);
  t.match(await runCli(["check", stdout.trim()]), { code: 0, stdout: /garden/ }, "it is a good one");

  writeFileSync(join(box.config, "mine.yaml"), "node: mine\n");
  box.options({ config_file: "mine.yaml" });
  t.match(await box.prepare(), {
    code: 0,
    stdout: `${join(box.config, "mine.yaml")}\n`,
    stderr: `the broker is mqtts://core-mosquitto:8883, as addons; the password is in ${join(box.data, "broker-password")}\n`,
  });
  supervisor.answer = broken;
  t.match(
    await box.prepare(),
    { code: 0, stderr: "the Supervisor knows no broker (Service not enabled)\n" },
    "it may name another",
  );
});

const noImage =
  mosquittoMissing() ||
  (debianArchitecture === undefined && `there is no add-on for ${process.arch}`) ||
  (process.getuid?.() !== 0 && "it takes root to give root up");

/** The Dockerfile's lines, carried out in an empty folder: a package is unpacked there in place of being installed. */
function buildImage(addon: string, root: string): string[] {
  const text = readFileSync(join(addon, "Dockerfile"), "utf8");
  let command: string[] = [];
  for (const [, name, rest] of text.matchAll(/^([A-Z]+) (.*)$/gm)) {
    if (name === "FROM") continue;
    else if (name === "COPY") {
      const words = rest!.split(" ");
      const to = join(root, words.pop()!);
      mkdirSync(to, { recursive: true });
      execFileSync("sh", ["-c", `cp ${words.join(" ")} "$0"`, to], { cwd: addon });
    } else if (name === "RUN") {
      const unpack = `dpkg() { if [ "$1" = --install ]; then [ $# = 2 ] && dpkg-deb --extract "$2" "$0"; else command dpkg "$@"; fi; }`;
      execFileSync("sh", ["-ec", `${unpack}\n${rest!.replaceAll("/tmp/package", '"$0"/tmp/package')}`, root]);
    } else if (name === "CMD") command = JSON.parse(rest!) as string[];
    else throw new Error(`a Dockerfile with ${name!}`);
  }
  return command;
}

t.test(
  "a folder made by npm run addon is complete: its image's lines make what starts, without root and without the Supervisor's token",
  { skip: noImage },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "hiddenstate-addon-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    // Somebody who is not root looks into it.
    chmodSync(folder, 0o755);
    const words = ["scripts/addon.mjs", "--arch", debianArchitecture!, "--node", process.execPath, "--quick", "--out", folder];
    const make = () => runScript(...words);
    mkdirSync(join(folder, "hiddenstate"));
    writeFileSync(join(folder, "hiddenstate/package.json"), "{}");
    await t.rejects(make(), /there is something else; name another folder with --out/, "somebody's checkout is left alone");
    rmSync(join(folder, "hiddenstate"), { recursive: true });
    await make();
    const addon = join(folder, "hiddenstate");
    const version = String(manifestOf(addon)["version"]);
    const packageName = `hiddenstate_${version}_${debianArchitecture!}.deb`;
    t.strictSame(readdirSync(addon).toSorted(), [
      "CHANGELOG.md",
      "Dockerfile",
      "config.yaml",
      packageName,
      "prepare.mjs",
      "run.sh",
      "translations",
    ]);
    await t.rejects(
      runScript("scripts/addon.mjs", "--arch", "armhf"),
      /cannot make an add-on for "armhf": it can be for arm64, amd64\n/,
    );
    t.strictSame(manifestOf(addon).arch, [debianArchitecture === "arm64" ? "aarch64" : "amd64"], "for what is in it");
    t.strictSame({ ...manifestOf(addon), arch: [] }, { ...manifestOf(source), arch: [] });

    const { client, service } = await startBroker(t);
    const supervisor = await startSupervisor(t, service);
    const root = join(folder, "root");
    const box = new Box(folder, supervisor.url, `127.0.0.1:${await freePort()}`);
    mkdirSync(root);
    const [shell, script] = buildImage(addon, root);
    t.equal(shell, "sh");
    // What is absolute in a container is below the folder here, and nobody is made a user.
    const more = box.words.map((word) => `'${word === repository ? join(root, "usr/lib/hiddenstate") : word}'`).join(" ");
    const places: readonly (readonly [string, string])[] = [
      ["/usr/lib/hiddenstate", join(root, "usr/lib/hiddenstate")],
      ["/usr/bin/hiddenstate", join(root, "usr/bin/hiddenstate")],
      ["/addon/prepare.mjs", `${join(root, "addon/prepare.mjs")} ${more}`],
      ["/data/", `${box.data}/`],
      ["hiddenstate:hiddenstate", "nobody:nogroup"],
      ["--reuid=hiddenstate --regid=hiddenstate", "--reuid=nobody --regid=nogroup"],
    ];
    for (const file of [join(root, script!), join(root, "usr/bin/hiddenstate")]) {
      const text = readFileSync(file, "utf8");
      // In one pass: what was put in is not looked at again.
      const search = new RegExp(places.map(([from]) => from).join("|"), "g");
      writeFileSync(
        file,
        text.replaceAll(search, (from) => new Map(places).get(from)!),
      );
    }
    box.options({ groups: [{ preset: "zigbee2mqtt", features: ["temperature", "humidity"] }] });
    const told = await discoveries(client);
    startDevices(t, client, ["greenhouse"]);
    const env = { ...asUser(shell!, []).env, SUPERVISOR_TOKEN: TOKEN, HASSIO_TOKEN: TOKEN };
    const child = spawn("env", ["-u", "NODE_OPTIONS", shell!, join(root, script!)], {
      env,
      stdio: ["ignore", "inherit", "pipe"],
    });
    t.teardown(() => child.kill("SIGKILL"));
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const ended = new Promise<number | null>((end) => child.once("close", end));
    await until(
      "it is announced",
      () => {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${said}`);
        return told.size === 1;
      },
      30_000,
    );
    const status = readFileSync(`/proc/${child.pid!}/status`, "utf8");
    const nobody = Number(execFileSync("id", ["-u", "nobody"], { encoding: "utf8" }));
    t.match(
      status,
      new RegExp(`^Uid:\\s${nobody}\\s${nobody}\\s${nobody}\\s`, "m"),
      "the process that was started is the runtime",
    );
    t.match(status, /^NoNewPrivs:\s1$/m);
    t.equal(statSync(join(box.data, "state")).uid, nobody);
    t.notMatch(readFileSync(`/proc/${child.pid!}/environ`, "utf8"), TOKEN);
    child.kill("SIGTERM");
    t.equal(await ended, 0, said);
    t.notMatch(said, PASSWORD);
  },
);
