// Takes messages from a broker and hands them on as deliveries, each with its duty to be settled; decodes nothing. What is handed on
// and not yet settled is bounded in number and bytes: at a bound the connection is held back. A message is acked once it and all
// before it on its connection are settled, and never on another connection.
import { strict as assert } from "node:assert";
import type { Clock, Timer } from "../base/clock.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Delivery } from "../message/delivery.ts";
import { AckQueue } from "./ack-queue.ts";
import type { AckTicket } from "./ack-queue.ts";
import type { InboundPacket, PacketPort, SessionFacts, Subscription } from "./packet-port.ts";

export interface IntakeOptions {
  readonly port: PacketPort;
  readonly subscriptions: readonly Subscription[];
  /** Whether there was a session before this process: then it can be lost. */
  readonly hadSession?: boolean;
  readonly unsettledMessagesMax?: number;
  readonly unsettledBytesMax?: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Gets every message, in the order of arrival. May settle it at once. */
  receive(delivery: Delivery): void;
  /** A connection is about to be made, by which the broker may begin a session: it is not before the promise is kept. */
  connecting?(): Promise<void>;
  /**
   * The broker has begun a session, in which packet ids start anew, or not: told before anything of it comes. Where neither is told before
   * the next `connecting`, nobody knows.
   */
  session?(outcome: "began" | "kept"): void;
  /** The broker has granted the subscriptions: from now on nothing published to them passes us by. Called once. */
  subscribed?(): void;
  /** The broker refuses us for good; the reason says what to check. */
  refused(reason: string): void;
}

/** After a hold, messages are taken again below this part of the bounds: not at every single settlement. */
const RESUME_BELOW = 0.5;

export class Intake {
  readonly #options: IntakeOptions;
  readonly #port: PacketPort;
  readonly #acks: AckQueue;
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  readonly #count: ReturnType<typeof counters>;
  #hadSession: boolean;
  #isUp = false;
  #connection = 0;
  /** In the session at hand, and ever. */
  #subscribed = false;
  #wasSubscribed = false;
  #answerDue: Timer | undefined;
  #messages = 0;
  #bytes = 0;
  #full = false;
  #heldFromAbove = false;
  #stopped = false;
  #held = false;
  #nowMs: number | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#port = options.port;
    this.#hadSession = options.hadSession ?? false;
    this.#messagesMax = options.unsettledMessagesMax ?? limits.unsettledMessagesMax;
    this.#bytesMax = options.unsettledBytesMax ?? limits.unsettledBytesMax;
    this.#count = counters(options.metrics);
    this.#acks = new AckQueue((packetId) => {
      this.#count.acksSent.add();
      this.#port.acknowledge(packetId);
    });
  }

  /** Connected, and the broker has granted the subscriptions. */
  get isReady(): boolean {
    return this.#isUp && this.#subscribed;
  }

  /** Messages handed on and not yet settled. */
  get unsettled(): number {
    return this.#messages;
  }

  start(): void {
    this.#port.open({
      connecting: () => this.#connecting(),
      failed: (asked) => {
        if (!asked) this.#tellOfSession("kept");
      },
      up: (session) => this.#up(session),
      down: () => this.#down(),
      refused: (reason) => this.#options.refused(reason),
      packet: (packet) => this.#packet(packet),
    });
  }

  /** Holds messages back, or lets them come again, for a reason that lies above: the outbox is full, the disk is busy. */
  hold(held: boolean): void {
    this.#heldFromAbove = held;
    this.#updateHold();
  }

  /** Takes no more messages. What was handed on can still be settled, and is acked. */
  stop(): void {
    this.#stopped = true;
    this.#updateHold();
  }

  /** Disconnects. What is not settled by now comes again with the next connection of this client id. */
  async close(): Promise<void> {
    this.stop();
    this.#answerDue?.cancel();
    await this.#port.close();
  }

  #up({ present }: SessionFacts): void {
    this.#isUp = true;
    this.#connection++;
    this.#count.connects.add();
    this.#count.up.set(1);
    if (!present) {
      if (this.#hadSession) {
        this.#count.sessionLost.add();
        this.#options.log.warn("the broker has lost our session: messages sent while we were away may be missing");
      }
      this.#subscribed = false;
    }
    this.#hadSession = true;
    this.#tellOfSession(present ? "kept" : "began");
    // At the start of a process the session may hold the subscriptions of an older config.
    if (!this.#subscribed) this.#subscribe();
  }

  /** After a stop nobody notes any more what is done, so no connection is made. */
  #connecting(): Promise<void> {
    if (this.#stopped) return new Promise(() => {});
    return this.#options.connecting?.() ?? Promise.resolve();
  }

  #tellOfSession(outcome: "began" | "kept"): void {
    if (!this.#stopped) this.#options.session?.(outcome);
  }

  #down(): void {
    this.#isUp = false;
    this.#answerDue?.cancel();
    this.#acks.cut();
    this.#count.disconnects.add();
    this.#count.up.set(0);
  }

  #subscribe(): void {
    const connection = this.#connection;
    this.#answerDue = this.#options.clock.after(limits.brokerAnswerMsMax, () =>
      this.#port.drop("the broker does not answer a SUBSCRIBE"),
    );
    this.#port.subscribe(this.#options.subscriptions).then(
      () => this.#subscribeAnswered(connection, undefined),
      (error: unknown) => this.#subscribeAnswered(connection, error),
    );
  }

  #subscribeAnswered(connection: number, error: unknown): void {
    if (connection !== this.#connection || !this.#isUp) return;
    this.#answerDue?.cancel();
    if (error === undefined) {
      this.#subscribed = true;
      if (!this.#wasSubscribed) this.#options.subscribed?.();
      this.#wasSubscribed = true;
    } else if (error instanceof HiddenstateError && error.code === "broker_refused" && !this.#wasSubscribed) {
      const refused = (): void => this.#options.refused(error.message);
      this.#port.close().then(refused, refused);
    } else {
      // What the broker granted before it may grant again.
      this.#options.log.warn("cannot subscribe; connecting anew", { reason: reasonOf(error) });
      this.#port.drop(reasonOf(error));
    }
  }

  #packet(packet: InboundPacket): void {
    const { clock } = this.#options;
    // A QoS 2 message has been answered below: like one of QoS 0 it never comes again.
    const ticket = packet.qos === 1 ? this.#acks.arrive(packet.packetId) : undefined;
    const { length } = packet.payload;
    this.#messages++;
    this.#bytes += length;
    this.#count.messages.add();
    this.#count.bytes.add(length);
    this.#updateWindow();
    const arrivedAtMs = this.#now();
    let settled = false;
    this.#options.receive({
      topic: packet.topic,
      payload: packet.payload,
      payloadBytes: packet.payloadBytes,
      qos: packet.qos === 1 ? 1 : 0,
      dup: packet.dup,
      retain: packet.retain,
      packetId: packet.qos === 1 ? packet.packetId : 0,
      receivedAt: clock.wallMs(),
      clockSynced: clock.isSynced(),
      settle: () => {
        assert(!settled, "a message is settled once");
        settled = true;
        this.#count.latency.observe(this.#now() - arrivedAtMs);
        this.#settle(ticket, length);
      },
    });
  }

  /** The time, looked at once for messages that come or are settled in one go. */
  #now(): number {
    if (this.#nowMs === undefined) {
      this.#nowMs = this.#options.clock.monotonicMs();
      queueMicrotask(() => (this.#nowMs = undefined));
    }
    return this.#nowMs;
  }

  #settle(ticket: AckTicket | undefined, length: number): void {
    this.#messages--;
    this.#bytes -= length;
    if (ticket !== undefined && !this.#acks.settle(ticket)) this.#count.acksStale.add();
    this.#updateWindow();
  }

  #updateWindow(): void {
    const fill = Math.max(this.#messages / this.#messagesMax, this.#bytes / this.#bytesMax);
    if (fill >= 1) this.#full = true;
    else if (fill <= RESUME_BELOW) this.#full = false;
    this.#count.unsettledMessages.set(this.#messages);
    this.#count.unsettledBytes.set(this.#bytes);
    this.#updateHold();
  }

  #updateHold(): void {
    const held = this.#full || this.#heldFromAbove || this.#stopped;
    if (held === this.#held) return;
    this.#held = held;
    if (held) this.#count.holds.add();
    this.#count.held.set(held ? 1 : 0);
    this.#port.hold(held);
  }
}

function counters(metrics: Metrics) {
  return {
    messages: metrics.counter("intake_messages"),
    bytes: metrics.counter("intake_bytes"),
    connects: metrics.counter("intake_connects"),
    disconnects: metrics.counter("intake_disconnects"),
    holds: metrics.counter("intake_holds"),
    sessionLost: metrics.counter("session_lost"),
    acksSent: metrics.counter("acks_sent"),
    acksStale: metrics.counter("acks_stale"),
    up: metrics.gauge("intake_up"),
    held: metrics.gauge("intake_held"),
    unsettledMessages: metrics.gauge("unsettled_messages"),
    unsettledBytes: metrics.gauge("unsettled_bytes"),
    latency: metrics.histogram("message_latency"),
  };
}
