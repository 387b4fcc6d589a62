// The one family of operating errors. A message reads "cannot <verb> <thing>: <reason>", says what to do next where there is
// something to do, and keeps its cause. Our own mistakes are assertions, not errors of this family.

/** What kind of error it is. */
export type ErrorCode =
  | "bad_argument" // a caller's value: shape, range, type
  | "bad_config"
  | "bad_model" // a model file that cannot be used
  | "bad_payload"
  | "bad_state" // a hidden state from outside that does not fit
  | "foreign_state" // a state directory that belongs to something else
  | "state_in_use"
  | "state_damaged" // what was once durable is gone or changed
  | "unknown_stream"
  | "missing_package"
  | "disk_failed"
  | "disk_full" // no room now; the same may succeed later
  | "broker_refused"
  | "unavailable"; // right request, wrong moment

/** Every operating error: `message` reads `cannot <verb> <thing>: <reason>` and says what to do, `code` is for programs, `cause` what lies below. */
export class HiddenstateError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "HiddenstateError";
    this.code = code;
  }
}

/** The text of anything thrown, for the end of a message. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The system's code (`ENOENT`, `EIO`) of anything thrown, or undefined. */
export function systemCodeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}

/** Whether something thrown by the disk means that there is no room on it. */
export function isDiskFull(thrown: unknown): boolean {
  const code = systemCodeOf(thrown);
  return code === "ENOSPC" || code === "EDQUOT";
}

/**
 * What a disk threw, as one of the family: `disk_full` or `disk_failed`, "cannot <work>: <reason>". Anything that is one already, or does
 * not come from the system, is passed on as it is.
 */
export function diskError(work: string, thrown: unknown): unknown {
  if (thrown instanceof HiddenstateError || !/^E[A-Z0-9]+$/.test(systemCodeOf(thrown) ?? "")) return thrown;
  return new HiddenstateError(isDiskFull(thrown) ? "disk_full" : "disk_failed", `cannot ${work}: ${reasonOf(thrown)}`, thrown);
}
