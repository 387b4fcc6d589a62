// Readings that one group of a config would take: topics whose messages measure the same, as seen on a broker or as somebody names them.
import { limits } from "../base/limits.ts";
import type { DiscoveredField, DiscoveredTopic } from "../message/feature-discovery.ts";
import type { FormatName } from "../message/message-formats.ts";
import { presets } from "../message/presets.ts";
import type { PresetName } from "../message/presets.ts";
import { filterOf, filtersOverlap } from "../message/topic-pattern.ts";

export interface ReadingSource {
  readonly preset: PresetName | undefined;
  /** Patterns as a config writes them; none: the preset's own. */
  readonly topics: readonly string[];
  /** Undefined where the preset says it. */
  readonly codec: FormatName | undefined;
  readonly fields: readonly DiscoveredField[];
  /** The field that says when, where neither the preset nor our own format does. */
  readonly time: string | undefined;
  /** Devices that have been seen; 0 where none has. */
  readonly devices: number;
}

/** A topic that has been seen, and which pattern of which preset reads it. */
export interface SeenTopic extends DiscoveredTopic {
  readonly read: { readonly preset: PresetName; readonly pattern: string } | undefined;
}

/** `plant/{device}/readings` of topics that differ in one level alone, if it catches no other; otherwise the topics themselves. */
function patternsOf(topics: readonly string[], others: readonly string[]): readonly string[] {
  const split = topics.map((topic) => topic.split("/"));
  const [first] = split;
  if (topics.length < 2 || split.some(({ length }) => length !== first!.length)) return topics;
  const differing = first!.flatMap((level, index) => (split.every((levels) => levels[index] === level) ? [] : [index]));
  // Beginning with a wildcard it would catch whatever there is.
  if (differing.length !== 1 || differing[0] === 0) return topics;
  const levels = first!.map((level, index) => (index === differing[0] ? "{device}" : level));
  const filter = filterOf(levels.join("/")).split("/");
  return others.some((other) => filtersOverlap(filter, filterOf(other).split("/"))) ? topics : [levels.join("/")];
}

/** A preset's pattern as a whole, where all that it reads measures the same and it does not catch topics of anybody else. */
function presetPatterns(alike: readonly SeenTopic[], seen: readonly SeenTopic[]): readonly string[] {
  const { preset, pattern } = alike[0]!.read!;
  const isAlone = seen.every((other) => other.read?.pattern !== pattern || alike.includes(other));
  if (!isAlone || filterOf(pattern).startsWith("+")) return alike.map(({ topic }) => topic);
  return presets[preset].topics.length === 1 ? [] : [pattern];
}

function kindOf({ read, fields, time }: SeenTopic): string {
  return JSON.stringify([read ?? time ?? null, fields.map(({ path, isCounter }) => [path, isCounter])]);
}

/** What has been seen, by kind, those with the most devices first. */
export function sourcesOf(seen: readonly SeenTopic[]): ReadingSource[] {
  const kinds = new Map<string, SeenTopic[]>();
  for (const topic of seen) {
    if (topic.fields.length === 0) continue;
    const alike = kinds.get(kindOf(topic));
    if (alike === undefined) kinds.set(kindOf(topic), [topic]);
    else alike.push(topic);
  }
  const sources = Array.from(kinds.values(), (alike): ReadingSource[] => {
    const { read, fields, time } = alike[0]!;
    const others = seen.filter((topic) => !alike.includes(topic)).map(({ topic }) => topic);
    const own = alike.map(({ topic }) => topic);
    const topics = read === undefined ? patternsOf(own, others) : presetPatterns(alike, seen);
    const isOneValue = fields.length === 1 && fields[0]!.path === "$";
    const codec = read !== undefined ? undefined : isOneValue ? "text" : "json";
    const source = { preset: read?.preset, codec, fields, time: read === undefined ? time : undefined } as const;
    if (topics.length <= limits.groupTopicsMax) return [{ ...source, topics, devices: alike.length }];
    return Array.from({ length: Math.ceil(topics.length / limits.groupTopicsMax) }, (_, part) => {
      const some = topics.slice(part * limits.groupTopicsMax, (part + 1) * limits.groupTopicsMax);
      return { ...source, topics: some, devices: some.length };
    });
  });
  return sources.flat().toSorted((a, b) => b.devices - a.devices);
}

const FIELDS_SHOWN = 6;

/** One line for people. */
export function describeSource({ preset, topics, fields, devices }: ReadingSource): string {
  const where = topics.length === 1 ? topics[0] : topics.length === 0 ? undefined : `${topics[0]} and ${topics.length - 1} more`;
  const names = fields.slice(0, FIELDS_SHOWN).map(({ path }) => path);
  const more = fields.length > FIELDS_SHOWN ? `, and ${fields.length - FIELDS_SHOWN} more` : "";
  const place = [preset, where].filter((part) => part !== undefined).join(" ");
  return `${place}: ${devices === 1 ? "1 device" : `${devices} devices`}; ${names.join(", ")}${more}`;
}
