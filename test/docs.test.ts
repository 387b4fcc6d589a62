// What README and docs quote is held against the project itself: configs are parsed, commands, options and scripts must exist, links must
// lead somewhere.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import t from "tap";
import { parseConfig } from "../src/runtime/config.ts";
import { repository, runCli } from "./support/cli.ts";

const pages = [
  "README.md",
  "SECURITY.md",
  "RELIABILITY.md",
  ...readdirSync(join(repository, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

interface Block {
  readonly page: string;
  readonly language: string;
  readonly text: string;
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(join(repository, page), "utf8");
  return [...text.matchAll(/^```([a-z]*)\n([^]*?)^```$/gm)].map((match) => ({ page, language: match[1]!, text: match[2]! }));
}

const blocks = pages.flatMap(blocksOf);

t.test("every config in the docs is valid", async (t) => {
  const configs = blocks.filter(({ language, text }) => language === "yaml" && /^(groups|dashboard):/m.test(text));
  t.ok(configs.length >= 2);
  // A page may show a part alone.
  const parts = {
    node: "n",
    state: "s",
    mqtt: "{ url: mqtt://127.0.0.1 }",
    groups: '[{ name: g, topic: "s/{d}", codec: json, model: m }]',
  };
  for (const { page, text } of configs) {
    const absent = Object.entries(parts).filter(([key]) => !text.split("\n").some((line) => line.startsWith(`${key}:`)));
    const whole = [...absent.map(([key, value]) => `${key}: ${value}`), text].join("\n");
    t.doesNotThrow(() => parseConfig(whole, join(repository, page)), `${page}:\n${text}`);
  }
});

t.test("every command and option in the docs exists", async (t) => {
  const lines = blocks
    .filter(({ language }) => language === "" || language === "sh")
    .flatMap(({ page, text }) =>
      text
        .replaceAll("\\\n", " ")
        .split("\n")
        .map((line) => ({ page, line: line.replace(/^\$ /, "").trim() })),
    )
    .filter(({ line }) => /^(npx )?hiddenstate [a-z]/.test(line));
  t.ok(lines.length > 8);
  const helps = new Map<string, Promise<string>>();
  const help = (path: readonly string[]): Promise<string> => {
    const key = path.join(" ");
    if (!helps.has(key))
      helps.set(
        key,
        runCli([...path, "--help"]).then(({ code, stdout }) => (code === 0 ? stdout : "")),
      );
    return helps.get(key)!;
  };
  for (const { page, line } of lines) {
    const words = line.replace(/^(npx )?hiddenstate /, "").split(/\s+/);
    const hasBelow = (await help(words.slice(0, 1))).includes("\nCommands:\n");
    const path = words.slice(0, hasBelow ? 2 : 1);
    const text = await help(path);
    t.ok(text.startsWith(`Usage: hiddenstate ${path.join(" ")}`), `${page}: ${line}`);
    for (const option of words.filter((word) => word.startsWith("--"))) {
      t.ok(text.includes(option.replace(/=.*/, "")), `${page}: ${line}: ${option}`);
    }
  }
});

t.test("every npm script in the docs exists", async (t) => {
  const { scripts } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { scripts: Record<string, string> };
  for (const page of pages) {
    const text = readFileSync(join(repository, page), "utf8");
    for (const [, name] of text.matchAll(/npm run ([a-z][a-z0-9:-]*)/g))
      t.ok(Object.hasOwn(scripts, name!), `${page}: npm run ${name}`);
  }
});

t.test("a release check runs scripts that exist, and refuses others", (t) => {
  const { scripts } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { scripts: Record<string, string> };
  const ask = (...args: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, [join(repository, "scripts/release-check.mjs"), "--list", ...args], { encoding: "utf8" });
  const listed = [...String(ask().stdout).matchAll(/^npm run ([a-z0-9:-]+)/gm)].map(([, name]) => name!);
  t.ok(listed.length > 5);
  t.same(
    listed.filter((name) => !Object.hasOwn(scripts, name)),
    [],
  );
  t.match(ask("soak").stdout, /^npm run soak -- --minutes 10\n$/);
  const refused = ask("soap");
  t.equal(refused.status, 2);
  t.match(refused.stderr, /cannot run "soap": a release check is test, /);
  t.end();
});

for (const [page, script] of [
  ["docs/commands.md is what the program says", "commands-page.mjs"],
  ["docs/api.md is what the sources say", "docs-api.mjs"],
] as const) {
  t.test(page, (t) => {
    const { status, stderr } = spawnSync(process.execPath, [join(repository, "scripts", script), "--check"], {
      encoding: "utf8",
    });
    t.equal(status, 0, stderr);
    t.end();
  });
}

t.test("the Node-RED node goes with this version", (t) => {
  const read = (path: string): Record<string, unknown> =>
    JSON.parse(readFileSync(join(repository, path), "utf8")) as Record<string, unknown>;
  const { version, engines } = read("package.json");
  t.match(read("node-red/package.json"), { version, engines, dependencies: { hiddenstate: `^${String(version)}` } });
  t.end();
});

/** Every page in Markdown, by its path: what is installed, built or hidden apart. */
function markdownPages(folder = ""): string[] {
  return readdirSync(join(repository, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isFile()) return path.endsWith(".md") ? [path] : [];
    return entry.isDirectory() && !/^(\.|node_modules$|build$)/.test(entry.name) ? markdownPages(path) : [];
  });
}

/** A page's text without what stands in it as it is: blocks, and code in a line where `code` says so. */
function proseOf(page: string, code: "with code" | "without code"): string {
  const text = readFileSync(join(repository, page), "utf8").replaceAll(/^```.*\n[^]*?^```$/gm, "");
  return code === "with code" ? text : text.replaceAll(/`[^`\n]*`/g, "");
}

/** The anchors that GitHub gives a page's headings: small letters, figures, - and _, blanks as -, and a number behind what was there before. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of proseOf(page, "with code").matchAll(/^#{1,6} +(.+?)(?: +#+)? *$/gm)) {
    const text = heading!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const slug = text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, "")
      .replaceAll(" ", "-");
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

t.test("every link in a page leads to a file that is there, and to a heading of it", async (t) => {
  const found = markdownPages();
  for (const page of ["README.md", "docs/config.md", "node-red/README.md"]) t.ok(found.includes(page), page);
  const anchors = new Map(found.map((page) => [page, anchorsOf(page)]));
  let toHeadings = 0;
  for (const page of found) {
    for (const [, target] of proseOf(page, "without code").matchAll(/\]\(([^)\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const [path, anchor] = target!.split("#") as [string, string?];
      const file = path === "" ? page : join(dirname(page), path);
      t.ok(existsSync(join(repository, file)), `${page} links to ${target}`);
      if (anchor === undefined) continue;
      toHeadings++;
      t.ok(anchors.get(file)?.has(anchor), `${page} links to ${target}: ${[...(anchors.get(file) ?? [])].join(", ")}`);
    }
  }
  t.ok(toHeadings > 20);
});
