// The script by which bash completes commands, options, their values and file names. It asks nothing of bash-completion, and starts no
// process of ours while somebody types.
import { allNodes } from "./command-tree.ts";
import type { CommandNode, Typed } from "./command-tree.ts";

const HEAD = `# Completion of hiddenstate for bash: source it in ~/.bashrc.
_hiddenstate_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_hiddenstate_paths() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}
_hiddenstate() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} path= count=0 i word
  COMPREPLY=()
  # bash takes --option=value apart at its sign.
  if [[ $cur == = ]]; then cur=; elif [[ $before == = ]]; then before=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "$path/$word" in`;

const MIDDLE = `        if [[ \${COMP_WORDS[i + 1]} == = ]]; then ((i += 2)); else ((i += 1)); fi
        continue ;;
    esac
    if [[ $word != -* ]]; then ((count += 1)); fi
  done
  case "$path $before" in`;

function patterns(texts: readonly string[]): string {
  return texts.map((text) => `"${text}"`).join(" | ");
}

function pathOf({ path }: CommandNode): string {
  return path.map((name) => `/${name}`).join("");
}

/** The line that completes what is typed so. */
function completed(typed: Typed): string {
  if (typed === "file") return "_hiddenstate_paths -f";
  if (typed === "directory") return "_hiddenstate_paths -d";
  return typed === "other" ? ":" : `_hiddenstate_words "${typed.join(" ")}"`;
}

function valueCases(node: CommandNode): string[] {
  return node.options.flatMap(({ flags, value }) => {
    if (value === undefined) return [];
    return [`    ${patterns(flags.map((flag) => `${pathOf(node)} ${flag}`))}) ${completed(value.typed)}; return ;;`];
  });
}

function argumentCases(node: CommandNode): string[] {
  const path = pathOf(node);
  if (node.below.length > 0) {
    const names = node.below.map(({ path: below }) => below.at(-1)!);
    return [`    "${path} 0") ${completed(names)} ;;`];
  }
  return node.arguments.flatMap(({ typed }, index) => {
    return typed === "other" ? [] : [`    "${path} ${index}") ${completed(typed)} ;;`];
  });
}

export function bashCompletion(program: CommandNode): string {
  const nodes = allNodes(program);
  const takesValue = nodes.flatMap((node) =>
    node.options.flatMap(({ flags, value }) => (value === undefined ? [] : flags.map((flag) => `${pathOf(node)} ${flag}`))),
  );
  const flagCases = nodes.map((node) => {
    const flags = node.options.flatMap((option) => option.flags);
    return `      "${pathOf(node)}") _hiddenstate_words "${flags.join(" ")}" ;;`;
  });
  return [
    HEAD,
    `      ${patterns(nodes.slice(1).map(pathOf))}) path=$path/$word count=0; continue ;;`,
    "    esac",
    `    case "$path $word" in`,
    `      ${patterns(takesValue)})`,
    MIDDLE,
    ...nodes.flatMap(valueCases),
    "  esac",
    "  if [[ $cur == -* ]]; then",
    `    case "$path" in`,
    ...flagCases,
    "    esac",
    "    return",
    "  fi",
    `  case "$path $count" in`,
    ...nodes.flatMap(argumentCases),
    "  esac",
    "}",
    "complete -F _hiddenstate hiddenstate",
    "",
  ].join("\n");
}
