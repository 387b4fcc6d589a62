// The public API as a program uses it: streams stepped by hand, configs out of objects, and a runtime that is fed without a broker.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { createRuntime, decodeAlarm, decodePrediction, defineConfig, DirectLink, EngineStream } from "../src/index.ts";
import { HiddenstateError, openEngine, silentLog } from "../src/index.ts";
import type { Alarm, ConfigObject, LinkMessage, Prediction, Runtime } from "../src/index.ts";
import { model, offline, turns } from "./support/one-group.ts";
import { until } from "./support/until.ts";

const folder = mkdtempSync(join(tmpdir(), "hiddenstate-library-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, "m.onnx"), model.bytes);

const object: ConfigObject = {
  node: "n",
  state: "state",
  log: "silent",
  bridge: false,
  groups: [{ name: "g", topic: "in/#", codec: "json", model: "m.onnx", score: {} }],
};

const row = (step: number): [number, number] => [101_320 + step, Math.sin(step)];
const payload = (step: number): string => JSON.stringify({ feature0: row(step)[0], feature1: row(step)[1] });

t.test("a stream stepped by hand gives what the engine gives, and takes its state out, back and to its beginning", async (t) => {
  const engine = await openEngine(model);
  t.equal(engine.name, "native");
  const stream = new EngineStream(engine);
  const other = new EngineStream(engine);
  const rows = Array.from({ length: 6 }, (_, step) => row(step));
  const expected = offline(rows);
  const given: number[] = [];
  for (const one of rows.slice(0, 3)) given.push((await stream.step(one))[0]!);
  const kept = JSON.parse(
    JSON.stringify(Object.fromEntries(Object.entries(stream.getState()).map(([name, values]) => [name, [...values]]))),
  ) as Record<string, number[]>;
  other.setState(kept);
  for (const one of rows.slice(3)) given.push((await other.step(one))[0]!);
  t.strictSame(given, expected);
  stream.resetState();
  t.equal((await stream.step(rows[0]!))[0], expected[0]);

  await t.rejects(stream.step([1]), {
    code: "bad_argument",
    message: "cannot step a reading: it has 1 values, and the model reads 2: feature0, feature1",
  });
  await t.rejects(stream.step([1, Number.NaN]), { message: "cannot step a reading: feature1 is NaN" });
  await t.rejects(stream.step([1, 1e300]), { message: "cannot step a reading: feature1 is 1e+300" });
  t.throws(() => stream.setState({ h: [1] }), {
    code: "bad_state",
    message: /^cannot set the state: "h" takes 8 numbers, not 1$/,
  });
  stream.close();
  stream.close();
  await t.rejects(stream.step(rows[0]!), { code: "unavailable", message: "cannot step a stream: it is closed" });
  t.equal((await other.step(rows[5]!)).length, 1, "the others go on");
  await engine.close();
});

t.test("a config out of an object has every default, and tells every fault by its path", async (t) => {
  const config = defineConfig(object, folder);
  t.match(config, { state: join(folder, "state"), durability: { mode: "strict" }, groups: [{ model: join(folder, "m.onnx") }] });
  const bad = { ...object, node: "a b", grops: [], groups: [{ ...object.groups[0]!, gap: { decay: "soon" } }] };
  t.throws(() => defineConfig(bad), {
    code: "bad_config",
    message:
      /^cannot use the config: node: expected 1 to 64 .*\ngroups\[0\]\.gap.*expected a number with a unit.*\nunknown key "grops"; allowed here: node, /,
  });
  await t.rejects(createRuntime(config), {
    code: "bad_config",
    message: "cannot connect: the config names no broker; add mqtt: { url }, or start the runtime with the ports of a DirectLink",
  });
});

interface Embedded {
  readonly runtime: Runtime;
  readonly link: DirectLink;
  readonly sent: LinkMessage[];
  readonly heard: Prediction[];
  readonly alarms: Alarm[];
}

async function embed(receive: (message: LinkMessage) => void | Promise<void> = () => {}): Promise<Embedded> {
  const sent: LinkMessage[] = [];
  const link = new DirectLink((message) => {
    sent.push(message);
    return receive(message);
  });
  const runtime = await createRuntime(defineConfig(object, folder), { ports: link.ports, log: silentLog });
  const heard: Prediction[] = [];
  const alarms: Alarm[] = [];
  runtime.onPrediction((prediction) => heard.push(prediction));
  runtime.onAlarm((alarm) => alarms.push(alarm));
  return { runtime, link, sent, heard, alarms };
}

const predictionsOf = (sent: readonly LinkMessage[]): Prediction[] =>
  sent
    .filter(({ topic }) => topic.startsWith("hiddenstate/n/prediction/"))
    .map((message) => decodePrediction("json", message.payload));

t.test("without a broker: readings in, predictions and alarms out, and the state over a restart", async (t) => {
  const expected = offline(Array.from({ length: 1600 }, (_, step) => row(step)));
  const first = await embed();
  const { runtime, link, sent, heard } = first;
  // More than the window of a thousand, at once: they wait their turn.
  await Promise.all(Array.from({ length: 1500 }, (_, step) => link.publish("in/hall/press-7", payload(step))));
  t.equal((await runtime.getState("hall/press-7")).facts.steps, 1500, "what is settled is stepped");
  await until("all predictions are handed on", () => predictionsOf(sent).length === 1500);
  t.strictSame(
    predictionsOf(sent).map(({ outputs }) => outputs[0]),
    expected.slice(0, 1500),
  );
  t.strictSame(
    heard.map(({ outputs }) => outputs[0]),
    expected.slice(0, 1500),
  );
  t.match(heard[0], { stream: "hall/press-7", firstSequence: 0, count: 1, outputNames: ["output0", "score", "alarm"] });
  t.strictSame([...heard[7]!.sequences], [7]);

  await t.rejects(link.publish("out/press-7", "{}"), { code: "bad_argument", message: /: it is no topic of any group/ });
  await t.rejects(link.publish("in/+", "{}"), { code: "bad_argument" });
  await link.publish("in/press-8", "no JSON");
  await link.publish("in/press-8", new Uint8Array(300_000));
  await until("both are told of", () => sent.filter(({ topic }) => topic === "hiddenstate/n/dead-letter").length === 2);
  t.match(runtime.status().metrics, { readings_accepted: 1500 });

  // A value that was never seen, until it is an alarm.
  for (let step = 0; step < 30 && first.alarms.length === 0; step++)
    await link.publish("in/hall/press-7", JSON.stringify({ feature0: 9e6, feature1: 40 }));
  t.match(first.alarms[0], { stream: "hall/press-7", open: true });
  const alarm = sent.find(({ topic }) => topic.startsWith("hiddenstate/n/alarm/"));
  t.match(alarm, { retain: true });
  t.strictSame(decodeAlarm(alarm!.payload), first.alarms[0]);

  await runtime.resetState("hall/press-7");
  await link.publish("in/hall/press-7", payload(0));
  t.equal(heard.at(-1)!.outputs[0], expected[0]);
  await link.publish("in/hall/press-7", payload(1));
  await runtime.stop();
  await t.rejects(link.publish("in/press-8", payload(0)), {
    code: "unavailable",
    message: /^cannot publish on in\/press-8: the runtime has stopped/,
  });

  const again = await embed();
  t.equal(again.runtime.status().metrics["session_lost"] ?? 0, 0);
  await again.link.publish("in/hall/press-7", payload(2));
  t.equal(again.heard.at(-1)!.outputs[0], expected[2]);
  await again.runtime.stop();
});

t.test("what the receiver has not taken comes again after the next start; what it refuses does not", async (t) => {
  const slow = await embed(() => new Promise(() => {}));
  await slow.link.publish("in/late", payload(0));
  await until("it is handed out", () => predictionsOf(slow.sent).length === 1);
  await slow.runtime.stop();
  const before = slow.sent.find(({ topic }) => topic.startsWith("hiddenstate/n/prediction/"))!;

  const again = await embed(() => {
    throw new Error("no room");
  });
  await until("it comes again", () => predictionsOf(again.sent).length === 1);
  t.strictSame(again.sent.find(({ topic }) => topic === before.topic)!.payload, before.payload, "with the same bytes");
  await until("it is done with", () => again.runtime.status().outbox.messages === 0);
  t.equal(again.runtime.status().metrics['publish_refused{reason="unspecified"}'], 1);
  await again.runtime.stop();
  const third = await embed();
  await third.link.publish("in/late", payload(1));
  await until("the next is handed on", () => predictionsOf(third.sent).length > 0);
  const sequences = predictionsOf(third.sent).map(({ firstSequence }) => firstSequence);
  t.strictSame(sequences, [1], "what was refused is not repeated");
  await third.runtime.stop();
});

t.test("a link that is dropped gives again what was not settled, in order, and its wait is bounded", async (t) => {
  const given: number[] = [];
  const link = new DirectLink(({ payload }) => {
    given.push(payload[0]!);
    return new Promise(() => {});
  });
  const { intake, sink } = link.ports;
  const packets: string[] = [];
  const told: string[] = [];
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
  intake.open({
    up: ({ present }) => told.push(`up ${present}`),
    down: (reason) => told.push(reason),
    refused() {},
    packet: ({ payload, packetId, dup }) => packets.push(`${packetId} ${text(payload)}${dup ? " again" : ""}`),
  });
  const settled: string[] = [];
  const publish = (words: string): void => void link.publish("in/x", words).then(() => settled.push(words));
  publish("a");
  publish("b");
  await turns(3);
  t.strictSame(packets, [], "nothing comes before the subscription");
  await intake.subscribe([{ filter: "in/#", qos: 1, retained: false }]);
  await turns(3);
  intake.hold(true);
  publish("c");
  await turns(3);
  t.strictSame(packets, ["1 a", "2 b"], "nor while it is held");
  intake.acknowledge(1);
  intake.drop("as a network breaks");
  intake.acknowledge(2);
  await turns(3);
  intake.hold(false);
  await turns(3);
  t.strictSame(told, ["up true", "as a network breaks", "up true"]);
  t.strictSame(packets.splice(0), ["1 a", "2 b", "2 b again", "3 c"]);
  intake.acknowledge(2);
  intake.acknowledge(3);
  await turns(3);
  t.strictSame(settled, ["a", "b", "c"]);
  intake.hold(true);
  const waiting = Array.from({ length: 10_001 }, () => link.publish("in/x", "d"));
  await t.rejects(waiting.at(-1)!, { code: "unavailable", message: /10000 messages wait for the runtime already/ });
  await intake.close();
  t.equal((await Promise.allSettled(waiting)).filter(({ status }) => status === "rejected").length, 10_001);

  const answers: string[] = [];
  sink.open({ up: () => told.push("sink up"), down: () => told.push("sink down"), refused() {}, packet() {} });
  await turns(3);
  const message = { topic: "t", payload: Uint8Array.of(7), qos: 1, retain: false } as const;
  sink.publish(message, (error) => answers.push(error?.message ?? "taken"));
  await turns(3);
  sink.drop("it takes too long");
  await turns(3);
  sink.publish(message, () => {});
  await sink.close();
  await turns(3);
  t.strictSame(answers, ["cannot publish: it takes too long"]);
  t.strictSame(told.slice(4), ["sink up", "sink down", "sink up", "sink down"]);
  t.strictSame(given, [7, 7]);
});

t.test("a listener that throws, and one that has gone, disturb nobody", async (t) => {
  const { runtime, link, heard } = await embed();
  runtime.onPrediction(() => {
    throw new HiddenstateError("unavailable", "cannot draw: there is no screen");
  });
  let count = 0;
  const leave = runtime.onPrediction(() => count++);
  await link.publish("in/x", payload(0));
  await until("it is told", () => heard.length === 1);
  leave();
  await link.publish("in/x", payload(1));
  await until("the next is told", () => heard.length === 2);
  t.equal(count, 1);
  await runtime.stop();
});
