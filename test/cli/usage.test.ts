import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { examples } from "../../src/cli/examples.ts";
import { statusLines } from "../../src/cli/status.ts";
import { runCli } from "../support/cli.ts";

t.test("every command has examples below its help, and their commands and options exist", async (t) => {
  const { stdout } = await runCli(["--help"]);
  const commands = [...stdout.matchAll(/^ {2}([a-z-]+)(?: \[options\])?/gm)]
    .map(([, name]) => name!)
    .filter((name) => /^[a-z]/.test(name) && name !== "help");
  t.strictSame(commands.toSorted(), Object.keys(examples).toSorted());
  for (const [name, lines] of Object.entries(examples)) {
    const help = await runCli([name, "--help"]);
    t.equal(help.code, 0);
    t.match(help.stdout, /\nExit codes:\n {2}0 {4}\w[^]*\n {2}64 {3}the command line is mistyped/);
    t.ok(help.stdout.endsWith(`\nExamples:\n${lines.map((line) => `  ${line}\n`).join("")}\n`), name);
    for (const line of lines) {
      const words = line.split(" ");
      t.strictSame(words.slice(0, 2), ["hiddenstate", name]);
      const hasBelow = help.stdout.includes("\nCommands:\n");
      const below = hasBelow ? await runCli([name, words[2]!, "--help"]) : help;
      t.ok(below.stdout.startsWith(`Usage: hiddenstate ${words.slice(1, hasBelow ? 3 : 2).join(" ")} `), line);
      for (const option of words.filter((word) => word.startsWith("--"))) t.ok(below.stdout.includes(`${option} `), line);
    }
  }
});

t.test("a mistyped command says what is wrong and where the help is, with exit code 64", async (t) => {
  const cases: [string[], RegExp][] = [
    [["fly"], /^hiddenstate: unknown command 'fly'\n\(--help shows what there is\)\n$/],
    [["run"], /^hiddenstate: missing required argument 'config'\n/],
    [
      ["demo", "--devices", "0"],
      /^hiddenstate: option '--devices <count>' argument '0' is invalid. A whole number from 1 to 10000/,
    ],
    [["state", "get"], /^hiddenstate: missing required argument 'stream'\n\(--help shows what there is\)\n$/],
    [
      ["simulate", "--replay", "x.csv"],
      /^hiddenstate: cannot replay x.csv: its column of times is not named; add --time COLUMN\n$/,
    ],
    [[], /^Usage: hiddenstate \[options\] \[command\]/],
  ];
  for (const [args, expected] of cases) {
    const { code, stderr, stdout } = await runCli(args);
    t.equal(code, 64, args.join(" "));
    t.match(stderr, expected);
    t.equal(stdout, "");
  }
  t.match(await runCli(["--version"]), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
});

t.test("a command loads what it needs and nothing of the others", async (t) => {
  const folder = t.testdir({});
  await runCli(["run", join(folder, "absent.yaml")], { env: { NODE_V8_COVERAGE: folder } });
  const [report] = readdirSync(folder);
  const { result } = JSON.parse(readFileSync(join(folder, report!), "utf8")) as { result: { url: string }[] };
  const loaded = result.map(({ url }) => url);
  t.ok(loaded.some((url) => url.endsWith("/src/runtime/runtime.js")));
  const others =
    /\/src\/learn\/|\/firmware-sim\/|\/src\/cli\/(demo|init|train|simulate|verify|status|state|alarms|models|keys|publish-model)\.js|\/aedes\//;
  t.strictSame(
    loaded.filter((url) => others.test(url)),
    [],
  );
});

t.test("the status of a directory that no runtime works on is an error", async (t) => {
  const { code, stderr } = await runCli(["status", "--state", t.testdir({})]);
  t.equal(code, 75);
  t.match(stderr, /^hiddenstate: cannot ask for the status: no runtime is working on .*; start one, or name its state directory/);
});

t.test("a status reads as a person asks: the broker first, then the groups, then what was counted", async (t) => {
  const status = {
    node: "hall-3",
    upSeconds: 93_784,
    streams: 2,
    groups: [
      {
        name: "g",
        version: "0123456789abcdef0123",
        configured: "0123456789abcdef0123",
        engine: "native",
        kernel: "relaxed-1",
        engineReason: "configured",
        streams: 1,
      },
    ],
    releasedPosition: 9,
    outbox: { messages: 3, bytes: 100 },
    broker: { intake: true, sink: false },
    metrics: {
      streams: 2,
      streams_highest: 2,
      readings_accepted: 7,
      'readings_refused{reason="missing"}': 1,
      dead_letters: 0,
      replay_ms: 0.0199924,
    },
  };
  t.strictSame(statusLines(status), [
    "hall-3: up 1 d 2 h, 2 streams",
    "broker: readings come in, no predictions go out; 3 messages unconfirmed",
    "group g: 1 stream on model 0123456789abcdef, engine native (relaxed-1; configured)",
    "counted since the start:",
    "  readings_accepted                   7",
    '  readings_refused{reason="missing"}  1',
    "  replay_ms                           0.0200",
    "  streams                             2",
  ]);
  for (const [upSeconds, expected] of [
    [0.4, "0 s"],
    [59, "59 s"],
    [61, "1 min 1 s"],
    [3600, "1 h 0 min"],
  ] as const) {
    t.match(statusLines({ ...status, upSeconds })[0], `up ${expected},`);
  }
});
