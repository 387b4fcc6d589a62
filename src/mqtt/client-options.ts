// What one connection is made of, and what of it mqtt.js gets to see. Its habits of reconnecting, resubscribing, queueing and pinging are
// off: they are done here, on our clock.
import type { IClientOptions } from "mqtt";
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { BrokerAddress } from "./broker-address.ts";
import type { TlsOptions } from "./broker-socket.ts";

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

export interface ConnectionOptions {
  readonly address: BrokerAddress;
  readonly tls: TlsOptions;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly protocol: 4 | 5;
  readonly keepaliveSeconds: number;
  /** 0: no session is kept. */
  readonly sessionExpirySeconds: number;
  readonly receiveMax: number;
  readonly will: Will | undefined;
  readonly clock: Clock;
}

/** mqtt.js tells its steps, several a packet, to a logger that packs them into arrays even where nobody listens. */
function noLog(): void {}

/** mqtt.js pings on the timer it is given: one that never fires. */
const NEVER_TIMER = { set: () => 0, clear: () => {} };

export function clientOptions(options: ConnectionOptions): IClientOptions {
  const { protocol, sessionExpirySeconds, will, username, password } = options;
  return {
    clientId: options.clientId,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    protocolVersion: protocol,
    keepalive: options.keepaliveSeconds,
    clean: sessionExpirySeconds === 0,
    // Without an expiry an MQTT 5 broker ends the session with the connection [MQTT-3.1.2-23].
    ...(protocol === 5
      ? { properties: { sessionExpiryInterval: sessionExpirySeconds, receiveMaximum: options.receiveMax } }
      : {}),
    ...(will === undefined
      ? {}
      : { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1 as const, retain: will.retain } }),
    connectTimeout: limits.brokerAnswerMsMax,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    timerVariant: NEVER_TIMER,
    log: noLog,
  };
}
