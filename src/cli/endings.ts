// What stands below each command's --help: its exit codes and examples.
import type { Command } from "commander";
import { examples } from "./examples.ts";
import { endingsOf } from "./exit-codes.ts";

function block(title: string, lines: readonly string[]): string {
  return `\n${title}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

export function addEndings(program: Command): void {
  for (const command of program.commands) {
    const codes = endingsOf(command.name()).map(({ code, meaning }) => `${String(code).padEnd(3)}  ${meaning}`);
    command.addHelpText("after", block("Exit codes", codes) + block("Examples", examples[command.name()]!));
  }
}
