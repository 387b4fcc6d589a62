// The settings that a start works by, from the config and from what is in the state directory. A group keeps its place in the epoch for as
// long as the directory lives, and the model that was put in force for as long as the config does not name another one than it did.
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { defaultEngine, openEngine } from "../engine/open-engine.ts";
import type { Model } from "../model/model.ts";
import { shortVersion } from "../model/model.ts";
import { fileModelOf } from "../model/rolled-model.ts";
import { switchProblem } from "../model/switch-problem.ts";
import type { EpochSettings, GapPolicy, GroupSettings, MissingPolicy } from "../pipeline/settings.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import type { GroupConfig } from "./config-schema.ts";
import type { EngineChoices } from "./engine-choices.ts";
import type { ConfiguredGroup } from "./groups.ts";
import type { ModelShelf } from "./model-shelf.ts";

export interface PlanOptions {
  readonly node: string;
  readonly groups: readonly ConfiguredGroup[];
  readonly present: readonly StreamGroup[];
  readonly choices: EngineChoices;
  readonly models: ModelShelf;
  /** The wall clock. */
  readonly nowMs: number;
  /** Whether the model of these settings has to go: three crashes say so. */
  readonly condemns?: (settings: GroupSettings) => boolean;
}

/** The versions of a group: the one in force, and what is remembered of others. */
export type Versions = Pick<GroupSettings, "version" | "configured" | "before" | "since">;

/** Another version comes into force. */
export function promoted(present: Versions, version: string, nowMs: number): Versions {
  const before = [...present.before.filter((other) => other !== version), present.version];
  return { version, configured: present.configured, before: before.slice(-limits.modelsBeforeMax), since: nowMs };
}

/** The version before comes into force again, for good: it is not taken back by itself. */
export function rolledBack(present: Versions): Versions {
  return { version: present.before.at(-1)!, configured: present.configured, before: present.before.slice(0, -1), since: 0 };
}

function gapOf({ gap }: GroupConfig): GapPolicy {
  return typeof gap === "string" ? { policy: gap } : { policy: "decay", tauMs: gap.decay };
}

function missingOf({ missing }: GroupConfig, features: readonly string[]): MissingPolicy[] {
  return features.map((name) => (typeof missing === "string" ? missing : (missing[name] ?? "hold")));
}

async function openKernel(model: Model, engine: "native" | "onnx", kernel: GroupConfig["kernel"]): Promise<string> {
  const opened = await openEngine(model, kernel === undefined ? { engine } : { engine, kernel });
  await opened.close();
  return opened.kernel;
}

/** What steps a model of a group. Throws `bad_model`, `missing_package` or `unavailable` where nothing does. */
export async function chooseEngine(
  config: Pick<GroupConfig, "engine" | "kernel">,
  model: Model,
  present: StreamGroup | undefined,
  choices: EngineChoices,
): Promise<Pick<GroupSettings, "engine" | "kernel">> {
  if (model.spec.learner !== undefined) {
    const { learningKernelName } = await import("../learn/learning-engine.ts");
    return { engine: "learning", kernel: learningKernelName(config.kernel) };
  }
  const engine = config.engine === "auto" ? (choices.get(model.version)?.engine ?? defaultEngine(model)) : config.engine;
  // Of onnxruntime this process has one version; a native kernel is chosen anew, for the journal may come from another box.
  if (engine === "onnx" && present?.engine.name === engine) return { engine, kernel: present.engine.kernel };
  try {
    return { engine, kernel: await openKernel(model, engine, config.kernel) };
  } catch (thrown) {
    // What was measured may have been uninstalled since.
    if (config.engine !== "auto" || defaultEngine(model) === engine) throw thrown;
    return { engine: "native", kernel: await openKernel(model, "native", config.kernel) };
  }
}

/**
 * What is in force from now on: what is, unless the config names another than it did, or three crashes say that it has to go. Throws
 * `foreign_state` where what the config names does not fit.
 */
async function versionsOf(
  { config, model }: ConfiguredGroup,
  present: StreamGroup | undefined,
  { nowMs, condemns, models }: PlanOptions,
): Promise<Versions> {
  const { version } = model;
  if (present === undefined) return { version, configured: version, before: [], since: 0 };
  const { settings } = present;
  if (settings.configured === version) {
    if (condemns?.(settings) !== true) return settings;
    const before = await models.get(settings.before.at(-1)!);
    // Where it cannot go on with these states the present one is still better than none.
    return switchProblem(fileModelOf(present.model).spec, before.spec, config.switch === "carry") === undefined
      ? rolledBack(settings)
      : settings;
  }
  if (settings.version === version) return { ...settings, configured: version };
  const problem = switchProblem(fileModelOf(present.model).spec, fileModelOf(model).spec, config.switch === "carry");
  if (problem === undefined) return { ...promoted(settings, version, nowMs), configured: version };
  throw new HiddenstateError(
    "foreign_state",
    `cannot use this state directory for group "${settings.name}": its states are of model ${shortVersion(settings.version)}, the config ` +
      `names model ${shortVersion(version)}, and ${problem}; put the old model back, or give the new one another group name or state directory`,
  );
}

async function settingsOf(
  group: ConfiguredGroup,
  present: StreamGroup | undefined,
  options: PlanOptions,
): Promise<GroupSettings> {
  const { config, model, messages } = group;
  const holdMs = config.holdFor ?? messages.holdMs;
  const { version, configured, before, since } = await versionsOf(group, present, options);
  const inForce = await options.models.get(version);
  return {
    name: config.name,
    version,
    configured,
    before,
    since,
    ...(await chooseEngine(config, inForce, present, options.choices)),
    ...(model.rolled && { horizons: model.rolled.horizons }),
    gap: gapOf(config),
    missing: missingOf(config, messages.features),
    holdReadingsMax: config.holdReadings,
    ...(holdMs === undefined ? {} : { holdMs }),
    ...(config.score && { score: { falseAlarmsPerWeek: config.score.budget } }),
    switch: config.switch,
    predictions: config.predictions,
  };
}

/**
 * The settings from now on. Groups that the config no longer names keep their place and their streams. Throws `foreign_state` where the
 * config names another model, and it does not fit a group's streams.
 */
export async function planEpoch(options: PlanOptions): Promise<EpochSettings> {
  const { node, groups, present } = options;
  const settings = present.map((group) => group.settings);
  for (const group of groups) {
    const known = settings.findIndex(({ name }) => name === group.config.name);
    const planned = await settingsOf(group, present[known], options);
    if (known < 0) settings.push(planned);
    else settings[known] = planned;
  }
  return { format: 2, node, groups: settings };
}

/** All versions that settings name: what the state directory must keep for them. */
export function versionsNamed({ groups }: EpochSettings): Set<string> {
  return new Set(groups.flatMap(({ version, before }) => [version, ...before]));
}
