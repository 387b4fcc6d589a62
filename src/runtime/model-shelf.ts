// The model files that a state directory depends on, by version: copies, so that what the journal names is there when it is replayed,
// wherever the config's file has gone meanwhile. Beside each lies where it came from. What nothing names any more is removed once the
// journal no longer goes back to where it was named: with both checkpoints damaged it is replayed from its beginning.
import { z } from "zod";
import { readJson, replaceFile } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { diskError } from "../base/errors.ts";
import { Turns } from "../base/turns.ts";
import type { Model } from "../model/model.ts";
import { fileModelOf } from "../model/rolled-model.ts";
import { loadModel } from "../onnx/load-model.ts";

const lineageSchema = z.strictObject({
  format: z.literal(1),
  version: z.string(),
  /** The model's own name. */
  name: z.string(),
  group: z.string(),
  /** `config`: the config named it. `learning`: the config names none, and streams learn by themselves. `promoted`: a command put it in force. `update`: it came over the air. */
  why: z.enum(["config", "learning", "promoted", "update"]),
  /** Of an update: whose signature it had, and its place in their order. */
  update: z.strictObject({ key: z.string(), counter: z.int() }).optional(),
  /** Where it came from; absent where it was made here. */
  file: z.string().optional(),
  /** What was in force when it came. */
  base: z.string().optional(),
  /** When it came, milliseconds since 1970. */
  at: z.number(),
  /** Root mean squared error on the test rows of its training, by output name. */
  testRmse: z.record(z.string(), z.number()).optional(),
});

/** Where a version came from. */
export type Lineage = z.output<typeof lineageSchema>;
export type Origin = Pick<Lineage, "group" | "why" | "update" | "file" | "base" | "at">;

const MODEL_NAME = /^([0-9a-f]{64})\.onnx$/;

export class ModelShelf {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #known = new Map<string, Model>();
  /** Versions that no settings name any more, by the position from which on that is so. */
  readonly #unneeded = new Map<string, number>();
  /** One thing after the other: a version must not be removed while it is kept. */
  readonly #turns = new Turns();

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** Where a version lies once it is kept. */
  fileOf(version: string): string {
    return `${this.#directory}/${version}.onnx`;
  }

  #lineageFileOf(version: string): string {
    return `${this.#directory}/${version}.json`;
  }

  /** Knows a model's file from now on; nothing is written yet. */
  offer(model: Model): void {
    this.#known.set(model.version, fileModelOf(model));
  }

  /** Throws `bad_model` where no such version was offered or kept. */
  async get(version: string): Promise<Model> {
    let model = this.#known.get(version);
    if (model === undefined) {
      model = await loadModel(this.#disk, this.fileOf(version));
      this.#known.set(version, model);
    }
    return model;
  }

  /** The versions that lie there, in no order. */
  async list(): Promise<string[]> {
    const names = await this.#disk.list(this.#directory);
    return names.flatMap((name) => MODEL_NAME.exec(name)?.[1] ?? []);
  }

  /** Keeps the versions on disk: once this returns, an event may name them. Throws `disk_failed` or `disk_full`. */
  keep(versions: ReadonlySet<string>): Promise<void> {
    for (const version of versions) this.#unneeded.delete(version);
    return this.#inTurn("keep the models", async () => {
      await this.#disk.makeDirectory(this.#directory);
      const names = new Set(await this.#disk.list(this.#directory));
      for (const version of versions) {
        if (!names.has(`${version}.onnx`)) await this.#write(await this.get(version));
      }
      // A process may have died between the rename and this: a name that is read need not be on the disk.
      await this.#disk.syncDirectory(this.#directory);
    });
  }

  /** What may or may not be on the disk after a failure must not be taken for kept by the next who asks. */
  async #write({ version, bytes }: Model): Promise<void> {
    const path = this.fileOf(version);
    try {
      await replaceFile(this.#disk, path, bytes);
    } catch (thrown) {
      await this.#disk.remove(path).catch(() => {});
      throw thrown;
    }
  }

  /** Notes where a version that is kept came from, unless that is known. Throws `disk_failed` or `disk_full`. */
  note({ version, spec }: Model, origin: Origin): Promise<void> {
    return this.#inTurn("note where a model came from", async () => {
      if ((await this.lineageOf(version)) !== undefined) return;
      const lineage: Lineage = { format: 1, version, name: spec.name, ...origin, testRmse: spec.training?.testRmse };
      const text = `${JSON.stringify(lineage, undefined, 2)}\n`;
      await replaceFile(this.#disk, this.#lineageFileOf(version), new TextEncoder().encode(text));
    });
  }

  /** Where a version came from; undefined where that was never noted, or cannot be read. */
  lineageOf(version: string): Promise<Lineage | undefined> {
    return readJson(this.#disk, this.#lineageFileOf(version), lineageSchema);
  }

  /** From `position` on no settings name other versions than these. */
  async retain(named: ReadonlySet<string>, position: number): Promise<void> {
    for (const version of await this.list()) {
      if (!named.has(version) && !this.#unneeded.has(version)) this.#unneeded.set(version, position);
    }
  }

  /** Removes what was named only before `firstPosition`, where the journal begins. What cannot be removed now is tried again after the next start. */
  async sweep(firstPosition: number): Promise<void> {
    const gone = Array.from(this.#unneeded).filter(([, position]) => position <= firstPosition);
    if (gone.length === 0) return;
    await this.#inTurn("remove models", async () => {
      for (const [version] of gone) {
        if (!this.#unneeded.delete(version)) continue;
        this.#known.delete(version);
        await this.#disk.remove(this.#lineageFileOf(version));
        await this.#disk.remove(this.fileOf(version));
      }
    }).catch(() => {});
  }

  async #inTurn(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await this.#turns.take(work);
    } catch (thrown) {
      throw diskError(`${what} in ${this.#directory}`, thrown);
    }
  }
}
