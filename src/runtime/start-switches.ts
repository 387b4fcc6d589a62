// What a start has to say of models: which it switches, and where those that the config names came from.
import type { Log } from "../base/log.ts";
import { shortVersion } from "../model/model.ts";
import type { EpochSettings, GroupSettings } from "../pipeline/settings.ts";
import { sameHorizons } from "../pipeline/settings.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import type { ConfiguredGroup } from "./groups.ts";
import { versionsNamed } from "./plan-epoch.ts";
import type { StateDirectory } from "./state-directory.ts";

/** How far ahead a group looks: `1, 12 ahead`. */
export function describeHorizons(horizons: GroupSettings["horizons"]): string {
  return horizons === undefined ? "as its model does" : `${horizons.join(", ")} ahead`;
}

/** Logs the switches of a start. */
export function tellOfSwitches(log: Log, groups: readonly StreamGroup[], planned: EpochSettings): void {
  for (const [index, { settings }] of groups.entries()) {
    const wanted = planned.groups[index]!;
    const { name, version, configured, since, horizons } = wanted;
    if (!sameHorizons(wanted, settings)) {
      const [now, before] = [describeHorizons(horizons), describeHorizons(settings.horizons)];
      log.info("the config names other horizons", { group: name, forecasts: now, before });
    }
    if (version === settings.version) continue;
    const change = { group: name, version: shortVersion(version), from: shortVersion(settings.version) };
    if (since === 0) log.warn("three crashes soon after the model was switched: the one before is in force again", change);
    else if (configured === version) log.info("the config names another model: switched to it", change);
  }
}

/** Notes where the models that the config names came from, as far as they are kept. Throws `disk_failed` or `disk_full`. */
export async function noteConfigured(
  { models, fold }: StateDirectory,
  groups: readonly ConfiguredGroup[],
  planned: EpochSettings,
  at: number,
): Promise<void> {
  const kept = versionsNamed(planned);
  for (const { config, model } of groups) {
    const present = fold.groupOf(config.name);
    const why = config.model === undefined ? "learning" : "config";
    const origin = { group: config.name, why, file: config.model, base: present?.settings.version, at } as const;
    if (kept.has(model.version)) await models.note(model, origin);
  }
}
