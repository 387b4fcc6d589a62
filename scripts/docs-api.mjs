// What `npm run docs:api` runs: docs/api.md out of src/index.ts and the declarations that the build has written, with their comments. Declarations
// stand at the margin and all else is indented, so they are cut out as text; typedoc does not run on this TypeScript. With --check it only compares.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const HEAD = `# The API

Everything that \`import ... from "hiddenstate"\` gives; [library.md](library.md) shows it at work. \`npm run docs:api\` writes this page from the sources.
Shapes are written \`(N, T, D)\`: sequences or streams, steps, values; \`H\` is a hidden size, \`O\` the number of outputs.
`;

/** The exports of src/index.ts in its order, below its headings. */
function sectionsOf(index) {
  const sections = [];
  for (const line of index.split("\n")) {
    const heading = /^\/\/ ([A-Z].*[^.])$/.exec(line);
    const exported = /^export (?:type )?\{ (.*) \} from "\.\/(.*)\.ts";$/.exec(line);
    if (heading !== null && !line.includes(".")) sections.push({ title: heading[1], exports: [] });
    else if (exported !== null)
      for (const name of exported[1].split(", ")) sections.at(-1).exports.push({ name, file: exported[2] });
    else if (line.startsWith("export")) throw new Error(`cannot read src/index.ts: ${line}`);
  }
  return sections;
}

const DECLARATION = /^(?:export )?(?:declare )?(?:abstract )?(class|function|interface|type|const) (\w+)/;
const IMPORT = /^import type \{ (.*) \} from "(.*)\.ts";$/;

/** The comment and the text of each declaration of a file, by name; a function's overloads are one text. And whence its other names come. */
function declarationsOf(file) {
  const found = new Map();
  const imports = new Map();
  let comment = [];
  let current;
  for (const line of readFileSync(join(root, "build/src", `${file}.d.ts`), "utf8").split("\n")) {
    const head = DECLARATION.exec(line);
    const imported = IMPORT.exec(line);
    if (imported !== null) {
      for (const name of imported[1].split(", ")) imports.set(name, join(dirname(file), imported[2]));
    } else if (line.startsWith("/**") || line.startsWith(" *")) {
      if (line.startsWith("/**")) comment = [];
      comment.push(line);
      current = undefined;
    } else if (head !== null) {
      const before = found.get(head[2]);
      current = { comment: before?.comment ?? comment, lines: [...(before?.lines ?? []), line] };
      found.set(head[2], current);
      comment = [];
    } else if (/^\s|^\}/.test(line)) {
      current?.lines.push(line);
    } else {
      current = undefined;
      comment = [];
    }
  }
  return { found, imports };
}

/** A comment's text, its lines joined as they were meant. */
function proseOf(comment) {
  return comment
    .map((line) => line.replace(/^\s*(\/\*\*|\*\/|\*)\s?/, "").replace(/\s*\*\/$/, ""))
    .join(" ")
    .trim()
    .replaceAll("<", "\\<");
}

/** Members that are private, or marked as the project's own. */
function withoutOwn(lines) {
  const kept = [];
  let comment = [];
  let skipping = false;
  for (const line of lines) {
    if (skipping && /^ {5,}/.test(line)) continue;
    skipping = false;
    if (/^ {4}(\/\*\*| \*)/.test(line)) {
      comment.push(line);
      continue;
    }
    skipping = /^ {4}(#private|private |protected )/.test(line) || comment.some((text) => text.includes("@internal"));
    if (!skipping) kept.push(...comment, line);
    comment = [];
  }
  return kept;
}

/** Types that may be handed on and not looked into: what a DirectLink's ports are, and pino's streams. */
const OPAQUE = new Set(["PacketPort", "DestinationStream"]);

/** A declaration as code, and after it those that it extends and nobody can import. */
function codeOf(name, file, exported) {
  const { found, imports } = declarationsOf(file);
  const declaration = found.get(name);
  if (declaration === undefined) throw new Error(`cannot describe ${name}: build/src/${file}.d.ts does not declare it`);
  const code = withoutOwn(declaration.lines)
    .map((line) => line.replace(/^(export )?(declare )?/, "").replace(/^( {4})+/, (indent) => "  ".repeat(indent.length / 4)))
    .join("\n");
  const [, extended = ""] = /^interface .* extends (.*) \{/.exec(code) ?? [];
  const bases = (extended.match(/\b[A-Z]\w+/g) ?? []).filter(
    (base) => !exported.has(base) && (found.has(base) || imports.has(base)),
  );
  const known = new Set([name, ...bases, ...exported, ...OPAQUE]);
  const named = code.replaceAll(/\/\*\*[^]*?\*\//g, "").match(/\b[A-Z]\w+/g) ?? [];
  const unknown = named.find((one) => !known.has(one) && (found.has(one) || imports.has(one)));
  if (unknown !== undefined) throw new Error(`cannot describe ${name}: it names ${unknown}, which src/index.ts does not export`);
  return [code.trimEnd(), ...bases.map((base) => codeOf(base, imports.get(base) ?? file, exported))].join("\n");
}

function describe({ name, file }, exported) {
  const code = codeOf(name, file, exported);
  const prose = proseOf(declarationsOf(file).found.get(name).comment);
  if (prose === "") throw new Error(`cannot describe ${name}: in src/${file}.ts it has no comment; say what it is`);
  return [`### ${name}`, prose, `\`\`\`ts\n${code}\n\`\`\``].join("\n\n");
}

/** docs/api.md as the sources have it now. Needs a build. */
function apiPage() {
  const sections = sectionsOf(readFileSync(join(root, "src/index.ts"), "utf8"));
  const exported = new Set(sections.flatMap(({ exports }) => exports.map(({ name }) => name)));
  const parts = sections.flatMap(({ title, exports }) => [`## ${title}`, ...exports.map((one) => describe(one, exported))]);
  return `${[HEAD.trimEnd(), ...parts].join("\n\n")}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = join(root, "docs/api.md");
  if (!process.argv.includes("--check")) {
    build();
    writeFileSync(page, apiPage());
  } else if (readFileSync(page, "utf8") !== apiPage()) {
    console.error("docs/api.md is not what the sources say; npm run docs:api writes it anew");
    process.exit(1);
  }
}
