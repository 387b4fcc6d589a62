// docs/first-ten-minutes.md as somebody follows it: its own blocks, in its order, against a real mosquitto; only the broker's port is another
// one, and the device sends more often.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { answer, repository, runCli, startCli } from "../support/cli.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { until } from "../support/until.ts";

const page = readFileSync(join(repository, "docs/first-ten-minutes.md"), "utf8");

/** What is to be typed in the section whose heading ends so. */
function typedIn(heading: string): string[] {
  const section = page.split(/^## /m).find((text) => text.split("\n")[0]!.endsWith(heading));
  const blocks = [...(section ?? "").matchAll(/^```([a-z]*)\n([^]*?)^```$/gm)];
  return blocks.filter(([, language]) => language !== "text").map(([, , text]) => text!.trim());
}

/** The words behind `npx hiddenstate` of a block's lines. */
function commandsIn(block: string): string[][] {
  return block.split("\n").map((line) => line.replace("npx hiddenstate ", "").split(" "));
}

t.test("the first ten minutes go as the page tells them", { skip: mosquittoMissing(), timeout: 240_000 }, async (t) => {
  const broker = await startMosquitto();
  t.teardown(() => broker.close());
  const cwd = t.testdir({});
  const asDevice = (script: string) =>
    spawn("bash", ["-c", script.replaceAll("mosquitto_pub ", `mosquitto_pub -p ${broker.port} `)], { cwd, stdio: "ignore" });
  const told = async (words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await runCli(words, { cwd });
    t.equal(code, 0, `${words.join(" ")}: ${stderr}`);
    return stdout;
  };

  const [device] = typedIn(" A device");
  const sending = asDevice(device!.replace("sleep 1", "sleep 0.05"));
  t.teardown(() => sending.kill("SIGKILL"));

  const init = startCli(commandsIn(typedIn(" A config")[0]!)[0]!, { cwd, terminal: true });
  await answer(init, [
    ["Which broker? [mqtt://127.0.0.1:1883]:", broker.url],
    ["1  tasmota tele/{device}/SENSOR: 1 device; AM2301.Humidity, AM2301.Temperature", ""],
    ["should each stream learn by itself? [learn]:", ""],
  ]);
  t.match(await init.ended, { code: 0, stdout: /config\.yaml is written: tasmota\r\nnext: hiddenstate run config\.yaml/ });
  const config = join(cwd, "config.yaml");
  writeFileSync(config, readFileSync(config, "utf8").replace("dashboard: {}", "dashboard: { listen: 127.0.0.1:0 }"));

  const [run, look] = typedIn(" Run it");
  const runtime = startCli(commandsIn(run!)[0]!, { cwd });
  await runtime.printed("taking readings");
  const [status, list] = commandsIn(look!);
  const readings = async (): Promise<number> => Number(/^greenhouse +tasmota +(\d+) /m.exec(await told(list!))?.[1] ?? 0);
  await until("enough to judge by", async () => (await readings()) > 120, 60_000);
  t.match(await told(status!), /broker: readings come in, predictions go out/);

  const [hot, alarms, normal] = typedIn(" An alarm");
  asDevice(hot!);
  const alarmLine = /^greenhouse +open .*AM2301\.Temperature 44, expected [12]\d\.?\d*/m;
  await until("an alarm", async () => alarmLine.test(await told(commandsIn(alarms!)[0]!)));
  t.match(await told(commandsIn(normal!)[0]!), /^the alarm of "greenhouse" was nothing/);

  const before = await readings();
  runtime.child.kill("SIGKILL");
  await runtime.ended;
  const again = startCli(commandsIn(typedIn(" Kill it")[0]!)[0]!, { cwd });
  await again.printed('"recovered"');
  await again.printed("taking readings");
  t.ok((await readings()) >= before);
  t.match(await told(commandsIn(alarms!)[0]!), /^greenhouse +(closed|open) .*AM2301\.Temperature 44/m);
  t.match(await told(status!), /learning: [01] of 1 streams predict/);
  again.child.kill("SIGTERM");
  t.equal((await again.ended).code, 0);
});
