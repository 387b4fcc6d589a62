#!/usr/bin/env node
// The command line: one file a command, put together here. Every failure ends in one clear line and an exit code. Only the command that is
// asked for is loaded: a service must not hold the code of training and of the simulated devices in memory for as long as it runs.
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { addExamples } from "./examples.ts";
import { exitCodeOf, failWith } from "./fail.ts";

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { version: string };

/** In the order of the help. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  demo: async () => (await import("./demo.ts")).demoCommand(),
  init: async () => (await import("./init.ts")).initCommand(),
  check: async () => (await import("./check.ts")).checkCommand(),
  doctor: async () => (await import("./doctor.ts")).doctorCommand(),
  bench: async () => (await import("./bench.ts")).benchCommand(),
  watch: async () => (await import("./watch.ts")).watchCommand(),
  run: async () => (await import("./run.ts")).runCommand(),
  status: async () => (await import("./status.ts")).statusCommand(),
  state: async () => (await import("./state.ts")).stateCommand(),
  models: async () => (await import("./models.ts")).modelsCommand(),
  inspect: async () => (await import("./inspect.ts")).inspectCommand(),
  train: async () => (await import("./train.ts")).trainCommand(),
  verify: async () => (await import("./verify.ts")).verifyCommand(),
  proto: async () => (await import("./proto.ts")).protoCommand(),
  record: async () => (await import("./record.ts")).recordCommand(),
  simulate: async () => (await import("./simulate.ts")).simulateCommand(),
  completion: async () => (await import("./completion.ts")).completionCommand(() => programOf(undefined)),
};

/** The command that the arguments name; all of them where they name none, for help, and for what to say of a mistyped one. */
function askedFor(name: string | undefined): Promise<Command[]> {
  const asked = Object.entries(commands).filter(([known]) => known === name);
  return Promise.all((asked.length > 0 ? asked : Object.entries(commands)).map(([, load]) => load()));
}

/** What commander would decide by itself: how a mistyped command is told, and how the process ends. */
function settle(command: Command): void {
  command
    .showHelpAfterError("(--help shows what there is)")
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "hiddenstate: ")) })
    .exitOverride();
  for (const below of command.commands) settle(below);
}

async function programOf(asked: string | undefined): Promise<Command> {
  const program = new Command("hiddenstate")
    .description("Steps a recurrent network one MQTT reading at a time and keeps every stream's hidden state across crashes.")
    .version(version);
  for (const command of await askedFor(asked)) program.addCommand(command);
  addExamples(program);
  settle(program);
  return program;
}

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
