// Reads a config: YAML, checked, with every fault told by file, line and column and by what is allowed there.
import { dirname, resolve } from "node:path";
import { LineCounter, isMap, parseDocument, visit } from "yaml";
import type { Document } from "yaml";
import { z } from "zod";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { formatNames } from "../message/message-formats.ts";
import { createTimeZone } from "../message/time-zone.ts";
import { filtersOverlap, parseTopicPattern } from "../message/topic-pattern.ts";
import { brokerFaults } from "./broker-faults.ts";
import { ConfigError } from "./config-fault.ts";
import type { Fault } from "./config-fault.ts";
import { configSchema, homeAssistantPrefix, NO_BROKER } from "./config-schema.ts";
import type { Config, ConfigObject, GroupConfig } from "./config-schema.ts";
import { dashboardFaults } from "./dashboard-config.ts";
import { topicsOf } from "./group-messages.ts";
import { ownModelFaults } from "./own-model.ts";

type JsonSchema = {
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
};

let jsonSchema: JsonSchema | undefined;

/** What may stand at one step into what `schema` takes; a value that may be of several kinds is looked into as each. */
function stepInto(schema: JsonSchema, step: PropertyKey): JsonSchema | undefined {
  const { additionalProperties: others } = schema;
  const own = typeof step === "number" ? schema.items : schema.properties?.[String(step)];
  if (own !== undefined) return own;
  if (typeof others === "object") return others;
  return schema.anyOf?.map((option) => stepInto(option, step)).find((found) => found !== undefined);
}

/** The keys that may stand in the object at `path`. */
function allowedKeys(path: Fault["path"]): string[] {
  // Made when a config has its first fault, and once: it takes milliseconds.
  jsonSchema ??= z.toJSONSchema(configSchema, { io: "input", unrepresentable: "any" }) as JsonSchema;
  let schema: JsonSchema | undefined = jsonSchema;
  for (const step of path) schema = schema && stepInto(schema, step);
  const properties = schema?.properties ?? schema?.anyOf?.find((option) => option.properties !== undefined)?.properties;
  return Object.keys(properties ?? {});
}

/** Zod's text without what goes without saying. */
function withoutVerdict(message: string): string {
  return message.replace(/^Invalid (input|option): /, "").replaceAll('"|"', '", "');
}

type Issue = z.core.$ZodIssue;

/** Of a value that may be of several kinds, the faults as the one kind that it is; undefined where it is none of them, or several. */
function faultsAsMeant(issue: Extract<Issue, { code: "invalid_union" }>): Fault[] | undefined {
  const isOther = ({ code, path }: Issue): boolean => path.length === 0 && (code === "invalid_type" || code === "invalid_value");
  const meant = issue.errors.filter((option) => !option.some(isOther));
  if (meant.length !== 1) return undefined;
  return faultsOf(meant[0]!.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })));
}

function faultsOf(issues: readonly Issue[]): Fault[] {
  return issues.flatMap((issue): Fault[] => {
    if (issue.code === "unrecognized_keys") {
      const allowed = allowedKeys(issue.path).join(", ");
      return issue.keys.map((key) => ({ path: issue.path, key, message: `unknown key "${key}"; allowed here: ${allowed}` }));
    }
    if (issue.code === "invalid_union") {
      const options = issue.errors.map((option) => option.map(({ message }) => withoutVerdict(message)).join(" and "));
      return faultsAsMeant(issue) ?? [{ path: issue.path, message: options.join("; or ") }];
    }
    const isAbsent = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
    const message = isAbsent ? `it is absent, and must be ${issue.expected}` : withoutVerdict(issue.message);
    return [{ path: issue.path, message }];
  });
}

/** By group: the levels of its filters. */
type Claimed = { readonly name: string; readonly filters: readonly (readonly string[])[] }[];

/** What is wrong with a group's topics, which claim what they catch. */
function topicFaults(group: GroupConfig, node: string, path: Fault["path"], claimed: Claimed): Fault[] {
  const { name, topic, preset, codec, schema } = group;
  if (preset !== undefined && codec !== undefined)
    return [{ path: [...path, "codec"], message: `the preset ${preset} says the codec; leave one of the two out` }];
  if (preset === undefined && codec === undefined) {
    return [{ path, message: `codec is absent, and must be one of ${formatNames.join(", ")}, where no preset says it` }];
  }
  if ((codec === "proto") !== (schema !== undefined))
    return [{ path, message: "codec: proto and schema go together: give both or neither" }];
  if (preset === undefined && topic === undefined) return [{ path, message: "topic is absent, and no preset says it" }];
  return topicsOf(group).flatMap(({ pattern, rules, format }, index) => {
    const at = topic === undefined ? [...path, "preset"] : [...path, "topic", ...(typeof topic === "string" ? [] : [index])];
    try {
      const { filter, layoutFilter } = parseTopicPattern(pattern, node, rules);
      // Nobody else has layouts.
      const filters = (format === "protobuf" ? [filter, layoutFilter] : [filter]).map((one) => one.split("/"));
      const twice = claimed.find((other) => other.filters.some((one) => filters.some((mine) => filtersOverlap(one, mine))));
      claimed.push({ name, filters });
      if (twice === undefined) return [];
      const message = `it also catches topics of group "${twice.name}"; a broker may then send their messages twice`;
      return [{ path: at, message }];
    } catch (thrown) {
      if (!(thrown instanceof HiddenstateError)) throw thrown;
      return [{ path: at, message: thrown.message }];
    }
  });
}

/** What Home Assistant needs of the rest. */
function homeAssistantFaults(config: Config): Fault[] {
  if (homeAssistantPrefix(config) === undefined) return [];
  const faults = config.groups.flatMap(({ predictions }, index): Fault[] => {
    const path = ["groups", index, "predictions", "format"];
    return predictions.format === "json" ? [] : [{ path, message: "Home Assistant reads predictions as json only" }];
  });
  if (!config.bridge) faults.push({ path: ["bridge"], message: "without it Home Assistant takes every device for unavailable" });
  return faults;
}

/** What the schema alone cannot see. */
function faultsBetween(config: Config, dev: boolean): Fault[] {
  const faults = [...brokerFaults(config, dev), ...dashboardFaults(config.dashboard)];
  const names = new Set<string>();
  const claimed: Claimed = [];
  for (const [index, group] of config.groups.entries()) {
    const { name, range } = group;
    if (names.has(name))
      faults.push({ path: ["groups", index, "name"], message: `there is another group of the name "${name}"` });
    names.add(name);
    faults.push(...ownModelFaults(group, ["groups", index]));
    faults.push(...topicFaults(group, config.node, ["groups", index], claimed));
    for (const [feature, [least, greatest]] of Object.entries(range)) {
      if (least < greatest) continue;
      faults.push({ path: ["groups", index, "range", feature], message: "the first number must be less than the second" });
    }
  }
  faults.push(...homeAssistantFaults(config));
  try {
    createTimeZone(config.timezone);
  } catch (thrown) {
    faults.push({ path: ["timezone"], message: reasonOf(thrown) });
  }
  return faults;
}

/** Where a fault stands: of a key that is absent, the object it is missing from. */
function placeOf(document: Document.Parsed, lines: LineCounter, { path, key }: Fault): string {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    if (node === undefined || node === null) continue;
    let range = (node as { range?: readonly number[] | null }).range;
    if (key !== undefined && isMap(node)) {
      const pair = node.items.find((item) => String(item.key) === key);
      range = (pair?.key as { range?: readonly number[] | null } | undefined)?.range ?? range;
    }
    if (range === undefined || range === null) continue;
    const { line, col } = lines.linePos(range[0]!);
    return `${line}:${col}`;
  }
  return "1:1";
}

function describe({ path, message, key }: Fault): string {
  const place = path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .replace(/^\./, "");
  return place === "" || key !== undefined ? message : `${place}: ${message}`;
}

/** The document's values, with its aliases followed. */
function valuesOf(document: Document.Parsed, lines: LineCounter, fail: (faults: readonly string[]) => never): unknown {
  const unknown: string[] = [];
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return;
      const { line, col } = lines.linePos(alias.range?.[0] ?? 0);
      unknown.push(`${line}:${col}: there is no anchor &${alias.source} before this`);
    },
  });
  if (unknown.length > 0) fail(unknown);
  try {
    return document.toJS();
  } catch (thrown) {
    return fail([`1:1: ${reasonOf(thrown)}`]);
  }
}

/** An error of a config that was parsed from `text`, with the place in front of it; everything else as it is. */
export function placeFault(thrown: unknown, text: string, path: string): unknown {
  if (!(thrown instanceof ConfigError)) return thrown;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const { fault } = thrown;
  const message = `${path}:${placeOf(document, lines, fault)}: ${describe(fault)}`;
  return new ConfigError(thrown.code, { ...fault, message }, thrown.cause);
}

/**
 * A config out of its text; `path` is the file's, for messages and for the relative paths in it, which come back resolved. Throws
 * `bad_config` with a line `file:line:column: what is wrong` for every fault. `dev` takes what only a developer's own run may do.
 */
export function parseConfig(text: string, path: string, { dev = false }: { readonly dev?: boolean } = {}): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  const fail = (faults: readonly string[]): never => {
    throw new HiddenstateError("bad_config", faults.map((fault) => `${path}:${fault}`).join("\n"));
  };
  if (document.errors.length > 0) {
    fail(
      document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return `${line}:${col}: ${error.message}`;
      }),
    );
  }
  const parsed = configSchema.safeParse(valuesOf(document, lines, fail) ?? {});
  const faults = parsed.success ? faultsBetween(parsed.data, dev) : faultsOf(parsed.error.issues);
  if (!parsed.success || faults.length > 0) {
    return fail(faults.map((fault) => `${placeOf(document, lines, fault)}: ${describe(fault)}`));
  }
  return withPathsFrom(dirname(path), parsed.data);
}

/**
 * A config out of an object, for `createRuntime`: checked, with the defaults of docs/config.md. Relative paths in it are taken from `folder`,
 * which is the current one where it is absent. `mqtt` may be left out where the runtime gets the ports of a DirectLink. Throws `bad_config`
 * with a line for every fault, such as `groups[0]: codec is absent`.
 */
export function defineConfig(config: ConfigObject, folder = "."): Config {
  const parsed = configSchema.safeParse({ mqtt: NO_BROKER, ...config });
  const faults = parsed.success ? faultsBetween(parsed.data, false) : faultsOf(parsed.error.issues);
  if (parsed.success && faults.length === 0) return withPathsFrom(folder, parsed.data);
  throw new HiddenstateError("bad_config", `cannot use the config: ${faults.map(describe).join("\n")}`);
}

/** The config with its relative paths resolved. */
function withPathsFrom(folder: string, config: Config): Config {
  const from = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(folder, path));
  const { mqtt, dashboard } = config;
  const { tls } = mqtt;
  return {
    ...config,
    state: resolve(folder, config.state),
    mqtt: {
      ...mqtt,
      passwordFile: from(mqtt.passwordFile),
      tls: tls && { ...tls, ca: from(tls.ca), cert: from(tls.cert), key: from(tls.key) },
    },
    dashboard: dashboard && {
      ...dashboard,
      tokenFile: from(dashboard.tokenFile),
      tls: dashboard.tls && { cert: resolve(folder, dashboard.tls.cert), key: resolve(folder, dashboard.tls.key) },
    },
    groups: config.groups.map((group) => ({ ...group, model: from(group.model), schema: from(group.schema) })),
  };
}
