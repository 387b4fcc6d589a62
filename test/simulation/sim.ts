// `npm run sim -- --seeds N [--from S]` runs many seeds; `--seed X [--without a,b] [--trace]` runs one again. Exits with 1 where one fails.
import { parseArgs } from "node:util";
import { faultClasses } from "./fault-plan.ts";
import type { FaultClass } from "./fault-plan.ts";
import { runSeed } from "./seed-run.ts";
import type { SeedResult } from "./seed-run.ts";
import { sweepSeeds } from "./seed-sweep.ts";
import { replayCommand, shrink } from "./shrink.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    without: { type: "string", default: "" },
    trace: { type: "boolean", default: false },
    "no-shrink": { type: "boolean", default: false },
  },
});

function tell(result: SeedResult): void {
  console.log(`seed ${result.seed}: ${result.failure ?? "right"}`);
  console.log(`  trace ${result.hash}, ${result.events} events, ${result.readings} readings, ${result.crashes} crashes`);
  console.log(`  faults: ${result.faults.join(", ") || "none"}`);
}

async function one(seed: number): Promise<boolean> {
  const names = new Set(values.without.split(","));
  const without = new Set<FaultClass>(faultClasses.filter((name) => names.has(name)));
  const result = await runSeed(seed, { without, ...(values.trace ? { tell: (line: string) => console.log(line) } : {}) });
  tell(result);
  return result.failure === undefined;
}

async function many(from: number, count: number): Promise<boolean> {
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const { seeds, events, readings, crashes, twice, hash, failed } = await sweepSeeds(from, count);
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const perSecond = (amount: number): string => (amount / seconds).toFixed(0);
  console.log(`${seeds} seeds from ${from} in ${seconds.toFixed(1)} s, ${((user + system) / 1e6).toFixed(1)} s of CPU`);
  console.log(
    `${perSecond(seeds)} seeds/s; a seed has ${(events / seeds).toFixed(0)} events, ${(readings / seeds).toFixed(0)} readings`,
  );
  console.log(`${events} events, ${readings} readings, ${crashes} crashes; ${twice} seeds were run twice and agreed`);
  console.log(`traces ${hash}`);
  if (failed === undefined) return true;
  tell(failed);
  if (values["no-shrink"]) return false;
  const { without, result } = await shrink(failed);
  console.log("shrunk:");
  tell(result);
  console.log(`  replay: ${replayCommand(result.seed, without)}`);
  return false;
}

const right = values.seed === undefined ? await many(Number(values.from), Number(values.seeds)) : await one(Number(values.seed));
process.exit(right ? 0 : 1);
