// A failing seed with as few classes of faults as it still fails with.
import type { FaultClass } from "./fault-plan.ts";
import { runSeed } from "./seed-run.ts";
import type { SeedResult } from "./seed-run.ts";

/** Leaves classes off one after another, as long as the seed goes on failing. */
export async function shrink(
  found: SeedResult,
): Promise<{ readonly without: readonly FaultClass[]; readonly result: SeedResult }> {
  const without = new Set<FaultClass>();
  let result = found;
  for (const name of found.faults) {
    without.add(name);
    const tried = await runSeed(found.seed, { without });
    if (tried.failure === undefined) without.delete(name);
    else result = tried;
  }
  return { without: [...without], result };
}

/** What to type to see a run again. */
export function replayCommand(seed: number, without: readonly FaultClass[]): string {
  return `npm run sim -- --seed ${seed}${without.length === 0 ? "" : ` --without ${without.join(",")}`}`;
}
