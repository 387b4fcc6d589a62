// What commands have in common that ask about a state directory, be a runtime working on it or not: their options, and how they print.
import type { Command } from "commander";
import { openControl } from "../runtime/stopped-state.ts";
import type { ControlAccess } from "../runtime/stopped-state.ts";

export interface ControlOptions {
  readonly state: string;
  readonly json?: true;
}

/** Opens the state directory, or asks the runtime that owns it, for as long as the work takes. */
export async function withControl<T>(options: ControlOptions, work: (control: ControlAccess) => Promise<T>): Promise<T> {
  const control = await openControl(options.state);
  try {
    return await work(control);
  } finally {
    await control.close();
  }
}

/** A line of text as it is, anything else as JSON. */
export function print(value: unknown): void {
  process.stdout.write(typeof value === "string" ? `${value}\n` : `${JSON.stringify(value)}\n`);
}

/** Adds a subcommand that takes `ControlOptions`. */
export function addControlCommand(
  command: Command,
  name: string,
  description: string,
  action: (...args: never[]) => Promise<void>,
): Command {
  return command
    .command(name)
    .description(description)
    .option("-s, --state <directory>", "the state directory", ".hiddenstate")
    .option("--json", "print JSON")
    .action(action as (...args: unknown[]) => Promise<void>);
}
