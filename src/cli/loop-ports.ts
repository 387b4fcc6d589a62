// The two connections of a runtime to a broker that is not there: readings come as fast as they are acked, or one at a time, and every
// prediction is confirmed at once. What is measured through them is the runtime alone: its judging, stepping, journal and disk.
import type { Clock } from "../base/clock.ts";
import type { OutboundMessage, PacketPort, PacketPortEvents } from "../mqtt/packet-port.ts";

const PACKET_IDS = 65_535;

export interface LoopMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
}

abstract class LoopPort implements PacketPort {
  protected events: PacketPortEvents | undefined;
  readonly #window: number;

  constructor(window: number) {
    this.#window = window;
  }

  open(events: PacketPortEvents): void {
    this.events = events;
    const connect = async (): Promise<void> => {
      await events.connecting?.();
      events.up({ present: false, protocol: 5, receiveMax: this.#window });
    };
    void connect();
  }

  subscribe(): Promise<void> {
    return Promise.resolve();
  }

  unsubscribe(): void {}

  acknowledge(_packetId: number): void {}

  hold(_held: boolean): void {}

  publish(_message: OutboundMessage, done: (error?: Error) => void): void {
    done();
  }

  drop(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Confirms what is published, once the runtime has had its turn. */
export class LoopSink extends LoopPort {
  readonly #clock: Clock;
  #waiting: ((error?: Error) => void)[] = [];

  constructor(clock: Clock, window: number) {
    super(window);
    this.#clock = clock;
  }

  override publish(_message: OutboundMessage, done: (error?: Error) => void): void {
    this.#waiting.push(done);
    if (this.#waiting.length > 1) return;
    this.#clock.soon(() => {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const confirm of waiting) confirm();
    });
  }
}

export class LoopIntake extends LoopPort {
  readonly #clock: Clock;
  readonly #next: () => LoopMessage;
  readonly #sentAtMs = new Float64Array(PACKET_IDS + 1);
  #packetId = 0;
  #outstanding = 0;
  /** How many may be outstanding; 0: none are sent. */
  #window = 0;
  #isHeld = false;
  #isDue = false;
  #settled: () => void = () => {};
  /** Messages acked since `begin`, and how long each was under way, milliseconds. */
  acked = 0;
  latencies: number[] = [];

  constructor(clock: Clock, window: number, next: () => LoopMessage) {
    super(window);
    this.#clock = clock;
    this.#next = next;
  }

  /** Keeps so many under way from now on, and counts anew. */
  begin(window: number): void {
    this.#window = window;
    this.acked = 0;
    this.latencies = [];
    this.#pumpSoon();
  }

  /** Sends no more; resolves once everything is acked. */
  async settle(): Promise<void> {
    this.#window = 0;
    if (this.#outstanding === 0) return;
    await new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
  }

  override hold(held: boolean): void {
    this.#isHeld = held;
    if (!held) this.#pumpSoon();
  }

  override acknowledge(packetId: number): void {
    this.#outstanding--;
    this.acked++;
    this.latencies.push(this.#clock.monotonicMs() - this.#sentAtMs[packetId]!);
    if (this.#outstanding === 0) this.#settled();
    this.#pumpSoon();
  }

  #pumpSoon(): void {
    if (this.#isDue || this.#window === 0) return;
    this.#isDue = true;
    this.#clock.soon(() => {
      this.#isDue = false;
      while (!this.#isHeld && this.#outstanding < this.#window) this.#send();
    });
  }

  #send(): void {
    this.#packetId = (this.#packetId % PACKET_IDS) + 1;
    this.#outstanding++;
    this.#sentAtMs[this.#packetId] = this.#clock.monotonicMs();
    const { topic, payload } = this.#next();
    this.events!.packet({ topic, payload, packetId: this.#packetId, qos: 1, dup: false, retain: false });
  }
}
