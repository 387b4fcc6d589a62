// How a command that runs until it is told to stop learns of it.
import { systemClock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";

/**
 * Resolves at the first SIGTERM or SIGINT. One more, after a while, ends the process at once; before that it is taken for the same one,
 * which npm hands on although the terminal has sent it to both.
 */
export function stopSignal(): Promise<string> {
  return new Promise((stop) => {
    let askedAtMs: number | undefined;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        const nowMs = systemClock.monotonicMs();
        askedAtMs ??= nowMs;
        if (nowMs - askedAtMs > limits.signalRepeatMs) process.exit(130);
        stop(signal);
      });
    }
  });
}
