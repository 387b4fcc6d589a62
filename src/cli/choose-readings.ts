// Which readings a new config is to take: by a preset's name, by topics, or by what has been seen on the broker.
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { FormatName } from "../message/message-formats.ts";
import { presetNames } from "../message/presets.ts";
import type { PresetName } from "../message/presets.ts";
import { filterOf, filtersOverlap, parseTopicPattern } from "../message/topic-pattern.ts";
import type { ReadingSource } from "./reading-source.ts";

/** What names readings without looking at a broker. */
export interface NamedReadings {
  readonly preset?: PresetName;
  readonly topic?: readonly string[];
  readonly codec?: FormatName;
  /** Paths in a message. */
  readonly features?: readonly string[];
}

/** What devices of a kind often measure, for those of which none has been seen. */
const OFTEN: Readonly<Record<PresetName, readonly string[]>> = {
  tasmota: ["AM2301.Temperature", "AM2301.Humidity"],
  zigbee2mqtt: ["temperature", "humidity"],
  shelly: ["temperature:0.tC", "humidity:0.rh"],
  esphome: ["temperature", "humidity"],
  ttn: ["temperature", "humidity"],
  chirpstack: ["temperature", "humidity"],
  sparkplug: ["Temperature"],
};

function fieldsOf(paths: readonly string[]): ReadingSource["fields"] {
  return paths.map((path) => ({ path, isCounter: false }));
}

function overlaps(source: ReadingSource, topics: readonly string[]): boolean {
  return source.topics.some((one) =>
    topics.some((other) => filtersOverlap(filterOf(one).split("/"), filterOf(other).split("/"))),
  );
}

/** The sources that `named` means; undefined where it names none. Throws `bad_argument`. */
export function namedSources(named: NamedReadings, seen: readonly ReadingSource[]): readonly ReadingSource[] | undefined {
  const { preset, topic = [], codec, features } = named;
  if (preset === undefined && topic.length === 0) return undefined;
  for (const pattern of topic) parseTopicPattern(pattern);
  if (preset !== undefined) {
    const like = seen.filter((source) => source.preset === preset);
    if (topic.length === 0 && features === undefined && like.length > 0) return like;
    const fields = fieldsOf(features ?? OFTEN[preset]);
    return [{ preset, topics: topic, codec: undefined, fields, time: undefined, devices: 0 }];
  }
  const like = seen.find((source) => source.preset === undefined && overlaps(source, topic));
  const known = features === undefined ? like : undefined;
  return [
    {
      preset: undefined,
      topics: topic,
      codec: codec ?? like?.codec ?? "json",
      fields: known?.fields ?? fieldsOf(features ?? []),
      time: known?.time,
      devices: known?.devices ?? 0,
    },
  ];
}

/** An answer: `all`, numbers from the list of what was seen, a preset's name or topics. Throws `bad_argument`. */
export function answeredSources(answer: string, seen: readonly ReadingSource[]): readonly ReadingSource[] {
  if (answer === "all" && seen.length > 0) return seen.slice(0, limits.groupsMax);
  const words = answer.split(",").map((word) => word.trim());
  if (words.every((word) => /^\d+$/.test(word))) {
    return [...new Set(words)].map((word) => {
      const source = seen[Number(word) - 1];
      if (source !== undefined) return source;
      throw new HiddenstateError("bad_argument", `cannot take number ${word}: there are ${seen.length} in the list`);
    });
  }
  const preset = presetNames.find((name) => name === answer);
  return namedSources(preset === undefined ? { topic: words } : { preset }, seen)!;
}
