// The rule by which a reading is new, a repeat, or out of its time, from who the device says it is. Pure: it holds no state and reads
// no clock. A replay judges nothing: the journal holds what was accepted.
import { limits } from "../base/limits.ts";

/** Where a stream stands, or what a reading says. `seenMs`: when it came, on a clock that nobody sets. */
export interface SequencePoint {
  readonly boot: number;
  readonly nonce: number;
  readonly sequence: number;
  readonly seenMs: number;
}

/**
 * Accepted: `first` of the stream, `next`, after a `gap`, of a `new_boot`, or of a lower boot that is believed: `boot_reset`. Refused:
 * `duplicate`, `stale_boot` (a lower boot while the higher one may still be alive) and `boot_conflict` (two devices, or a device that
 * forgot its counter, claim the same boot).
 */
export type SequenceVerdict = "first" | "next" | "gap" | "duplicate" | "stale_boot" | "boot_conflict" | "new_boot" | "boot_reset";

export interface SequenceJudgement {
  readonly verdict: SequenceVerdict;
  /** Sequence numbers left out before an accepted reading. Known only within a boot: 0 for all verdicts but `gap`. */
  readonly missed: number;
}

function judged(verdict: SequenceVerdict): SequenceJudgement {
  return Object.freeze({ verdict, missed: 0 });
}

const FIRST = judged("first");
const NEXT = judged("next");
const DUPLICATE = judged("duplicate");
const STALE_BOOT = judged("stale_boot");
const BOOT_CONFLICT = judged("boot_conflict");
const NEW_BOOT = judged("new_boot");
const BOOT_RESET = judged("boot_reset");

/**
 * Judges `next` against the last accepted reading of its stream. A lower boot is believed once the higher one has been silent for
 * `silenceMs`, and only under another nonce: with the same one nothing tells it from an old message.
 */
export function judgeSequence(
  last: SequencePoint | undefined,
  next: SequencePoint,
  silenceMs: number = limits.bootSilenceMs,
): SequenceJudgement {
  if (last === undefined) return FIRST;
  if (next.boot > last.boot) return NEW_BOOT;
  if (next.boot < last.boot) {
    const isSilent = next.seenMs - last.seenMs >= silenceMs;
    return isSilent && next.nonce !== last.nonce ? BOOT_RESET : STALE_BOOT;
  }
  if (next.nonce !== last.nonce) return BOOT_CONFLICT;
  if (next.sequence === last.sequence + 1) return NEXT;
  return next.sequence > last.sequence ? { verdict: "gap", missed: next.sequence - last.sequence - 1 } : DUPLICATE;
}

/** Whether a reading of this verdict steps the stream. */
export function isAccepted(verdict: SequenceVerdict): boolean {
  return verdict !== "duplicate" && verdict !== "stale_boot" && verdict !== "boot_conflict";
}
