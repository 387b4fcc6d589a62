// Structured logs through pino: one JSON object a line on standard error, which journald and people with jq both take.
import { pino } from "pino";
import type { DestinationStream } from "pino";

/** The least that is said. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";
/** Figures and names that go with a line of the log. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where a runtime says what happens. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** A log that writes one JSON object a line, on standard error unless another destination is given. */
export function createLog(level: LogLevel, destination: DestinationStream = pino.destination({ fd: 2, sync: true })): Log {
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
  };
}

/** A log that says nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
