// What can be typed, out of the commands themselves: for shells to complete, and for the page of commands to be held against.
import type { Argument, Command, Option } from "commander";

/** What stands at a place: a file, a folder, one of some words, or what nobody can guess. */
export type Typed = "file" | "directory" | "other" | readonly string[];

export interface TypedOption {
  /** `-s` and `--state`. */
  readonly flags: readonly string[];
  readonly description: string;
  /** Undefined where it takes no value. */
  readonly value: { readonly name: string; readonly typed: Typed } | undefined;
}

export interface CommandNode {
  /** From the program down, without its own name: `["state", "list"]`. */
  readonly path: readonly string[];
  readonly description: string;
  readonly options: readonly TypedOption[];
  readonly arguments: readonly { readonly name: string; readonly isRequired: boolean; readonly typed: Typed }[];
  readonly below: readonly CommandNode[];
}

const FILES = new Set(["file", "path", "config", "model"]);
const DIRECTORIES = new Set(["directory", "dir"]);
const HELP: TypedOption = { flags: ["-h", "--help"], description: "show help", value: undefined };

function typedAs(name: string, choices: readonly string[] | undefined): Typed {
  if (choices !== undefined) return choices;
  if (DIRECTORIES.has(name)) return "directory";
  return FILES.has(name) ? "file" : "other";
}

function optionOf({ short, long, description, flags, required, optional, argChoices }: Option): TypedOption {
  const [, name = "value"] = /[<[]([^>\]]+?)(?:\.\.\.)?[>\]]/.exec(flags) ?? [];
  const value = required || optional ? { name, typed: typedAs(name, argChoices) } : undefined;
  return { flags: [short, long].filter((flag) => flag !== undefined), description, value };
}

function argumentOf(argument: Argument): CommandNode["arguments"][number] {
  const name = argument.name();
  return { name, isRequired: argument.required, typed: typedAs(name, argument.argChoices) };
}

export function commandTree(command: Command, path: readonly string[] = []): CommandNode {
  return {
    path,
    description: command.description(),
    options: [...command.options.map(optionOf), HELP],
    arguments: command.registeredArguments.map(argumentOf),
    below: command.commands.map((below) => commandTree(below, [...path, below.name()])),
  };
}

/** A node and all below it, itself first. */
export function allNodes(node: CommandNode): CommandNode[] {
  return [node, ...node.below.flatMap(allNodes)];
}
