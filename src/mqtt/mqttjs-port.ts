// The PacketPort on mqtt.js: one connection after another, with the pauses between them. It decides which protocol version to speak,
// when to try again, and when to stop trying; what passes over a connection is none of its business.
import { strict as assert } from "node:assert";
import type { Clock, Timer } from "../base/clock.ts";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { parseBrokerUrl } from "./broker-address.ts";
import type { BrokerAddress } from "./broker-address.ts";
import type { TlsOptions } from "./broker-socket.ts";
import type { Will } from "./client-options.ts";
import { MqttJsConnection } from "./mqttjs-connection.ts";
import type { ConnectionEnd } from "./mqttjs-connection.ts";
import type { OutboundMessage, PacketPort, PacketPortEvents, SessionFacts, Subscription } from "./packet-port.ts";
import { connectRefusal, SESSION_TAKEN_OVER } from "./reason-codes.ts";

export interface MqttPortOptions {
  /** `mqtt://` or `mqtts://`, host, port; credentials may stand in it. */
  readonly url: string;
  /** For `mqtts://`. */
  readonly tls?: TlsOptions;
  /** Fixed over restarts: the broker keeps the session under it. Two clients with one id throw each other out. */
  readonly clientId: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** `auto` tries MQTT 5 and falls back to 3.1.1. */
  readonly protocol?: "auto" | 4 | 5;
  readonly keepaliveSeconds?: number;
  /** How long the broker keeps the session while we are away; 0 asks for none, which suits a port that only publishes. */
  readonly sessionExpirySeconds?: number;
  /** How many unacked messages the broker may have under way to us (MQTT 5). */
  readonly receiveMax?: number;
  readonly reconnectDelayMsMin?: number;
  readonly reconnectDelayMsMax?: number;
  readonly will?: Will;
  /** Called whenever a connection stands, for what else waits for this broker. */
  readonly reached?: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * MQTT 3.1.1 has no word for "another client has your id", and mosquitto 2.0.11 closes without one in MQTT 5 too. This many closings in a
 * row, each soon after the broker let us in, tell enough.
 */
const EARLY_CLOSINGS_MAX = 8;

export interface MqttPort extends PacketPort {
  /** Another connection has reached the broker: the next attempt is made now, unless the broker has just ended the last. */
  hurry(): void;
}

class MqttJsPort implements MqttPort {
  readonly #options: MqttPortOptions;
  readonly #address: BrokerAddress;
  readonly #delayMsMin: number;
  readonly #delayMsMax: number;
  readonly #sessionExpirySeconds: number;
  #events: PacketPortEvents | undefined;
  #connection: MqttJsConnection | undefined;
  /** Set between two attempts. */
  #retry: Timer | undefined;
  /** The last attempt says nothing against another one: it reached nobody, or held for a while. */
  #mayHurry = false;
  #protocol: 4 | 5;
  /** The broker has shown that it speaks `#protocol`. */
  #protocolKnown: boolean;
  #held = false;
  #attempts = 0;
  #earlyClosings = 0;
  #upSinceMs = 0;
  #everUp = false;
  /** The kind of trouble last told of: a log line when it changes, not at every attempt. */
  #trouble = "";
  #over = false;
  #closing: Promise<void> | undefined;
  #closed: () => void = () => {};
  #warnedOfExpiry = false;

  constructor(options: MqttPortOptions) {
    this.#options = options;
    this.#address = parseBrokerUrl(options.url);
    this.#delayMsMin = options.reconnectDelayMsMin ?? limits.reconnectDelayMsMin;
    this.#delayMsMax = options.reconnectDelayMsMax ?? limits.reconnectDelayMsMax;
    this.#sessionExpirySeconds = options.sessionExpirySeconds ?? limits.sessionExpirySeconds;
    assert(options.clientId !== "", "a session needs a client id");
    assert((options.keepaliveSeconds ?? limits.keepaliveSeconds) >= 1, "a keepalive is at least a second");
    const { protocol = "auto" } = options;
    this.#protocol = protocol === "auto" ? 5 : protocol;
    this.#protocolKnown = protocol !== "auto";
  }

  open(events: PacketPortEvents): void {
    assert(this.#events === undefined, "a port is opened once");
    this.#events = events;
    this.#connect();
  }

  subscribe(subscriptions: readonly Subscription[]): Promise<void> {
    if (this.#connection !== undefined) return this.#connection.subscribe(subscriptions);
    return Promise.reject(new HiddenstateError("unavailable", "cannot subscribe: no connection to the broker"));
  }

  unsubscribe(filters: readonly string[]): void {
    this.#connection?.unsubscribe(filters);
  }

  acknowledge(packetId: number): void {
    this.#connection?.acknowledge(packetId);
  }

  hold(held: boolean): void {
    this.#held = held;
    this.#connection?.hold(held);
  }

  publish(message: OutboundMessage, done: (error?: Error) => void): void {
    if (this.#connection !== undefined) this.#connection.publish(message, done);
    else done(new HiddenstateError("unavailable", "cannot publish: no connection to the broker"));
  }

  hurry(): void {
    if (this.#retry === undefined || !this.#mayHurry) return;
    this.#retry.cancel();
    this.#connect();
  }

  drop(reason: string): void {
    this.#connection?.abort(reason);
  }

  close(): Promise<void> {
    this.#over = true;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#closing ??= new Promise((resolve) => {
      this.#closed = resolve;
      if (this.#connection === undefined) resolve();
      else this.#connection.close();
    });
    return this.#closing;
  }

  #connect(): void {
    this.#retry = undefined;
    const { clientId, clock, will, tls = {} } = this.#options;
    this.#connection = new MqttJsConnection(
      {
        address: this.#address,
        tls,
        clientId,
        username: this.#options.username ?? this.#address.username,
        password: this.#options.password ?? this.#address.password,
        protocol: this.#protocol,
        keepaliveSeconds: this.#options.keepaliveSeconds ?? limits.keepaliveSeconds,
        sessionExpirySeconds: this.#sessionExpirySeconds,
        receiveMax: this.#options.receiveMax ?? limits.unsettledMessagesMax,
        will,
        clock,
      },
      this.#held,
      {
        connecting: () => this.#events?.connecting?.() ?? Promise.resolve(),
        up: (session) => this.#up(session),
        packet: (packet) => this.#events?.packet(packet),
        ended: (end) => this.#ended(end),
      },
    );
  }

  #up(session: SessionFacts): void {
    this.#protocolKnown = true;
    this.#everUp = true;
    this.#trouble = "";
    this.#upSinceMs = this.#options.clock.monotonicMs();
    this.#options.log.info("connected to the broker", { ...this.#name(), protocol: session.protocol, resumed: session.present });
    this.#checkExpiry();
    this.#events?.up(session);
    this.#options.reached?.();
  }

  #checkExpiry(): void {
    const granted = this.#connection?.sessionExpirySeconds ?? Infinity;
    if (this.#warnedOfExpiry || granted >= this.#sessionExpirySeconds) return;
    this.#warnedOfExpiry = true;
    const hint = "what is sent to us while we are away for longer is lost; raise the broker's limit";
    this.#options.log.warn(`the broker keeps our session for ${granted} s only: ${hint}`, this.#name());
  }

  #ended(end: ConnectionEnd): void {
    this.#connection = undefined;
    // Two connections that a broker ends at once must not hurry each other on and on.
    this.#mayHurry = !end.reached || (end.wasUp && this.#connectionLasted() >= this.#delayMsMin);
    if (end.wasUp) {
      if (!this.#over) this.#options.log.warn("lost the connection to the broker", { ...this.#name(), reason: end.reason });
      this.#events?.down(end.reason, end.byBroker);
    } else {
      this.#events?.failed?.(end.asked && end.connackCode === undefined);
    }
    if (this.#over) {
      this.#closed();
      return;
    }
    const refusal = this.#refusal(end);
    if (refusal !== undefined) this.#refuse(refusal);
    else if (this.#fallBack(end)) this.#connect();
    else this.#retryLater(end);
  }

  /** Why no further attempt is of use; undefined where one is. */
  #refusal(end: ConnectionEnd): string | undefined {
    const { clientId } = this.#options;
    if (end.disconnectCode === SESSION_TAKEN_OVER) {
      return `cannot stay connected to ${this.#address.display}: another client uses the client id "${clientId}"; stop it or choose another id`;
    }
    if (end.connackCode !== undefined) {
      const { verdict, reason } = connectRefusal(end.connackCode);
      // A broker that has taken these very credentials before may have lost its user database for a while.
      const lasts = verdict === "final" ? !this.#everUp : verdict === "version" && this.#protocolKnown;
      return lasts ? `cannot connect to ${this.#address.display} as "${clientId}": ${reason}` : undefined;
    }
    this.#earlyClosings = this.#countEarlyClosing(end);
    if (this.#earlyClosings < EARLY_CLOSINGS_MAX) return undefined;
    return (
      `cannot stay connected to ${this.#address.display}: the broker closed the connection ${EARLY_CLOSINGS_MAX} times soon after it stood; ` +
      `check that no other client uses the client id "${clientId}" and that the broker's access list lets us subscribe and publish`
    );
  }

  #countEarlyClosing(end: ConnectionEnd): number {
    if (!end.wasUp || end.disconnectCode !== undefined || this.#connectionLasted() >= this.#delayMsMax) return 0;
    // A connection that broke says nothing: where input was unread, closing looks like breaking.
    return this.#earlyClosings + (end.byBroker ? 1 : 0);
  }

  #connectionLasted(): number {
    return this.#options.clock.monotonicMs() - this.#upSinceMs;
  }

  /** Whether to try the other protocol version at once. */
  #fallBack(end: ConnectionEnd): boolean {
    if (this.#protocolKnown || !end.reached || end.wasUp) return false;
    if (end.connackCode !== undefined) {
      if (connectRefusal(end.connackCode).verdict !== "version") return false;
      this.#protocol = 4;
      this.#protocolKnown = true;
      return true;
    }
    if (!end.byBroker) return false;
    // Some brokers close without a word. So does a proxy whose broker is away: then 5 has its turn again.
    this.#protocol = this.#protocol === 5 ? 4 : 5;
    return this.#protocol === 4;
  }

  #refuse(reason: string): void {
    this.#over = true;
    this.#events?.refused(reason);
  }

  #retryLater(end: ConnectionEnd): void {
    // A connection that held for the longest pause is a good one; a shorter one must not bring back the shortest pause, or two clients
    // with one id would throw each other out every second.
    if (end.wasUp && this.#connectionLasted() >= this.#delayMsMax) this.#attempts = 0;
    const trouble = end.wasUp ? this.#trouble : `code ${end.connackCode}`;
    if (trouble !== this.#trouble) {
      this.#trouble = trouble;
      this.#options.log.warn("cannot connect to the broker; trying again", { ...this.#name(), reason: end.reason });
    }
    this.#attempts++;
    const ceiling = Math.min(this.#delayMsMax, this.#delayMsMin * 2 ** this.#attempts);
    const delay = this.#delayMsMin + this.#options.random.next() * Math.max(0, ceiling - this.#delayMsMin);
    this.#retry = this.#options.clock.after(delay, () => this.#connect());
  }

  #name(): { broker: string; client: string } {
    return { broker: this.#address.display, client: this.#options.clientId };
  }
}

/** Throws `bad_config` where the URL cannot be used. Nothing is sent before `open`. */
export function createMqttPort(options: MqttPortOptions): MqttPort {
  return new MqttJsPort(options);
}
