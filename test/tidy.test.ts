// The house rules that a machine can hold: the order of the layers, the sizes, and what only a few files may touch.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const LINES_MAX = 299;
const FUNCTION_LINES_MAX = 59;

/** A folder imports only from itself and from folders before it. */
const layers = [
  "base",
  "kernels",
  "nn",
  "model",
  "onnx",
  "engine",
  "message",
  "journal",
  "score",
  "pipeline",
  "mqtt",
  "learn",
  "firmware-sim",
  "runtime",
  "dashboard",
  "cli",
];
const strangerMayImport = new Set(["base", "message", "firmware-sim"]);
const mayImportStranger = new Set(["firmware-sim", "runtime", "cli"]);

/** What a test could not replay if it were used everywhere, and the files that wrap it for the others. */
const bans = [
  { what: /\bDate\.now\b|\bnew Date\(\)/, name: "the wall clock", allowed: ["src/base/clock.ts"] },
  { what: /\bperformance\.now\b|\bprocess\.hrtime\b/, name: "the monotonic clock", allowed: ["src/base/clock.ts"] },
  { what: /\bset(Timeout|Interval|Immediate)\(/, name: "timers", allowed: ["src/base/clock.ts"] },
  {
    what: /\bMath\.random\b|\brandomUUID\b|\brandomBytes\b|\bgetRandomValues\b/,
    name: "chance",
    allowed: ["src/base/random.ts"],
  },
  {
    what: /from "node:fs(\/promises)?"/,
    name: "files",
    allowed: ["src/base/clock.ts", "src/base/disk.ts", "src/runtime/control-socket.ts", "src/cli/"],
  },
  {
    what: /from "node:(net|tls|http|https|dgram)"/,
    name: "sockets",
    allowed: [
      "src/mqtt/broker-socket.ts",
      "src/mqtt/embedded-broker.ts",
      "src/runtime/control-socket.ts",
      "src/dashboard/http-server.ts",
    ],
  },
];

interface Source {
  /** From the root, with slashes. */
  readonly path: string;
  readonly layer: string;
  readonly lines: readonly string[];
}

function sourcesBelow(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.includes("generated"))
    .map((name) => {
      const path = `${folder}/${name}`;
      const layer = folder === "firmware-sim" ? folder : name.includes("/") ? name.slice(0, name.indexOf("/")) : "index";
      return { path, layer, lines: readFileSync(join(root, path), "utf8").trimEnd().split("\n") };
    });
}

const sources = [...sourcesBelow("src"), ...sourcesBelow("firmware-sim")];

function importsOf({ path, lines }: Source): string[] {
  return lines
    .flatMap((line) => [...line.matchAll(/(?:from|import)\s*\(?"(\.[^"]+)"/g)].map((match) => match[1]!))
    .map((target) => relative(root, resolve(root, dirname(path), target)));
}

function layerOf(path: string): string {
  const [top, second] = path.split("/");
  return top === "src" ? (path.split("/").length === 2 ? "index" : second!) : top!;
}

t.test("a folder imports only from the folders above it", async (t) => {
  for (const source of sources) {
    if (source.layer === "index") continue;
    t.ok(layers.includes(source.layer), `${source.path} lies in a folder of the list`);
    for (const target of importsOf(source)) {
      const layer = layerOf(target);
      const allowed =
        source.layer === "firmware-sim"
          ? strangerMayImport.has(layer)
          : layer === "firmware-sim"
            ? mayImportStranger.has(source.layer)
            : layers.indexOf(layer) >= 0 && layers.indexOf(layer) <= layers.indexOf(source.layer);
      if (!allowed) t.fail(`${source.path} imports ${target}`);
    }
  }
});

t.test("files and functions stay small", async (t) => {
  for (const { path, lines } of sources) {
    if (lines.length > LINES_MAX) t.fail(`${path} has ${lines.length} lines, at most ${LINES_MAX} are allowed`);
    let start = -1;
    let indent = "";
    for (const [index, line] of lines.entries()) {
      const head =
        /^(\s*)(?:export )?(?:async )?(?:function\*? |(?:static |readonly |override )*(?:async )?(?:get |set )?\*?#?[A-Za-z_]\w*\([^=;]*\{$|(?:const|let) \w+ = (?:async )?\(.*=> \{$)/.exec(
          line,
        );
      if (head !== null && start < 0 && !/^\s*(if|for|while|switch|return|else)\b/.test(line)) {
        start = index;
        indent = head[1]!;
      }
      if (start >= 0 && line === `${indent}}`) {
        const length = index - start + 1;
        if (length > FUNCTION_LINES_MAX) t.fail(`${path}:${start + 1} has a function of ${length} lines`);
        start = -1;
      }
    }
  }
});

t.test("clocks, chance, files and sockets are touched only where they are wrapped", async (t) => {
  for (const { path, lines } of sources) {
    for (const { what, name, allowed } of bans) {
      if (allowed.some((prefix) => path.startsWith(prefix))) continue;
      const index = lines.findIndex((line) => what.test(line) && !/^\s*(\/\/|\*|\/\*)/.test(line));
      if (index >= 0) t.fail(`${path}:${index + 1} uses ${name}: ${lines[index]!.trim()}`);
    }
  }
});

t.test("every file opens with what it is", async (t) => {
  for (const { path, lines } of sources) {
    const first = lines[0]!.startsWith("#!") ? lines[1]! : lines[0]!;
    t.match(first, /^(\/\/|\/\*\*)/, `${path} opens with a comment`);
  }
});

t.test("there are no default exports, no barrels but the index, and no drawers", async (t) => {
  for (const { path, lines } of sources) {
    t.notMatch(path, /\b(utils?|helpers?|managers?|common|misc|data|info)\.ts$/);
    if (lines.some((line) => /^export default\b/.test(line))) t.fail(`${path} has a default export`);
    if (path !== "src/index.ts" && lines.some((line) => /^export (\*|\{[^}]*\}) from/.test(line)))
      t.fail(`${path} passes on what another file exports`);
  }
});
