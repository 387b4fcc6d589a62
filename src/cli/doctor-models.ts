// The models of the config: which engine takes each, and how long it needs for a reading on this machine.
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import type { Engine } from "../engine/engine.ts";
import { openEngine } from "../engine/open-engine.ts";
import type { Config } from "../runtime/config-schema.ts";
import { loadGroups } from "../runtime/groups.ts";
import type { ConfiguredGroup } from "../runtime/groups.ts";
import { bad, good } from "./finding.ts";
import type { Finding } from "./finding.ts";

const BATCHES = [1, 64];
const ROUNDS = 5;
/** One reading of the clock covers at least this much work. */
const READING_MS = 4;
/** Of one core, so that there is time for everything else. */
const SHARE_OF_CORE = 0.5;

async function timed(clock: Clock, step: () => void | Promise<void>, calls: number): Promise<number> {
  const from = clock.monotonicMs();
  for (let call = 0; call < calls; call++) {
    const stepped = step();
    if (stepped !== undefined) await stepped;
  }
  return clock.monotonicMs() - from;
}

/** Nanoseconds a reading: the median of some rounds. */
async function nanosecondsPerReading(engine: Engine, count: number, clock: Clock): Promise<number> {
  const { features, outputs } = engine.spec;
  const slots = Int32Array.from({ length: count }, () => engine.allocate());
  const batch = {
    slots,
    count,
    steps: 1,
    x: new Float32Array(count * features.length),
    y: new Float32Array(count * outputs.length),
  };
  const step = (): void | Promise<void> => engine.step(batch);
  let calls = 1;
  while ((await timed(clock, step, calls)) < READING_MS) calls *= 2;
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(((await timed(clock, step, calls)) * 1e6) / calls / count);
  return rounds.toSorted((a, b) => a - b)[ROUNDS >> 1]!;
}

async function examineGroup({ config, model }: ConfiguredGroup, clock: Clock, rate: number): Promise<Finding> {
  const about = `group ${config.name}`;
  let engine: Engine;
  try {
    engine = await openEngine(model, {
      engine: config.engine,
      ...(config.kernel === undefined ? {} : { kernel: config.kernel }),
    });
  } catch (thrown) {
    if (!(thrown instanceof HiddenstateError)) throw thrown;
    return bad(about, thrown.message, "a start would end with this");
  }
  try {
    const [alone, together] = [
      await nanosecondsPerReading(engine, BATCHES[0]!, clock),
      await nanosecondsPerReading(engine, BATCHES[1]!, clock),
    ];
    const text = `the ${engine.name} engine (${engine.kernel}) steps a reading in ${(alone / 1000).toFixed(2)} µs, ${(together / 1000).toFixed(2)} µs where 64 streams come together`;
    const figures = { stepNsAlone: alone, stepNsOf64: together };
    if (rate * alone < SHARE_OF_CORE * 1e9) return good(about, text, figures);
    const advice = "train a smaller network, or let fewer readings come; this takes more than half of a core";
    return bad(about, `${text}: too long for ${rate} readings/s`, advice, figures);
  } finally {
    await engine.close();
  }
}

/** `rate`: readings a second that are expected in all. Throws what `loadGroups` does. */
export async function examineModels(config: Config, disk: Disk, clock: Clock, rate: number): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const group of await loadGroups(config, disk)) findings.push(await examineGroup(group, clock, rate));
  return findings;
}
