// Messages recorded from one broker and replayed to another: the same bytes on the same topics, at any pace, from where it was stopped.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import t from "tap";
import { startEmbeddedBroker } from "../../src/mqtt/embedded-broker.ts";
import { parseRecordedMessage } from "../../src/message/recorded-message.ts";
import { MessageReplay } from "../../firmware-sim/message-replay.ts";
import type { DeviceMessage } from "../../firmware-sim/device.ts";
import { runCli, startCli } from "../support/cli.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { freePort } from "../support/free-port.ts";
import { until } from "../support/until.ts";

async function listen(url: string): Promise<{ heard: [string, string][]; end: () => Promise<void> }> {
  const client = await connectAsync(url);
  const heard: [string, string][] = [];
  client.on("message", (topic, payload) => heard.push([topic, payload.toString("hex")]));
  await client.subscribeAsync("#", { qos: 1 });
  return { heard, end: () => client.endAsync() };
}

t.test("what is recorded is replayed to the byte, and from where it was stopped", async (t) => {
  const folder = t.testdir({});
  const [from, to] = [await startEmbeddedBroker(), await startEmbeddedBroker()];
  t.teardown(async () => {
    await from.close();
    await to.close();
  });
  const out = join(folder, "recorded.jsonl");
  const recording = startCli(["record", from.url, "plant/#", "other", "--out", out, "--json"]);
  await recording.printed("recording plant/#, other into ");
  const client = await connectAsync(from.url);
  const bytes = Buffer.from([0xff, 0x00, 0x80, 0x0a]);
  const sent: [string, Buffer | string, 0 | 1][] = [
    ["plant/a", '{"x":1}\n', 1],
    ["plant/b", bytes, 1],
    ["other", "", 0],
    ["else", "not asked for", 1],
    ["plant/a", "\uFEFFé", 1],
  ];
  for (const [topic, payload, qos] of sent) await client.publishAsync(topic, payload, { qos });
  await client.endAsync();
  await until("all is written", () => readFileSync(out, "utf8").split("\n").length === 5);
  recording.child.kill("SIGTERM");
  const recorded = await recording.ended;
  t.equal(recorded.code, 0, recorded.stderr);
  t.match(JSON.parse(recorded.stdout), { messages: 4, dropped: 0 });
  t.match(await runCli(["record", from.url, "#", "--out", out]), { code: 64, stderr: /is there already; name another file/ });

  const listener = await listen(to.url);
  const expected = sent
    .filter(([topic]) => topic !== "else")
    .map(([topic, payload]) => [topic, Buffer.from(payload).toString("hex")]);
  const replay = (...args: string[]): Promise<Awaited<ReturnType<typeof runCli>>> =>
    runCli(["simulate", "--url", to.url, "--replay", out, "--json", ...args]);
  const all = await replay("--speed", "max");
  t.match({ code: all.code, summary: JSON.parse(all.stdout) }, { code: 0, summary: { messages: 4, confirmed: 4, resumeAt: 4 } });
  await until("all has come", () => listener.heard.length === 4);
  t.strictSame(listener.heard, expected);
  const rest = await replay("--speed", "1000", "--skip-rows", "3");
  t.match(JSON.parse(rest.stdout), { messages: 1, resumeAt: 4 });
  await until("the rest has come", () => listener.heard.length === 5);
  t.strictSame(listener.heard[4], expected[3]);
  await listener.end();
});

t.test("a replay that is stopped says where to go on", async (t) => {
  const folder = t.testdir({});
  const broker = await startEmbeddedBroker();
  t.teardown(() => broker.close());
  const path = join(folder, "slow.jsonl");
  const times = [0, 1, 2, 3_600_000];
  writeFileSync(path, times.map((ms, i) => `{"time":${1.7e12 + ms},"topic":"a","payload":${i}}\n`).join(""));
  const listener = await listen(broker.url);
  const slow = startCli(["simulate", "--url", broker.url, "--replay", path, "--json"]);
  await until("three have come", () => listener.heard.length === 3);
  slow.child.kill("SIGINT");
  const { code, stdout } = await slow.ended;
  t.match({ code, summary: JSON.parse(stdout) }, { code: 0, summary: { confirmed: 3, unconfirmed: 0, resumeAt: 3 } });
  await listener.end();
});

t.test("the pace is the recording's, times the speed; what goes back in time follows at once", async (t) => {
  for (const speed of [1, 10]) {
    const clock = new FakeClock();
    const sent: [number, DeviceMessage][] = [];
    const began = clock.monotonicMs();
    // oxlint-disable-next-line typescript/require-await
    async function* messages(): AsyncGenerator<ReturnType<typeof parseRecordedMessage>> {
      for (const time of [5000, 6000, 5500, 8000]) yield { time, topic: "a", payload: new Uint8Array(), retain: false };
    }
    const replay = new MessageReplay({
      messages: messages(),
      speed,
      clock,
      publish: (message) => sent.push([clock.monotonicMs() - began, message]) > 0,
      whenRoom: () => Promise.resolve(),
    });
    const ended = replay.run();
    while (sent.length < 4) {
      await new Promise<void>((resolve) => void setImmediate(resolve));
      clock.advance(50);
    }
    await ended;
    const [first, second, third, fourth] = sent.map(([at]) => at) as [number, number, number, number];
    t.ok(Math.abs(second - first - 1000 / speed) <= 150, `${second - first} ms at speed ${speed}`);
    t.ok(third - second <= 150);
    t.ok(Math.abs(fourth - first - 3000 / speed) <= 200, `${fourth - first} ms at speed ${speed}`);
  }
});

t.test("lines of mosquitto_sub are read too, and a line that is none is told by its number", async (t) => {
  const text = (line: string): unknown => {
    const { time, topic, payload, retain } = parseRecordedMessage(line);
    return [time, topic, Buffer.from(payload).toString(), retain];
  };
  t.strictSame(
    text('{"tst":"2026-11-27T23:14:49.028177Z+0100","topic":"a/b","qos":0,"retain":1,"payloadlen":7,"payload":"{\\"x\\":1}"}'),
    [Date.UTC(2026, 10, 27, 22, 14, 49, 28), "a/b", '{"x":1}', true],
  );
  t.strictSame(text('{"tst":"2026-11-27T23:14:49.028050Z+0000","topic":"a","payload":{"x":[1,null]}}'), [
    Date.UTC(2026, 10, 27, 23, 14, 49, 28),
    "a",
    '{"x":[1,null]}',
    false,
  ]);
  t.strictSame(text('{"time":"2026-11-27T23:14:49Z","topic":"a","payloadBase64":"aGk="}'), [
    Date.UTC(2026, 10, 27, 23, 14, 49),
    "a",
    "hi",
    false,
  ]);
  const folder = t.testdir({});
  const path = join(folder, "broken.jsonl");
  const broker = await startEmbeddedBroker();
  t.teardown(() => broker.close());
  const good = '{"time":1700000000000,"topic":"a","payload":"1"}';
  for (const [line, words] of [
    ["{", /broken\.jsonl: line 3: it is not JSON: /],
    ["[1]", /line 3: it is no object/],
    ['{"time":1,"topic":"a/#"}', /line 3: its topic is absent, or none to publish on/],
    ['{"topic":"a"}', /line 3: its time is absent or none; write milliseconds since 1970, or ISO 8601/],
  ] as const) {
    writeFileSync(path, `${good}\n\n${line}\n`);
    const { code, stderr } = await runCli(["simulate", "--url", broker.url, "--replay", path, "--speed", "max"]);
    t.match({ code, stderr }, { code: 64, stderr: words });
  }
  const absent = await runCli(["simulate", "--url", broker.url, "--replay", join(folder, "absent.ndjson")]);
  t.match(absent, { code: 64, stderr: /cannot read .*absent\.ndjson: ENOENT/ });
});

t.test("a broker that is away is tried again, and no password is shown", async (t) => {
  const folder = t.testdir({});
  const url = `mqtt://box:s3cret@127.0.0.1:${await freePort()}`;
  const away = startCli(["record", url, "#", "--out", join(folder, "a.jsonl"), "--seconds", "1"]);
  const { code, stdout, stderr } = await away.ended;
  t.match({ code, stdout }, { code: 0, stdout: /^0 messages, 0 bytes in / });
  t.match(stderr, /cannot connect to the broker; trying again/);
  t.notMatch(stdout + stderr, "s3cret");
  t.match(await runCli(["record", "mqtt://10.0.0.1", "#", "--out", join(folder, "b.jsonl")]), {
    code: 64,
    stderr: /cannot record from the broker: plain MQTT to another machine can be read/,
  });
});
