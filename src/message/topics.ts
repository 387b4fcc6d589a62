// The topics of our own, all below `hiddenstate/<node>/`, and the device's layout topic. Nothing here knows who publishes on them.
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { encodeStreamKey } from "./stream-key.ts";

export const TOPIC_ROOT = "hiddenstate";

/** Everything that a node publishes or listens to by itself, as MQTT filters. */
export function ownTopicFilters(node: string): readonly string[] {
  const topics = ["prediction/+", "prediction/+/latest", "alarm/+", "budget/+", "dead-letter", "command/+", "response/+"];
  return [...topics, "state", "health", "streams", "update/+", "update/+/+/+", "update-report/+"].map(
    (rest) => `${TOPIC_ROOT}/${node}/${rest}`,
  );
}

/** Of a node, a group or a key: a level of a topic, and part of a file's name. */
export const PLAIN_NAME = /^[A-Za-z0-9._-]{1,64}$/;
const COMMAND_NAME = /^[a-z][a-z0-9-]{0,63}$/;

function refuse(what: string, value: string, rule: string): never {
  throw new HiddenstateError("bad_argument", `cannot use "${value}" as ${what}: ${rule}`);
}

/** Returns the name. Throws `bad_argument` unless it is 1 to 64 of `A-Za-z0-9._-`. */
export function checkNodeName(node: string): string {
  if (!PLAIN_NAME.test(node)) refuse("the name of a node", node, "1 to 64 of the characters A-Za-z0-9._- are allowed");
  return node;
}

/** Whether something can be published on a topic: it is not empty, and has no wildcard [MQTT-3.3.2-2] and no NUL [MQTT-4.7.3-2]. */
export function isTopicName(topic: string): boolean {
  return topic !== "" && !/[+#\0]/.test(topic);
}

export function predictionTopic(node: string, stream: string): string {
  return `${TOPIC_ROOT}/${checkNodeName(node)}/prediction/${encodeStreamKey(stream)}`;
}

/** Where the newest prediction of a stream is retained. */
export function latestTopic(node: string, stream: string): string {
  return `${predictionTopic(node, stream)}/latest`;
}

/** Where a stream's last alarm is retained, open or closed. */
export function alarmTopic(node: string, stream: string): string {
  return `${TOPIC_ROOT}/${checkNodeName(node)}/alarm/${encodeStreamKey(stream)}`;
}

/** Where it is retained for Home Assistant how many alarms a stream may raise where nothing is wrong. */
export function budgetTopic(node: string, stream: string): string {
  return `${TOPIC_ROOT}/${checkNodeName(node)}/budget/${encodeStreamKey(stream)}`;
}

export function deadLetterTopic(node: string): string {
  return `${TOPIC_ROOT}/${checkNodeName(node)}/dead-letter`;
}

/** Where it is retained whether the node is there: `online` or `offline`. */
export function stateTopic(node: string): string {
  return `${TOPIC_ROOT}/${checkNodeName(node)}/state`;
}

/** Where it is retained how the node is doing. */
export function healthTopic(node: string): string {
  return `${TOPIC_ROOT}/${checkNodeName(node)}/health`;
}

/** Where it is retained which streams the node has. */
export function streamsTopic(node: string): string {
  return `${TOPIC_ROOT}/${checkNodeName(node)}/streams`;
}

export function commandTopic(node: string, command: string): string {
  if (!COMMAND_NAME.test(command))
    refuse("the name of a command", command, "1 to 64 of a-z, 0-9 and - are allowed, a letter first");
  return `${TOPIC_ROOT}/${checkNodeName(node)}/command/${command}`;
}

/** The filter that catches every command to a node. */
export function commandFilter(node: string): string {
  return `${TOPIC_ROOT}/${checkNodeName(node)}/command/+`;
}

/** The command that a topic names, or undefined where the topic is not one of this node's commands. */
export function commandOf(node: string, topic: string): string | undefined {
  const prefix = `${TOPIC_ROOT}/${checkNodeName(node)}/command/`;
  if (!topic.startsWith(prefix)) return undefined;
  const command = topic.slice(prefix.length);
  return COMMAND_NAME.test(command) ? command : undefined;
}

/** Where a command's answer goes. Throws `bad_argument` unless the transaction is 1 to 128 bytes. */
export function responseTopic(node: string, transaction: string): string {
  const bytes = Buffer.byteLength(transaction);
  if (bytes === 0 || bytes > limits.transactionBytesMax) {
    refuse("a transaction", transaction.slice(0, 64), `it has ${bytes} bytes, 1 to ${limits.transactionBytesMax} are allowed`);
  }
  return `${TOPIC_ROOT}/${checkNodeName(node)}/response/${encodeStreamKey(transaction)}`;
}

/** Where the manifest of a group's new model is retained. The group's name is one of a config, and as such a plain level. */
export function updateTopic(node: string, group: string): string {
  return `${TOPIC_ROOT}/${checkNodeName(node)}/update/${group}`;
}

/** The filter that catches every manifest for a node, and none of the chunks. */
export function updateFilter(node: string): string {
  return updateTopic(node, "+");
}

/** The group whose manifest a topic carries, or undefined where it carries none. */
export function updatedGroupOf(node: string, topic: string): string | undefined {
  const prefix = updateTopic(node, "");
  const group = topic.slice(prefix.length);
  return topic.startsWith(prefix) && PLAIN_NAME.test(group) ? group : undefined;
}

/** Where a chunk of a model is retained, below the model's SHA-256: what lies there never changes. */
export function updateChunkTopic(node: string, group: string, version: string, index: number): string {
  return `${updateTopic(node, group)}/${version}/${index}`;
}

/** Where it is retained what has become of a group's new model. */
export function updateReportTopic(node: string, group: string): string {
  return `${TOPIC_ROOT}/${checkNodeName(node)}/update-report/${group}`;
}

/** Where a device retains the names behind its layout hash, beside the topic of its readings. */
export function layoutTopic(readingsTopic: string): string {
  return `${readingsTopic}/layout`;
}
