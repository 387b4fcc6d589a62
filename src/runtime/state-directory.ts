// A state directory opened: the fold that its checkpoint and journal add up to. Opening reads and changes nothing; `begin` makes the
// journal writable.
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { diskError, HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import type { Model } from "../model/model.ts";
import { CheckpointFiles } from "../journal/checkpoint-file.ts";
import { DiskReserve } from "../journal/disk-reserve.ts";
import type { HistoryBounds } from "../journal/history.ts";
import { Journal } from "../journal/journal.ts";
import { BlockBuffer } from "../journal/segment.ts";
import { Fold } from "../pipeline/fold.ts";
import { Outbox } from "../pipeline/outbox.ts";
import { recover } from "../pipeline/recover.ts";
import type { Recovered } from "../pipeline/recover.ts";
import { decodeEpochSettings } from "../pipeline/settings.ts";
import { ModelShelf } from "./model-shelf.ts";
import { prepareGroups } from "./stream-groups.ts";

/** Bounds that no config moves; as in `limits` where absent. */
export interface StateBounds {
  /** Of the journal's segments and longest block. */
  readonly segmentBytes?: number;
  readonly blockBytesMax?: number;
  readonly reserveBytes?: number;
  readonly outboxBytesMax?: number;
}

export interface StateDirectoryOptions extends StateBounds {
  readonly disk: Disk;
  readonly directory: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  /** Of the segments that recovery no longer needs what is kept; as in `limits` where absent. */
  readonly history?: Pick<HistoryBounds, "bytes" | "ageMs">;
}

type OnDamage = "continue" | "stop";

export interface Opened {
  readonly state: StateDirectory;
  readonly recovered: Recovered;
}

export class StateDirectory {
  readonly directory: string;
  readonly models: ModelShelf;
  readonly journal: Journal;
  readonly checkpoints: CheckpointFiles;
  readonly reserve: DiskReserve;
  readonly fold: Fold;
  readonly #metrics: Metrics;
  readonly #outboxBytesMax: number;
  #recovered: Recovered | undefined;

  private constructor(options: StateDirectoryOptions, journal: Journal) {
    this.directory = options.directory;
    this.#metrics = options.metrics;
    this.#outboxBytesMax = options.outboxBytesMax ?? limits.outboxBytesMax;
    this.models = new ModelShelf(options.disk, `${options.directory}/models`);
    this.journal = journal;
    this.checkpoints = new CheckpointFiles(options.disk, `${options.directory}/journal`);
    this.reserve = new DiskReserve(options.disk, `${options.directory}/journal`, options.reserveBytes ?? limits.diskReserveBytes);
    this.fold = new Fold((settings, groups) => prepareGroups(this.models, settings, groups));
  }

  /** Makes the folder where it is absent. Throws `disk_failed` or `disk_full`. */
  static async make(disk: Disk, directory: string): Promise<void> {
    try {
      await disk.makeDirectory(directory);
    } catch (thrown) {
      throw diskError(`make the state directory ${directory}`, thrown);
    }
  }

  private static async open(options: StateDirectoryOptions): Promise<StateDirectory> {
    const journal = await Journal.open({
      disk: options.disk,
      directory: `${options.directory}/journal`,
      segmentBytes: options.segmentBytes ?? limits.segmentBytes,
      blockBytesMax: options.blockBytesMax ?? limits.blockBytesMax,
      random: options.random,
      history: { ...(options.history ?? { bytes: limits.historyBytes, ageMs: limits.historyAgeMs }), clock: options.clock },
    });
    return new StateDirectory(options, journal);
  }

  /**
   * Opens a directory and brings the fold to where its journal ends. `models` are known to it. Where events that were once durable are
   * gone, it goes on with what is left, or throws `state_damaged` and changes nothing, as `onDamage` says. Throws `disk_failed` where
   * something cannot be read.
   */
  static async recover(options: StateDirectoryOptions, models: Iterable<Model>, onDamage: OnDamage): Promise<Opened> {
    try {
      return await StateDirectory.#recoverOrBegin(options, models, onDamage);
    } catch (thrown) {
      throw diskError(`open the state directory ${options.directory}`, thrown);
    }
  }

  static async #recoverOrBegin(options: StateDirectoryOptions, models: Iterable<Model>, onDamage: OnDamage): Promise<Opened> {
    const state = await StateDirectory.open(options);
    for (const model of models) state.models.offer(model);
    try {
      const recovered = await state.#recover();
      if (recovered.damaged && onDamage === "stop") throw damage(options.directory, "its journal is damaged");
      return { state, recovered };
    } catch (thrown) {
      await state.close();
      if (!(thrown instanceof HiddenstateError && thrown.code === "state_damaged") || onDamage === "stop") throw thrown;
    }
    // Nothing can be recovered: what there is is kept for whoever wants to look into it.
    await setAside(options.disk, `${options.directory}/journal`);
    const fresh = await StateDirectory.open(options);
    for (const model of models) fresh.models.offer(model);
    return { state: fresh, recovered: { ...(await fresh.#recover()), damaged: true } };
  }

  async #recover(): Promise<Recovered> {
    this.#recovered = await recover(this.fold, this.journal, this.checkpoints, this.#metrics);
    return this.#recovered;
  }

  /** Makes the journal writable; returns the outbox with what the sink's broker may not have. Throws `disk_full` where there is no room even so. */
  async begin(): Promise<Outbox> {
    await this.#makeWritable();
    const outbox = new Outbox(this.journal.position, this.#outboxBytesMax);
    for (const { position, message } of this.#recovered?.messages ?? []) outbox.add(position, message);
    outbox.release(this.journal.position);
    // Without a reserve everything works; it is tried again at the next checkpoint.
    await this.reserve.take().catch(() => {});
    return outbox;
  }

  /** On a full disk the reserve makes the room that a start may need; where that is too little, it cannot start. */
  async #makeWritable(): Promise<void> {
    const make = async (): Promise<void> => {
      await this.checkpoints.clear();
      await this.journal.makeWritable();
    };
    try {
      await make();
    } catch (thrown) {
      if (!(thrown instanceof HiddenstateError && thrown.code === "disk_full")) throw thrown;
      await this.reserve.giveUp().catch(() => {});
      await make();
    }
  }

  /** Journals settings and works by them: the first event of a journal, or a change between two runs. Throws what `prepareGroups` throws. */
  async beginEpoch(settings: string): Promise<void> {
    // What cannot come into force must not be journalled: no start would get past it.
    const enter = await this.fold.prepareEpoch(decodeEpochSettings(settings));
    const block = new BlockBuffer();
    block.add({ kind: "epoch", settings });
    await this.journal.append(block);
    await this.journal.sync();
    await enter();
  }

  async close(): Promise<void> {
    await this.journal.close();
    for (const group of this.fold.groups) await group.engine.close();
  }
}

function damage(directory: string, what: string): HiddenstateError {
  const advice = "restore a copy of the state directory, or set durability.onDamage: continue to go on with what is left";
  return new HiddenstateError("state_damaged", `cannot continue from ${directory}: ${what}; ${advice}`);
}

/** Renames a journal's files, so that a new journal begins beside them. */
async function setAside(disk: Disk, directory: string): Promise<void> {
  const names = await disk.list(directory);
  let number = 1;
  while (names.some((name) => name.startsWith(`damaged-${number}-`))) number++;
  for (const name of names) {
    if (!name.startsWith("damaged-")) await disk.rename(`${directory}/${name}`, `${directory}/damaged-${number}-${name}`);
  }
  await disk.syncDirectory(directory);
}
