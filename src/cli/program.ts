// The command line put together, one file a command. Only the command that is asked for is loaded: a service must not hold the code of
// training and of the simulated devices in memory for as long as it runs.
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addEndings } from "./endings.ts";

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
  alarms: async () => (await import("./alarms.ts")).alarmsCommand(),
  models: async () => (await import("./models.ts")).modelsCommand(),
  keys: async () => (await import("./keys.ts")).keysCommand(),
  "publish-model": async () => (await import("./publish-model.ts")).publishModelCommand(),
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

/** The program with the command that `asked` names, or with all. */
export async function programOf(asked: string | undefined): Promise<Command> {
  const program = new Command("hiddenstate")
    .description("Steps a recurrent network one MQTT reading at a time and keeps every stream's hidden state across crashes.")
    .version(version);
  for (const command of await askedFor(asked)) program.addCommand(command);
  addEndings(program);
  settle(program);
  return program;
}
