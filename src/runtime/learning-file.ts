// `learning.json` in the state directory: how far learning has come for each group, and what was decided lately. It is no truth of its own: where
// it is lost, learning begins anew, and no state changes.
import { z } from "zod";
import { readWhole, replaceFile } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { reasonOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";

const whole = z.int().min(0);
const challenger = z.strictObject({
  version: z.string(),
  rows: whole,
  epochs: whole,
  change: z.number(),
  trainedTo: whole,
});
const courseState = z.discriminatedUnion("stage", [
  z.strictObject({ stage: z.literal("idle"), lastAtMs: z.number(), from: whole, asked: z.boolean() }),
  z.strictObject({ stage: z.literal("shadow"), champion: z.string(), challenger, notBefore: whole }),
  z.strictObject({ stage: z.literal("probation"), champion: z.string(), from: whole, notBefore: whole }),
]);
const madeDecision = z.strictObject({
  /** Wall clock, milliseconds since 1970. */
  at: z.number(),
  decision: z.string(),
  why: z.string(),
  /** The version that it is about. */
  version: z.string().optional(),
  figures: z.record(z.string(), z.number()),
});
const group = z.strictObject({ course: courseState, decisions: z.array(madeDecision) });
const learningFile = z.strictObject({ format: z.literal(2), groups: z.record(z.string(), group) });

export type MadeDecision = z.output<typeof madeDecision>;
/** By group. */
export type LearningNotes = Readonly<Record<string, z.output<typeof group>>>;

/** What was noted; nothing where there is no file, or none that can be read, which is logged. */
export async function loadLearning(disk: Disk, file: string, log: Log): Promise<LearningNotes> {
  const bytes = await readWhole(disk, file);
  if (bytes === undefined) return {};
  try {
    return learningFile.parse(JSON.parse(Buffer.from(bytes).toString())).groups;
  } catch (thrown) {
    log.warn("how far learning has come cannot be read, it begins anew", { file, reason: reasonOf(thrown) });
    return {};
  }
}

export async function saveLearning(disk: Disk, file: string, groups: LearningNotes): Promise<void> {
  await replaceFile(disk, file, Buffer.from(JSON.stringify({ format: 2, groups })));
}
