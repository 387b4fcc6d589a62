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
  #isAbandoned = false;
  #retry: Timer | undefined;
  /** The attempt at a connection under way, and whether what asks for it has left. */
  #attempt: { asked: boolean } | undefined;
  #lastAttempt: { asked: boolean } | undefined;

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
      void this.#connect();
    });
  }

  /** Reaches the broker, asks for a connection, and gets an answer, unless one of many things comes between. */
  async #connect(): Promise<void> {
    const { broker } = this;
    const attempt = { asked: false };
    this.#attempt = attempt;
    this.#lastAttempt = attempt;
    await this.connecting();
    const isOver = (): boolean => this.#attempt !== attempt || this.life.isOver || this.#isClosed;
    if (isOver()) return;
    attempt.asked = true;
    broker.time.schedule(broker.latencyMs(), () => {
      // A broker reads the last of a client's attempts last.
      if (this.#isAbandoned || this.#lastAttempt !== attempt) return;
      const isRefused = broker.refusesConnection();
      const present = !isRefused && this.accept();
      broker.time.schedule(broker.latencyMs(), () => {
        if (isOver()) return;
        if (isRefused) return this.#giveUp({ asked: false });
        this.#attempt = undefined;
        this.epoch = ++this.#lastEpoch;
        broker.trace.note(broker.time.nowMs, `${this.name} up`, this.epoch);
        this.answered(present);
        this.events!.up({ present, protocol: 5, receiveMax: broker.plan.brokerReceiveMax });
        this.connected();
      });
    });
  }

  /** Another process has taken this one's place. */
  abandon(): void {
    this.#isClosed = true;
    this.#isAbandoned = true;
    this.epoch = 0;
  }

  /** `byBroker`: it ends the connection in order. */
  cut(reason: string, byBroker = false): void {
    if (this.life.isOver) return;
    if (this.#attempt !== undefined) return this.#giveUp(this.#attempt);
    if (this.epoch === 0) return;
    this.broker.trace.note(this.broker.time.nowMs, `${this.name} cut`, this.epoch);
    this.epoch = 0;
    this.broken();
    this.events!.down(reason, byBroker);
    if (!this.#isClosed) this.#connectLater(this.broker.reconnectMs());
  }

  #giveUp({ asked }: { readonly asked: boolean }): void {
    this.broker.trace.note(this.broker.time.nowMs, `${this.name} not up`, asked ? 1 : 0);
    this.#attempt = undefined;
    this.failed(asked);
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
  /** Resolves when what asks for a connection may leave. */
  protected connecting(): Promise<void> {
    return Promise.resolve();
  }

  /** An attempt has come to nothing. */
  protected failed(_asked: boolean): void {}

  /** The broker takes the connection; returns whether it has a session. */
  protected accept(): boolean {
    return false;
  }

  protected answered(_present: boolean): void {}

  protected connected(): void {}

  protected abstract broken(): void;
}
