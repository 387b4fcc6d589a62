// The dialogue of `hiddenstate init`: which broker, which readings, a model or none; each answer from an option, from whoever sits at the
// terminal, or as it usually is. A password is never asked for: only where it is.
import { access } from "node:fs/promises";
import { hostname } from "node:os";
import { relative, resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import { createSystemRandom } from "../base/random.ts";
import { presetNames } from "../message/presets.ts";
import type { Model } from "../model/model.ts";
import { parseBrokerUrl } from "../mqtt/broker-address.ts";
import { loadModel } from "../onnx/load-model.ts";
import type { Config } from "../runtime/config-schema.ts";
import { readCredentials } from "../runtime/credentials.ts";
import { surveyBroker } from "./broker-survey.ts";
import { answeredSources, namedSources } from "./choose-readings.ts";
import type { NamedReadings } from "./choose-readings.ts";
import { groupNames } from "./config-text.ts";
import type { ConfigAnswers, NamedGroup } from "./config-text.ts";
import { brokerSettings, connectionConfig } from "./connection-config.ts";
import type { BrokerOptions } from "./connection-config.ts";
import { words } from "./option-values.ts";
import type { Questions } from "./questions.ts";
import { describeSource } from "./reading-source.ts";
import type { ReadingSource } from "./reading-source.ts";

export interface InitOptions extends NamedReadings, BrokerOptions {
  readonly broker?: string;
  readonly model?: string;
  readonly learn?: true;
  readonly node?: string;
  readonly seconds: number;
  readonly yes?: true;
  readonly json?: true;
}

export const BROKER = "mqtt://127.0.0.1:1883";
const ALL = "all";
const LEARN = "learn";

/** The config's connection, and the same as it would be written. */
interface Connection {
  readonly config: Config;
  readonly mqtt: ConfigAnswers["mqtt"];
}

export function refuse(reason: string): never {
  throw new HiddenstateError("bad_argument", `cannot write a config: ${reason}`);
}

/** As the config has it, which counts from its own folder. */
function fromFolder(folder: string, path: string): string {
  const short = relative(folder, resolve(path));
  return short.startsWith("..") ? resolve(path) : `./${short}`;
}

function connectionOf(url: string, options: InitOptions, node: string, folder: string): Connection {
  const { passwordFile, ca } = options;
  const state = resolve(folder, "state");
  const mqtt = brokerSettings(url, options);
  const config = connectionConfig("use", { node, state, log: "silent", mqtt });
  const { display, username, password } = parseBrokerUrl(url);
  if (password !== undefined)
    refuse("the URL holds a password; put it into a file that only you can read, and name that by --password-file");
  const written = {
    ...mqtt,
    url: display,
    username: options.username ?? username,
    passwordFile: passwordFile && fromFolder(folder, passwordFile),
    tls: ca === undefined ? undefined : { ca: fromFolder(folder, ca) },
  };
  return { config, mqtt: written };
}

function isPlainElsewhere(url: string): boolean {
  try {
    const { secure, isLoopback } = parseBrokerUrl(url);
    return !secure && !isLoopback;
  } catch {
    return false;
  }
}

export class Initiation {
  readonly #options: InitOptions;
  readonly #questions: Questions | undefined;
  readonly #folder: string;
  readonly #node: string;

  constructor(options: InitOptions, questions: Questions | undefined, folder: string) {
    this.#options = options;
    this.#questions = questions;
    this.#folder = folder;
    this.#node =
      options.node ??
      (hostname()
        .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
        .slice(0, 64) ||
        "box");
  }

  async answers(): Promise<ConfigAnswers> {
    const connection = await this.#connection();
    const { seen, mqtt } = await this.#look(connection);
    const chosen = await this.#readings(seen);
    return { node: this.#node, mqtt, groups: await this.#groups(chosen) };
  }

  #connection(): Promise<Connection> | Connection {
    const { broker } = this.#options;
    const take = async (url: string): Promise<Connection> => {
      const isToAsk = this.#options.allowInsecure === undefined && isPlainElsewhere(url);
      const taken =
        isToAsk && (await this.#questions?.confirm("Plain MQTT to another machine can be read and changed on the way. Go on?"));
      return connectionOf(
        url,
        taken === true ? { ...this.#options, allowInsecure: true } : this.#options,
        this.#node,
        this.#folder,
      );
    };
    return broker === undefined ? (this.#questions?.ask("Which broker?", BROKER, take) ?? take(BROKER)) : take(broker);
  }

  /** What is on the broker. Where it cannot be asked the config is written all the same. */
  async #look({ config, mqtt }: Connection): Promise<{ seen: readonly ReadingSource[]; mqtt: ConfigAnswers["mqtt"] }> {
    const { seconds } = this.#options;
    await readCredentials(config, systemDisk, process.env);
    if (seconds === 0) return { seen: [], mqtt };
    this.#say(`looking round on ${mqtt.url} for ${seconds} s ...`);
    try {
      const around = { disk: systemDisk, clock: systemClock, random: createSystemRandom() };
      return { seen: await surveyBroker(config, seconds * 1000, around), mqtt };
    } catch (thrown) {
      if (!(thrown instanceof HiddenstateError)) throw thrown;
      this.#say(`note: nothing could be seen on ${mqtt.url}: ${thrown.message}`);
      const isStranger = thrown.code === "broker_refused" && mqtt.username === undefined;
      const known = isStranger ? await this.#askWhoWeAre() : undefined;
      if (known === undefined) return { seen: [], mqtt };
      const options = { ...this.#options, ...known, ...(mqtt.allowInsecure && { allowInsecure: mqtt.allowInsecure }) };
      return this.#look(connectionOf(mqtt.url, options, this.#node, this.#folder));
    }
  }

  async #askWhoWeAre(): Promise<Pick<InitOptions, "username" | "passwordFile"> | undefined> {
    const username = await this.#questions?.ask("A user name for it, or nothing to go on without", "", (answer) => answer);
    if (username === undefined || username === "") return undefined;
    const passwordFile = await this.#questions!.ask(
      "A file whose first line is the password",
      "./broker-password",
      async (path) => {
        await access(path).catch(() => refuse(`there is no file ${path}`));
        return path;
      },
    );
    return { username, passwordFile };
  }

  async #readings(seen: readonly ReadingSource[]): Promise<readonly ReadingSource[]> {
    const named = namedSources(this.#options, seen);
    if (named !== undefined) return named;
    if (seen.length > 0) this.#say("what measures something there:");
    for (const [index, source] of seen.entries()) this.#say(`${String(index + 1).padStart(3)}  ${describeSource(source)}`);
    if (this.#questions !== undefined) {
      const what = `Which readings? ${seen.length > 0 ? "Numbers of the list, all, a" : "A"} preset (${presetNames.join(", ")}), or a topic such as plant/{device}/readings`;
      return this.#questions.ask(what, seen.length > 0 ? ALL : "", (answer) => answeredSources(answer, seen));
    }
    if (seen.length === 0) refuse("nothing has been seen that measures something; name it by --preset or --topic");
    return answeredSources(ALL, seen);
  }

  async #groups(chosen: readonly ReadingSource[]): Promise<NamedGroup[]> {
    const take = async (answer: string): Promise<readonly NamedGroup[]> => {
      if (answer === LEARN) return Promise.all(chosen.map((source) => this.#learned(source)));
      return this.#stepped(chosen, await loadModel(systemDisk, resolve(answer)), fromFolder(this.#folder, answer));
    };
    const given = this.#options.model ?? (this.#options.learn === true ? LEARN : undefined);
    const question = `A model file, or ${LEARN}: should each stream learn by itself?`;
    const groups = await (given === undefined ? (this.#questions?.ask(question, LEARN, take) ?? take(LEARN)) : take(given));
    const names = groupNames(groups);
    return groups.map((group, index) => ({ ...group, name: names[index]! }));
  }

  async #learned(source: ReadingSource): Promise<NamedGroup> {
    const group = { ...source, name: "", model: undefined, paths: undefined };
    if (source.fields.length > 0) return group;
    if (this.#questions === undefined)
      refuse("none of these topics has been seen; say by --features which values of a message are measured");
    const fields = await this.#questions.ask("Which values of a message? Their names, with commas between", "", (answer) => {
      if (answer === "") refuse("at least one value is needed");
      return words(answer).map((path) => ({ path, isCounter: false }));
    });
    return { ...group, fields };
  }

  /** Of the readings those that carry the model's features. */
  #stepped(chosen: readonly ReadingSource[], { spec }: Model, model: string): NamedGroup[] {
    const wanted = spec.features.map(({ name }) => name);
    const { features } = this.#options;
    if (features !== undefined && features.length !== wanted.length)
      refuse(`--features names ${features.length}, the model takes ${wanted.length}: ${wanted.join(", ")}`);
    const paths = features?.map((path, index) => [wanted[index]!, path] as const);
    const isFit = ({ devices, fields }: ReadingSource): boolean =>
      devices === 0 || wanted.every((name) => fields.some(({ path }) => path === name));
    const fit = chosen.filter((source) => paths !== undefined || isFit(source));
    if (fit.length === 0) {
      refuse(
        `none of these readings has what ${model} takes: ${wanted.join(", ")}; say by --features where each stands in a message`,
      );
    }
    return fit.map((source) => ({ ...source, name: "", model, paths }));
  }

  #say(text: string): void {
    process.stderr.write(`${text}\n`);
  }
}
