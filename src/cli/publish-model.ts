// `hiddenstate publish-model`: signs a model and sends it to a box over MQTT, and says what the box makes of it.
import { Command, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { createSystemRandom } from "../base/random.ts";
import { checkNodeName } from "../message/topics.ts";
import { encodeManifest, hashOf, manifestOf, signManifest } from "../message/update-manifest.ts";
import type { Model } from "../model/model.ts";
import { shortVersion } from "../model/model.ts";
import { switchProblem } from "../model/switch-problem.ts";
import { loadModel } from "../onnx/load-model.ts";
import type { Config } from "../runtime/config-schema.ts";
import { ownModel } from "../runtime/own-model.ts";
import { reportText } from "../runtime/update-reports.ts";
import { addBrokerOptions, brokerSettings, connectionConfig } from "./connection-config.ts";
import type { BrokerOptions } from "./connection-config.ts";
import { print } from "./control-command.ts";
import { readPrivateKey } from "./keys.ts";
import { ModelPublisher } from "./model-publisher.ts";
import { duration, numberIn } from "./option-values.ts";
import { verifyModel } from "./verify.ts";
import { withConfig } from "./with-config.ts";

interface PublishOptions extends BrokerOptions {
  readonly node?: string;
  readonly group: string;
  readonly key?: string;
  readonly counter?: number;
  readonly expires: number;
  readonly wait: number;
  readonly unverified?: true;
  readonly remove?: true;
  readonly json?: true;
}

function missing(what: string, why: string): HiddenstateError {
  return new HiddenstateError("bad_argument", `cannot publish a model: ${what} is missing; ${why}`);
}

/** Whom a model is for, and the connection there. */
interface Destination {
  readonly config: Config;
  readonly node: string;
  /** Whether `config` is a box's own, whose groups say what fits. */
  readonly isOwn: boolean;
}

async function destinationOf(target: string, options: PublishOptions): Promise<Destination> {
  const { node, username } = options;
  if (/^[a-z]+:\/\//.test(target)) {
    if (node === undefined) throw missing("--node", "name the box that it is for, or its config in place of the broker");
    const mqtt = brokerSettings(target, options);
    return { config: connectionConfig("publish to", { node, state: ".", mqtt }), node: checkNodeName(node), isOwn: false };
  }
  return withConfig(target, {}, async (config) => {
    // Who may publish models is seldom the runtime itself.
    const { passwordFile, passwordEnv } = brokerSettings(config.mqtt.url, options);
    const as = username === undefined ? {} : { username, passwordFile, passwordEnv };
    return { config: { ...config, mqtt: { ...config.mqtt, ...as } }, node: checkNodeName(node ?? config.node), isOwn: true };
  });
}

/** Throws `bad_argument` where the config has no such group, and `bad_model` where the model does not fit the one that it names. */
async function expectFits(path: string, { spec }: Model, { config, isOwn }: Destination, name: string): Promise<void> {
  if (!isOwn) return;
  const group = config.groups.find((one) => one.name === name);
  if (group === undefined) {
    const names = config.groups.map((one) => one.name).join(", ");
    throw new HiddenstateError("bad_argument", `cannot publish a model: there is no group "${name}", only ${names}`);
  }
  const present = await (group.model === undefined ? ownModel(group) : loadModel(systemDisk, group.model));
  const problem = switchProblem(present.spec, spec, group.switch === "carry");
  if (problem !== undefined) throw new HiddenstateError("bad_model", `cannot publish ${path} for group "${name}": ${problem}`);
}

async function expectVerified(path: string): Promise<void> {
  const isSame = await verifyModel(path, { json: false, disk: systemDisk, write: () => {} }).catch((thrown: unknown) => {
    if (!(thrown instanceof HiddenstateError && thrown.code === "missing_package")) throw thrown;
    throw new HiddenstateError("missing_package", `${thrown.message}, or say --unverified`, thrown);
  });
  if (isSame) return;
  throw new HiddenstateError(
    "bad_model",
    `cannot publish ${path}: the engines are apart on it; see it with: hiddenstate verify ${path}`,
  );
}

/** The signed manifest, once the model has been looked at here. */
async function prepare(
  path: string | undefined,
  to: Destination,
  options: PublishOptions,
): Promise<{ readonly model: Model; readonly manifest: Uint8Array }> {
  const { key, counter, group, expires } = options;
  if (path === undefined) throw missing("the model", "name its file, or --remove to take one back");
  if (key === undefined) throw missing("--key", "name the file of the private key; make one with: hiddenstate keys new");
  if (counter === undefined) throw missing("--counter", "it must be above that of every update of the group before");
  const signer = await readPrivateKey(key);
  const model = await loadModel(systemDisk, path);
  await expectFits(path, model, to, group);
  if (options.unverified !== true) await expectVerified(path);
  const until = { node: to.node, group, counter, expires: systemClock.wallMs() + expires };
  const manifest = signManifest(encodeManifest(manifestOf(model, until)), signer);
  if (manifest.length <= limits.updateManifestBytesMax) return { model, manifest };
  throw new HiddenstateError("bad_model", `cannot publish ${path}: its manifest has over ${limits.updateManifestBytesMax} bytes`);
}

async function publish(target: string, path: string | undefined, options: PublishOptions): Promise<void> {
  const { group, json, wait } = options;
  const to = await destinationOf(target, options);
  const { node } = to;
  const prepared = options.remove === true ? undefined : await prepare(path, to, options);
  const tell = (text: string): void => void (json === true || print(text));
  const publisher = await ModelPublisher.open({
    ...to,
    group,
    disk: systemDisk,
    clock: systemClock,
    random: createSystemRandom(),
  });
  try {
    if (prepared === undefined) {
      const chunks = await publisher.remove();
      print(
        json === true
          ? { node, group, removed: chunks }
          : `the update of group "${group}" of ${node} is taken back: ${chunks} chunks`,
      );
      return;
    }
    const { model, manifest } = prepared;
    await publisher.publish(model, manifest, (count, of) => tell(`sent ${count} of ${of} chunks`));
    tell(`model ${shortVersion(model.version)} is published for group "${group}" of ${node}`);
    if (wait === 0) return;
    const report = await publisher.outcome(hashOf(manifest), wait, (heard) => tell(`${node}: ${reportText(heard)}`));
    if (report === undefined) {
      const advice = "the broker keeps it for when the box comes, and --remove takes it back";
      throw new HiddenstateError(
        "unavailable",
        `cannot tell what ${node} makes of it: nothing final was heard in time; ${advice}`,
      );
    }
    if (json === true) print(report);
    if (report.outcome === "in force") return;
    throw new HiddenstateError(
      "bad_model",
      `cannot put the model in force: ${node} refuses it: ${report.why} (${report.reason})`,
    );
  } finally {
    await publisher.close();
  }
}

function lasting(flags: string, description: string, usual: string): Option {
  return new Option(flags, description).argParser(duration).default(duration(usual), usual);
}

export function publishModelCommand(): Command {
  const command = new Command("publish-model")
    .description("sign a model, send it to a box over MQTT, and say what the box makes of it")
    .argument("<target>", "the box's config, or its broker: mqtt://host or mqtts://host")
    .argument("[model]", "a model file (.onnx)")
    .requiredOption("-g, --group <name>", "the group that it is to step")
    .option("--node <name>", "the box; as the config says where one is given")
    .option("--key <file>", "the private key to sign with")
    .option("--counter <number>", "above that of every update of the group before", numberIn(1, Number.MAX_SAFE_INTEGER, true))
    .addOption(lasting("--expires <duration>", "how long the box may take it", "7d"))
    .addOption(lasting("--wait <duration>", "how long to wait for what the box says; 0s does not", "10m"))
    .option("--unverified", "without holding the native engine against onnxruntime on it first")
    .option("--remove", "take back what is published: the box keeps the model that it has");
  return addBrokerOptions(command).option("--json", "print JSON").action(publish);
}
