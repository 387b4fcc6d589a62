// The systemd unit, run by a real systemd on a machine that is thrown away, and what the runtime tells systemd through the real systemd-notify.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import t from "tap";
import mqtt from "mqtt";
import { repository, startCli } from "../support/cli.ts";
import { DisposableMachine, GIVEN, machineMissing } from "../support/disposable-machine.ts";
import { findProgram } from "../support/find-program.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";

t.setTimeout(180_000);

const model = randomModel({ features: 2, hidden: [8], seed: 3 });
const unit = join(repository, "deploy/systemd/hiddenstate.service");
/** Of `systemd-analyze security`, 0 to 10; 2 and less is what it calls OK. */
const EXPOSURE_MAX = 2;

function config(url: string, state: string, model: string): string {
  return `node: box\nstate: ${state}\nmqtt: { url: "${url}" }\ngroups:\n  - { name: g, topic: "s/{device}/r", codec: json, model: ${model} }\n`;
}

/** Binds a datagram socket and prints what comes. Perl is part of every Debian; files that come along are closed, which is systemd's answer. */
const LISTEN = `use Socket; $| = 1; socket(S, PF_UNIX, SOCK_DGRAM, 0) && bind(S, sockaddr_un($ARGV[0])) or die $!;
while (defined recv(S, my $said, 4096, 0)) { print "$said\\n" }`;

function listenerMissing(): string | false {
  const missing = ["perl", "systemd-notify"].find((program) => findProgram([program], []) === undefined);
  if (missing === undefined || process.env["CI"] === "true") return false;
  return `${missing} is missing; install it with: apt-get install perl systemd`;
}

t.test(
  "whoever listens on NOTIFY_SOCKET hears that it is up, how it does and that it stops",
  { skip: listenerMissing() || mosquittoMissing() },
  async (t) => {
    const broker = await startMosquitto();
    t.teardown(() => broker.close());
    const folder = t.testdir({ "config.yaml": config(broker.url, "state", "model.onnx") });
    writeFileSync(join(folder, "model.onnx"), model.bytes);
    // The test's own folder has too long a name for a socket.
    const short = mkdtempSync(join(tmpdir(), "notify-"));
    t.teardown(() => rmSync(short, { recursive: true, force: true }));
    const socket = join(short, "s");
    const listener = spawn("perl", ["-e", LISTEN, socket], { stdio: ["ignore", "pipe", "inherit"] });
    t.teardown(() => listener.kill("SIGKILL"));
    let heard = "";
    listener.stdout.setEncoding("utf8").on("data", (text: string) => (heard += text));
    const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "2000000" };
    const told = startCli(["run", join(folder, "config.yaml")], { env });
    await told.printed("taking readings");
    await until("it was told twice", () => heard.split("WATCHDOG=1").length > 2 && heard.includes("predictions go out"));
    told.child.kill("SIGTERM");
    t.equal((await told.ended).code, 0);
    await until("the end was told", () => heard.includes("STOPPING=1"));
    t.match(heard, /READY=1\nWATCHDOG=1\nSTATUS=0 streams; readings come in, predictions go out/);
    const deaf = startCli(["run", join(folder, "config.yaml")], { env: { ...env, NOTIFY_SOCKET: join(folder, "nobody") } });
    await deaf.printed("cannot tell the supervisor");
    deaf.child.kill("SIGTERM");
    t.equal((await deaf.ended).code, 0, "a supervisor that does not answer keeps no reading waiting");
  },
);

/** The unit as it is shipped, a program where it expects one, and this config. */
async function machineWith(text: string, folder: string): Promise<DisposableMachine> {
  writeFileSync(join(folder, "config.yaml"), text);
  writeFileSync(join(folder, "model.onnx"), model.bytes);
  writeFileSync(join(folder, "other.onnx"), randomModel({ features: 2, hidden: [6, 4], cells: ["gru"], seed: 4 }).bytes);
  const machine = await DisposableMachine.start({ app: repository, node: dirname(process.execPath), test: folder });
  await machine.must("sh", [
    "-c",
    `set -e
    mkdir -p /etc/hiddenstate /etc/sysusers.d /run/units/hiddenstate.service.d
    printf '#!/bin/sh\\nexec ${GIVEN}/node/node ${GIVEN}/app/build/src/cli/main.js "$@"\\n' > /usr/bin/hiddenstate
    chmod 755 /usr/bin/hiddenstate
    cp ${GIVEN}/test/* /etc/hiddenstate/
    cp ${GIVEN}/app/deploy/systemd/hiddenstate.service /run/units/
    printf '[Service]\\nWatchdogSec=2\\nRestartSec=100ms\\n' > /run/units/hiddenstate.service.d/quick.conf
    cp ${GIVEN}/app/deploy/systemd/hiddenstate.conf /etc/sysusers.d/
    systemd-sysusers hiddenstate.conf
    systemctl daemon-reload`,
  ]);
  return machine;
}

t.test(
  "systemd starts it, is fed by it, starts it again when it hangs or dies, and leaves it alone when its config is wrong",
  { skip: machineMissing() || mosquittoMissing() },
  async (t) => {
    const broker = await startMosquitto();
    t.teardown(() => broker.close());
    const machine = await machineWith(config(broker.url, "/var/lib/hiddenstate", "model.onnx"), t.testdir({}));
    t.teardown(() => machine.close());
    const systemctl = (...args: string[]): Promise<string> => machine.must("systemctl", args);
    const show = async (): Promise<Record<string, string>> => {
      const names = ["ActiveState", "StatusText", "NRestarts", "MainPID", "ExecMainStatus", "Result"];
      const text = await systemctl("show", "hiddenstate", ...names.map((name) => `--property=${name}`));
      return Object.fromEntries(
        text
          .trim()
          .split("\n")
          .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]),
      );
    };
    const becomes = async (what: Record<string, string>): Promise<Record<string, string>> => {
      for (const giveUpAt = performance.now() + 30_000; ;) {
        const now = await show();
        if (Object.entries(what).every(([name, value]) => now[name] === value)) return now;
        if (performance.now() > giveUpAt) throw new Error(`waited in vain for ${JSON.stringify(what)}: ${JSON.stringify(now)}`);
      }
    };
    const client = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
    t.teardown(() => client.endAsync(true));
    const predicted = new Set<number>();
    client.on("message", (_topic, payload) => predicted.add((JSON.parse(payload.toString()) as { sequence: number }).sequence));
    await client.subscribeAsync("hiddenstate/box/prediction/+", { qos: 1 });
    const send = async (sequence: number): Promise<void> => {
      const reading = { boot: 1, nonce: 9, sequence, feature0: 101_320, feature1: sequence / 50 };
      await client.publishAsync("s/a/r", JSON.stringify(reading), { qos: 1 });
      await until(`${sequence} is predicted`, () => predicted.has(sequence));
    };

    const verified = await machine.run("systemd-analyze", ["verify", "--man=no", "/run/units/hiddenstate.service"]);
    t.match(verified, { code: 0, stdout: "", stderr: "" }, "systemd-analyze verify is clean");
    const security = await machine.must("systemd-analyze", ["security", "--offline=true", "--no-pager", unit]);
    const exposure = Number(/exposure level for [^:]+: ([\d.]+)/.exec(security)![1]);
    t.ok(exposure <= EXPOSURE_MAX, `exposure ${exposure}`);

    await systemctl("start", "hiddenstate");
    await becomes({ ActiveState: "active", StatusText: "0 streams; readings come in, predictions go out" });
    await send(0);
    t.match(await becomes({ StatusText: "1 stream; readings come in, predictions go out" }), { NRestarts: "0" });
    t.match(await machine.must("stat", ["-c", "%U %a", "/var/lib/hiddenstate"]), "hiddenstate 700\n");
    // Both engines, in a process that makes itself nice: all of that must be possible in the sandbox.
    const promote = ["models", "promote", "/etc/hiddenstate/other.onnx", "--group", "g", "--state", "/var/lib/hiddenstate"];
    t.match(await machine.must("hiddenstate", promote), /^group "g" is now on model/);
    await send(1);

    const hung = await show();
    await machine.must("kill", ["-STOP", hung["MainPID"]!]);
    t.match(await becomes({ ActiveState: "active", NRestarts: "1" }), { Result: "success" }, "one that hangs is started again");
    await send(2);
    await machine.must("kill", ["-KILL", (await show())["MainPID"]!]);
    await becomes({ ActiveState: "active", NRestarts: "2" });
    await send(3);
    const state = await machine.must("hiddenstate", ["state", "get", "a", "--state", "/var/lib/hiddenstate"]);
    t.match(JSON.parse(state), { facts: { sequence: 3 } }, "and has forgotten nothing");

    await systemctl("stop", "hiddenstate");
    t.match(await show(), { ActiveState: "inactive", Result: "success", ExecMainStatus: "0" });
    await machine.must("sh", ["-c", "echo 'colour: red' >> /etc/hiddenstate/config.yaml"]);
    t.not((await machine.run("systemctl", ["start", "hiddenstate"])).code, 0);
    t.match(
      await becomes({ ActiveState: "failed" }),
      { ExecMainStatus: "78", NRestarts: "0" },
      "a wrong config is not tried again",
    );
    await machine.must("journalctl", ["--sync"]);
    const journal = await machine.must("journalctl", ["-u", "hiddenstate", "-o", "cat", "--no-pager"]);
    t.match(journal, /"msg":"taking readings"/);
    t.match(journal, /config\.yaml:\d+:\d+: unknown key "colour"/);
    t.match(journal, /Watchdog timeout/);
  },
);
