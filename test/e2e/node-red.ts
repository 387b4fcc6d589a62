// `npm run test:node-red`: a real Node-RED with our node in it, both installed from what npm packs, into a folder of its own. Readings come in
// over HTTP as a flow has them, the process is killed and stopped, and what leaves is held against the model stepped in this process.
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineStream, loadModel, openEngine, systemDisk } from "../../src/index.ts";
import { asUser, repository } from "../support/cli.ts";
import { Chromium, chromiumMissing } from "../support/chromium.ts";
import { freePort } from "../support/free-port.ts";
import { packInto, runIn } from "../support/packed.ts";
import { until } from "../support/until.ts";

const NODE_RED = "node-red@4";
const STREAMS = ["hall/press 1 #+%", "b"] as const;
const step = (text: string): void => console.log(text);

const folder = mkdtempSync(join(tmpdir(), "hiddenstate-node-red-"));
let nodeRed: ChildProcess | undefined;
process.once("exit", () => {
  nodeRed?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

const port = await freePort();
const url = `http://127.0.0.1:${port}`;

/** The flow: readings by HTTP, and a file for everything that leaves. */
function flow(): unknown[] {
  const at = { z: "tab" };
  const into = (name: string): unknown[] => [
    {
      id: `${name}-line`,
      type: "function",
      ...at,
      func: "return { payload: JSON.stringify(msg) };",
      outputs: 1,
      wires: [[`${name}-file`]],
    },
    {
      id: `${name}-file`,
      type: "file",
      ...at,
      filename: join(folder, `${name}.jsonl`),
      filenameType: "str",
      appendNewline: true,
      createDir: false,
      overwriteFile: "false",
      encoding: "none",
      wires: [[]],
    },
  ];
  const func = `const { learns, topic, reset } = msg.req.query;
    msg.payload = msg.payload.value;
    if (topic) msg.topic = topic;
    if (reset) msg.reset = true;
    return [msg, learns ? null : msg, learns ? msg : null];`;
  return [
    { id: "tab", type: "tab", label: "readings" },
    { id: "in", type: "http in", ...at, url: "/reading", method: "post", wires: [["label"]] },
    { id: "label", type: "function", ...at, func, outputs: 3, wires: [["answer"], ["hs1"], ["hs2"]] },
    { id: "answer", type: "http response", ...at, wires: [] },
    {
      id: "hs1",
      type: "hiddenstate",
      ...at,
      name: "bearing",
      model: "bearing.onnx",
      features: "",
      budget: "1/week",
      wires: [["predictions-line"], ["alarms-line"]],
    },
    {
      id: "hs2",
      type: "hiddenstate",
      ...at,
      name: "",
      model: "",
      features: "celsius",
      budget: "",
      wires: [["learned-line"], []],
    },
    { id: "done", type: "complete", ...at, scope: ["hs1", "hs2"], wires: [["settled-line"]] },
    { id: "errors", type: "catch", ...at, scope: ["hs1", "hs2"], wires: [["refused-line"]] },
    ...["predictions", "alarms", "learned"].flatMap(into),
    ...["settled", "refused"].flatMap((name) => [
      {
        id: `${name}-line`,
        type: "function",
        ...at,
        func: "return { payload: JSON.stringify({ topic: msg.topic, payload: msg.payload, error: msg.error }) };",
        outputs: 1,
        wires: [[`${name}-file`]],
      },
      into(name)[1],
    ]),
  ];
}

function install(): void {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "user", version: "1.0.0", private: true }));
  const own = [packInto(folder, repository), packInto(folder, join(repository, "node-red"))].map(({ filename }) =>
    join(folder, filename),
  );
  runIn(folder, "npm", ["install", "--omit=dev", "--no-audit", "--no-fund", "--prefer-offline", NODE_RED, ...own]);
  copyFileSync(join(repository, "models/bearing.onnx"), join(folder, "bearing.onnx"));
  writeFileSync(join(folder, "flows.json"), JSON.stringify(flow()));
  const settings = {
    uiPort: port,
    uiHost: "127.0.0.1",
    flowFile: "flows.json",
    userDir: folder,
    telemetry: { enabled: false },
    editorTheme: { tours: false },
  };
  writeFileSync(join(folder, "settings.js"), `module.exports = ${JSON.stringify(settings)};\n`);
}

/** What the present process has printed. */
let printed = "";

/** Resolves once it has started its flows so many times. */
async function flowsStarted(times: number): Promise<void> {
  await until("Node-RED has started its flows", () => {
    assert.equal(nodeRed?.exitCode, null, printed);
    return printed.split("Started flows").length > times;
  });
}

async function start(): Promise<void> {
  const { command, args, env } = asUser(process.execPath, ["node_modules/node-red/red.js", "--settings", "settings.js"]);
  const child = spawn(command, args, { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"] });
  nodeRed = child;
  printed = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => (printed += more));
  await flowsStarted(1);
}

async function end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  const child = nodeRed!;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}

async function post(query: Readonly<Record<string, string>>, payload: unknown): Promise<void> {
  const answer = await fetch(`${url}/reading?${new URLSearchParams(query).toString()}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    // Express takes objects only.
    body: JSON.stringify({ value: payload }),
    signal: AbortSignal.timeout(30_000),
  });
  assert.equal(answer.status, 200, await answer.text());
}

type Line = Readonly<Record<string, unknown>>;

function lines(name: string): Line[] {
  const path = join(folder, `${name}.jsonl`);
  if (!existsSync(path)) return [];
  // The file node may be in the middle of a line.
  const whole = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return whole.filter((line) => line !== "").map((line) => JSON.parse(line) as Line);
}

const settled = (count: number): Promise<void> => until(`${count} messages are done`, () => lines("settled").length >= count);

const model = await loadModel(systemDisk, join(repository, "models/bearing.onnx"));
const names = model.spec.features.map(({ name }) => name);
const reading = (sequence: number): number[] => [
  1 + 0.5 * Math.sin(sequence / 3),
  12 + Math.sin(sequence / 20),
  45 + sequence / 10,
];
const payload = (values: readonly number[]): Line => Object.fromEntries(names.map((name, d) => [name, values[d]]));

/** What the model gives for each reading of a stream that began anew at `resets`. */
async function expected(count: number, resets: readonly number[]): Promise<number[]> {
  const stream = new EngineStream(await openEngine(model));
  const outputs: number[] = [];
  for (let sequence = 0; sequence < count; sequence++) {
    if (resets.includes(sequence)) stream.resetState();
    outputs.push((await stream.step(reading(sequence)))[0]!);
  }
  return outputs;
}

/** Every prediction of a stream in its order; one that came again must be the same. */
function predictionsOf(stream: string): number[] {
  const bySequence = new Map<number, Line>();
  for (const line of lines("predictions")) {
    if (line["topic"] !== stream) continue;
    const { _msgid: _, ...message } = line;
    const before = bySequence.get(line["sequence"] as number);
    if (before === undefined) bySequence.set(line["sequence"] as number, message);
    else assert.deepEqual(message, before, "a repeated prediction is the same");
  }
  return [...bySequence]
    .toSorted(([a], [b]) => a - b)
    .map(([, line]) => Math.fround((line["payload"] as Record<string, number>)[model.spec.outputs[0]!.name]!));
}

async function publishAll(from: number, to: number): Promise<void> {
  for (let sequence = from; sequence < to; sequence++) {
    for (const topic of STREAMS) await post({ topic }, payload(reading(sequence)));
  }
}

async function agree(count: number, resets: readonly number[], what: string): Promise<void> {
  await until(`${what}: all predictions are out`, () => STREAMS.every((stream) => predictionsOf(stream).length >= count));
  const [first, second] = [await expected(count, []), await expected(count, resets)];
  assert.deepEqual(predictionsOf(STREAMS[0]), first, what);
  assert.deepEqual(predictionsOf(STREAMS[1]), second, what);
  step(`${what}: ${2 * count} predictions, to the bit`);
}

install();
step("installed");
await start();
await publishAll(0, 20);
await settled(40);
await agree(20, [], "from the start");

await publishAll(20, 30);
await settled(60);
await end("SIGKILL");
await start();
await publishAll(30, 40);
await agree(40, [], "after a kill");

await post({ topic: STREAMS[1], reset: "1" }, "not read");
await publishAll(40, 300);
await agree(300, [40], "after a reset of one stream");

const deployed = await fetch(`${url}/flows`, {
  method: "POST",
  headers: { "content-type": "application/json", "node-red-deployment-type": "full" },
  body: readFileSync(join(folder, "flows.json")),
});
assert.equal(deployed.status, 204);
await flowsStarted(2);
await publishAll(300, 305);
await agree(305, [40], "after a deploy");

const before = lines("settled").length;
await post({ topic: "b" }, { [names[0]!]: "high" });
await post({ topic: "x".repeat(200) }, payload(reading(0)));
await post({ topic: "b" }, [1, 2, 3]);
await until("three messages are refused", () => lines("refused").length >= 3);
const texts = lines("refused").map(({ error }) => (error as { message: string }).message);
assert.match(texts[0]!, /vibration is "high", and a number is expected/);
assert.match(texts[1]!, /msg\.topic takes 200 bytes/);
assert.match(texts[2]!, /must be an object with vibration, current, bearing_temperature/);
assert.equal(lines("settled").length, before, "what is refused is not done");
step("what is no reading is refused with its reason");

for (let shock = 0; shock < 60 && lines("alarms").length === 0; shock++) await post({ topic: "b" }, payload([900, 400, 300]));
await until("an alarm opens", () => lines("alarms").length > 0);
const alarm = lines("alarms")[0]! as { topic: string; payload: { open: boolean; stream: string; contributions: unknown[] } };
assert.equal(alarm.topic, "b");
assert.equal(alarm.payload.open, true);
assert.ok(alarm.payload.contributions.length > 0);
step("an alarm opens on the second output");

const sofar = lines("settled").length;
for (let count = 0; count < 10; count++) await post({ learns: "1", topic: "room" }, count === 5 ? "20.5" : 20 + count / 10);
await settled(sofar + 10);

const page = await (await fetch(`${url}/nodes`, { headers: { accept: "text/html" } })).text();
assert.ok(page.includes('data-template-name="hiddenstate"') && page.includes('data-help-name="hiddenstate"'));
if (chromiumMissing() === false) {
  const browser = await Chromium.start();
  const tab = await browser.newPage();
  await tab.open(url);
  await tab.until(
    "the node is in the palette",
    `document.querySelector('.red-ui-palette-node[data-palette-type="hiddenstate"]')`,
  );
  await tab.until("both are in the flow", `RED.nodes.filterNodes({ type: "hiddenstate" }).length === 2`);
  await tab.evaluate(`RED.editor.edit(RED.nodes.node("hs1"))`);
  await tab.until("its dialog is open", `document.querySelector("#node-input-model")?.value === "bearing.onnx"`);
  await browser.close();
  step("the editor has it in its palette, and its dialog opens");
}

await end("SIGTERM");
const list = JSON.parse(
  runIn(folder, "node_modules/.bin/hiddenstate", ["state", "list", "--json", "--state", "hiddenstate/hs2"]),
) as {
  stream: string;
  steps: number;
}[];
assert.deepEqual(
  list.map(({ stream, steps }) => ({ stream, steps })),
  [{ stream: "room", steps: 10 }],
);
assert.deepEqual(lines("learned"), [], "a stream that is still learning is silent");
step("passed: nothing lost over a kill, every bit as the model gives it");
