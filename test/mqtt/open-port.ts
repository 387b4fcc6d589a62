// A port on mqtt.js that keeps what happened to it, with short pauses between attempts.
import { systemClock } from "../../src/base/clock.ts";
import type { Log } from "../../src/base/log.ts";
import { createRandom } from "../../src/base/random.ts";
import { createMqttPort } from "../../src/mqtt/mqttjs-port.ts";
import type { MqttPort, MqttPortOptions } from "../../src/mqtt/mqttjs-port.ts";
import type { InboundPacket, OutboundMessage, PacketPort, PacketPortEvents, SessionFacts } from "../../src/mqtt/packet-port.ts";

export interface OpenPort {
  readonly port: MqttPort;
  readonly ups: SessionFacts[];
  readonly downs: { reason: string; byBroker: boolean }[];
  readonly refusals: string[];
  readonly packets: InboundPacket[];
  /** Level and message of every log line. */
  readonly logged: string[];
}

export type PortOptions = Partial<MqttPortOptions> & { url: string; clientId: string };

export function keepLog(into: string[]): Log {
  const keep = (level: string) => (message: string) => void into.push(`${level}: ${message}`);
  return { debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") };
}

/** A port that is not open yet. */
export function makePort(options: PortOptions, logged: string[] = []): MqttPort {
  return createMqttPort({
    clock: systemClock,
    random: createRandom(1),
    log: keepLog(logged),
    reconnectDelayMsMin: 20,
    reconnectDelayMsMax: 200,
    ...options,
  });
}

export function openPort(
  options: PortOptions,
  onPacket: (packet: InboundPacket) => void = () => {},
  more: Pick<PacketPortEvents, "connecting" | "failed"> = {},
): OpenPort {
  const logged: string[] = [];
  const port = makePort(options, logged);
  const open: OpenPort = { port, ups: [], downs: [], refusals: [], packets: [], logged };
  port.open({
    up: (session) => open.ups.push(session),
    down: (reason, byBroker) => open.downs.push({ reason, byBroker }),
    refused: (reason) => open.refusals.push(reason),
    ...more,
    packet: (packet) => {
      open.packets.push(packet);
      onPacket(packet);
    },
  });
  return open;
}

/** Publishes and waits for the broker's answer. */
export function publishTo(port: PacketPort, message: Partial<OutboundMessage> & { topic: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    port.publish({ payload: new Uint8Array(0), qos: 1, retain: false, ...message }, (error) => {
      if (error === undefined) resolve();
      else reject(error);
    });
  });
}

export const text = (payload: Uint8Array): string => Buffer.from(payload).toString();
export const bytes = (value: string): Uint8Array => Buffer.from(value);
