// From a group of the config to how its messages are read: topics, formats and mappings, out of what the group says itself and what its
// preset knows.
import { HiddenstateError } from "../base/errors.ts";
import { parseFieldPath } from "../message/field-path.ts";
import type { FieldPath } from "../message/field-path.ts";
import type { FieldMapping, FieldSource } from "../message/field-mapping.ts";
import { fieldFormats, sampleFormats } from "../message/message-formats.ts";
import type { FormatName } from "../message/message-formats.ts";
import { presets } from "../message/presets.ts";
import type { PresetTopic } from "../message/presets.ts";
import { createTimeZone } from "../message/time-zone.ts";
import type { TimeZone } from "../message/time-zone.ts";
import { filterOf, filtersOverlap } from "../message/topic-pattern.ts";
import type { TopicRules } from "../message/topic-pattern.ts";
import { convertUnit } from "../message/units.ts";
import type { Model } from "../model/model.ts";
import { ConfigError } from "./config-fault.ts";
import type { GroupConfig } from "./config-schema.ts";

/** One topic pattern of a group, and how the messages on it are read. */
export interface GroupTopic {
  readonly pattern: string;
  readonly rules: TopicRules;
  readonly format: FormatName;
  /** Undefined: by our own JSON or protobuf. */
  readonly mapping: FieldMapping | undefined;
}

export interface GroupMessages {
  /** The names of the model's features that the rest of the config uses, in the model's order. */
  readonly features: readonly string[];
  readonly topics: readonly GroupTopic[];
  /** Of CSV. */
  readonly columns: readonly string[];
  /** How long a value is held where messages carry only some of the features; undefined where they carry all. */
  readonly holdMs: number | undefined;
}

type FieldConfig = Exclude<Extract<GroupConfig["features"], Record<string, unknown>>[string], string>;
type Fail = (keys: readonly PropertyKey[], reason: string, name?: string) => never;

const WHOLE = parseFieldPath("$");
const OWN_TIME = parseFieldPath("$.time");

/** The group's topics as the config or its preset has them. */
export function topicsOf({ topic, preset, codec }: Pick<GroupConfig, "topic" | "preset" | "codec">): readonly PresetTopic[] {
  const own = typeof topic === "string" ? [topic] : (topic ?? []);
  if (preset === undefined) return own.map((pattern) => ({ pattern, rules: {}, format: codec! }));
  const { topics } = presets[preset];
  if (topic === undefined) return topics;
  // A topic of the user's own is read as the one of the preset's that it is a case of.
  return own.map((pattern) => {
    const levels = filterOf(pattern).split("/");
    const like = topics.find((known) => filtersOverlap(levels, filterOf(known.pattern).split("/"))) ?? topics[0]!;
    return { ...like, pattern };
  });
}

function pathOf(text: string, keys: readonly PropertyKey[], fail: Fail): FieldPath {
  try {
    return parseFieldPath(text);
  } catch (thrown) {
    if (!(thrown instanceof HiddenstateError)) throw thrown;
    return fail(keys, thrown.message);
  }
}

/** The names of the model's features that the config uses. */
function featuresOf({ features }: GroupConfig, model: Model, fail: Fail): readonly string[] {
  const own = model.spec.features.map((feature) => feature.name);
  if (features === undefined) return own;
  if (Array.isArray(features)) {
    if (features.length === own.length) return features;
    return fail(["features"], `it names ${features.length} features, its model takes ${own.length}: ${own.join(", ")}`);
  }
  const unknown = Object.keys(features).find((name) => !own.includes(name));
  if (unknown !== undefined) {
    fail(["features"], `"${unknown}" is none of the features of its model: ${own.join(", ")}`, unknown);
  }
  return own;
}

const PLAIN_FIELD: FieldConfig = { scale: 1, offset: 0, values: {}, missing: [], rate: false };

function sourceOf(name: string, group: GroupConfig, model: Model, index: number, fail: Fail): FieldSource {
  const { features } = group;
  const given = features === undefined || Array.isArray(features) ? undefined : features[name];
  const field: FieldConfig = typeof given === "string" ? { ...PLAIN_FIELD, path: given } : (given ?? PLAIN_FIELD);
  const keys = ["features", name, ...(typeof given === "string" ? [] : ["path"])];
  const wanted = model.spec.features[index]!.unit || undefined;
  const { unit, rate } = field;
  if (unit !== undefined && rate)
    fail(["features", name, "unit"], "a rate has another unit than its counter; give the scale instead");
  const conversion = unit === undefined || wanted === undefined ? undefined : convertUnit(unit, wanted);
  if (conversion === "different" || conversion === "unknown") {
    fail(
      ["features", name, "unit"],
      `the model takes "${name}" in ${wanted}, and no way from ${unit} to that is known; give the scale`,
    );
  }
  return {
    name,
    path: pathOf(field.path ?? name, keys, fail),
    scale: field.scale,
    offset: field.offset,
    unit: field.rate ? wanted : unit,
    wanted,
    words: new Map(Object.entries(field.values)),
    marks: new Set(field.missing),
    rate,
  };
}

function timeOf({ time }: GroupConfig, topic: PresetTopic, isOpen: boolean, fail: Fail): FieldMapping["time"] {
  if (time === "none") return undefined;
  if (typeof time === "string") return { path: pathOf(time, ["time"], fail), shape: "auto" };
  if (time !== undefined) return { path: pathOf(time.path, ["time", "path"], fail), shape: time.unit };
  if (topic.time !== undefined) return { path: parseFieldPath(topic.time), shape: "auto" };
  return isOpen ? { path: OWN_TIME, shape: "auto" } : undefined;
}

/** Whether messages are read by our own JSON or protobuf, which need no mapping. */
function isOwnFormat(group: GroupConfig): boolean {
  const { preset, codec, features, time, decimalComma, topic } = group;
  const isNamed = features === undefined || Array.isArray(features);
  const isPlain = time === undefined && !decimalComma && isNamed && !String(topic).includes("{feature}");
  return preset === undefined && (codec === "protobuf" || (codec === "json" && isPlain));
}

/** A format's mapping: `sources` by what the config says, the rest by the topic's preset. */
function mappingOf(
  group: GroupConfig,
  sources: readonly FieldSource[],
  topic: PresetTopic,
  zone: TimeZone,
  fail: Fail,
): FieldMapping {
  const { preset, decimalComma } = group;
  const { format } = topic;
  const hasFields = fieldFormats.has(format);
  const isOpen = preset === undefined && (hasFields || format === "csv");
  const isOneValue = format === "text" && !topic.pattern.includes("{feature}");
  if (isOneValue && sources.length > 1) {
    fail(
      ["topic"],
      `its messages are one value each, its model takes ${sources.length}; name the feature in the topic by {feature}`,
    );
  }
  return {
    sources: isOneValue ? sources.map((source) => ({ ...source, path: WHOLE })) : sources,
    root: topic.root === undefined ? undefined : parseFieldPath(topic.root),
    time: timeOf(group, topic, isOpen && !sources.some(({ path }) => path.text === "time"), fail),
    zone,
    decimalComma,
    unitOf: preset === undefined ? undefined : presets[preset].unitOf,
    isLabelled: hasFields && preset === undefined,
    passesOver: preset !== undefined || sampleFormats.has(format),
  };
}

function checkOwnFormat(group: GroupConfig, format: FormatName, fail: Fail): void {
  for (const key of ["time", "decimalComma"] as const) {
    if (format === "protobuf" && group[key]) fail([key], "protobuf messages say it themselves", key);
  }
  if (format === "protobuf" && group.features !== undefined && !Array.isArray(group.features)) {
    fail(["features"], "protobuf messages have their features by name: give the names as a list");
  }
}

/** Throws `ConfigError` where features, paths or units do not fit the model. */
export function messagesOf(group: GroupConfig, model: Model, zone: string, path: readonly PropertyKey[]): GroupMessages {
  const fail: Fail = (keys, reason, name) => {
    const message = `cannot use group "${group.name}": ${reason}`;
    throw new ConfigError("bad_config", { path: [...path, ...keys], message, ...(name === undefined ? {} : { key: name }) });
  };
  const features = featuresOf(group, model, fail);
  if (isOwnFormat(group)) {
    checkOwnFormat(group, group.codec!, fail);
    const topics = topicsOf(group).map(({ pattern, rules, format }) => ({ pattern, rules, format, mapping: undefined }));
    return { features, topics, columns: [], holdMs: undefined };
  }
  const sources = features.map((name, index) => sourceOf(name, group, model, index, fail));
  const columns = group.columns ?? sources.map(({ path: { text } }) => text);
  const absent = sources.find((source) => group.codec === "csv" && !columns.includes(source.path.levels[0]!));
  if (absent !== undefined)
    fail(["columns"], `no column is called "${absent.path.text}", as the feature "${absent.name}" wants it`);
  const timeZone = createTimeZone(zone);
  const topics = topicsOf(group).map((topic) => {
    const mapping = mappingOf(group, sources, topic, timeZone, fail);
    return { pattern: topic.pattern, rules: topic.rules, format: topic.format, mapping };
  });
  return { features, topics, columns, holdMs: group.preset && presets[group.preset].holdMs };
}
