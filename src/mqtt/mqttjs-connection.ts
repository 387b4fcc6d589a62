// One connection to a broker, from CONNECT to its end, driven by one mqtt.js client that is thrown away with it. All that is known of
// mqtt.js's insides stands here and in client-options.ts: above all how to take a message without acking it, and how to ack it later.
// test/mqtt/mqttjs-contract.test.ts fails where a new version differs.
import { strict as assert } from "node:assert";
import { MqttClient } from "mqtt";
import type { IConnackPacket, IPublishPacket, Packet } from "mqtt";
import { HiddenstateError, reasonOf, systemCodeOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { BrokerSocket } from "./broker-socket.ts";
import { clientOptions } from "./client-options.ts";
import type { ConnectionOptions } from "./client-options.ts";
import { Keepalive } from "./keepalive.ts";
import { PublishRefused } from "./packet-port.ts";
import type { InboundPacket, OutboundMessage, SessionFacts, Subscription } from "./packet-port.ts";
import { connectRefusal, disconnectReason, publishRefusal } from "./reason-codes.ts";

export interface ConnectionEnd {
  readonly reason: string;
  /** The broker's machine took the connection. */
  readonly reached: boolean;
  /** Something was sent to it. */
  readonly asked: boolean;
  readonly wasUp: boolean;
  /** The broker ended it in order. */
  readonly byBroker: boolean;
  /** The code of a CONNACK that refused us. */
  readonly connackCode: number | undefined;
  /** The code of an MQTT 5 broker's DISCONNECT. */
  readonly disconnectCode: number | undefined;
}

export interface ConnectionEvents {
  /** The broker's machine has taken the connection: CONNECT leaves once the promise is kept. */
  connecting(): Promise<void>;
  up(session: SessionFacts): void;
  packet(packet: InboundPacket): void;
  /** Called once, last. */
  ended(end: ConnectionEnd): void;
}

interface PendingPublish {
  readonly done: (error?: Error) => void;
}

/** Handed to mqtt.js in place of "handled": it goes on to the next packet and sends no PUBACK. */
const NO_ACK = new Error("acked later");
const RECEIVE_MAX_DEFAULT = 65_535;
const QOS_2 = 2;
/** Reason codes from here on are refusals. */
const REFUSED = 0x80;
const CLOSE_GRACE_MS = 1000;
/** Topic length, packet id, properties' length and the fixed header. */
const PUBLISH_HEADER_BYTES_MAX = 10;

function codeOf(thrown: unknown): number | undefined {
  return typeof thrown === "object" && thrown !== null && "code" in thrown && typeof thrown.code === "number"
    ? thrown.code
    : undefined;
}

function unavailable(verb: string, reason: string): HiddenstateError {
  return new HiddenstateError("unavailable", `cannot ${verb}: ${reason}`);
}

function subscriptionRefused(reason: string): HiddenstateError {
  const advice = "check the topic filters and the broker's access list";
  return new HiddenstateError("broker_refused", `cannot subscribe to ${reason}; ${advice}`);
}

export class MqttJsConnection {
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  readonly #socket: BrokerSocket;
  readonly #client: MqttClient;
  readonly #pending = new Set<PendingPublish>();
  #connack: IConnackPacket | undefined;
  #keepalive: Keepalive | undefined;
  #held: boolean;
  /** What goes on once taking packets is allowed again. */
  #parked: (() => void) | undefined;
  #isUp = false;
  #ended = false;
  #closing = false;
  #reason: string | undefined;
  #givenUp = false;
  #broken = false;
  /** How long payloads were that have arrived cut; packets of QoS 2 are handed over later than they come. */
  readonly #oversized = new WeakMap<IPublishPacket, number>();
  #connackCode: number | undefined;
  #disconnectCode: number | undefined;

  constructor(options: ConnectionOptions, held: boolean, events: ConnectionEvents) {
    this.#options = options;
    this.#held = held;
    this.#events = events;
    this.#socket = new BrokerSocket({
      address: options.address,
      tls: options.tls,
      protocol: options.protocol,
      payloadBytesMax: limits.payloadBytesMax,
      connecting: () => events.connecting(),
      heard: () => this.#keepalive?.heard(),
    });
    this.#socket.on("error", (error) => {
      // A broker that dislikes our first bytes closes with some of them unread, and that arrives as a reset.
      this.#broken = systemCodeOf(error) !== "ECONNRESET" || this.#connack !== undefined;
      this.#reason ??= reasonOf(error);
    });
    this.#client = new MqttClient(() => this.#socket, clientOptions(options));
    this.#client.handleMessage = (packet, done) => this.#arrive(packet, done);
    this.#client.on("packetreceive", (packet) => this.#inspect(packet));
    // mqtt.js tells of `connect` late where it has something stored to send, and packets may come before: whichever is first.
    this.#client.on("connect", () => this.#rise());
    this.#client.on("error", (error) => {
      // The socket's own errors have been heard of above; the others are mqtt.js's doubts about what the broker sends.
      if (this.#socket.errored === null) this.abort(reasonOf(error));
    });
    this.#client.on("close", () => this.#end());
  }

  /** For how long the broker keeps the session, where it has told; it may grant less than was asked for [MQTT-3.2.2-21]. */
  get sessionExpirySeconds(): number {
    return this.#connack?.properties?.sessionExpiryInterval ?? this.#options.sessionExpirySeconds;
  }

  acknowledge(packetId: number): void {
    if (!this.#isUp || this.#ended || !this.#client.connected) return;
    this.#client["_sendPacket"]({ cmd: "puback", messageId: packetId, reasonCode: 0 });
  }

  /** mqtt.js handles one packet at a time, so a parked message holds up all behind it, and in the end the kernel's buffers. */
  hold(held: boolean): void {
    this.#held = held;
    this.#keepalive?.hold(held);
    if (held) return;
    const parked = this.#parked;
    this.#parked = undefined;
    parked?.();
  }

  async subscribe(subscriptions: readonly Subscription[]): Promise<void> {
    if (!this.#isUp || this.#ended) throw unavailable("subscribe", "no connection to the broker");
    const wanted = Object.fromEntries(
      subscriptions.map(({ filter, qos, retained }) => [filter, { qos, nl: false, rap: false, rh: retained ? 0 : 2 }]),
    );
    await new Promise<void>((resolve, reject) => {
      this.#client.subscribe(wanted, (error, granted, answer) => {
        const refused = granted?.filter((_, i) => Number(answer?.granted[i]) >= REFUSED).map(({ topic }) => topic) ?? [];
        if (error === null) resolve();
        else if (refused.length > 0) reject(subscriptionRefused(`${refused.join(", ")}: the broker refuses`));
        // mqtt.js looks at the filters before it sends them.
        else if (answer === undefined && !this.#socket.destroyed) reject(subscriptionRefused(reasonOf(error)));
        else reject(unavailable("subscribe", reasonOf(error)));
      });
    });
  }

  unsubscribe(filters: readonly string[]): void {
    if (this.#isUp && !this.#ended) this.#client.unsubscribe([...filters]);
  }

  publish(message: OutboundMessage, done: (error?: Error) => void): void {
    if (!this.#isUp || this.#ended || this.#closing) {
      done(unavailable("publish", "no connection to the broker"));
      return;
    }
    const refused = this.#refusalBeforehand(message);
    if (refused !== undefined) {
      done(refused);
      return;
    }
    const pending = { done };
    this.#pending.add(pending);
    const { topic, payload, qos, retain } = message;
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    this.#client.publish(topic, bytes, { qos, retain }, (error) => {
      if (!this.#pending.delete(pending)) return;
      const code = codeOf(error);
      if (code !== undefined) done(new PublishRefused(publishRefusal(code), `cannot publish to ${topic}: ${reasonOf(error)}`));
      else if (error) done(unavailable("publish", reasonOf(error)));
      else done();
    });
  }

  /** Breaks the connection. */
  abort(reason: string): void {
    this.#givenUp = true;
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  /** Disconnects in order; what was written before is sent first. */
  close(): void {
    if (!this.#isUp || this.#ended) {
      this.abort("closed");
      return;
    }
    this.#closing = true;
    this.#givenUp = true;
    this.#reason ??= "closed";
    this.#client["_sendPacket"]({ cmd: "disconnect", reasonCode: 0 });
    this.#socket.end();
    this.#socket.discardInput();
    this.#options.clock.after(CLOSE_GRACE_MS, () => this.#socket.destroy(), { background: true });
  }

  #inspect(packet: Packet): void {
    if (packet.cmd === "connack") {
      const code = (this.#options.protocol === 5 ? packet.reasonCode : packet.returnCode) ?? 0;
      if (code === 0) {
        this.#connack = packet;
        return;
      }
      this.#connackCode = code;
      this.#reason ??= connectRefusal(code).reason;
    } else if (packet.cmd === "disconnect") {
      this.#disconnectCode = packet.reasonCode ?? 0;
      this.#reason ??= disconnectReason(this.#disconnectCode);
    } else {
      if (packet.cmd === "publish" && packet.payload.length > limits.payloadBytesMax) {
        this.#oversized.set(packet, this.#socket.takeOversizedBytes()!);
      }
      this.#rise();
    }
  }

  #rise(): void {
    const connack = this.#connack;
    if (connack === undefined || this.#isUp || this.#ended) return;
    this.#isUp = true;
    // A broker may ask for more frequent pings than we offer [MQTT-3.1.2-21].
    this.#keepalive = new Keepalive(this.#options.clock, this.#client.keepalive, {
      ping: () => this.#client.sendPing(),
      lost: () => this.abort("the broker has not been heard from for one and a half keepalive times"),
    });
    this.#keepalive.hold(this.#held);
    const { protocol } = this.#options;
    const receiveMax = connack.properties?.receiveMaximum ?? RECEIVE_MAX_DEFAULT;
    this.#events.up({ present: connack.sessionPresent, protocol, receiveMax });
  }

  #arrive(packet: IPublishPacket, done: (error?: Error) => void): void {
    if (this.#held) {
      assert(this.#parked === undefined, "mqtt.js hands over one packet at a time");
      this.#parked = () => this.#take(packet, done);
    } else {
      this.#take(packet, done);
    }
  }

  #take(packet: IPublishPacket, done: (error?: Error) => void): void {
    if (this.#ended || this.#closing) return;
    const { topic, payload: sent, qos, dup, retain } = packet;
    const payload = typeof sent === "string" ? Buffer.from(sent) : sent;
    const payloadBytes = this.#oversized.get(packet);
    this.#events.packet({ topic, payload, payloadBytes, packetId: qos === 0 ? 0 : packet.messageId!, qos, dup, retain });
    // At QoS 2 mqtt.js has its own handshake, which only ends where it may finish.
    if (qos === QOS_2) done();
    else done(NO_ACK);
  }

  /** What an MQTT 5 broker has announced not to take: sending it would end the connection. */
  #refusalBeforehand({ topic, payload, retain }: OutboundMessage): PublishRefused | undefined {
    const { maximumPacketSize = Infinity, retainAvailable = true } = this.#connack?.properties ?? {};
    const bytes = Buffer.byteLength(topic) + payload.length + PUBLISH_HEADER_BYTES_MAX;
    if (bytes > maximumPacketSize) {
      return new PublishRefused(
        "packet_too_large",
        `cannot publish to ${topic}: ${bytes} bytes; the broker takes ${maximumPacketSize}`,
      );
    }
    if (retain && !retainAvailable) {
      return new PublishRefused("retain_not_supported", `cannot publish to ${topic}: the broker keeps no retained messages`);
    }
    return undefined;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#keepalive?.stop();
    this.#parked = undefined;
    const reason = this.#reason ?? "the broker closed the connection";
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const { done } of pending) done(unavailable("publish", reason));
    this.#events.ended({
      reason,
      reached: this.#socket.reached,
      asked: this.#socket.hasAsked,
      wasUp: this.#isUp,
      byBroker: !this.#broken && !this.#givenUp,
      connackCode: this.#connackCode,
      disconnectCode: this.#disconnectCode,
    });
  }
}
