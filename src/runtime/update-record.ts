// What must not be forgotten of models that came over MQTT: of each group the last manifest that was accepted, and what has become of it. A
// record that cannot be read is an error, not an empty one: an old manifest would be taken for a new one.
import { z } from "zod";
import { readWhole, replaceFile } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { diskError, HiddenstateError } from "../base/errors.ts";
import { Turns } from "../base/turns.ts";
import { updateRefusals } from "../message/update-manifest.ts";

const whole = z.int().min(0);

const entrySchema = z.strictObject({
  /** The highest that was ever accepted. */
  counter: whole,
  /** The digest of its manifest, and the model's version. */
  manifest: z.string(),
  version: z.string(),
  outcome: z.enum(["fetching", "in force", "refused"]),
  /** Times that putting it in force was begun and no end was written down: the process ended. */
  tries: whole,
  reason: z.enum(updateRefusals).optional(),
  why: z.string().optional(),
});
const fileSchema = z.strictObject({ format: z.literal(1), groups: z.record(z.string(), entrySchema) });

export type UpdateEntry = z.output<typeof entrySchema>;

export class UpdateRecord {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #groups: Map<string, UpdateEntry>;
  readonly #turns = new Turns();

  private constructor(disk: Disk, path: string, groups: Map<string, UpdateEntry>) {
    this.#disk = disk;
    this.#path = path;
    this.#groups = groups;
  }

  /** Throws `state_damaged` where there is a record that cannot be read, and `disk_failed`. */
  static async load(disk: Disk, path: string): Promise<UpdateRecord> {
    const bytes = await readWhole(disk, path);
    if (bytes === undefined) return new UpdateRecord(disk, path, new Map());
    try {
      const { groups } = fileSchema.parse(JSON.parse(Buffer.from(bytes).toString()));
      return new UpdateRecord(disk, path, new Map(Object.entries(groups)));
    } catch (thrown) {
      const advice = "remove it to take updates again, old ones too";
      throw new HiddenstateError("state_damaged", `cannot read ${path}, which says what updates came before: ${advice}`, thrown);
    }
  }

  get(group: string): UpdateEntry | undefined {
    return this.#groups.get(group);
  }

  /**
   * Writes down what `change` makes of the present entry; where that is undefined nothing changes. On the disk once this resolves; where it
   * rejects, what was before holds.
   */
  change(group: string, change: (present: UpdateEntry | undefined) => UpdateEntry | undefined): Promise<void> {
    return this.#turns.take(async () => {
      const entry = change(this.#groups.get(group));
      if (entry === undefined) return;
      const groups = Object.fromEntries([...this.#groups, [group, entry]]);
      try {
        await replaceFile(this.#disk, this.#path, Buffer.from(`${JSON.stringify({ format: 1, groups })}\n`));
      } catch (thrown) {
        throw diskError(`write ${this.#path}`, thrown);
      }
      this.#groups.set(group, entry);
    });
  }
}
