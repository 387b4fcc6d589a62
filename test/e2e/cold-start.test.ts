// A group whose streams learn one network, as a process on a real broker: killed again and again while they learn, it comes to the bits of a
// runtime that nothing happened to.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import mqtt from "mqtt";
import t from "tap";
import { createRuntime, defineConfig, DirectLink, silentLog } from "../../src/index.ts";
import { ControlClient } from "../../src/runtime/control-socket.ts";
import { runCli, startCli } from "../support/cli.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { until } from "../support/until.ts";

const START_MS = Date.UTC(2024, 0, 1);
const DEVICES = ["a", "b", "c", "d"];
const MESSAGES = 160;
const READINGS = 5;

/** Four streams of one kind, each in a range of its own. */
function payload(device: number, message: number): string {
  const readings = Array.from({ length: READINGS }, (_, i) => {
    const sequence = message * READINGS + i;
    const flow = (device + 1) * (40 + 5 * Math.sin(sequence / 8 + device) + 0.3 * Math.sin(sequence * sequence));
    return { boot: 1, nonce: 9, sequence, time: START_MS + sequence * 60_000, flow };
  });
  return JSON.stringify(readings);
}

const group = { name: "g", topic: "s/{device}/r", codec: "json" as const, features: ["flow"], horizons: [1, 6] };

async function stepsOf(state: string): Promise<number> {
  const client = await ControlClient.connect(state);
  if (client === undefined) return -1;
  try {
    const streams = (await client.request("streams", {})) as readonly { readonly steps: number }[];
    return streams.reduce((sum, { steps }) => sum + steps, 0);
  } finally {
    client.close();
  }
}

t.test(
  "a group that learns one network is killed again and again, and learns the same",
  { skip: mosquittoMissing() },
  async (t) => {
    const broker = await startMosquitto();
    t.teardown(() => broker.close());
    const folder = t.testdir({ reference: {} });
    const state = join(folder, "state");
    const path = join(folder, "config.yaml");
    const configure = (scope: string): void =>
      writeFileSync(
        path,
        JSON.stringify({ node: "e2e", state: "state", mqtt: { url: broker.url }, groups: [{ ...group, scope }] }),
      );
    configure("group");
    const client = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
    t.teardown(() => client.endAsync(true));

    let run = startCli(["run", path]);
    await run.printed("taking readings");
    for (let message = 0; message < MESSAGES; message++) {
      const sent = DEVICES.map((device, n) => client.publishAsync(`s/${device}/r`, payload(n, message), { qos: 1 }));
      await Promise.all(sent);
      if (message % 45 !== 40) continue;
      // In the middle of what has just been sent; the broker keeps what was not acknowledged.
      run.child.kill("SIGKILL");
      await run.ended;
      run = startCli(["run", path]);
      if (message % 2 === 0) await run.printed("taking readings");
    }
    const all = DEVICES.length * MESSAGES * READINGS;
    await until("all are stepped", async () => (await stepsOf(state)) === all);
    const status = await runCli(["status", "--state", state]);
    t.match(status.stdout, /one network for all: 3200 readings, loss 0\.\d+, of the last value 0\.\d+; 4 of 4 streams predict/);
    const killed = await runCli(["state", "get", "a", "--state", state]);

    const link = new DirectLink(() => undefined);
    const reference = await createRuntime(
      defineConfig(
        { node: "e2e", state: "state", log: "silent", groups: [{ ...group, scope: "group" }] },
        join(folder, "reference"),
      ),
      { ports: link.ports, log: silentLog },
    );
    for (let message = 0; message < MESSAGES; message++) {
      for (const [n, device] of DEVICES.entries()) await link.publish(`s/${device}/r`, payload(n, message));
    }
    for (const device of DEVICES) {
      const { stdout } = await runCli(["state", "get", device, "--state", state]);
      const { state: own } = await reference.getState(device);
      t.strictSame((JSON.parse(stdout) as { state: unknown }).state, JSON.parse(JSON.stringify(own)), device);
    }
    await reference.stop();

    run.child.kill("SIGKILL");
    await run.ended;
    t.equal(
      (await runCli(["state", "get", "a", "--state", state])).stdout,
      killed.stdout,
      "asked of the directory, after a kill",
    );
    configure("stream");
    const other = startCli(["run", path]);
    await other.printed("taking readings");
    t.match(
      (await runCli(["status", "--state", state])).stdout,
      /4 streams on model [0-9a-f]{16}[^]*0 of 4 streams predict; the others warm up, 0 of 500 readings/,
    );
    t.equal(await stepsOf(state), all, "the streams go on");
    other.child.kill("SIGTERM");
    t.equal((await other.ended).code, 0);
  },
);
