// From the config's groups to what the pipeline works with: the epoch's settings and the entries that read messages. A group keeps its
// place in the epoch for as long as the state directory lives.
import { HiddenstateError } from "../base/errors.ts";
import type { Disk } from "../base/disk.ts";
import { defaultEngine, openEngine } from "../engine/open-engine.ts";
import { MessageFormats } from "../message/message-formats.ts";
import type { ProtoSchema } from "../message/proto-schema.ts";
import { parseTopicPattern } from "../message/topic-pattern.ts";
import { shortVersion } from "../model/model.ts";
import type { Model } from "../model/model.ts";
import { loadModel } from "../onnx/load-model.ts";
import { SCORE_OUTPUTS } from "../pipeline/group-scores.ts";
import { RateLimit } from "../pipeline/rate-limit.ts";
import type { Entry } from "../pipeline/routes.ts";
import type { EpochSettings, GapPolicy, GroupSettings, MissingPolicy } from "../pipeline/settings.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import { ConfigError } from "./config-fault.ts";
import type { Config, GroupConfig } from "./config-schema.ts";
import type { EngineChoices } from "./engine-choices.ts";
import { messagesOf } from "./group-messages.ts";
import type { GroupMessages } from "./group-messages.ts";
import { loadProtoSchema } from "./proto-schema-file.ts";

/** A group of the config with its model. */
export interface ConfiguredGroup {
  readonly config: GroupConfig;
  readonly model: Model;
  readonly messages: GroupMessages;
  /** Of `codec: proto`. */
  readonly schema: ProtoSchema | undefined;
}

/** Puts a group together with its model. Throws `bad_config` where features, ranges or policies do not fit the model. */
export function configureGroup(
  config: GroupConfig,
  model: Model,
  zone: string,
  path: readonly PropertyKey[],
  schema?: ProtoSchema,
): ConfiguredGroup {
  const fail = (key: string, reason: string, name?: string): never => {
    const message = `cannot use group "${config.name}": ${reason}`;
    throw new ConfigError("bad_config", { path: [...path, key], message, ...(name === undefined ? {} : { key: name }) });
  };
  const messages = messagesOf(config, model, zone, path);
  const { features } = messages;
  for (const key of ["range", "missing", "stepOn"] as const) {
    const byFeature = config[key] ?? "";
    const named = Array.isArray(byFeature) ? byFeature : Object.keys(byFeature);
    const unknown = typeof byFeature === "string" ? undefined : named.find((name) => !features.includes(name));
    if (unknown !== undefined) fail(key, `"${unknown}" is none of its features ${features.join(", ")}`, unknown);
  }
  const reserved = config.score && SCORE_OUTPUTS.find((name) => model.spec.outputs.some((output) => output.name === name));
  if (reserved !== undefined) {
    fail("score", `its model has an output "${reserved}" of its own; leave the score out, or export the model with another name`);
  }
  return { config, model, messages, schema };
}

/** What a place in the config names; its errors are that place's. */
async function namedBy<T>(path: readonly PropertyKey[], load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (thrown) {
    if (!(thrown instanceof HiddenstateError)) throw thrown;
    throw new ConfigError(thrown.code, { path, message: thrown.message }, thrown);
  }
}

/** Throws `bad_model`, or `bad_config` where features, ranges or policies do not fit the model; both as `ConfigError`. */
export async function loadGroups(config: Config, disk: Disk): Promise<ConfiguredGroup[]> {
  const groups: ConfiguredGroup[] = [];
  for (const [index, group] of config.groups.entries()) {
    const path = ["groups", index];
    const model = await namedBy([...path, "model"], () => loadModel(disk, group.model));
    const { schema: file } = group;
    const schema = file === undefined ? undefined : await namedBy([...path, "schema"], () => loadProtoSchema(disk, file));
    groups.push(configureGroup(group, model, config.timezone, path, schema));
  }
  return groups;
}

function gapOf({ gap }: GroupConfig): GapPolicy {
  return typeof gap === "string" ? { policy: gap } : { policy: "decay", tauMs: gap.decay };
}

function missingOf({ missing }: GroupConfig, features: readonly string[]): MissingPolicy[] {
  return features.map((name) => (typeof missing === "string" ? missing : (missing[name] ?? "hold")));
}

async function openKernel(model: Model, engine: "native" | "onnx", kernel: GroupConfig["kernel"]): Promise<string> {
  const opened = await openEngine(model, kernel === undefined ? { engine } : { engine, kernel });
  await opened.close();
  return opened.kernel;
}

/** What a group is stepped by from now on. */
async function engineOf(
  { config, model }: ConfiguredGroup,
  present: StreamGroup | undefined,
  choices: EngineChoices,
): Promise<Pick<GroupSettings, "engine" | "kernel">> {
  const engine = config.engine === "auto" ? (choices.get(model.version)?.engine ?? defaultEngine(model)) : config.engine;
  // Of onnxruntime this process has one version; a native kernel is chosen anew, for the journal may come from another box.
  if (engine === "onnx" && present?.engine.name === engine) return { engine, kernel: present.engine.kernel };
  try {
    return { engine, kernel: await openKernel(model, engine, config.kernel) };
  } catch (thrown) {
    // What was measured may have been uninstalled since.
    if (config.engine !== "auto" || defaultEngine(model) === engine) throw thrown;
    return { engine: "native", kernel: await openKernel(model, "native", config.kernel) };
  }
}

async function settingsOf(
  group: ConfiguredGroup,
  present: StreamGroup | undefined,
  choices: EngineChoices,
): Promise<GroupSettings> {
  const { config, model, messages } = group;
  const holdMs = config.holdFor ?? messages.holdMs;
  return {
    name: config.name,
    version: model.version,
    ...(await engineOf(group, present, choices)),
    gap: gapOf(config),
    missing: missingOf(config, messages.features),
    holdReadingsMax: config.holdReadings,
    ...(holdMs === undefined ? {} : { holdMs }),
    ...(config.score && { score: { falseAlarmsPerWeek: config.score.budget } }),
    predictions: config.predictions,
  };
}

/**
 * The settings from now on. Groups that the config no longer names keep their place and their streams. Throws `foreign_state` where a
 * group's states are of another model.
 */
export async function planEpoch(
  node: string,
  groups: readonly ConfiguredGroup[],
  present: readonly StreamGroup[],
  choices: EngineChoices,
): Promise<EpochSettings> {
  const settings = present.map((group) => group.settings);
  for (const group of groups) {
    const known = settings.findIndex(({ name }) => name === group.config.name);
    const old = settings[known];
    if (old !== undefined && old.version !== group.model.version) {
      throw new HiddenstateError(
        "foreign_state",
        `cannot use this state directory for group "${old.name}": its states were written by model ${shortVersion(old.version)}, the config ` +
          `names model ${shortVersion(group.model.version)}; put the old model back, or give the new one another state directory`,
      );
    }
    const planned = await settingsOf(group, present[known], choices);
    if (known < 0) settings.push(planned);
    else settings[known] = planned;
  }
  return { format: 1, node, groups: settings };
}

/** How each configured group's messages are read. */
export function entriesOf(groups: readonly ConfiguredGroup[], settings: EpochSettings): Entry[] {
  return groups.flatMap(({ config, schema, messages: { features, topics, columns } }) => {
    const common = {
      group: settings.groups.findIndex(({ name }) => name === config.name),
      features,
      min: Float64Array.from(features, (name) => config.range[name]?.[0] ?? -Infinity),
      max: Float64Array.from(features, (name) => config.range[name]?.[1] ?? Infinity),
      reorder: config.reorder && { readings: config.reorder.readings, withinMs: config.reorder.within },
      rate: config.rate && new RateLimit(config.rate),
      stepOn: config.stepOn && features.map((name) => config.stepOn!.includes(name)),
    };
    const formats = new MessageFormats(columns, schema);
    return topics.map(({ pattern, rules, format, mapping }): Entry => {
      return {
        ...common,
        pattern: parseTopicPattern(pattern, settings.node, rules),
        codec: formats.createDecoder(format, mapping),
      };
    });
  });
}
