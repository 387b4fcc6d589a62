#!/usr/bin/env node
// The command line: one file a command, put together here. Every failure ends in one clear line and an exit code.
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { demoCommand } from "./demo.ts";
import { addExamples } from "./examples.ts";
import { exitCodeOf, failWith } from "./fail.ts";
import { runCommand } from "./run.ts";
import { simulateCommand } from "./simulate.ts";
import { stateCommand } from "./state.ts";
import { statusCommand } from "./status.ts";
import { trainCommand } from "./train.ts";
import { verifyCommand } from "./verify.ts";

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { version: string };

/** What commander would decide by itself: how a mistyped command is told, and how the process ends. */
function settle(command: Command): void {
  command
    .showHelpAfterError("(--help shows what there is)")
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "hiddenstate: ")) })
    .exitOverride();
  for (const below of command.commands) settle(below);
}

const program = new Command("hiddenstate")
  .description("Steps a recurrent network one MQTT reading at a time and keeps every stream's hidden state across crashes.")
  .version(version)
  .addCommand(demoCommand())
  .addCommand(runCommand())
  .addCommand(statusCommand())
  .addCommand(stateCommand())
  .addCommand(trainCommand())
  .addCommand(verifyCommand())
  .addCommand(simulateCommand());
addExamples(program);
settle(program);

// Whoever reads may have seen enough, as `head` has.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

try {
  await program.parseAsync();
} catch (thrown) {
  if (!(thrown instanceof CommanderError)) failWith(thrown);
  // Commander has printed what it has to say.
  process.exit(thrown.exitCode === 0 ? 0 : exitCodeOf("bad_argument"));
}
