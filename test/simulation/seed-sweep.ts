// Many seeds, one after the other: the first that fails ends it, and every hundredth is run twice and must be the same to the event.
import { runSeed } from "./seed-run.ts";
import type { SeedResult } from "./seed-run.ts";

export interface Sweep {
  readonly seeds: number;
  readonly events: number;
  readonly readings: number;
  readonly crashes: number;
  readonly twice: number;
  readonly failed: SeedResult | undefined;
}

const TWICE_EVERY = 100;

export async function sweepSeeds(from: number, count: number): Promise<Sweep> {
  const sum = { seeds: 0, events: 0, readings: 0, crashes: 0, twice: 0 };
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
    if (result.failure !== undefined) return { ...sum, failed: result };
  }
  return { ...sum, failed: undefined };
}
