#!/usr/bin/env node
// The command line: one file a command, put together here. Every failure ends in one clear line and an exit code.
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { demoCommand } from "./demo.ts";
import { runCommand } from "./run.ts";
import { simulateCommand } from "./simulate.ts";
import { stateCommand } from "./state.ts";
import { trainCommand } from "./train.ts";
import { verifyCommand } from "./verify.ts";
import { failWith } from "./fail.ts";

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { version: string };

const program = new Command("hiddenstate")
  .description("Steps a recurrent network one MQTT reading at a time and keeps every stream's hidden state across crashes.")
  .version(version)
  .showHelpAfterError("(--help shows what there is)")
  .addCommand(demoCommand())
  .addCommand(runCommand())
  .addCommand(simulateCommand())
  .addCommand(trainCommand())
  .addCommand(verifyCommand())
  .addCommand(stateCommand());

try {
  await program.parseAsync();
} catch (thrown) {
  failWith(thrown);
}
