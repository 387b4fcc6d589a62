// A log that keeps the reasons of warnings, for a command that has a better place to tell them.
import type { Log } from "../base/log.ts";
import { silentLog } from "../base/log.ts";

/** What a connection has to say of its broker goes into `warnings`, the latest last. */
export function warningLog(warnings: string[]): Log {
  return {
    ...silentLog,
    warn: (text, fields) => void warnings.push(typeof fields?.["reason"] === "string" ? fields["reason"] : text),
  };
}
