// One end of a connection that comes up, breaks and comes up again until its process dies. Bytes on their way when it breaks are lost;
// what a process sent before it died may still arrive.
import type { Timer } from "../../src/base/clock.ts";
import { HiddenstateError } from "../../src/base/errors.ts";
import type { PacketPortEvents } from "../../src/mqtt/packet-port.ts";
import type { SimBroker } from "./sim-broker.ts";
import type { Life } from "./virtual-clock.ts";

export function notConnected(): HiddenstateError {
  return new HiddenstateError("unavailable", "cannot publish: no connection to the broker");
}

export abstract class SimConnection {
  protected readonly broker: SimBroker;
  protected readonly life: Life;
  protected events: PacketPortEvents | undefined;
  /** Counts connections; 0 while there is none. */
  protected epoch = 0;
  #lastEpoch = 0;
  /** When the last bytes to the client, and to the broker, arrive: none overtake others. */
  #toClientMs = 0;
  #toBrokerMs = 0;
  #isClosed = false;
  #retry: Timer | undefined;

  /** Of the client, among all that the broker has seen. */
  protected readonly number: number;

  constructor(broker: SimBroker, life: Life) {
    this.broker = broker;
    this.number = ++broker.clients;
    this.life = life;
  }

  get isUp(): boolean {
    return this.epoch !== 0;
  }

  open(events: PacketPortEvents): void {
    this.events = events;
    this.#connectLater(this.broker.latencyMs());
  }

  #connectLater(delayMs: number): void {
    this.#retry = this.broker.time.schedule(delayMs, () => {
      if (this.life.isOver || this.#isClosed) return;
      this.epoch = ++this.#lastEpoch;
      this.broker.trace.note(this.broker.time.nowMs, `${this.name} up`, this.epoch);
      this.connected();
    });
  }

  /** Another process has taken this one's place. */
  abandon(): void {
    this.#isClosed = true;
    this.epoch = 0;
  }

  cut(reason: string): void {
    if (this.epoch === 0 || this.life.isOver) return;
    this.broker.trace.note(this.broker.time.nowMs, `${this.name} cut`, this.epoch);
    this.epoch = 0;
    this.broken();
    this.events!.down(reason, false);
    if (!this.#isClosed) this.#connectLater(this.broker.reconnectMs());
  }

  drop(reason: string): void {
    this.cut(reason);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.cut("closed");
  }

  /** Bytes to the client: lost where the connection breaks first. */
  protected toClient(arrive: () => void): void {
    const { epoch } = this;
    const { time } = this.broker;
    this.#toClientMs = Math.max(this.#toClientMs, time.nowMs + this.broker.latencyMs());
    time.schedule(this.#toClientMs - time.nowMs, () => {
      if (epoch === this.epoch && !this.life.isOver) arrive();
    });
  }

  /** Bytes to the broker: lost where the connection breaks first, though not by the sender's death. */
  protected toBroker(arrive: () => void): void {
    const { epoch } = this;
    const { time } = this.broker;
    this.#toBrokerMs = Math.max(this.#toBrokerMs, time.nowMs + this.broker.latencyMs());
    time.schedule(this.#toBrokerMs - time.nowMs, () => {
      if (epoch === this.epoch) arrive();
    });
  }

  protected abstract readonly name: string;
  protected abstract connected(): void;
  protected abstract broken(): void;
}
