// The model files that a state directory depends on, by version: copies, so that what the journal names is there when it is replayed,
// wherever the config's file has gone meanwhile.
import { replaceFile } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { diskError } from "../base/errors.ts";
import type { Model } from "../model/model.ts";
import { loadModel } from "../onnx/load-model.ts";

export class ModelShelf {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #known = new Map<string, Model>();

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** Where a version lies once it is kept. */
  fileOf(version: string): string {
    return `${this.#directory}/${version}.onnx`;
  }

  /** Knows a model from now on; nothing is written yet. */
  offer(model: Model): void {
    this.#known.set(model.version, model);
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

  /** Keeps the versions on disk. Throws `disk_failed` or `disk_full`. */
  async keep(versions: Iterable<string>): Promise<void> {
    try {
      await this.#disk.makeDirectory(this.#directory);
      const names = new Set(await this.#disk.list(this.#directory));
      for (const version of versions) {
        if (!names.has(`${version}.onnx`)) await replaceFile(this.#disk, this.fileOf(version), (await this.get(version)).bytes);
      }
      // A process may have died between the rename and this: a name that is read need not be on the disk.
      await this.#disk.syncDirectory(this.#directory);
    } catch (thrown) {
      throw diskError(`keep the models in ${this.#directory}`, thrown);
    }
  }
}
