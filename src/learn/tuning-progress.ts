// What a fine-tune has come to, in a file beside the one that its challenger goes to: a stop, a kill or a power cut costs it no more than the
// last half minute. The file is named by the version that the fine-tune began with, so that one of another is not gone on with, and holds a
// model's own version, 64 hex digits, and then its bytes.
import { basename, dirname } from "node:path";
import type { Clock } from "../base/clock.ts";
import { readWhole, replaceFile } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import type { Model } from "../model/model.ts";
import { decodeModel } from "../onnx/decode-model.ts";

const KEPT_EVERY_MS = 30_000;
const ENDING = ".part";
const VERSION_BYTES = 64;
const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];

export class TuningProgress {
  readonly #disk: Disk;
  readonly #clock: Clock;
  /** Where the challenger goes. */
  readonly #out: string;
  readonly #file: string;
  #keptAtMs: number;

  constructor(disk: Disk, clock: Clock, out: string, champion: Model) {
    this.#disk = disk;
    this.#clock = clock;
    this.#out = out;
    this.#file = `${out}.${champion.version}${ENDING}`;
    this.#keptAtMs = clock.monotonicMs();
  }

  /** What an earlier one has come to; undefined where there is none, or it cannot be read. */
  async load(): Promise<Model | undefined> {
    try {
      const bytes = await readWhole(this.#disk, this.#file);
      if (bytes === undefined) return undefined;
      const model = decodeModel(bytes.subarray(VERSION_BYTES), this.#file);
      return model.version === decoder.decode(bytes.subarray(0, VERSION_BYTES)) ? model : undefined;
    } catch {
      return undefined;
    }
  }

  /** Keeps the best so far, unless that was done a moment ago. Without it a fine-tune begins anew after a stop, so a failure is none of it. */
  async keep(best: () => Model): Promise<void> {
    if (this.#clock.monotonicMs() - this.#keptAtMs < KEPT_EVERY_MS) return;
    const { version, bytes } = best();
    await replaceFile(this.#disk, this.#file, Buffer.concat([encoder.encode(version), bytes])).catch(() => {});
    this.#keptAtMs = this.#clock.monotonicMs();
  }

  /** Removes it, and what was left of fine-tunes of other versions. */
  async clear(): Promise<void> {
    const folder = dirname(this.#out);
    for (const name of await this.#disk.list(folder)) {
      const isOurs = name.startsWith(`${basename(this.#out)}.`) && name.endsWith(ENDING);
      if (isOurs) await this.#disk.remove(`${folder}/${name}`).catch(() => {});
    }
  }
}
