// Holds docs/message-format.md to what the code does: every example in it is decoded, published or compared.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { connectAsync } from "mqtt";
import t from "tap";
import { limits } from "../../src/base/limits.ts";
import { simulateCommand } from "../../src/cli/simulate.ts";
import { encodeAlarm } from "../../src/message/alarm.ts";
import type { OpenedAlarm } from "../../src/message/alarm.ts";
import { payloadCodec } from "../../src/message/codecs.ts";
import { isAccepted, judgeSequence } from "../../src/message/identity.ts";
import { layoutHash, layoutText } from "../../src/message/layout.ts";
import { PayloadError, payloadReasons } from "../../src/message/payload-error.ts";
import { decodePrediction, encodePrediction } from "../../src/message/prediction.ts";
import type { Readings } from "../../src/message/reading.ts";
import { parseTopicPattern } from "../../src/message/topic-pattern.ts";
import {
  alarmTopic,
  budgetTopic,
  commandTopic,
  deadLetterTopic,
  latestTopic,
  predictionTopic,
  responseTopic,
  stateTopic,
  updateTopic,
} from "../../src/message/topics.ts";
import { mosquittoMissing, startMosquitto } from "../support/mosquitto.ts";
import { until } from "../support/until.ts";

const repository = new URL("../../../", import.meta.url);
const page = readFileSync(fileURLToPath(new URL("docs/message-format.md", repository)), "utf8");
const proto = readFileSync(fileURLToPath(new URL("src/message/hiddenstate.proto", repository)), "utf8");
const features = ["temperature", "vibration", "pressure", "current"];

/** The contents of the fenced blocks of a kind. */
function blocks(kind: string): string[] {
  return [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].filter(([, name]) => name === kind).map(([, , text]) => text!);
}

/** The cells of a table's rows, by the table's header line. */
function tableRows(header: string): string[][] {
  const start = page.indexOf(`${header}\n`);
  t.ok(start >= 0, `there is a table "${header}"`);
  const rows: string[][] = [];
  for (const line of page.slice(start).split("\n").slice(2)) {
    if (!line.startsWith("|")) break;
    rows.push(
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

/** The words that stand in backquotes. */
function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);
}

/** Topic and payload of every mosquitto_pub line. */
function publications(): { topic: string; payload: string }[] {
  return [...page.matchAll(/^mosquitto_pub -q 1 -t (\S+) -m '(.*)'$/gm)].map(([, topic, payload]) => ({
    topic: topic!,
    payload: payload!,
  }));
}

function decodeJson(text: string): readonly Readings[] {
  return payloadCodec("json").decode(Buffer.from(text), features, () => undefined);
}

t.test("the config of the first example names the features that the page's examples carry", async (t) => {
  t.match(blocks("yaml")[0], `features: [${features.join(", ")}]`);
});

t.test("every mosquitto_pub line publishes a reading on a topic of the config's pattern", async (t) => {
  const lines = publications();
  t.equal(lines.length, 3);
  const pattern = parseTopicPattern(/topic: (\S+)/.exec(blocks("yaml")[0]!)![1]!);
  const read = lines.map(({ topic, payload }) => ({ key: pattern.match(topic), ...decodeJson(payload)[0]! }));
  t.same(
    read.map(({ key }) => key),
    ["press-4", "press-4", "press-5"],
  );
  t.same([...read[0]!.values], [21.5, 0.25, 300, 4]);
  t.equal(read[1]!.times[0], Date.UTC(2025, 10, 24, 16, 0, 0, 100));
  t.same(read[1]!.missing, Uint8Array.of(0, 0, 1, 0));
  t.same([read[2]!.identity, read[2]!.sequences[0]], [{ boot: 3, nonce: 464_367_618 }, 120]);
});

t.test("run as they stand, the mosquitto_pub lines reach a broker", { skip: mosquittoMissing() }, async (t) => {
  const mosquitto = await startMosquitto();
  t.teardown(() => mosquitto.close());
  const client = await connectAsync(mosquitto.url, { protocolVersion: 4 });
  const arrived: string[] = [];
  client.on("message", (topic, payload) => arrived.push(`${topic} ${payload.toString()}`));
  await client.subscribeAsync("sensors/+/readings", { qos: 1 });
  for (const line of page.match(/^mosquitto_pub .*$/gm)!)
    execFileSync("sh", ["-c", line.replace("mosquitto_pub", `mosquitto_pub -p ${mosquitto.port}`)]);
  await until("all arrived", () => arrived.length === 3);
  t.same(
    arrived,
    publications().map(({ topic, payload }) => `${topic} ${payload}`),
  );
  await client.endAsync();
});

t.test("the JSON array and the bytes of the SensorBatch say the same readings", async (t) => {
  const [fromJson] = decodeJson(blocks("json")[0]!);
  const bytes = Buffer.from(blocks("hex")[0]!.replaceAll(/\s/g, ""), "hex");
  const [fromProtobuf] = payloadCodec("protobuf").decode(bytes, features, () => undefined);
  t.same(fromProtobuf, fromJson);
  t.same(
    {
      ...fromJson!,
      sequences: [...fromJson!.sequences],
      times: [...fromJson!.times],
      values: [...fromJson!.values],
      missing: [...fromJson!.missing!],
    },
    {
      part: undefined,
      identity: { boot: 3, nonce: 464_367_618 },
      count: 2,
      sequences: [120, 121],
      times: [1_764_000_000_000, 1_764_000_000_100],
      values: [21.5, 0.25, 300, 4, 21.5, -0.5, 0, 4.25],
      missing: [0, 0, 0, 0, 0, 0, 1, 0],
    },
  );
  t.same(Buffer.from(payloadCodec("protobuf").encode(fromJson!, features, layoutHash(features))), bytes);
  t.match(page, `${bytes.length} bytes for the two readings above`);
  const text = blocks("textproto")[0]!;
  t.match(text, `layout: ${layoutHash(features)}`);
  t.match(text, `values: [${[...fromJson!.values].join(", ")}]`);
  // The text format writes the byte of missing bits as the character of its code.
  t.match(text, `missing: "${String.fromCharCode(1 << fromJson!.missing!.indexOf(1))}"`);
});

t.test("the table of SensorBatch has every field of the .proto, with its number", async (t) => {
  const message = /message SensorBatch \{([\s\S]*?)\n\}/.exec(proto)![1]!;
  const declared = [...message.matchAll(/^ {2}(?:repeated )?\w+ (\w+) = (\d+);/gm)].map(([, name, number]) => [
    `\`${name}\``,
    number,
  ]);
  t.equal(declared.length, 10);
  t.same(
    tableRows("| field | number | what |").map((row) => row.slice(0, 2)),
    declared,
  );
});

t.test("the layout hash and its vectors are the code's", async (t) => {
  t.match(
    page,
    `\`temperature\`, \`vibration\`, \`pressure\`, \`current\` give ${layoutText(layoutHash(features))}; \`a\` alone gives ${layoutText(layoutHash(["a"]))}`,
  );
});

t.test("the table of topic patterns gives the keys that the code gives", async (t) => {
  const rows = tableRows("| pattern | topic | key |");
  t.equal(rows.length, 6);
  for (const row of rows) {
    const [pattern, topic, key] = row.map((cell) => quoted(cell)[0]!);
    t.equal(parseTopicPattern(pattern!).match(topic!), key, pattern!);
  }
});

t.test("the table of identities gives the verdicts that the code gives", async (t) => {
  const last = { boot: 5, nonce: 7, sequence: 10, seenMs: 0 };
  const soon = { ...last, seenMs: 1000 };
  const verdicts = [
    { ...soon, sequence: 11 },
    { ...soon, sequence: 15 },
    soon,
    { ...soon, boot: 6, sequence: 3 },
    { ...soon, nonce: 8, sequence: 11 },
    { ...soon, boot: 4, nonce: 8, seenMs: 10 * 60_000 },
    { ...soon, boot: 4, nonce: 8 },
  ].map((next) => judgeSequence(last, next).verdict);
  const rows = tableRows("| the next reading has | it is | and is |");
  t.same(
    rows.map((row) => quoted(row[1]!)[0]),
    verdicts,
  );
  t.same(
    rows.map((row) => row[2]!.startsWith("stepped")),
    verdicts.map(isAccepted),
  );
});

t.test("every reason of a payload's refusal is explained, and the example is refused with its reason and detail", async (t) => {
  const explained = new Set(
    page
      .slice(page.indexOf("## What is refused"))
      .split("\n")
      .flatMap((line) => (line.startsWith("| `") ? quoted(line.split("|")[1]!) : [])),
  );
  for (const reason of payloadReasons) t.ok(explained.has(reason), reason);
  const letter = JSON.parse(blocks("json dead-letter")[0]!) as {
    reason: string;
    detail: string;
    payload: string;
    payloadBytes: number;
  };
  const payload = Buffer.from(letter.payload, "base64");
  t.equal(payload.length, letter.payloadBytes);
  try {
    decodeJson(payload.toString());
    t.fail("the example is no reading");
  } catch (thrown) {
    if (!(thrown instanceof PayloadError)) throw thrown;
    t.same([thrown.reason, thrown.message], [letter.reason, letter.detail]);
  }
});

t.test("the bounds that the page names are those of the code", async (t) => {
  t.match(page, `1 to ${limits.readingsPerMessageMax} of them`);
  t.match(page, `more than ${limits.payloadBytesMax / 1024} KiB`);
  t.match(page, `1 to ${limits.streamKeyBytesMax} bytes`);
  t.match(page, `silent for ${limits.bootSilenceMs / 60_000} minutes`);
  t.match(page, `burst of ${limits.deadLettersBurstMax}`);
  t.match(page, `first ${limits.deadLetterPayloadBytesMax / 1024} KiB`);
  t.match(page, `beyond ${limits.featureMagnitudeMax.toExponential().replace("+", "")}`);
});

t.test("the prediction of the example is written as the code writes it", async (t) => {
  const text = blocks("json prediction")[0]!.trim();
  t.equal(Buffer.from(encodePrediction("json", decodePrediction("json", Buffer.from(text)))).toString(), text);
});

t.test("the alarm of the example is written as the code writes it", async (t) => {
  const text = blocks("json alarm")[0]!.trim();
  const { id, ...alarm } = JSON.parse(text) as OpenedAlarm & { readonly id: string };
  t.equal(Buffer.from(encodeAlarm(alarm)).toString(), text);
  t.equal(id, "press-4/3/121/alarm");
});

t.test("the topics are those of the code", async (t) => {
  const rows = tableRows("| topic | what |").map((row) => quoted(row[0]!)[0]!.replace("<node>", "box-1"));
  t.same(
    rows.map((row) =>
      row.replace("<stream>", "l1%2Fd7").replace("<name>", "x").replace("<transaction>", "t1").replace("<group>", "g"),
    ),
    [
      predictionTopic("box-1", "l1/d7"),
      latestTopic("box-1", "l1/d7"),
      alarmTopic("box-1", "l1/d7"),
      budgetTopic("box-1", "l1/d7"),
      deadLetterTopic("box-1"),
      stateTopic("box-1"),
      commandTopic("box-1", "x"),
      responseTopic("box-1", "t1"),
      updateTopic("box-1", "g"),
    ],
  );
  t.match(page, `\`l1/d7\` is \`${predictionTopic("box-1", "l1/d7")}\``);
});

t.test("the simulate lines are commands that the program takes", async (t) => {
  const lines = page.match(/^hiddenstate simulate .*$/gm)!;
  const taken: Record<string, unknown>[] = [];
  for (const line of lines) {
    const command = simulateCommand().exitOverride();
    command.action((parsed: Record<string, unknown>) => void taken.push(parsed));
    await command.parseAsync(line.split(" ").slice(2), { from: "user" });
  }
  t.match(taken, [
    { devices: 50, codec: "json" },
    { replay: "readings.csv", speed: 1000 },
    { replay: "recorded.jsonl", speed: 10 },
    { replay: "recorded.jsonl", speed: Infinity, skipRows: 120_000 },
  ]);
  t.equal(taken.length, 4);
});
