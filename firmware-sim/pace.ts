// The pace of what is replayed: messages leave when they are due, at any speed, and no faster than there is room for them.
import type { Clock } from "../src/base/clock.ts";
import type { DeviceMessage } from "./device.ts";

export interface PaceOptions {
  /** How many times faster than it was; Infinity: as fast as there is room. */
  readonly speed: number;
  readonly clock: Clock;
  /** Takes a message; returns false where it has no room. */
  readonly publish: (message: DeviceMessage) => boolean;
  /** Resolves when there is room again. */
  readonly whenRoom: () => Promise<void>;
}

/** Moments in a row that are due at once, between two looks at the rest of the process. */
const MOMENTS_PER_TURN = 256;

export class Pace {
  readonly #options: PaceOptions;
  #beganMs: number | undefined;
  #startedAtMs = 0;
  #moments = 0;
  #isStopped = false;
  #wake: () => void = () => {};

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Resolves when a moment of the past is due, the first one at once, or when this is stopped. */
  async due(ms: number): Promise<void> {
    const { clock, speed } = this.#options;
    if (this.#beganMs === undefined) {
      this.#beganMs = ms;
      this.#startedAtMs = clock.monotonicMs();
    }
    const waitMs = speed === Infinity ? 0 : (ms - this.#beganMs) / speed - (clock.monotonicMs() - this.#startedAtMs);
    if (waitMs > 0) await this.#pause(waitMs);
    else if (this.#moments % MOMENTS_PER_TURN === 0) await new Promise<void>((resolve) => clock.soon(resolve));
    this.#moments++;
  }

  /** Resolves once the message is taken; false where this was stopped before. */
  async publish(message: DeviceMessage): Promise<boolean> {
    while (!this.#options.publish(message)) {
      if (this.#isStopped) return false;
      await this.#options.whenRoom();
    }
    return true;
  }

  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  /** Sleeps until the time is up or this is stopped. */
  #pause(delayMs: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(delayMs, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}
