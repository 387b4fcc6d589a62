// What can be wrong with a config, as a value: where, and what to do about it.
import { HiddenstateError } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";

export interface Fault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Point at this key of the object at `path`, not at its value. */
  readonly key?: string;
}

/** A config that reads well and does not fit what it names. Who has its text can say the line: `placeFault`. */
export class ConfigError extends HiddenstateError {
  readonly fault: Fault;

  constructor(code: ErrorCode, fault: Fault, cause?: unknown) {
    super(code, fault.message, cause);
    this.name = "ConfigError";
    this.fault = fault;
  }
}
