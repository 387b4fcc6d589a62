import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { findingLines } from "../../src/cli/doctor.ts";
import { examineDisk, journalBytesPerDay } from "../../src/cli/doctor-disk.ts";
import { examineMachine } from "../../src/cli/doctor-machine.ts";
import type { Finding } from "../../src/cli/finding.ts";
import { systemDisk } from "../../src/base/disk.ts";
import type { Disk } from "../../src/base/disk.ts";
import { parseConfig } from "../../src/runtime/config.ts";
import type { Config } from "../../src/runtime/config-schema.ts";
import { runCli } from "../support/cli.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";

t.setTimeout(240_000);
const skip = mosquittoMissing();

function config(folder: string, url: string, more = ""): string {
  const path = join(folder, "config.yaml");
  writeFileSync(join(folder, "model.onnx"), randomModel({ features: 2, hidden: [8], seed: 3 }).bytes);
  const group = '{ name: g, topic: "s/{device}/r", codec: json, model: model.onnx }';
  writeFileSync(path, `node: n\nstate: state\nmqtt: { url: "${url}" }\n${more}groups: [${group}]\n`);
  return path;
}

async function examine(path: string, ...more: string[]): Promise<{ code: number | null; findings: Finding[] }> {
  const { code, stdout, stderr } = await runCli(["doctor", path, "--json", ...more]);
  if (stdout === "") throw new Error(stderr);
  return { code, findings: JSON.parse(stdout) as Finding[] };
}

const of = (findings: readonly Finding[], about: string): Finding => findings.find((finding) => finding.about === about)!;

t.test("a broker that drops what it has acknowledged is found out; one that keeps it is good", { skip }, async (t) => {
  for (const [lines, expected] of [
    [
      ["max_queued_messages 1000", "max_inflight_messages 20"],
      {
        verdict: "bad",
        text: /^of 1200 messages that the broker had acknowledged it dropped \d+, because their receiver was away$/,
        advice: /max_queued_messages 0, and max_queued_bytes/,
        figures: { acknowledged: 1200 },
      },
    ],
    [
      ["max_queued_messages 0", "max_inflight_messages 1000"],
      { verdict: "good", text: "the broker kept 1200 messages for a client that was away", figures: { delivered: 1200 } },
    ],
  ] as const) {
    const broker = await startMosquitto({ config: lines });
    const folder = t.testdir({});
    const { code, findings } = await examine(config(folder, broker.url));
    await broker.close();
    t.match(of(findings, "queue"), expected);
    t.equal(code, expected.verdict === "bad" ? 1 : 0);
    t.match(of(findings, "broker"), { verdict: "good", text: `${broker.url} lets us in, and speaks MQTT 5` });
    t.equal(
      findings.some(({ about }) => about === "window"),
      expected.verdict === "bad",
      "20 predictions at a time are few",
    );
    const model = of(findings, "group g");
    t.match(model, { verdict: "good", text: /^the native engine \((relaxed|plain|scalar)-\d+\) steps a reading in [\d.]+ µs/ });
    t.ok(model.figures!["stepNsAlone"]! > 0 && model.figures!["stepNsOf64"]! > 0);
    t.ok(of(findings, "sync").figures!["syncMsP99"]! >= of(findings, "sync").figures!["syncMsP50"]!);
    t.strictSame(readdirSync(folder).toSorted(), ["config.yaml", "model.onnx"], "nothing is left behind");
  }
});

t.test("a broker that may not be read on our topics, or is away, is told as such", { skip }, async (t) => {
  const acl = ["user n", "topic write hiddenstate/n/#", "user device", "topic write s/#"].join("\n");
  const broker = await startMosquitto({
    config: ["max_queued_messages 0", "acl_file FOLDER/acl"],
    files: { acl: `topic write hiddenstate/n/#\n${acl}\n` },
  });
  t.teardown(() => broker.close());
  const path = config(t.testdir({}), broker.url);
  t.match(of((await examine(path)).findings, "queue"), { verdict: "note", text: /could not be tried: / });
  await broker.stop();
  const away = await examine(path);
  t.equal(away.code, 1);
  t.match(of(away.findings, "broker"), { verdict: "bad", text: /cannot be used: .*ECONNREFUSED/ });
});

const parsed = (folder: string, more = ""): Config => {
  const text =
    'node: n\nstate: state\nmqtt: { url: "mqtt://127.0.0.1" }\ngroups: [{ name: g, topic: "s/{d}", codec: json, model: m }]\n';
  return parseConfig(text + more, join(folder, "config.yaml"));
};

t.test("heat, a clock that is not set, and secrets that others can read are bad", async (t) => {
  const folder = t.testdir({
    thermal: { thermal_zone0: { temp: "48200\n" }, thermal_zone1: { temp: "91000\n" }, cooling_device0: { temp: "1" } },
    cool: { thermal_zone0: { temp: "48200\n" } },
    token: "0123456789abcdef",
  });
  const clock = new FakeClock();
  const config = parsed(folder, "dashboard: { tokenFile: token }\n");
  chmodSync(join(folder, "token"), 0o644);
  const findings = await examineMachine(config, clock, join(folder, "thermal"));
  t.match(of(findings, "temperature"), { verdict: "bad", text: "the processor has 91 °C", figures: { celsius: 91 } });
  t.match(of(findings, "clock"), { verdict: "good" });
  t.match(of(findings, "permissions"), { verdict: "bad", advice: `chmod 600 ${join(folder, "token")}` });
  chmodSync(join(folder, "token"), 0o600);
  clock.synced = false;
  const others = await examineMachine(config, clock, join(folder, "cool"));
  t.match(of(others, "temperature"), { verdict: "good", text: "the processor has 48 °C" });
  t.match(of(others, "clock"), { verdict: "bad", advice: /systemd-timesyncd/ });
  t.match(of(others, "permissions"), { verdict: "good" });
  t.equal(of(await examineMachine(config, clock, join(folder, "none")), "temperature"), undefined, "not every box tells");
});

t.test("a slow, full or read-only disk, and a card that wears out, are told with what to do", async (t) => {
  const folder = t.testdir({});
  const clock = new FakeClock();
  const disk = (changes: Partial<Disk>, syncMs = 1): Disk => ({
    open: async (path, mode) => {
      const file = await systemDisk.open(path, mode);
      return {
        read: (into, position) => file.read(into, position),
        write: (from, position) => file.write(from, position),
        datasync: () => Promise.resolve(clock.advance(syncMs)),
        truncate: (length) => file.truncate(length),
        size: () => file.size(),
        close: () => file.close(),
      };
    },
    list: (path) => systemDisk.list(path),
    makeDirectory: (path) => systemDisk.makeDirectory(path),
    rename: (from, to) => systemDisk.rename(from, to),
    remove: (path) => systemDisk.remove(path),
    syncDirectory: (path) => systemDisk.syncDirectory(path),
    freeBytes: (path) => systemDisk.freeBytes(path),
    isFlashCard: () => Promise.resolve(false),
    ...changes,
  });
  const config = parsed(folder);
  const quick = await examineDisk(config, disk({}), clock, 10);
  t.match(of(quick, "sync"), { verdict: "good", figures: { syncMsP50: 1, syncMsP99: 1 } });
  t.match(of(quick, "wear"), {
    verdict: "good",
    text: "at 10 readings/s the journal writes 3.5 GB a day, and the state does not lie on an SD card",
  });
  const slow = await examineDisk(config, disk({}, 700), clock, 10);
  t.match(of(slow, "sync"), { verdict: "note", text: "a write and a sync take 700.0 ms, one in a hundred 700 ms" });
  const full = await examineDisk(config, disk({ freeBytes: (path) => systemDisk.freeBytes(path).then(() => 1e6) }), clock, 10);
  t.match(of(full, "room"), { verdict: "bad", figures: { freeBytes: 1e6 } });
  const denied = Object.assign(new Error("EROFS"), { code: "EROFS" });
  const readOnly = await examineDisk(config, disk({ open: () => Promise.reject(denied) }), clock, 10);
  t.match(readOnly.at(-1), { about: "sync", verdict: "bad", text: `nothing can be written in ${folder}` });
  const card = disk({ isFlashCard: () => Promise.resolve(true) });
  t.match(of(await examineDisk(config, card, clock, 100), "wear"), { verdict: "note", text: /lasts about 6\.2 years/ });
  const hurried = parsed(folder, "durability: { linger: 0ms }\n");
  t.match(of(await examineDisk(hurried, card, clock, 100), "wear"), { verdict: "bad", advice: /durability\.linger/ });
  t.equal(journalBytesPerDay(1, 0), 86_400 * 4096);
  t.equal(journalBytesPerDay(1000, 250), 86_400 * 100_000, "many readings fill their pages");
  t.strictSame(readdirSync(folder), []);
});

t.test("findings are told line by line, with what to do below", async (t) => {
  t.strictSame(
    findingLines([
      { about: "sync", verdict: "good", text: "quick" },
      { about: "broker", verdict: "bad", text: "away", advice: "start it" },
    ]),
    ["ok    sync    quick", "BAD   broker  away", "              -> start it", "1 thing is bad"],
  );
});
