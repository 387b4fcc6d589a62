// Measures the engines for the groups that leave the choice to us, once each has stepped enough for its batch sizes to be known, and
// brings what that gives into force. The measuring is another process's work; the change is an epoch, at a checkpoint.
import type { Clock, Timer } from "../base/clock.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { commonBatches, meanCost, preferredEngine } from "../engine/engine-preference.ts";
import type { RunTrial } from "../engine/engine-trial.ts";
import { nativeRefusal } from "../model/native-problem.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { GroupSettings } from "../pipeline/settings.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import { describeChoice } from "./engine-choices.ts";
import type { EngineChoices } from "./engine-choices.ts";
import type { ModelShelf } from "./model-shelf.ts";

export interface EngineTrialsOptions {
  /** The names of the groups whose engine is `auto`. */
  readonly groups: ReadonlySet<string>;
  readonly fold: Fold;
  readonly pipeline: Pipeline;
  readonly choices: EngineChoices;
  readonly models: ModelShelf;
  readonly clock: Clock;
  readonly log: Log;
  readonly runTrial: RunTrial;
}

export class EngineTrials {
  readonly #options: EngineTrialsOptions;
  /** Of a version whose trial failed, why: it is not tried again in this life. */
  readonly #failures = new Map<string, string>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: EngineTrialsOptions) {
    this.#options = options;
  }

  /** Looks now and then until every group is settled. */
  start(): void {
    if (this.#stopped || this.#unsettled().length === 0) return;
    this.#timer = this.#options.clock.after(limits.engineTrialCheckMs, () => void this.#look(), { background: true });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Why a group steps on the engine that it steps on. */
  reasonOf(group: StreamGroup): string {
    const { version, name, engine } = group.settings;
    if (engine === "learning")
      return `no model: ${group.engine.shared === undefined ? "each stream learns its own" : "the streams learn one"}`;
    if (!this.#options.groups.has(name)) return "configured";
    const choice = this.#options.choices.get(version);
    if (choice !== undefined) return describeChoice(choice);
    return this.#failures.get(version) ?? "not measured yet";
  }

  #unsettled(): StreamGroup[] {
    const { fold, groups, choices } = this.#options;
    return fold.groups.filter(({ settings: { name, version, engine } }) => {
      // There is no other that learns.
      if (!groups.has(name) || engine === "learning") return false;
      return choices.get(version) === undefined && !this.#failures.has(version);
    });
  }

  async #look(): Promise<void> {
    for (const group of this.#unsettled()) {
      if (this.#stopped) return;
      await this.#settle(group).catch((thrown: unknown) => {
        this.#failures.set(group.settings.version, reasonOf(thrown));
        this.#options.log.info("the engine stays", { group: group.settings.name, reason: reasonOf(thrown) });
      });
    }
    this.start();
  }

  /**
   * Does nothing until the group has stepped enough. Throws `unavailable` where the trial fails, and at once where the native engine does
   * not take the model: there is nothing to measure then.
   */
  async #settle(group: StreamGroup): Promise<void> {
    const { models, choices, pipeline, log, runTrial } = this.#options;
    const seen = group.stepper.batchSizes;
    const { version, name, engine: before } = group.settings;
    if (before === "learning") return;
    const refusal = nativeRefusal((await models.get(version)).spec);
    if (refusal !== undefined) throw new HiddenstateError("unavailable", `cannot measure the engines: ${refusal}`);
    if (seen.reduce((sum, count) => sum + count, 0) < limits.engineTrialAfterSteps) return;
    const trial = await runTrial(models.fileOf(version), commonBatches(seen, limits.engineTrialBatchesMax));
    if (this.#stopped) return;
    const cost = meanCost(trial, seen);
    const engine = preferredEngine(before, cost);
    await choices.keep(version, trial, { engine, cost });
    log.info("engines measured", { group: name, engine, reason: describeChoice({ cost }) });
    if (engine === before) return;
    const kernel = trial.kernels[engine];
    const isSame = (other: GroupSettings): boolean => other.version === version && this.#options.groups.has(other.name);
    await pipeline.changeEpoch((present) => ({
      ...present,
      groups: present.groups.map((settings) => (isSame(settings) ? { ...settings, engine, kernel } : settings)),
    }));
    log.info("engine changed", { group: name, engine, kernel });
  }
}
