// Keeps a connection alive and notices when it is dead. It counts its own ticks rather than milliseconds, so that a process that was
// stopped or busy for a minute does not take its own absence for the broker's.
import type { Clock, Timer } from "../base/clock.ts";

export interface KeepaliveEvents {
  /** A PINGREQ is due. */
  ping(): void;
  /** Nothing came for one and a half keepalive times although pings went out. */
  lost(): void;
}

const TICKS_PER_KEEPALIVE = 2;
const QUIET_TICKS_MAX = 3;

export class Keepalive {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #events: KeepaliveEvents;
  #quietTicks = 0;
  #held = false;
  #timer: Timer;

  constructor(clock: Clock, keepaliveSeconds: number, events: KeepaliveEvents) {
    this.#clock = clock;
    this.#tickMs = (keepaliveSeconds * 1000) / TICKS_PER_KEEPALIVE;
    this.#events = events;
    this.#timer = this.#arm();
  }

  /** Bytes came from the broker. */
  heard(): void {
    this.#quietTicks = 0;
  }

  /**
   * While held nobody reads, so the broker's silence says nothing: pings go out, for the broker closes a connection it has not heard
   * from for one and a half keepalive times [MQTT-3.1.2-22], but no answer is asked for.
   */
  hold(held: boolean): void {
    this.#held = held;
    this.#quietTicks = 0;
  }

  stop(): void {
    this.#timer.cancel();
  }

  #arm(): Timer {
    return this.#clock.after(this.#tickMs, () => this.#tick());
  }

  #tick(): void {
    this.#timer = this.#arm();
    if (!this.#held) this.#quietTicks++;
    if (this.#quietTicks >= QUIET_TICKS_MAX) this.#events.lost();
    else this.#events.ping();
  }
}
