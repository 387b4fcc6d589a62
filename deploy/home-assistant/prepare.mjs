// Before each start of the add-on: which broker there is, from the Supervisor, and the config that the add-on's options stand for. It prints where
// the config lies. The broker's password goes into a file of its own, and into nothing that is printed.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve, sep } from "node:path";
import { parseArgs } from "node:util";

/** Longer than the Supervisor ever takes for what it has in memory. */
const ANSWER_MS_MAX = 20_000;
const PRIVATE = 0o600;

const { values: given } = parseArgs({
  options: {
    /** The add-on's own folder: what the Supervisor writes and what we keep. */
    data: { type: "string", default: "/data" },
    /** The folder that people reach by file. */
    config: { type: "string", default: "/config" },
    app: { type: "string", default: "/usr/lib/hiddenstate" },
    supervisor: { type: "string", default: "http://supervisor" },
    /** Where ingress finds the page, and the address that it comes from. */
    listen: { type: "string", default: "0.0.0.0:8099" },
    proxy: { type: "string", default: "172.30.32.2" },
  },
});
const yaml = createRequire(join(resolve(given.app), "package.json"))("yaml");
const passwordFile = join(given.data, "broker-password");
const found = join(given.config, "found.yaml");

function say(text) {
  process.stderr.write(`hiddenstate: ${text}\n`);
}

function writePrivately(path, text) {
  writeFileSync(path, text, { mode: PRIVATE });
  // The mode above is that of a new file alone.
  chmodSync(path, PRIVATE);
}

function readOptions() {
  const path = join(given.data, "options.json");
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (thrown) {
    throw new Error(`cannot read ${path}: ${thrown.message}; save the add-on's options again`, { cause: thrown });
  }
}

async function ask(path) {
  const token = process.env.SUPERVISOR_TOKEN;
  if (!token)
    throw new Error("cannot ask the Supervisor: there is no SUPERVISOR_TOKEN; start this as an add-on of Home Assistant");
  try {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${given.supervisor}${path}`, { headers, signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    const { result, message, data } = await response.json();
    return result === "ok" ? { data } : { refused: String(message ?? `status ${response.status}`) };
  } catch (thrown) {
    const reason = thrown.cause?.message ?? thrown.message;
    throw new Error(`cannot ask the Supervisor: ${reason}; restart the add-on, then the host`, { cause: thrown });
  }
}

/** What a config says under `mqtt`; undefined where the Supervisor knows no broker, and says why. */
async function findBroker() {
  const { data, refused } = await ask("/services/mqtt");
  if (data === undefined) return { refused };
  const { host, port, username, password, ssl } = data;
  if (typeof host !== "string" || !Number.isInteger(port)) return { refused: "its answer names no host and port" };
  const name = host.includes(":") ? `[${host}]` : host;
  const mqtt = { url: `${ssl === true ? "mqtts" : "mqtt"}://${name}:${port}` };
  // Within the box: from one container to another, over a network that only they are on.
  if (ssl !== true) mqtt.allowInsecure = true;
  if (username) mqtt.username = username;
  if (username && password) {
    writePrivately(passwordFile, `${password}\n`);
    mqtt.passwordFile = passwordFile;
  }
  return { mqtt };
}

/** A file in the folder that people reach, and none outside it. */
function ownFile(name, option) {
  const path = resolve(given.config, name);
  if (!path.startsWith(resolve(given.config) + sep)) {
    throw new Error(
      `cannot take ${option} "${name}": it lies outside the add-on's configuration folder; put it there and give its name alone`,
    );
  }
  if (!existsSync(path)) throw new Error(`cannot find ${option} "${name}": put it into the add-on's configuration folder`);
  return path;
}

function groupOf({ preset, topic, features = [], model }, index, budget) {
  const place = `groups[${index}]`;
  if (!preset && !topic) throw new Error(`cannot read anything for ${place}: name its preset or its topic`);
  if (!model && features.length === 0) {
    throw new Error(
      `cannot learn anything for ${place}: name the features, which are the values of a message such as temperature`,
    );
  }
  return {
    ...(preset ? { preset } : { codec: "json" }),
    ...(topic && { topic }),
    ...(features.length > 0 && { features }),
    ...(model && { model: ownFile(model, "the model") }),
    score: { budget },
  };
}

/** A name for each, by which its streams are found again after its options change: told apart by numbers only where two would be the same. */
function named(groups) {
  const counts = new Map();
  return groups.map((group) => {
    const word = group.preset ?? group.topic.split("/").find((level) => /^[A-Za-z0-9]/.test(level)) ?? "readings";
    const plain = word.replaceAll(/[^A-Za-z0-9._-]+/g, "-").slice(0, 48);
    const count = (counts.get(plain) ?? 0) + 1;
    counts.set(plain, count);
    return { name: count === 1 ? plain : `${plain}-${count}`, ...group };
  });
}

/** What has been found on the broker: now, or at an earlier start. */
function foundGroups(mqtt, { look_round_seconds: seconds = 120, budget }) {
  if (!existsSync(found)) {
    say(`no groups are named in the options, so it looks round on the broker for ${seconds} s`);
    const login = mqtt.username === undefined ? [] : ["--username", mqtt.username];
    if (mqtt.passwordFile !== undefined) login.push("--password-file", mqtt.passwordFile);
    if (mqtt.allowInsecure) login.push("--allow-insecure");
    const words = ["init", found, "--yes", "--node", "home", "--broker", mqtt.url, "--seconds", String(seconds), ...login];
    try {
      execFileSync(process.execPath, [join(given.app, "build/src/cli/main.js"), ...words], {
        stdio: ["ignore", "ignore", "inherit"],
      });
    } catch (thrown) {
      const next = "see above; once devices have sent something start the add-on again, or name groups in its options";
      throw new Error(`cannot choose what to read: ${next}`, { cause: thrown });
    }
  } else
    say("it reads what an earlier start has found; remove found.yaml from the add-on's configuration folder to look round again");
  try {
    const { groups } = yaml.parse(readFileSync(found, "utf8"));
    return groups.map((group) => ({ ...group, score: { budget } }));
  } catch (thrown) {
    throw new Error(`cannot read found.yaml: ${thrown.message}; remove it, and the next start looks round again`, {
      cause: thrown,
    });
  }
}

/** The Supervisor's zone of this home, where this Node knows it. */
function timezone() {
  const zone = process.env.TZ;
  try {
    return zone ? { timezone: new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone } : {};
  } catch {
    return {};
  }
}

function configFor(mqtt, options) {
  const { groups = [], budget = "1/week", commands = false, log = "info" } = options;
  const chosen =
    groups.length > 0
      ? named(groups.map((group, index) => groupOf(group, index, budget)))
      : foundGroups(mqtt, { ...options, budget });
  return {
    node: "home",
    state: join(given.data, "state"),
    ...timezone(),
    log,
    mqtt,
    dashboard: { listen: given.listen, trustedProxies: [given.proxy], commands },
    commands: { mqtt: commands },
    homeAssistant: true,
    // So that sensors have their values again as soon as Home Assistant starts.
    groups: chosen.map((group) => ({ ...group, predictions: { latest: true } })),
  };
}

async function prepare() {
  const options = readOptions();
  mkdirSync(join(given.data, "state"), { recursive: true, mode: 0o700 });
  const { mqtt, refused } = await findBroker();
  const broker = mqtt && `the broker is ${mqtt.url}${mqtt.username === undefined ? "" : `, as ${mqtt.username}`}`;
  if (options.config_file) {
    say(mqtt === undefined ? `the Supervisor knows no broker (${refused})` : `${broker}; the password is in ${passwordFile}`);
    return ownFile(options.config_file, "the config");
  }
  if (mqtt === undefined) {
    const next = "install the add-on Mosquitto broker and start it, then this one again";
    throw new Error(`cannot find a broker: the Supervisor says "${refused}"; ${next}`);
  }
  say(broker);
  const path = join(given.data, "config.yaml");
  writePrivately(path, `# Written at each start, from the add-on's options.\n${yaml.stringify(configFor(mqtt, options))}`);
  return path;
}

try {
  process.stdout.write(`${await prepare()}\n`);
} catch (thrown) {
  say(thrown.message);
  process.exitCode = 1;
}
