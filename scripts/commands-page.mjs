// Writes docs/commands.md out of the commands as they are built; with --check it only says whether the page is what it would write.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { allNodes, commandTree } from "../build/src/cli/command-tree.js";
import { examples } from "../build/src/cli/examples.js";
import { endingsOf, exitCodes } from "../build/src/cli/exit-codes.js";
import { programOf } from "../build/src/cli/program.js";

const page = join(dirname(fileURLToPath(import.meta.url)), "../docs/commands.md");

const HEAD = `# Every command

To look up what a command is for, how it is called and what its exit code means. This page is written by \`npm run docs:commands\` out of the program, and a test holds it against it;
\`hiddenstate COMMAND --help\` says the same, with what each option takes when it is absent.

- What a command finds or has done goes to standard output, \`--json\` has every value of it, and progress, questions and errors go to standard error. \`run\` prints nothing there: its log is JSON
  lines on standard error, and \`hiddenstate status --json\` says how it is doing.
- An error is one line, \`hiddenstate: cannot <do> <thing>: <reason>\`, with what to do next where there is something to do.
- Commands, options and file names are completed by the shell once this line stands in \`~/.bashrc\` or, behind \`compinit\`, in \`~/.zshrc\`; it costs as long as the program takes to start, so
  write the script to a file and source that where it matters:

  \`source <(hiddenstate completion bash)\`, \`source <(hiddenstate completion zsh)\`
`;

const CODES = [
  "",
  "## Exit codes",
  "",
  "| code | what |",
  "|---|---|",
  ...exitCodes.map(({ code, meaning }) => `| ${code} | ${meaning} |`),
];

const escaped = (text) => text.replaceAll("|", String.raw`\|`).replaceAll("<", "&lt;");

function optionRows({ options }) {
  const own = options.filter(({ flags }) => !flags.includes("--help"));
  if (own.length === 0) return [];
  const rows = own.map(({ flags, value, description }) => {
    return `| \`${flags.join(", ")}${value === undefined ? "" : ` <${value.name}>`}\` | ${escaped(description)} |`;
  });
  return ["", "| option | |", "|---|---|", ...rows];
}

const usage = ({ path, arguments: taken }) =>
  [
    "hiddenstate",
    ...path,
    ...taken.map(({ name, isRequired }) => (isRequired ? name.toUpperCase() : `[${name.toUpperCase()}]`)),
  ].join(" ");

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

function section(command) {
  const [name] = command.path;
  const below = command.below.flatMap((node) => [
    "",
    `### ${node.path.join(" ")}`,
    "",
    `\`${usage(node)}\`: ${escaped(node.description)}.`,
    ...optionRows(node),
  ]);
  return [
    "",
    `## ${name}`,
    "",
    sentence(escaped(command.description)),
    ...(command.below.length > 0 ? [] : ["", `\`${usage(command)}\``]),
    "",
    "```",
    ...examples[name],
    "```",
    ...optionRows(command),
    ...below,
    "",
    `[Exit codes](#exit-codes): ${endingsOf(name)
      .map(({ code, meaning, isOwn }) => (isOwn ? `**${code}** ${meaning}` : String(code)))
      .join(", ")}.`,
  ];
}

const tree = commandTree(await programOf(undefined));
const commands = allNodes(tree).filter(({ path }) => path.length === 1);
const text = [HEAD, ...CODES, ...commands.flatMap(section)].join("\n").replaceAll(/\n{3,}/g, "\n\n") + "\n";
if (!process.argv.includes("--check")) writeFileSync(page, text);
else if (readFileSync(page, "utf8") !== text) {
  console.error("docs/commands.md is not what the program says; write it anew with: npm run docs:commands");
  process.exit(1);
}
