// The models of the config: which engine takes each, and how long it needs for a reading on this machine.
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import type { Engine } from "../engine/engine.ts";
import { timeEngine } from "../engine/engine-trial.ts";
import type { Config } from "../runtime/config-schema.ts";
import { EngineChoices } from "../runtime/engine-choices.ts";
import { loadGroups } from "../runtime/groups.ts";
import type { ConfiguredGroup } from "../runtime/groups.ts";
import { chooseEngine } from "../runtime/plan-epoch.ts";
import { engineOf } from "../runtime/stream-groups.ts";
import { bad, good } from "./finding.ts";
import type { Finding } from "./finding.ts";

const TOGETHER = 64;
/** Of one core, so that there is time for everything else. */
const SHARE_OF_CORE = 0.5;

async function examineGroup(
  { config, model }: ConfiguredGroup,
  choices: EngineChoices,
  clock: Clock,
  rate: number,
): Promise<Finding> {
  const about = `group ${config.name}`;
  let engine: Engine;
  try {
    engine = await engineOf(model, await chooseEngine(config, model, undefined, choices));
  } catch (thrown) {
    if (!(thrown instanceof HiddenstateError)) throw thrown;
    return bad(about, thrown.message, "a start would end with this");
  }
  try {
    const alone = await timeEngine(clock, engine, 1);
    const together = await timeEngine(clock, engine, TOGETHER);
    const text = `the ${engine.name} engine (${engine.kernel}) steps a reading in ${(alone / 1000).toFixed(2)} µs, ${(together / 1000).toFixed(2)} µs where ${TOGETHER} streams come together`;
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
  const choices = await EngineChoices.load(disk, config.state);
  const findings: Finding[] = [];
  for (const group of await loadGroups(config, disk)) findings.push(await examineGroup(group, choices, clock, rate));
  return findings;
}
