// What stands in a broker's place where the program that embeds a runtime has the readings itself: messages go in and out by calls, and
// under the same duties as over a network. A message is settled once it is durable, in the order in which it came, and what the runtime
// sends is confirmed by whoever takes it. It retains nothing and knows no other subscriber.
import { strict as assert } from "node:assert";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { filtersOverlap } from "../message/topic-pattern.ts";
import { isTopicName } from "../message/topics.ts";
import { PublishRefused } from "./packet-port.ts";
import type { OutboundMessage, PacketPort, PacketPortEvents, Ports, Subscription } from "./packet-port.ts";

/** A message of the runtime. */
export interface LinkMessage {
  /** `hiddenstate/<node>/prediction/<stream>`, `.../alarm/<stream>`, `.../dead-letter` and the others of docs/message-format.md. */
  readonly topic: string;
  readonly payload: Uint8Array;
  /** A broker would keep it for those who come later. */
  readonly retain: boolean;
}

/** Takes a message; the promise, where it returns one, is kept once it has it for good. */
export type LinkReceiver = (message: LinkMessage) => void | Promise<void>;

interface Given {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly settled: () => void;
  readonly refused: (error: Error) => void;
  /** 0 until the runtime has got it. */
  packetId: number;
}

const PACKET_IDS = 65_535;
const RECEIVE_MAX = 65_535;

function stopped(topic: string): HiddenstateError {
  const reason = "the runtime has stopped, and it is not known to be durable; publish it again after the next start";
  return new HiddenstateError("unavailable", `cannot publish on ${topic}: ${reason}`);
}

/** The runtime's intake: it takes what `give` is given. */
class IntakePort implements PacketPort {
  #events: PacketPortEvents | undefined;
  #filters: (readonly string[])[] | undefined;
  #isUp = false;
  #isClosed = false;
  #held = false;
  #pumping = false;
  #lastId = 0;
  /** Not yet handed to the runtime, and handed and not yet acked; both in order. */
  #waiting: Given[] = [];
  #unacked: Given[] = [];

  give(topic: string, payload: Uint8Array): Promise<void> {
    if (this.#isClosed) return Promise.reject(stopped(topic));
    if (this.#waiting.length >= limits.linkMessagesMax) {
      const reason = `${limits.linkMessagesMax} messages wait for the runtime already; await earlier ones first`;
      return Promise.reject(new HiddenstateError("unavailable", `cannot publish on ${topic}: ${reason}`));
    }
    return new Promise((settled, refused) => {
      this.#waiting.push({ topic, payload, settled, refused, packetId: 0 });
      this.#pump();
    });
  }

  open(events: PacketPortEvents): void {
    this.#events = events;
    this.#connect();
  }

  #connect(): void {
    const events = this.#events!;
    void Promise.resolve(events.connecting?.()).then(() => {
      if (this.#isClosed) return;
      this.#isUp = true;
      // Whoever published keeps what was not settled, so nothing is ever lost with a session.
      events.up({ present: true, protocol: 5, receiveMax: RECEIVE_MAX });
      this.#pump();
    });
  }

  subscribe(subscriptions: readonly Subscription[]): Promise<void> {
    this.#filters = subscriptions.map(({ filter }) => filter.split("/"));
    this.#pump();
    return Promise.resolve();
  }

  unsubscribe(): void {}

  acknowledge(packetId: number): void {
    if (!this.#isUp) return;
    const first = this.#unacked.shift();
    assert(first?.packetId === packetId, "acks come in order");
    first.settled();
  }

  hold(held: boolean): void {
    this.#held = held;
    this.#pump();
  }

  /** Hands on what waits, never from within a call of the runtime's. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      while (this.#isUp && this.#filters !== undefined && !this.#held && this.#waiting.length > 0)
        this.#hand(this.#waiting.shift()!);
    });
  }

  #hand(given: Given): void {
    const { topic, payload } = given;
    const levels = topic.split("/");
    if (!isTopicName(topic) || !this.#filters!.some((filter) => filtersOverlap(filter, levels))) {
      const reason = "it is no topic of any group of the config";
      given.refused(new HiddenstateError("bad_argument", `cannot publish on ${topic}: ${reason}`));
      return;
    }
    const dup = given.packetId > 0;
    if (!dup) given.packetId = this.#lastId = (this.#lastId % PACKET_IDS) + 1;
    this.#unacked.push(given);
    const { length } = payload;
    this.#events!.packet({
      topic,
      payload: length > limits.payloadBytesMax ? payload.subarray(0, limits.payloadBytesMax + 1) : payload,
      payloadBytes: length > limits.payloadBytesMax ? length : undefined,
      packetId: given.packetId,
      qos: 1,
      dup,
      retain: false,
    });
  }

  publish(_message: OutboundMessage, done: (error?: Error) => void): void {
    done(new HiddenstateError("unavailable", "cannot publish: this side takes readings only"));
  }

  drop(reason: string): void {
    if (!this.#isUp) return;
    this.#down(reason);
    this.#waiting = [...this.#unacked.splice(0), ...this.#waiting];
    this.#connect();
  }

  #down(reason: string): void {
    this.#isUp = false;
    this.#events!.down(reason, false);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    if (this.#isUp) this.#down("the link was closed");
    for (const { topic, refused } of [...this.#unacked.splice(0), ...this.#waiting.splice(0)]) refused(stopped(topic));
    return Promise.resolve();
  }
}

/** The runtime's sink: it gives what it is asked to publish to the receiver. */
class SinkPort implements PacketPort {
  readonly #receive: LinkReceiver;
  #events: PacketPortEvents | undefined;
  #isUp = false;
  #isClosed = false;
  #pending = new Set<(error?: Error) => void>();

  constructor(receive: LinkReceiver) {
    this.#receive = receive;
  }

  open(events: PacketPortEvents): void {
    this.#events = events;
    queueMicrotask(() => this.#up());
  }

  #up(): void {
    if (this.#isClosed) return;
    this.#isUp = true;
    this.#events!.up({ present: false, protocol: 5, receiveMax: RECEIVE_MAX });
  }

  publish({ topic, payload, retain }: OutboundMessage, done: (error?: Error) => void): void {
    const pending = this.#pending.add(done);
    const answer = (error?: Error): void => {
      // What has been called back by a drop is published anew.
      if (pending.delete(done)) done(error);
    };
    // Never from within a call of the runtime's: the receiver may ask it things.
    Promise.resolve()
      .then(() => this.#receive({ topic, payload, retain }))
      .then(
        () => answer(),
        (thrown: unknown) =>
          answer(
            new PublishRefused("unspecified", `cannot hand on the message on ${topic}: the receiver threw: ${reasonOf(thrown)}`),
          ),
      );
  }

  drop(reason: string): void {
    if (!this.#isUp) return;
    this.#down(reason);
    queueMicrotask(() => this.#up());
  }

  #down(reason: string): void {
    this.#isUp = false;
    const unanswered = [...this.#pending];
    this.#pending = new Set();
    for (const done of unanswered) done(new HiddenstateError("unavailable", `cannot publish: ${reason}`));
    this.#events!.down(reason, false);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    if (this.#isUp) this.#down("the link was closed");
    return Promise.resolve();
  }

  subscribe(): Promise<void> {
    return Promise.reject(new HiddenstateError("unavailable", "cannot subscribe: this side publishes only"));
  }

  unsubscribe(): void {}

  acknowledge(): void {}

  hold(): void {}
}

/** The two ends of a link between a runtime and the program that embeds it, in place of a broker. One link serves one runtime, once. */
export class DirectLink {
  /** For `createRuntime(config, { ports: link.ports })`, whose config then needs no `mqtt`. */
  readonly ports: Ports;
  readonly #intake = new IntakePort();

  /**
   * `receive` gets every message of the runtime, in the journal's order. One whose promise has not been kept after 30 seconds, or by the end
   * of the process, comes again with the same bytes. At most 1,000 are handed out at a time; those behind them wait in the outbox, and
   * while that is full no more readings are stepped. A receiver that throws has refused the message: that is logged, counted as
   * `publish_refused`, and the message does not come again.
   */
  constructor(receive: LinkReceiver) {
    this.ports = { intake: this.#intake, sink: new SinkPort(receive) };
  }

  /**
   * Gives the runtime a message as a broker would at QoS 1. Resolves once all that it asks for is durable (as `durability.mode` has it),
   * or refused for good and told of as a dead letter. The bytes are lent until then. Rejects with `bad_argument` where no group has the
   * topic, and with `unavailable` where the runtime stops before, or where 10,000 messages wait already.
   */
  publish(topic: string, payload: Uint8Array | string): Promise<void> {
    return this.#intake.give(topic, typeof payload === "string" ? new TextEncoder().encode(payload) : payload);
  }
}
