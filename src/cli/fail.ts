// How a command ends when it cannot do its work: what went wrong on standard error, and an exit code.
import { HiddenstateError } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { ExitCode } from "./exit-codes.ts";

/** From sysexits.h where there is one that fits; everything else is 1. */
const EXIT_CODES: Partial<Record<ErrorCode, ExitCode>> = {
  bad_argument: 64,
  bad_model: 65,
  bad_payload: 65,
  bad_state: 65,
  unknown_stream: 66,
  missing_package: 69,
  broker_refused: 69,
  disk_failed: 70,
  unavailable: 75,
  state_in_use: 75,
  disk_full: 75,
  state_damaged: 74,
  foreign_state: 78,
  bad_config: 78,
};

export function exitCodeOf(code: ErrorCode): ExitCode {
  return EXIT_CODES[code] ?? 1;
}

/** Ends the process. An error that is not of our family is a mistake of ours and shows its stack. */
export function failWith(thrown: unknown): never {
  if (thrown instanceof HiddenstateError) {
    process.stderr.write(`hiddenstate: ${thrown.message}\n`);
    process.exit(exitCodeOf(thrown.code));
  }
  process.stderr.write(`hiddenstate: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`);
  process.exit(1);
}
