// From the config's groups to what the pipeline works with: their models, and the entries that read their messages.
import { HiddenstateError } from "../base/errors.ts";
import type { Disk } from "../base/disk.ts";
import { MessageFormats } from "../message/message-formats.ts";
import type { ProtoSchema } from "../message/proto-schema.ts";
import { parseTopicPattern } from "../message/topic-pattern.ts";
import type { Model } from "../model/model.ts";
import { rolledModel, rollProblem } from "../model/rolled-model.ts";
import { loadModel } from "../onnx/load-model.ts";
import { SCORE_OUTPUTS } from "../pipeline/group-scores.ts";
import { RateLimit } from "../pipeline/rate-limit.ts";
import type { Entry } from "../pipeline/routes.ts";
import type { EpochSettings } from "../pipeline/settings.ts";
import { ConfigError } from "./config-fault.ts";
import type { Config, GroupConfig } from "./config-schema.ts";
import { messagesOf } from "./group-messages.ts";
import type { GroupMessages } from "./group-messages.ts";
import { ownModel } from "./own-model.ts";
import { loadProtoSchema } from "./proto-schema-file.ts";

/** A group of the config with its model. */
export interface ConfiguredGroup {
  readonly config: GroupConfig;
  readonly model: Model;
  readonly messages: GroupMessages;
  /** Of `codec: proto`. */
  readonly schema: ProtoSchema | undefined;
}

/** Puts a group together with its model, which is rolled forward where the group says how far. Throws `bad_config` where features, ranges or policies do not fit the model. */
export function configureGroup(
  config: GroupConfig,
  file: Model,
  zone: string,
  path: readonly PropertyKey[],
  schema?: ProtoSchema,
): ConfiguredGroup {
  const fail = (key: string, reason: string, name?: string): never => {
    const message = `cannot use group "${config.name}": ${reason}`;
    throw new ConfigError("bad_config", { path: [...path, key], message, ...(name === undefined ? {} : { key: name }) });
  };
  // Without a model file they are what its streams learn.
  const horizons = config.model === undefined ? undefined : config.horizons;
  const problem = horizons && rollProblem(file.spec, horizons);
  if (problem !== undefined) fail("horizons", problem);
  const model = rolledModel(file, horizons);
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
    const { model: modelFile, schema: file } = group;
    const model = await (modelFile === undefined
      ? namedBy([...path, "features"], () => ownModel(group))
      : namedBy([...path, "model"], () => loadModel(disk, modelFile)));
    const schema = file === undefined ? undefined : await namedBy([...path, "schema"], () => loadProtoSchema(disk, file));
    groups.push(configureGroup(group, model, config.timezone, path, schema));
  }
  return groups;
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
