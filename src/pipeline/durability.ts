// When something counts as done: what the disk must have confirmed before predictions, acks and answers leave, and how long events wait
// for others to share a write.

/**
 * `strict`: after the sync; survives a power cut. `relaxed`: after the write, synced soon; survives the death of the process. `volatile`: at
 * once; what is lost in a crash may have been acked.
 */
export type DurabilityMode = "strict" | "relaxed" | "volatile";

export const durabilityModes = ["strict", "relaxed", "volatile"] as const satisfies readonly DurabilityMode[];

export interface Durability {
  readonly mode: DurabilityMode;
  /** How long events may wait for more to come; they do not wait once none come any more. */
  readonly lingerMs: number;
}
