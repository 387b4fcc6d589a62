// `hiddenstate completion bash|zsh`: the script by which a shell completes what is typed, out of the commands as they are.
import { Argument, Command } from "commander";
import { bashCompletion } from "./bash-completion.ts";
import { commandTree } from "./command-tree.ts";
import type { CommandNode } from "./command-tree.ts";
import { zshCompletion } from "./zsh-completion.ts";

const scripts: Readonly<Record<string, (program: CommandNode) => string>> = { bash: bashCompletion, zsh: zshCompletion };

/** `loadProgram`: the program with all its commands. */
export function completionCommand(loadProgram: () => Promise<Command>): Command {
  return new Command("completion")
    .description("print a script by which the shell completes commands, options and file names")
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(scripts)))
    .action(async (shell: string) => {
      process.stdout.write(scripts[shell]!(commandTree(await loadProgram())));
    });
}
