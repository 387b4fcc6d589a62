// Many seeds, one after the other: the first that fails ends it, and every hundredth is run twice and must be the same to the event.
import { Trace } from "./trace.ts";
import { runSeed } from "./seed-run.ts";
import type { SeedResult } from "./seed-run.ts";

export interface Sweep {
  readonly seeds: number;
  readonly events: number;
  readonly readings: number;
  readonly crashes: number;
  readonly twice: number;
  /** Of all traces, one after the other: the same on every processor. */
  readonly hash: string;
  readonly failed: SeedResult | undefined;
}

const TWICE_EVERY = 100;

export async function sweepSeeds(from: number, count: number): Promise<Sweep> {
  const sum = { seeds: 0, events: 0, readings: 0, crashes: 0, twice: 0 };
  const traces = new Trace();
  for (let seed = from; seed < from + count; seed++) {
    let result = await runSeed(seed);
    if (result.failure === undefined && seed % TWICE_EVERY === 0) {
      sum.twice++;
      const again = await runSeed(seed);
      if (again.hash !== result.hash) result = { ...result, failure: `run twice, its trace is ${result.hash} and ${again.hash}` };
    }
    sum.seeds++;
    sum.events += result.events;
    sum.readings += result.readings;
    sum.crashes += result.crashes;
    traces.note(0, result.hash);
    if (result.failure !== undefined) return { ...sum, hash: traces.hash, failed: result };
  }
  return { ...sum, hash: traces.hash, failed: undefined };
}
