// What would happen by a config, found out without connecting to the broker and without changing anything: models are loaded, secrets
// looked for, and the state directory is held against the models.
import { systemClock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { Metrics } from "../base/metrics.ts";
import { createSystemRandom } from "../base/random.ts";
import { predictionTopic } from "../message/topics.ts";
import { forecastOutputs } from "../model/forecast-outputs.ts";
import { shortVersion } from "../model/model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { parseBrokerUrl } from "../mqtt/broker-address.ts";
import { sameHorizons } from "../pipeline/settings.ts";
import type { EpochSettings } from "../pipeline/settings.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import type { Config } from "./config-schema.ts";
import { ControlClient, ControlSocket } from "./control-socket.ts";
import { readCredentials, readDashboardSecrets } from "./credentials.ts";
import { EngineChoices } from "./engine-choices.ts";
import { entriesOf, loadGroups } from "./groups.ts";
import type { ConfiguredGroup } from "./groups.ts";
import { ModelShelf } from "./model-shelf.ts";
import { planEpoch } from "./plan-epoch.ts";
import { describeHorizons } from "./start-switches.ts";
import { StateDirectory } from "./state-directory.ts";
import type { Status } from "./status.ts";

export interface CheckedGroup {
  readonly name: string;
  /** What is subscribed to for its readings. */
  readonly filters: readonly string[];
  readonly formats: readonly string[];
  /** The payload's names of the model's features. */
  readonly features: readonly string[];
  readonly model: {
    readonly name: string;
    readonly version: string;
    readonly layers: string;
    readonly outputs: readonly string[];
  };
  readonly engine: string;
  readonly kernel: string;
  readonly scored: boolean;
  readonly predictions: string;
}

export interface ConfigCheck {
  readonly node: string;
  readonly broker: string;
  readonly groups: readonly CheckedGroup[];
  /** `new`: there is none yet. `present`: it fits, and its streams go on. `running`: a runtime is working on it. */
  readonly state: { readonly directory: string; readonly standing: "new" | "present" | "running"; readonly streams: number };
  readonly dashboard: string | undefined;
  /** Nothing is wrong, and yet it should be known. */
  readonly notes: readonly string[];
}

function outputsOf(spec: ModelSpec): string[] {
  if (spec.task === "classify") return spec.outputs.map(({ name }) => name);
  return forecastOutputs(spec).map(({ name, horizon }) => `${name} (${horizon} ahead)`);
}

interface Standing {
  readonly standing: ConfigCheck["state"]["standing"];
  readonly streams: number;
  readonly settings: EpochSettings;
  readonly notes: readonly string[];
}

async function askRunning(client: ControlClient): Promise<Status> {
  try {
    return (await client.request("status", {})) as Status;
  } finally {
    client.close();
  }
}

function notesOfRunning(status: Status, groups: readonly ConfiguredGroup[]): string[] {
  const other = groups.filter(({ config, model: { version } }) =>
    status.groups.some((group) => group.name === config.name && group.configured !== version && group.version !== version),
  );
  return [
    "a runtime is working on the state directory; what has changed in the config holds from its next start on",
    ...other.map(({ config }) => `group ${config.name}: the config names another model than it did; a start would switch to it`),
  ];
}

/** The groups whose model or horizons a start would change. */
function notesOfSwitches(present: readonly StreamGroup[], planned: EpochSettings): string[] {
  return present.flatMap(({ settings }, index) => {
    const { name, version, horizons } = settings;
    const group = planned.groups[index]!;
    const notes: string[] = [];
    if (group.version !== version) {
      const change = `from model ${shortVersion(version)} to ${shortVersion(group.version)}`;
      notes.push(`group ${name}: a start would switch it ${change}, with the states by "switch: ${group.switch}"`);
    }
    if (!sameHorizons(group, settings)) {
      const change = `${describeHorizons(group.horizons)} in place of ${describeHorizons(horizons)}`;
      notes.push(`group ${name}: a start would have it forecast ${change}; its streams go on`);
    }
    return notes;
  });
}

/** Where the state stands. Throws `foreign_state` where a model does not fit a group's streams. */
async function standingOf(config: Config, groups: readonly ConfiguredGroup[], disk: Disk): Promise<Standing> {
  const choices = await EngineChoices.load(disk, config.state);
  const offered = new ModelShelf(disk, `${config.state}/models`);
  for (const { model } of groups) offered.offer(model);
  const plan = { node: config.node, groups, present: [], choices, models: offered, nowMs: systemClock.wallMs() };
  const client = await ControlClient.connect(config.state);
  if (client !== undefined) {
    const status = await askRunning(client);
    const settings = await planEpoch(plan);
    return { standing: "running", streams: status.streams, settings, notes: notesOfRunning(status, groups) };
  }
  if ((await disk.list(`${config.state}/journal`)).length === 0) {
    return { standing: "new", streams: 0, settings: await planEpoch(plan), notes: [] };
  }
  // Nobody may start on it meanwhile.
  const socket = await ControlSocket.open(config.state, () => Promise.reject(new Error("the config is being checked")));
  try {
    const [clock, random, metrics] = [systemClock, createSystemRandom(), new Metrics()];
    const models = groups.map(({ model }) => model);
    const { state } = await StateDirectory.recover({ disk, directory: config.state, clock, random, metrics }, models, "stop");
    try {
      const present = state.fold.groups;
      const settings = await planEpoch({ ...plan, present, models: state.models });
      return { standing: "present", streams: state.fold.streamCount, settings, notes: notesOfSwitches(present, settings) };
    } finally {
      await state.close();
    }
  } finally {
    await socket.close();
  }
}

function notesOf({ mqtt, durability, commands, dashboard, updates }: Config): string[] {
  const notes: string[] = [];
  if (mqtt.allowInsecure) notes.push("mqtt.allowInsecure: readings and the password can be read and changed on their way");
  if ((mqtt.username ?? parseBrokerUrl(mqtt.url).username) === undefined && mqtt.tls?.cert === undefined)
    notes.push("no user name and no certificate: only a broker that lets everybody in will take us");
  if (durability.mode === "volatile") notes.push("durability.mode volatile: what was acknowledged can be lost in a crash");
  if (commands.mqtt)
    notes.push("commands.mqtt: whoever may publish on the command topics can set states, mute alarms and set their budgets");
  if (updates !== undefined)
    notes.push(`updates: a model signed by ${Object.keys(updates.keys).join(" or ")} that fits comes into force by itself`);
  if (dashboard?.commands === true && dashboard.tokenFile === undefined && dashboard.tokenEnv === undefined)
    notes.push("dashboard.commands without a token: every user of this machine can reset states");
  return notes;
}

/**
 * Throws what a start would: `bad_config`, `bad_model`, `foreign_state`, `state_damaged`; faults of the config as `ConfigError`. With no
 * broker asked, whether it lets us in is not known.
 */
export async function checkConfig(config: Config, disk: Disk, environment: NodeJS.ProcessEnv): Promise<ConfigCheck> {
  const groups = await loadGroups(config, disk);
  await readCredentials(config, disk, environment);
  if (config.dashboard !== undefined) await readDashboardSecrets(config.dashboard, disk, environment);
  const { standing, streams, settings, notes } = await standingOf(config, groups, disk);
  const entries = entriesOf(groups, settings);
  return {
    node: config.node,
    broker: parseBrokerUrl(config.mqtt.url).display,
    groups: groups.map(({ config: { name, predictions }, model, messages: { features, topics } }): CheckedGroup => {
      const place = settings.groups.findIndex((group) => group.name === name);
      const { engine, kernel, score } = settings.groups[place]!;
      const layers = model.spec.layers.map(({ cell, hidden }) => `${cell} ${hidden}`).join(", ");
      return {
        name,
        filters: entries.filter(({ group }) => group === place).map(({ pattern }) => pattern.filter),
        formats: [...new Set(topics.map(({ format }) => format))],
        features,
        model: { name: model.spec.name, version: shortVersion(model.version), layers, outputs: outputsOf(model.spec) },
        engine,
        kernel,
        scored: score !== undefined,
        predictions: `${predictionTopic(config.node, "STREAM").replace("STREAM", "<stream>")} in ${predictions.format}`,
      };
    }),
    state: { directory: config.state, standing, streams },
    dashboard: config.dashboard?.listen,
    notes: [...notesOf(config), ...notes],
  };
}
