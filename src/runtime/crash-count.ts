// How often a runtime has ended without having been stopped, lately: kept in the state directory, so that a model that brings the process
// down again and again can be told from a power cut. Counting is the best that can be done: where the file cannot be read or written,
// nothing is counted.
import { z } from "zod";
import { readJson, replaceFile } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { limits } from "../base/limits.ts";
import type { GroupSettings } from "../pipeline/settings.ts";

const fileSchema = z.strictObject({
  format: z.literal(1),
  /** Since a start; not after a stop, or an end for which no model is to blame. */
  running: z.boolean(),
  /** When the starts were that followed a crash, milliseconds since 1970. */
  crashes: z.array(z.number()),
});

export class CrashCount {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #crashes: readonly number[];

  private constructor(disk: Disk, path: string, crashes: readonly number[]) {
    this.#disk = disk;
    this.#path = path;
    this.#crashes = crashes;
  }

  /** A runtime is about to start: where the one before it did not end by itself, that was a crash. Changes nothing yet. */
  static async load(disk: Disk, directory: string, nowMs: number): Promise<CrashCount> {
    const path = `${directory}/crashes.json`;
    const file = await readJson(disk, path, fileSchema).catch(() => undefined);
    const { running, crashes } = file ?? { running: false, crashes: [] };
    return new CrashCount(disk, path, (running ? [...crashes, nowMs] : crashes).slice(-limits.switchCrashesMax));
  }

  /** It has started: what ends it from now on is a crash. */
  begin(): Promise<void> {
    return this.#write(true);
  }

  /** It ends, and not by a crash. */
  end(): Promise<void> {
    return this.#write(false);
  }

  async #write(running: boolean): Promise<void> {
    const text = `${JSON.stringify({ format: 1, running, crashes: this.#crashes })}\n`;
    await replaceFile(this.#disk, this.#path, new TextEncoder().encode(text)).catch(() => {});
  }

  /** Whether a group's model came into force just before so many crashes that the one before it is the better choice. */
  condemns({ since, before }: Pick<GroupSettings, "since" | "before">): boolean {
    if (since === 0 || before.length === 0) return false;
    const soon = this.#crashes.filter((at) => at >= since && at - since <= limits.switchCrashesWithinMs);
    return soon.length >= limits.switchCrashesMax;
  }
}
