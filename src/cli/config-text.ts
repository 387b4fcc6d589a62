// The config that `init` writes: every line that is needed, why it is there, and what somebody is likely to want next.
import { stringify } from "yaml";
import type { ReadingSource } from "./reading-source.ts";

export interface ConfigAnswers {
  readonly node: string;
  readonly mqtt: {
    readonly url: string;
    readonly username?: string | undefined;
    readonly passwordFile?: string | undefined;
    readonly passwordEnv?: string | undefined;
    readonly tls?: { readonly ca: string } | undefined;
    readonly allowInsecure?: true | undefined;
  };
  readonly groups: readonly NamedGroup[];
}

export interface NamedGroup extends ReadingSource {
  readonly name: string;
  /** A model file, relative to the config; undefined: each stream learns by itself. */
  readonly model: string | undefined;
  /** Where the model's features stand, by their names; undefined: where they are called so. */
  readonly paths: readonly (readonly [string, string])[] | undefined;
}

const NAME_CHARACTERS_MAX = 48;

function scalar(value: string): string {
  return stringify(value, { lineWidth: 0 }).trimEnd();
}

/** What a group would be called: its preset, or the first plain level of its topics. */
function wordFor({ preset, topics }: ReadingSource): string {
  const level = topics[0]?.split("/").find((text) => /^[A-Za-z0-9]/.test(text)) ?? "readings";
  return (preset ?? level).replaceAll(/[^A-Za-z0-9._-]+/g, "-").slice(0, NAME_CHARACTERS_MAX);
}

/** A name for each, told apart by numbers. */
export function groupNames(sources: readonly ReadingSource[]): string[] {
  const counts = new Map<string, number>();
  return sources.map((source) => {
    const word = wordFor(source);
    const count = (counts.get(word) ?? 0) + 1;
    counts.set(word, count);
    return count === 1 ? word : `${word}-${count}`;
  });
}

function connectionLines({ url, username, passwordFile, passwordEnv, tls, allowInsecure }: ConfigAnswers["mqtt"]): string[] {
  const lines = ["mqtt:", `  url: ${scalar(url)}`];
  if (allowInsecure)
    lines.push("  # Plain MQTT to another machine: whoever is on the way can read and change it.", "  allowInsecure: true");
  if (tls !== undefined) lines.push("  # Who may sign the broker's certificate.", "  tls:", `    ca: ${scalar(tls.ca)}`);
  if (username === undefined) {
    lines.push("  # For a broker that asks who we are; the file's first line is the password:");
    return [...lines, "  # username: runtime", "  # passwordFile: ./broker-password"];
  }
  lines.push(`  username: ${scalar(username)}`);
  if (passwordFile !== undefined) lines.push("  # Its first line is the password.", `  passwordFile: ${scalar(passwordFile)}`);
  if (passwordEnv !== undefined) lines.push("  # The variable that holds the password.", `  passwordEnv: ${scalar(passwordEnv)}`);
  return lines;
}

function topicLines({ preset, topics, codec }: NamedGroup): string[] {
  const lines: string[] = [];
  if (preset !== undefined) lines.push(`    preset: ${preset}`);
  if (topics.length > 0) lines.push("    # Each topic, or each {capture} of one, is a stream.");
  if (topics.length === 1) lines.push(`    topic: ${scalar(topics[0]!)}`);
  if (topics.length > 1) lines.push("    topic:", ...topics.map((topic) => `      - ${scalar(topic)}`));
  if (codec !== undefined) lines.push(`    codec: ${codec}`);
  return lines;
}

function featureLines({ codec, fields, time, devices }: NamedGroup): string[] {
  const lines = ["    # What is learned: a feature's name, and where it stands in a message."];
  if (devices === 0) lines.push("    # None has been seen: see that your devices send it.");
  lines.push("    # A counter is written as energy: { path: energy, rate: true }.", "    features:");
  if (codec === "protobuf") return [...lines, ...fields.map(({ path }) => `      - ${scalar(path)}`)];
  for (const { path, isCounter } of fields) {
    const name = path === "$" ? "value" : path;
    lines.push(`      ${scalar(name)}: ${isCounter ? `{ path: ${JSON.stringify(path)}, rate: true }` : scalar(path)}`);
  }
  // A message of one value has no time, a preset knows where it stands, and what nobody has seen has it where ours has.
  if (codec !== "json" || devices === 0) return lines;
  lines.push("    # Where the time stands in a message; none: the time of arrival.");
  return [...lines, `    time: ${time === undefined ? "none" : scalar(`$.${time}`)}`];
}

function modelLines({ model, paths }: NamedGroup): string[] {
  const lines = [`    model: ${scalar(model!)}`];
  if (paths === undefined) {
    return [
      ...lines,
      "    # It takes its features by their names; docs/devices.md says how to write where they stand otherwise.",
    ];
  }
  lines.push("    # The model's features, and where each stands in a message.", "    features:");
  return [...lines, ...paths.map(([name, path]) => `      ${scalar(name)}: ${scalar(path)}`)];
}

function groupLines(group: NamedGroup): string[] {
  const learned = [
    "    # There is no model: each stream learns a network of its own, from its first reading on.",
    ...featureLines(group),
  ];
  return [
    `  - name: ${group.name}`,
    ...topicLines(group),
    ...(group.model === undefined ? learned : modelLines(group)),
    "    # Each reading gets a score, and about so many false alarms of a stream are few enough.",
    "    score:",
    "      budget: 1/week",
  ];
}

/** The groups' lines, each comment once. */
function allGroupLines(groups: readonly NamedGroup[]): string[] {
  const said = new Set<string>();
  return groups.flatMap(groupLines).filter((line) => {
    if (!line.trimStart().startsWith("#")) return true;
    if (said.has(line)) return false;
    said.add(line);
    return true;
  });
}

/** The whole file. */
export function configText({ node, mqtt, groups }: ConfigAnswers): string {
  const lines = [
    "# Every key is explained in docs/config.md. `hiddenstate check` says what this would do, `hiddenstate doctor` whether this box will do.",
    "",
    "# This box's name in topics: predictions come on hiddenstate/<node>/prediction/<stream>.",
    `node: ${scalar(node)}`,
    "# What is known of each stream and what is learned, kept across crashes and restarts.",
    "state: ./state",
    ...connectionLines(mqtt),
    "# A page with every stream, for this machine alone: http://127.0.0.1:8787/",
    "dashboard: {}",
    "# Every stream as a device in Home Assistant:",
    "# homeAssistant: true",
    "groups:",
    ...allGroupLines(groups),
  ];
  return `${lines.join("\n")}\n`;
}
