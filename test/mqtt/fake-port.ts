// A PacketPort without a network, for the orders of events that no real broker can be forced into.
import type {
  InboundPacket,
  OutboundMessage,
  PacketPort,
  PacketPortEvents,
  SessionFacts,
  Subscription,
} from "../../src/mqtt/packet-port.ts";

export interface Publish {
  readonly message: OutboundMessage;
  readonly done: (error?: Error) => void;
}

export class FakePort implements PacketPort {
  #events: PacketPortEvents | undefined;
  readonly acked: number[] = [];
  readonly held: boolean[] = [];
  readonly dropped: string[] = [];
  readonly subscribed: (readonly Subscription[])[] = [];
  readonly unsubscribed: string[] = [];
  published: Publish[] = [];
  subscribing: { resolve: () => void; reject: (error: Error) => void } | undefined;
  closed = false;

  get events(): PacketPortEvents {
    if (this.#events === undefined) throw new Error("the port is not open");
    return this.#events;
  }

  open(events: PacketPortEvents): void {
    this.#events = events;
  }

  subscribe(subscriptions: readonly Subscription[]): Promise<void> {
    this.subscribed.push(subscriptions);
    return new Promise((resolve, reject) => {
      this.subscribing = { resolve, reject };
    });
  }

  unsubscribe(filters: readonly string[]): void {
    this.unsubscribed.push(...filters);
  }

  acknowledge(packetId: number): void {
    this.acked.push(packetId);
  }

  hold(held: boolean): void {
    this.held.push(held);
  }

  publish(message: OutboundMessage, done: (error?: Error) => void): void {
    this.published.push({ message, done });
  }

  drop(reason: string): void {
    this.dropped.push(reason);
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  up(session: Partial<SessionFacts> = {}): void {
    this.events.up({ present: true, protocol: 5, receiveMax: 65_535, ...session });
  }

  packet(packetId: number, packet: Partial<InboundPacket> = {}): void {
    const qos = packet.qos ?? 1;
    this.events.packet({ topic: "t", payload: new Uint8Array(10), packetId, qos, dup: false, retain: false, ...packet });
  }

  /** What has been published since last asked, by its payload's text. */
  takePublished(): string[] {
    const texts = this.published.map(({ message }) => Buffer.from(message.payload).toString());
    this.published = [];
    return texts;
  }
}
