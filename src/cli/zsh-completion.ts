// The script by which zsh completes commands, options, their values and file names, each with its description: one function a command,
// for zsh's own _arguments and _describe.
import { allNodes } from "./command-tree.ts";
import type { CommandNode, Typed, TypedOption } from "./command-tree.ts";

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function functionOf({ path }: Pick<CommandNode, "path">): string {
  return ["_hiddenstate", ...path].join("_");
}

function actionOf(typed: Typed): string {
  if (typed === "file") return "_files";
  if (typed === "directory") return "_files -/";
  // A blank is the action that offers nothing.
  return typed === "other" ? " " : `(${typed.join(" ")})`;
}

/** In a description's brackets, and between the colons of a specification. */
function escaped(text: string): string {
  return text.replaceAll(/[\\[\]:]/g, String.raw`\$&`);
}

function optionSpecs({ flags, description, value }: TypedOption): string[] {
  const takes = value === undefined ? "" : `:${escaped(value.name)}:${actionOf(value.typed)}`;
  const others = flags.length > 1 ? `(${flags.join(" ")})` : "";
  return flags.map((flag) => quoted(`${others}${flag}[${escaped(description)}]${takes}`));
}

function leaf(node: CommandNode): string[] {
  const positional = node.arguments.map(({ name, typed }, index) => quoted(`${index + 1}:${escaped(name)}:${actionOf(typed)}`));
  const specs = [...node.options.flatMap(optionSpecs), ...positional];
  return [
    `${functionOf(node)}() {`,
    "  _arguments -S \\",
    ...specs.map((spec, i) => `    ${spec}${i < specs.length - 1 ? " \\" : ""}`),
    "}",
  ];
}

function branch(node: CommandNode): string[] {
  const names = node.below.map(({ path, description }) => `    ${quoted(`${path.at(-1)!}:${description}`)}`);
  const cases = node.below.map((below) => `    ${below.path.at(-1)!}) ${functionOf(below)} ;;`);
  return [
    `${functionOf(node)}() {`,
    "  local -a below=(",
    ...names,
    "  )",
    "  if ((CURRENT == 2)); then",
    "    if [[ $words[2] == -* ]]; then",
    `      _arguments ${node.options.flatMap(optionSpecs).join(" ")}`,
    "    else",
    "      _describe -t commands command below",
    "    fi",
    "    return",
    "  fi",
    "  shift words",
    "  ((CURRENT--))",
    "  case $words[1] in",
    ...cases,
    "  esac",
    "}",
  ];
}

const TAIL = `# Autoloaded from a folder of fpath it is the function's body; sourced it only makes it known.
if [[ $funcstack[1] == _hiddenstate ]]; then _hiddenstate "$@"; else compdef _hiddenstate hiddenstate; fi
`;

export function zshCompletion(program: CommandNode): string {
  const functions = allNodes(program).flatMap((node) => (node.below.length > 0 ? branch(node) : leaf(node)));
  const head =
    "#compdef hiddenstate\n# Completion of hiddenstate for zsh: source it in ~/.zshrc behind compinit, or put it as _hiddenstate into fpath.";
  return [head, ...functions, TAIL].join("\n");
}
