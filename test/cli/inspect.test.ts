// What `hiddenstate inspect` shows of a model, of a state directory and of its journal, while a runtime works on it and after.
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import t from "tap";
import { systemDisk } from "../../src/base/disk.ts";
import { silentLog } from "../../src/base/log.ts";
import { ReadOnlyDisk } from "../../src/cli/read-only-disk.ts";
import { startEmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import { parseConfig } from "../../src/runtime/config.ts";
import { ControlClient, ControlSocket } from "../../src/runtime/control-socket.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";
import { repository, runCli } from "../support/cli.ts";
import { needsOnnxruntime } from "../support/onnxruntime.ts";
import { hardSigmoidModel, randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";

interface Shown {
  readonly running: boolean;
  readonly standing?: { readonly streams: number; readonly unconfirmed: number; readonly position: number };
  readonly segments: readonly {
    readonly from: number;
    readonly to: number;
    readonly damaged: boolean;
    readonly firstAt: number;
  }[];
  readonly checkpoints: readonly { readonly standing: string }[];
  readonly damage: readonly string[];
}

/** Everything that a reader could see change. */
function traces(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path, `${statSync(path).mtimeMs} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`];
    }),
  );
}

async function inspectJson(path: string): Promise<{ code: number | null; shown: Shown }> {
  const { code, stdout, stderr } = await runCli(["inspect", path, "--json"]);
  if (stdout === "") throw new Error(stderr);
  return { code, shown: JSON.parse(stdout) as Shown };
}

t.test("a model is told by its features, layers, states, outputs, training and what steps it", async (t) => {
  const { code, stdout } = await runCli(["inspect", "models/bearing.onnx"], { cwd: repository });
  t.equal(code, 0);
  const lines = stdout.trimEnd().split("\n");
  t.match(lines, [
    /^models\/bearing\.onnx: model bearing, forecast, format 1, \d+ bytes$/,
    /^version [0-9a-f]{64}$/,
    "features: vibration (mm/s), current (A), bearing_temperature (°C)",
    // 24 x (3 + 24 + 1) and 24 + 1.
    "layers: rnn_tanh 24, regression head of changes; 697 parameters",
    "state h: 1 x 1 x 24, at most 1 either way",
    "output vibration+1 (mm/s): 1 ahead of vibration",
    /^trained on firmware-sim, .*: 69120 rows, 23040 for validation, 28800 for the test; 200 epochs, seed 1, kernel /,
    /^ {2}vibration\+1: RMSE 0\.\d+ on the test rows, persistence 0\.\d+$/,
    /^stepped by the native engine \((relaxed|plain)-\d+\)$/,
  ]);
  t.equal(lines.length, 9);
  const folder = t.testdir({ "broken.onnx": "no model" });
  t.match(await runCli(["inspect", join(folder, "broken.onnx")]), { code: 65, stderr: /cannot use model .*broken\.onnx: / });
  t.match(await runCli(["inspect", join(folder, "absent")]), { code: 64, stderr: /cannot inspect .*absent: ENOENT/ });
  t.match(await runCli(["inspect", folder]), { code: 78, stderr: /there is no journal in it; name a state directory\n$/ });
});

t.test("a model that the native engine does not take says why, and what does", needsOnnxruntime, async (t) => {
  const path = join(t.testdir({}), "hard.onnx");
  writeFileSync(path, hardSigmoidModel().bytes);
  t.match(await runCli(["inspect", path]), {
    code: 0,
    stdout: /\nstepped by the onnx engine \(.*\), since node layer1_Y is GRU with the activations HardSigmoid, Tanh, and /,
  });
});

t.test("a state directory is told while a runtime works on it, after, and damaged, and nothing of it changes", async (t) => {
  const folder = t.testdir({});
  const broker = await startEmbeddedBroker();
  t.teardown(() => broker.close());
  writeFileSync(join(folder, "model.onnx"), randomModel({ features: 2, hidden: [8], seed: 3 }).bytes);
  const group = '{ name: g, topic: "s/{device}/r", codec: json, model: model.onnx }';
  const text = `node: n\nstate: state\nmqtt: { url: "${broker.url}" }\ngroups: [${group}]\n`;
  const config = parseConfig(text, join(folder, "config.yaml"));
  const runtime = await createRuntime(config, { log: silentLog });
  await runtime.connected;
  const client = await connectAsync(broker.url);
  for (let i = 0; i < 20; i++) {
    for (const device of ["a", "b"]) await client.publishAsync(`s/${device}/r`, `{"feature0":${i},"feature1":2}`, { qos: 1 });
  }
  await client.publishAsync("s/a/r", "\u001B[31mno reading", { qos: 1 });
  await client.endAsync();
  await until("all is stepped", () => runtime.status().metrics["readings_accepted"] === 40);
  const state = join(folder, "state");
  const live = await inspectJson(state);
  t.match(live, { code: 0, shown: { running: true, standing: { streams: 2 }, damage: [], segments: [{ from: 0 }] } });
  await runtime.control.handle("rename", { stream: "b", to: "later" });
  await runtime.stop();

  const before = traces(state);
  const { code, shown } = await inspectJson(state);
  t.match({ code, shown }, { code: 0, shown: { running: false, standing: { streams: 2, unconfirmed: 0 }, damage: [] } });
  t.match(
    shown.checkpoints.map(({ standing }) => standing),
    ["whole", "absent"],
  );
  t.equal(shown.segments.at(-1)!.to, shown.standing!.position);
  t.ok(shown.segments[0]!.firstAt > 1.6e12);
  t.match(await runCli(["inspect", state]), {
    code: 0,
    stdout:
      /: nobody is working on it; journal format \d+, checkpoint format \d+\n2 streams; .*\ngroup g: 2 streams on model [^]*\nnothing is damaged\n$/,
  });

  const segment = join(state, "journal", "segment-000001");
  const limited = await runCli(["inspect", segment, "--limit", "3"]);
  t.match(limited.stdout, /segment-000001: use 1, events 0 to \d+: 1 epoch, 2 streamAdded, .*40 readings/);
  t.match(limited.stdout, /\nand \d+ more; --limit 0 shows all\n$/);
  t.equal(limited.stdout.trimEnd().split("\n").length, 5);
  const ofA = await runCli(["inspect", segment, "--stream", "a", "--json", "--limit", "0"]);
  const events = ofA.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { kind: string; stream: string; values: number[]; outputs: number[] });
  t.strictSame(
    events.filter(({ kind }) => kind === "readings").map(({ values }) => values[0]),
    Array.from({ length: 20 }, (_, i) => i),
  );
  t.ok(events.every(({ stream }) => stream === "a"));
  t.equal(events.at(-1)!.outputs.length, 1);
  const notices = await runCli(["inspect", segment, "--limit", "0"]);
  t.match(notices.stdout, /\d+ {2}notice {2}hiddenstate\/n\/dead-letter/);
  t.notMatch(notices.stdout, "\u001B", "what somebody has sent cannot steer the terminal");
  const names = new Set(notices.stdout.match(/readings {2}(b|later) {2}reading/g));
  t.strictSame(names, new Set(["readings  b  reading"]), "a stream has the name that it had then");
  // Away from its journal it names what it can.
  copyFileSync(segment, join(folder, "segment-000009"));
  t.match((await runCli(["inspect", join(folder, "segment-000009"), "--stream", "a"])).code, 0);
  t.strictSame(traces(state), before, "looking has changed nothing");

  const bytes = readFileSync(segment);
  const at = bytes.indexOf("dead-letter");
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(segment, bytes);
  writeFileSync(join(state, "journal", "checkpoint-a"), readFileSync(join(state, "journal", "checkpoint-a")).fill(7, 4200, 4210));
  const damagedBefore = traces(state);
  const damaged = await inspectJson(state);
  t.equal(damaged.code, 1);
  t.match(damaged.shown.damage, [
    /^segment-000001: what follows position \d+ has changed since it was written$/,
    "checkpoint-a: it has changed since it was written",
    /^cannot continue from .*: its journal is damaged/,
  ]);
  t.match(await runCli(["inspect", segment]), { code: 1, stderr: /what follows position \d+ has changed/ });
  t.strictSame(traces(state), damagedBefore);
});

t.test("a runtime that has ended before it is asked is told as such, and nobody waits for it", async (t) => {
  const folder = t.testdir({});
  const socket = await ControlSocket.open(folder, () => Promise.resolve({}));
  const client = (await ControlClient.connect(folder))!;
  t.strictSame(await client.request("status", {}), {});
  await socket.close();
  const ended = { code: "unavailable", message: "cannot finish the request: the runtime has ended" };
  await t.rejects(client.request("status", {}), ended);
  await t.rejects(client.request("status", {}), ended, "also once that is known");
});

t.test("a disk that only reads lets nothing through that would write", async (t) => {
  const folder = t.testdir({ file: "x" });
  const disk = new ReadOnlyDisk(systemDisk);
  const work = [
    disk.open(join(folder, "file"), "write"),
    disk.open(join(folder, "new"), "create"),
    disk.makeDirectory(),
    disk.rename(),
    disk.remove(),
    disk.syncDirectory(),
  ];
  for (const one of work) await t.rejects(one, { message: "something would write while it only looks" });
  t.strictSame(readdirSync(folder), ["file"]);
  const file = await disk.open(join(folder, "file"), "read");
  t.equal(await file.size(), 1);
  await file.close();
});
