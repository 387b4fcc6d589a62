// The connections to the broker that a config asks for: one takes readings and never publishes, the other publishes. Where models are taken
// over MQTT, a third takes them, so that nothing that comes on it can stand in a reading's way.
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { BRIDGE_OFFLINE } from "../message/bridge.ts";
import { homeAssistantStatusTopic } from "../message/home-assistant.ts";
import { commandFilter, stateTopic } from "../message/topics.ts";
import { createMqttPort } from "../mqtt/mqttjs-port.ts";
import type { MqttPort } from "../mqtt/mqttjs-port.ts";
import type { Ports, Subscription } from "../mqtt/packet-port.ts";
import type { Entry } from "../pipeline/routes.ts";
import { homeAssistantPrefix, NO_BROKER } from "./config-schema.ts";
import type { Config } from "./config-schema.ts";
import { readCredentials } from "./credentials.ts";

/** Throws `bad_config` where the config names no broker, or a file that is absent. */
export async function brokerPorts(
  config: Config,
  around: { readonly clock: Clock; readonly random: Random; readonly disk: Disk; readonly log: Log },
): Promise<Ports> {
  const { mqtt, node } = config;
  const { clock, random, log } = around;
  if (mqtt.url === NO_BROKER.url) {
    const advice = "add mqtt: { url }, or start the runtime with the ports of a DirectLink";
    throw new HiddenstateError("bad_config", `cannot connect: the config names no broker; ${advice}`);
  }
  const clientId = mqtt.clientId ?? `hiddenstate-${node}`;
  const common = {
    url: mqtt.url,
    ...(await readCredentials(config, around.disk, process.env)),
    protocol: mqtt.protocol,
    keepaliveSeconds: Math.max(1, Math.round(mqtt.keepalive / 1000)),
    clock,
    random,
    log,
  };
  // Each pauses by its own dice; what one has found out saves the other a pause of up to a minute.
  const intake: MqttPort = createMqttPort({
    ...common,
    clientId,
    sessionExpirySeconds: Math.round(mqtt.sessionExpiry / 1000),
    receiveMax: limits.unsettledMessagesMax,
    reached: () => sink.hurry(),
  });
  const sink: MqttPort = createMqttPort({
    ...common,
    clientId: `${clientId}-sink`,
    sessionExpirySeconds: 0,
    reached: () => intake.hurry(),
    ...(config.bridge ? { will: { topic: stateTopic(node), payload: BRIDGE_OFFLINE, retain: true } } : {}),
  });
  const updates = config.updates && createMqttPort({ ...common, clientId: `${clientId}-updates`, sessionExpirySeconds: 0 });
  return { intake, sink, updates };
}

/** Readings as they come, layouts with what the broker has retained, commands where they are switched on, and what Home Assistant says of itself. */
export function subscriptionsOf(config: Config, entries: readonly Entry[]): Subscription[] {
  const byFilter = new Map<string, Subscription>();
  const add = (filter: string, retained: boolean): void => {
    byFilter.set(filter, { filter, qos: 1, retained: retained || byFilter.get(filter)?.retained === true });
  };
  // Layouts first: they must be known before the readings that refer to them.
  for (const { pattern, codec } of entries) if (codec.name === "protobuf") add(pattern.layoutFilter, true);
  for (const { pattern } of entries) add(pattern.filter, false);
  if (config.commands.mqtt) add(commandFilter(config.node), false);
  const prefix = homeAssistantPrefix(config);
  if (prefix !== undefined) add(homeAssistantStatusTopic(prefix), false);
  return [...byFilter.values()];
}
