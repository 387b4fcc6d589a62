// The topics of a group, as a config writes them: `sensors/{device}/readings`, `plant/{line}/{device}/imu`, `site/+/data`, `raw/#`.
// A pattern gives the MQTT filter to subscribe to and the stream key of each topic; a topic whose levels make no valid key is not
// matched. `{feature}` is a level that names what the message is about, and no part of the key. Patterns that would catch the runtime's own messages are refused, since those would come back for ever.
import { HiddenstateError } from "../base/errors.ts";
import { validateStreamKey } from "./stream-key.ts";
import { layoutTopic, ownTopicFilters, TOPIC_ROOT } from "./topics.ts";

export interface TopicPattern {
  readonly pattern: string;
  /** What to subscribe to for readings. */
  readonly filter: string;
  /** What to subscribe to for layouts; the same as `filter` where the pattern ends in `#`. */
  readonly layoutFilter: string;
  /** Whether payloads may name parts of a device. Not below `#`, where `<key>/<part>` could be another device's topic. */
  readonly allowsParts: boolean;
  /** The stream key of a topic of readings: the captures joined by `/`, in order. Undefined where the topic is not one of these. */
  match(topic: string): string | undefined;
  /** The stream key of the device whose layout topic this is. */
  matchLayout(topic: string): string | undefined;
  /** The `{feature}` of a topic that `match` takes; undefined where the pattern has none. */
  featureOf(topic: string): string | undefined;
  /** Whether the filter catches a topic that the pattern's rules say is none of readings. */
  leavesOut(topic: string): boolean;
}

/** How a kind of device uses its topics. */
export interface TopicRules {
  /** Topics that the pattern catches and that carry no readings: they are not matched. */
  readonly except?: RegExp;
  /** The pattern may begin with a wildcard that catches the runtime's own topics: those are not matched. */
  readonly leavesOwn?: boolean;
}

type Level = { readonly kind: "text"; readonly text: string } | { readonly kind: "one" | "rest"; readonly keyed: boolean };

const FEATURE = "{feature}";
const CAPTURE = /^\{[A-Za-z_][A-Za-z0-9_-]*\}$/;
const LAYOUT_SUFFIX = layoutTopic("");
const OWN = `${TOPIC_ROOT}/`;
/** No level's plain text holds braces, so only wildcards catch it. */
const ANY_NODE = "{node}";
const SYNTAX = "a level is plain text, {name}, + or, at the end, #";

/** Whether some topic is caught by both filters, given by their levels, which are compared as [MQTT-4.7.1] reads them. */
export function filtersOverlap(one: readonly string[], other: readonly string[]): boolean {
  for (let i = 0; ; i++) {
    if (one[i] === "#" || other[i] === "#") return true;
    if (i === one.length || i === other.length) return one.length === other.length;
    if (one[i] !== "+" && other[i] !== "+" && one[i] !== other[i]) return false;
  }
}

/** The MQTT filter of a pattern that need not be one that can be used. */
export function filterOf(pattern: string): string {
  return pattern
    .split("/")
    .map((text) => (CAPTURE.test(text) ? "+" : text))
    .join("/");
}

function parseLevels(pattern: string, refuse: (reason: string) => never): Level[] {
  const texts = pattern.split("/");
  const captures = texts.filter((text) => CAPTURE.test(text));
  if (new Set(captures).size < captures.length) refuse("it captures the same name twice; name each capture differently");
  if (captures.includes(FEATURE) && texts.includes("#")) refuse(`${FEATURE} is one level: # cannot stand beside it`);
  return texts.map((text, index): Level => {
    if (text === "#") {
      if (index < texts.length - 1) refuse(`"#" stands before the end; ${SYNTAX}`);
      return { kind: "rest", keyed: true };
    }
    // Without captures it is the plain wildcards that tell streams apart.
    if (text === "+") return { kind: "one", keyed: captures.length === 0 };
    if (CAPTURE.test(text)) return { kind: "one", keyed: text !== FEATURE };
    if (/[{}+#]/.test(text)) refuse(`the level "${text}" is none of these: ${SYNTAX}`);
    return { kind: "text", text };
  });
}

/** The key of a topic by levels, or undefined. */
function matchLevels(levels: readonly Level[], topic: string): string | undefined {
  let key = "";
  let at = 0;
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    if (level.kind === "rest") {
      const rest = topic.slice(at);
      // `a/#` also catches `a` itself [MQTT-4.7.1-2], where nothing is left to name a stream by.
      if (rest === "") return key === "" ? undefined : key;
      return key === "" ? rest : `${key}/${rest}`;
    }
    if (at > topic.length) return undefined;
    const slash = topic.indexOf("/", at);
    const end = slash === -1 ? topic.length : slash;
    if (level.kind === "text") {
      if (level.text.length !== end - at || !topic.startsWith(level.text, at)) return undefined;
    } else if (level.keyed) {
      if (end === at) return undefined;
      key = key === "" ? topic.slice(at, end) : `${key}/${topic.slice(at, end)}`;
    }
    at = end + 1;
  }
  return at > topic.length ? key : undefined;
}

/**
 * Throws `bad_argument` for a malformed pattern, and for one that would catch what the node named `node`, or without a name any node,
 * publishes itself. The text says what is allowed.
 */
export function parseTopicPattern(pattern: string, node = ANY_NODE, { except, leavesOwn }: TopicRules = {}): TopicPattern {
  const refuse = (reason: string): never => {
    throw new HiddenstateError("bad_argument", `cannot use the topic pattern "${pattern}": ${reason}`);
  };
  if (pattern === "") refuse("it is empty; write levels such as sensors/{device}/readings");
  if (/[\p{Cc}\p{Cs}]/u.test(pattern)) refuse("it holds a control character");
  if (pattern.startsWith("$share/")) refuse("a shared subscription would split a stream between runtimes; leave out $share");
  const levels = parseLevels(pattern, refuse);
  const filterLevels = levels.map((level) => (level.kind === "text" ? level.text : level.kind === "one" ? "+" : "#"));
  const filter = filterLevels.join("/");
  const own = ownTopicFilters(node).find((topics) => filtersOverlap(filterLevels, topics.split("/")));
  if (own !== undefined && leavesOwn !== true)
    refuse(`it would also catch ${own}, which the runtime uses itself; begin it with a plain level`);
  const key = fixedKey(pattern, levels);
  const fixedReason = key === undefined ? undefined : validateStreamKey(key);
  if (fixedReason !== undefined) refuse(`as a stream key, ${fixedReason}; name the stream by a {capture}`);
  const isOpen = filterLevels.at(-1) === "#";
  const featureLevel = pattern.split("/").indexOf(FEATURE);
  const isTaken = (topic: string): boolean => {
    // A wildcard at the start does not catch topics that begin with $ [MQTT-4.7.2-1].
    if (levels[0]!.kind !== "text" && topic.startsWith("$")) return false;
    if (leavesOwn === true && topic.startsWith(OWN)) return false;
    return except?.test(topic) !== true;
  };
  const keyOf = (topic: string): string | undefined => {
    if (!isTaken(topic)) return undefined;
    const matched = matchLevels(levels, topic);
    if (matched === undefined) return undefined;
    return key ?? (validateStreamKey(matched) === undefined ? matched : undefined);
  };
  return {
    pattern,
    filter,
    layoutFilter: isOpen ? filter : layoutTopic(filter),
    allowsParts: !isOpen,
    match: (topic) => (isOpen && topic.endsWith(LAYOUT_SUFFIX) ? undefined : keyOf(topic)),
    matchLayout: (topic) => (topic.endsWith(LAYOUT_SUFFIX) ? keyOf(topic.slice(0, -LAYOUT_SUFFIX.length)) : undefined),
    leavesOut: (topic) => !isTaken(topic) && filtersOverlap(filterLevels, topic.split("/")),
    featureOf: (topic) => (featureLevel < 0 ? undefined : topic.split("/")[featureLevel]),
  };
}

/** The key where no level is part of it: the topic itself, or what stands before the feature. */
function fixedKey(pattern: string, levels: readonly Level[]): string | undefined {
  if (levels.some((level) => level.kind !== "text" && level.keyed)) return undefined;
  const open = levels.findIndex((level) => level.kind !== "text");
  return open < 0 ? pattern : pattern.split("/").slice(0, open).join("/");
}
