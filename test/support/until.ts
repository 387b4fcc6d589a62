// Waits for what another process or the network brings about.
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 5;

/** Resolves once `condition` holds; throws, naming `what`, where it does not within `msMax`. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, msMax = 60_000): Promise<void> {
  const giveUpAt = performance.now() + msMax;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`waited ${msMax} ms in vain until ${what}`);
    await sleep(POLL_MS);
  }
}
