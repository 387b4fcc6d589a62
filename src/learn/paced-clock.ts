// A clock for work that must leave room to others: whoever lets others have their turn waits long enough for its share of one core, and
// longer while the box is hot.
import type { Clock } from "../base/clock.ts";

export interface Pace {
  /** Of one core, above 0 to 1. */
  readonly share: number;
  /** Whether the box is too hot to work at all; asked before each turn. */
  readonly isHot?: () => boolean;
}

const COOLING_MS = 10_000;

export function pacedClock(clock: Clock, { share, isHot = () => false }: Pace): Clock {
  let resumedAtMs = clock.monotonicMs();
  const resume = (run: () => void): void => {
    if (isHot()) {
      clock.after(COOLING_MS, () => resume(run));
      return;
    }
    resumedAtMs = clock.monotonicMs();
    run();
  };
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    isSynced: () => clock.isSynced(),
    after: (delayMs, run, options) => clock.after(delayMs, run, options),
    soon: (run) => {
      const workedMs = clock.monotonicMs() - resumedAtMs;
      const pauseMs = workedMs * (1 / share - 1);
      if (pauseMs < 1) clock.soon(() => resume(run));
      else clock.after(pauseMs, () => resume(run));
    },
  };
}
