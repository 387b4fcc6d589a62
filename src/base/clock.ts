// Time as an object, so that one seed can replay a whole run. Order, timeouts and lingering use the monotonic clock; the wall
// clock is only ever a label that is journalled.
import { existsSync } from "node:fs";

/** A call that is still to come. */
export interface Timer {
  cancel(): void;
}

/** Time, as an object that a test can put another in the place of. */
export interface Clock {
  /** Milliseconds since 1970, as this box believes. May jump. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start, with a fraction. Never goes back. */
  monotonicMs(): number;
  /** Whether the wall clock can be believed. */
  isSynced(): boolean;
  /** Runs once after at least `delayMs`. Does not by itself keep the process alive where `background` is set. */
  after(delayMs: number, run: () => void, options?: { background?: boolean }): Timer;
  /** Runs once after the input that is already at hand has been handled. */
  soon(run: () => void): void;
}

/** Before this moment (2025-01-01) a wall clock has not been set: boards without a battery start in 1970 or at their image's date. */
const PLAUSIBLE_SINCE_MS = Date.UTC(2025, 0, 1);
const TIMESYNC_DIRECTORY = "/run/systemd/timesync";
const SYNC_CHECK_INTERVAL_MS = 10_000;

class SystemClock implements Clock {
  #synced = false;
  #checkedAtMs = -Infinity;

  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  isSynced(): boolean {
    const now = performance.now();
    if (now - this.#checkedAtMs > SYNC_CHECK_INTERVAL_MS) {
      this.#checkedAtMs = now;
      // systemd-timesyncd leaves this mark once it has reached a server; other time services leave no trace, so only the date speaks.
      const awaitsServer = existsSync(TIMESYNC_DIRECTORY) && !existsSync(`${TIMESYNC_DIRECTORY}/synchronized`);
      this.#synced = Date.now() >= PLAUSIBLE_SINCE_MS && !awaitsServer;
    }
    return this.#synced;
  }

  after(delayMs: number, run: () => void, options?: { background?: boolean }): Timer {
    const timer = setTimeout(run, delayMs);
    if (options?.background === true) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  }

  soon(run: () => void): void {
    setImmediate(run);
  }
}

/** The machine's own clocks. */
export const systemClock: Clock = new SystemClock();

export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** Whether `work` was done within `ms`. It goes on either way; only its failure is passed on. */
export async function within(clock: Clock, ms: number, work: Promise<void>): Promise<boolean> {
  let timer: Timer | undefined;
  const timeout = new Promise<false>((resolve) => {
    timer = clock.after(ms, () => resolve(false));
  });
  try {
    return await Promise.race([work.then(() => true as const), timeout]);
  } finally {
    timer?.cancel();
  }
}
