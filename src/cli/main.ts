#!/usr/bin/env node
// The command line. Every failure ends in one clear line and an exit code.
import { CommanderError } from "commander";
import { exitCodeOf, failWith } from "./fail.ts";
import { keepHeapSmall } from "./keep-heap-small.ts";
import { programOf } from "./program.ts";

keepHeapSmall();

// Whoever reads may have seen enough, as `head` has.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

try {
  await (await programOf(process.argv[2])).parseAsync();
} catch (thrown) {
  if (!(thrown instanceof CommanderError)) failWith(thrown);
  // Commander has printed what it has to say.
  process.exit(thrown.exitCode === 0 ? 0 : exitCodeOf("bad_argument"));
}
