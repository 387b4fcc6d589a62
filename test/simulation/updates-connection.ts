// The connection on which models come: what is retained is sent at a subscription, and what is put there later as it comes.
import type { InboundPacket, PacketPort, Subscription } from "../../src/mqtt/packet-port.ts";
import { filterMatches } from "../support/filter-matches.ts";
import { notConnected, SimConnection } from "./sim-connection.ts";

export class UpdatesConnection extends SimConnection implements PacketPort {
  protected readonly name = "updates";
  readonly #filters = new Set<string>();
  #isHeld = false;
  #kept: InboundPacket[] = [];

  protected broken(): void {
    this.#filters.clear();
    this.#kept = [];
  }

  subscribe(subscriptions: readonly Subscription[]): Promise<void> {
    return new Promise((resolve) => {
      this.toBroker(() => {
        this.toClient(resolve);
        for (const { filter } of subscriptions) {
          this.#filters.add(filter);
          for (const [topic, payload] of this.broker.retained) if (filterMatches(filter, topic)) this.#send(topic, payload, true);
        }
      });
    });
  }

  unsubscribe(filters: readonly string[]): void {
    this.toBroker(() => {
      for (const filter of filters) this.#filters.delete(filter);
    });
  }

  /** Somebody has published something. */
  deliver(topic: string, payload: Uint8Array): void {
    if ([...this.#filters].some((filter) => filterMatches(filter, topic))) this.#send(topic, payload, false);
  }

  #send(topic: string, payload: Uint8Array, retain: boolean): void {
    const packet: InboundPacket = { topic, payload, packetId: 0, qos: 0, dup: false, retain };
    this.toClient(() => {
      if (this.#isHeld) this.#kept.push(packet);
      else this.events!.packet(packet);
    });
  }

  acknowledge(): void {}

  hold(held: boolean): void {
    this.#isHeld = held;
    if (held) return;
    this.broker.time.schedule(0, () => {
      while (!this.#isHeld && !this.life.isOver && this.#kept.length > 0) this.events!.packet(this.#kept.shift()!);
    });
  }

  publish(_message: unknown, done: (error?: Error) => void): void {
    done(notConnected());
  }
}
