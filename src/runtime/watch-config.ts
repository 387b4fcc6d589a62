// The config of a watch, out of what has been discovered: topics whose messages measure the same are a group, without a model and with a
// score. Kept in the state directory, so that the next start goes on with the same groups.
import { z } from "zod";
import { readWhole, replaceFile } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { DiscoveredTopic } from "../message/feature-discovery.ts";
import { layoutHash } from "../message/layout.ts";
import { configSchema } from "./config-schema.ts";
import type { Config } from "./config-schema.ts";

export interface WatchSettings {
  /** The state directory, an absolute path. */
  readonly state: string;
  readonly budget: string;
  /** As in a config. */
  readonly mqtt: Readonly<Record<string, unknown>>;
  readonly log: string;
}

/** A watch's name in topics. */
export const WATCH_NODE = "watch";

const watchFile = z.strictObject({
  format: z.literal(1),
  topics: z.array(
    z.strictObject({
      topic: z.string(),
      fields: z.array(z.strictObject({ path: z.string(), isCounter: z.boolean() })),
      time: z.string().optional(),
    }),
  ),
});

function fileOf(directory: string): string {
  return `${directory}/watch.json`;
}

/** What earlier runs have discovered. Throws `state_damaged` where it cannot be read. */
export async function loadTopics(disk: Disk, directory: string): Promise<DiscoveredTopic[]> {
  const bytes = await readWhole(disk, fileOf(directory));
  if (bytes === undefined) return [];
  try {
    const { topics } = watchFile.parse(JSON.parse(Buffer.from(bytes).toString()));
    return topics.map(({ topic, fields, time }) => ({ topic, fields, time }));
  } catch (thrown) {
    const message = `cannot read ${fileOf(directory)}: ${reasonOf(thrown)}; remove it, and everything is discovered anew`;
    throw new HiddenstateError("state_damaged", message, thrown);
  }
}

/** Throws `disk_failed` or `disk_full`. */
export async function saveTopics(disk: Disk, directory: string, topics: readonly DiscoveredTopic[]): Promise<void> {
  await replaceFile(disk, fileOf(directory), Buffer.from(`${JSON.stringify({ format: 1, topics }, undefined, 1)}\n`));
}

/** What makes two topics one group. */
function signatureOf({ fields, time }: DiscoveredTopic): string {
  return JSON.stringify([fields.map(({ path, isCounter }) => [path, isCounter]), time ?? null]);
}

function groupOf(name: string, topics: readonly DiscoveredTopic[], budget: string): Readonly<Record<string, unknown>> {
  const { fields, time } = topics[0]!;
  const isOneValue = fields.length === 1 && fields[0]!.path === "$";
  const features = isOneValue
    ? ["value"]
    : Object.fromEntries(fields.map(({ path, isCounter }) => [path, { path, rate: isCounter }]));
  return {
    name,
    topic: topics.map(({ topic }) => topic),
    codec: isOneValue ? "text" : "json",
    features,
    ...(isOneValue ? {} : { time: time === undefined ? "none" : `$.${time}` }),
    holdReadings: 250,
    score: { budget },
  };
}

/** The config for the topics that measure something; undefined where none does. */
export function watchConfig(settings: WatchSettings, topics: readonly DiscoveredTopic[]): Config | undefined {
  const { state, budget, mqtt, log } = settings;
  const bySignature = new Map<string, DiscoveredTopic[]>();
  for (const topic of topics) {
    if (topic.fields.length === 0) continue;
    const signature = signatureOf(topic);
    const alike = bySignature.get(signature);
    if (alike === undefined) bySignature.set(signature, [topic]);
    else alike.push(topic);
  }
  const groups = Array.from(bySignature).flatMap(([signature, alike]) => {
    const name = `like-${layoutHash([signature]).toString(16).padStart(8, "0")}`;
    const parts = Math.ceil(alike.length / limits.groupTopicsMax);
    return Array.from({ length: parts }, (_, part) => {
      const own = alike.slice(part * limits.groupTopicsMax, (part + 1) * limits.groupTopicsMax);
      return groupOf(part === 0 ? name : `${name}-${part + 1}`, own, budget);
    });
  });
  if (groups.length === 0) return undefined;
  return configSchema.parse({ node: WATCH_NODE, state, log, mqtt, groups: groups.slice(0, limits.groupsMax) });
}
