// Puts another model version in force under a group's streams, while they go on: by command, after the model has been held to the parity
// measure and its file is on the disk; and back to the one before. The switch itself is an epoch, see stream-groups.ts.
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { Turns } from "../base/turns.ts";
import { kernelOfVersion } from "../engine/native-engine.ts";
import type { VerifyModel } from "../engine/verify-model.ts";
import type { Model } from "../model/model.ts";
import { shortVersion } from "../model/model.ts";
import { fileModelOf } from "../model/rolled-model.ts";
import { switchProblem } from "../model/switch-problem.ts";
import { loadModel } from "../onnx/load-model.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { EpochSettings, GroupSettings } from "../pipeline/settings.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import type { GroupConfig } from "./config-schema.ts";
import type { EngineChoices } from "./engine-choices.ts";
import type { Lineage, ModelShelf } from "./model-shelf.ts";
import { chooseEngine, promoted, rolledBack, versionsNamed } from "./plan-epoch.ts";
import type { Versions } from "./plan-epoch.ts";

export interface ModelSwitchOptions {
  readonly fold: Fold;
  readonly pipeline: Pipeline;
  readonly models: ModelShelf;
  readonly choices: EngineChoices;
  /** As the config has them; a group that it no longer names keeps its engine. */
  readonly groups: readonly Pick<GroupConfig, "name" | "engine" | "kernel">[];
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly verifyModel: VerifyModel;
  /** A switch takes its place among what is to be done; what it returns is called once that is durable. */
  readonly onSwitch?: OnSwitch | undefined;
}

export type OnSwitch = (kind: "promote" | "rollback", group: string, version: string) => () => void;

/** How a model is put in force. */
export interface PromoteOptions {
  /** Without the parity measure. */
  readonly unverified?: boolean;
  /** It came over the air, not from a file. */
  readonly update?: Lineage["update"];
}

/** A version of a group's model that is in force, or was before. */
export interface ListedModel {
  readonly group: string;
  readonly version: string;
  readonly inForce: boolean;
  /** Of the one in force: since when, milliseconds since 1970; absent for a group's first version and after a rollback. */
  readonly since?: number;
  /** Whether it is the one that the config names. */
  readonly configured: boolean;
  readonly lineage?: Lineage;
}

/** What a switch has come to. */
export interface Switched {
  readonly group: string;
  readonly version: string;
  /** What was in force before it: the same where nothing had to change. */
  readonly from: string;
}

export class ModelSwitch {
  readonly #options: ModelSwitchOptions;
  /** A version that is about to be named must not be taken for one that nothing names. */
  readonly #turns = new Turns();

  constructor(options: ModelSwitchOptions) {
    this.#options = options;
  }

  /**
   * Puts the model in a file in force for a group. Throws `bad_argument` where there is no such group, `bad_model` where the file cannot be
   * used, does not fit the streams or fails the parity measure, `unavailable` where that cannot be taken, `disk_failed` or `disk_full`; the
   * model in force stays then.
   */
  async promoteFile(file: string, group: string, options: PromoteOptions = {}): Promise<Switched> {
    return this.promote(await loadModel(this.#options.disk, file), file, group, options);
  }

  /** The same with a model that has been read; `file` says where, in messages. */
  promote(model: Model, file: string, group: string, options: PromoteOptions = {}): Promise<Switched> {
    return this.#turns.take(() => this.#promote(model, file, group, options));
  }

  async #promote(model: Model, file: string, name: string, options: PromoteOptions): Promise<Switched> {
    const { unverified = false, update } = options;
    const { models, fold, clock, verifyModel } = this.#options;
    const group = this.#find(name);
    const { version } = model;
    if (group.settings.version === version) return { group: name, version, from: version };
    expectFits(file, model, group);
    models.offer(model);
    const origin = update === undefined ? ({ why: "promoted", file } as const) : ({ why: "update", update } as const);
    try {
      await models.keep(new Set([version]));
      await models.note(model, { group: name, ...origin, base: group.settings.version, at: clock.wallMs() });
      if (!unverified) await verifyModel(models.fileOf(version));
      return await this.#bringIntoForce("promote", group, version, (present) => promoted(present, version, clock.wallMs()));
    } finally {
      await models.retain(versionsNamed(fold.settings), this.#options.pipeline.releasedPosition);
    }
  }

  /**
   * Puts a version in force again that was, whichever of those it is that the group remembers: it has passed the parity measure, or never
   * needed it. Throws `bad_argument` where there is no such group or version, else what `promoteFile` throws.
   */
  restore(version: string, group: string): Promise<Switched> {
    return this.#turns.take(async () => {
      const { before } = this.#find(group).settings;
      if (!before.includes(version)) {
        const known = before.map(shortVersion).join(", ") || "none";
        const reason = `it was not in force for group "${group}" before; what was: ${known}`;
        throw new HiddenstateError("bad_argument", `cannot put version ${shortVersion(version)} in force again: ${reason}`);
      }
      const { models } = this.#options;
      return this.#promote(await models.get(version), models.fileOf(version), group, { unverified: true });
    });
  }

  /** Puts the version in force that was before. Throws `bad_argument` where there is no such group, or none was before. */
  rollback(group: string): Promise<Switched> {
    return this.#turns.take(() => this.#rollback(group));
  }

  async #rollback(name: string): Promise<Switched> {
    const { models, fold, pipeline } = this.#options;
    const group = this.#find(name);
    const version = group.settings.before.at(-1);
    if (version === undefined) {
      throw new HiddenstateError(
        "bad_argument",
        `cannot roll group "${name}" back: no version was in force before the present one`,
      );
    }
    const switched = await this.#bringIntoForce("rollback", group, version, rolledBack);
    await models.retain(versionsNamed(fold.settings), pipeline.releasedPosition);
    return switched;
  }

  /** Of every group the version in force and those before it, the latest first. */
  async list(): Promise<ListedModel[]> {
    const { fold, models } = this.#options;
    const listed: ListedModel[] = [];
    for (const { name, version, before, since, configured } of fold.settings.groups) {
      for (const one of [version, ...before.toReversed()]) {
        const lineage = await models.lineageOf(one);
        const inForce = one === version;
        listed.push({
          group: name,
          version: one,
          inForce,
          ...(inForce && since > 0 && { since }),
          configured: one === configured,
          ...(lineage && { lineage }),
        });
      }
    }
    return listed;
  }

  #find(name: string): StreamGroup {
    const group = this.#options.fold.groupOf(name);
    if (group !== undefined) return group;
    const names = this.#options.fold.groups.map(({ settings }) => settings.name).join(", ");
    throw new HiddenstateError("bad_argument", `cannot switch the model: there is no group "${name}", only ${names}`);
  }

  async #bringIntoForce(
    kind: "promote" | "rollback",
    group: StreamGroup,
    version: string,
    change: (present: Versions) => Versions,
  ): Promise<Switched> {
    const { pipeline, models, choices, log, onSwitch } = this.#options;
    const { name } = group.settings;
    const stepped = await chooseEngine(this.#configOf(group), await models.get(version), group, choices);
    // It would have to write down every stream at once.
    await pipeline.checkpointSettled();
    const from = group.settings.version;
    const changed = (present: GroupSettings): GroupSettings => ({ ...present, ...change(present), ...stepped });
    const settled = onSwitch?.(kind, name, version);
    await pipeline.changeEpoch((present) => ofGroup(present, name, changed));
    settled?.();
    log.info("model switched", { group: name, version: shortVersion(version), from: shortVersion(from), why: kind });
    return { group: name, version, from };
  }

  #configOf({ settings }: StreamGroup): Pick<GroupConfig, "engine" | "kernel"> {
    const config = this.#options.groups.find(({ name }) => name === settings.name);
    const { engine, kernel } = settings;
    return config ?? { engine: engine === "learning" ? "auto" : engine, kernel: kernelOfVersion(kernel) };
  }
}

function ofGroup(settings: EpochSettings, name: string, change: (group: GroupSettings) => GroupSettings): EpochSettings {
  return { ...settings, groups: settings.groups.map((group) => (group.name === name ? change(group) : group)) };
}

function expectFits(file: string, model: Model, { settings, model: present }: StreamGroup): void {
  const problem = switchProblem(fileModelOf(present).spec, model.spec, settings.switch === "carry");
  if (problem === undefined) return;
  throw new HiddenstateError("bad_model", `cannot put ${file} in force for group "${settings.name}": ${problem}`);
}
