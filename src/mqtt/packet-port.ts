// The thin line between this project and an MQTT client: packets and the connection's ups and downs. Ack order, epochs and windows
// lie above it. One implementation drives mqtt.js; the simulator has its own.
import { HiddenstateError } from "../base/errors.ts";

export interface InboundPacket {
  readonly topic: string;
  /** At most `limits.payloadBytesMax` + 1 bytes: what is longer arrives cut to that length, so that it can be refused and acked. */
  readonly payload: Uint8Array;
  /** Of a payload that arrives cut: how long it was. */
  readonly payloadBytes?: number | undefined;
  /** 0 at QoS 0. */
  readonly packetId: number;
  /** 2 only from a subscription that another program left in the session: the port itself has answered such a packet. */
  readonly qos: 0 | 1 | 2;
  readonly dup: boolean;
  readonly retain: boolean;
}

export interface SessionFacts {
  /** The broker kept this client's session: subscriptions and unacked messages are still there. */
  readonly present: boolean;
  readonly protocol: 4 | 5;
  /** How many QoS 1 publishes the broker takes before it acks. */
  readonly receiveMax: number;
}

export interface PacketPortEvents {
  /** The broker's machine has been reached. What asks for a connection, and may begin a session, leaves once the promise is kept. */
  connecting?(): Promise<void>;
  /** An attempt has ended without `up`. `asked`: it had been asked for, and no refusal has come: the broker may have begun a session. */
  failed?(asked: boolean): void;
  /** A connection stands. Inbound packets of this connection follow. */
  up(session: SessionFacts): void;
  /**
   * The connection is gone; the port tries again by itself until closed. Every publish still waiting on it has been called back.
   * `byBroker`: the broker ended it in order, rather than the network breaking or this side giving up.
   */
  down(reason: string, byBroker: boolean): void;
  /** The broker gave our client id to another client [MQTT-3.1.4-3], or refuses us for good: no further attempt is made. */
  refused(reason: string): void;
  packet(packet: InboundPacket): void;
}

export interface Subscription {
  readonly filter: string;
  readonly qos: 0 | 1;
  /** Whether retained messages are wanted at subscription (MQTT 5 retain handling 0, otherwise 2). */
  readonly retained: boolean;
}

export interface OutboundMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

/** Why a broker will never take a message. */
export type PublishRefusal =
  | "closed_on_publish" // it ends the connection whenever it gets this message
  | "implementation_specific"
  | "not_authorized"
  | "packet_too_large"
  | "payload_format_invalid"
  | "quota_exceeded"
  | "retain_not_supported"
  | "topic_name_invalid"
  | "unspecified";

/** The broker will not take this message: sending it again is of no use. Every other error of a publish means "not yet". */
export class PublishRefused extends HiddenstateError {
  readonly refusal: PublishRefusal;

  constructor(refusal: PublishRefusal, message: string) {
    super("broker_refused", message);
    this.name = "PublishRefused";
    this.refusal = refusal;
  }
}

export interface PacketPort {
  /** Starts connecting. Called once. */
  open(events: PacketPortEvents): void;
  /** Resolves when the broker has granted all; rejects with `broker_refused` where it refuses one, else with `unavailable`. Only while up. */
  subscribe(subscriptions: readonly Subscription[]): Promise<void>;
  /** Wants no more of what these filters catch; what is on its way still comes. Content while down. */
  unsubscribe(filters: readonly string[]): void;
  /** Sends the PUBACK of a packet received on this connection. Content while down. */
  acknowledge(packetId: number): void;
  /** Stops or resumes taking packets from the connection, so that TCP holds the broker back. The connection is kept alive meanwhile. */
  hold(held: boolean): void;
  /**
   * Calls `done` once: when the broker has confirmed (QoS 1) or the bytes are handed over (QoS 0), or with an error: `PublishRefused`,
   * or `unavailable` where this connection will not bring an answer any more. The port never sends a message again by itself.
   */
  publish(message: OutboundMessage, done: (error?: Error) => void): void;
  /** Breaks the connection, as the network might: `down` and further attempts follow. Content while down. */
  drop(reason: string): void;
  /** Disconnects in order and ends all attempts. `down` is called where a connection stood. */
  close(): Promise<void>;
}

/** The connections of a runtime: one takes readings and never publishes, the other publishes. */
export interface Ports {
  readonly intake: PacketPort;
  readonly sink: PacketPort;
  /** Where models are taken over MQTT, a third takes them. */
  readonly updates?: PacketPort | undefined;
}
