import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { sparkplug } from "../../src/message/generated/sparkplug.js";
import { PayloadError } from "../../src/message/payload-error.ts";
import { SparkplugNodes } from "../../src/message/sparkplug.ts";
import { metricValue } from "../../src/message/sparkplug-values.ts";
import { repository } from "../support/cli.ts";

interface Example {
  readonly id: string;
  readonly topic: string;
  readonly payload_b64: string;
  readonly expect: readonly { path: string; value: number | string | null; ts: number }[];
}

const examples = JSON.parse(readFileSync(join(repository, "test/fixtures/mqtt/sparkplug_b.json"), "utf8")) as Example[];
const [birth, data, , , death] = examples as [Example, Example, Example, Example, Example];
const AT = 1_741_067_000_000;

type Metric = sparkplug.Metric.$Properties;

function bytes({ payload_b64 }: Example): Uint8Array {
  return Buffer.from(payload_b64, "base64");
}

function payload(seq: number | undefined, metrics: Metric[]): Uint8Array {
  return sparkplug.Payload.encode({ timestamp: AT, metrics, ...(seq === undefined ? {} : { seq }) }).finish();
}

const topic = (type: string, rest = "e"): { topic: string } => ({ topic: `spBv1.0/g/${type}/${rest}` });

t.test("every message gives exactly the values it holds, and a lost one makes it ask for a rebirth", async (t) => {
  const nodes = new SparkplugNodes();
  for (const example of examples.slice(0, 5)) {
    const samples = nodes.read(bytes(example), example, AT);
    t.strictSame(
      samples.map(({ name, value, time }) => ({ path: name, value, unit: null, ts: time })),
      example.expect,
      example.id,
    );
    const requests = nodes.takeRequests();
    t.equal(requests.length, example.id === "sp4" ? 1 : 0, `${example.id}: requests`);
    for (const { topic, payload } of requests) {
      t.equal(topic, "spBv1.0/millA/NCMD/edge-3");
      const { metrics } = sparkplug.Payload.decode(payload);
      t.match(metrics, [{ name: "Node Control/Rebirth", datatype: 11, booleanValue: true }]);
    }
  }
  t.strictSame(nodes.read(new Uint8Array(0), { topic: "spBv1.0/STATE/scada-1" }, AT), [], "a host's state is nobody's values");
});

t.test(
  "aliases without a birth are refused, a rebirth is asked for once in ten seconds, and the birth explains them",
  async (t) => {
    const nodes = new SparkplugNodes();
    const refused = (at: number): void => {
      t.throws(() => nodes.read(bytes(data), data, at), {
        reason: "layout",
        message: "cannot decode payload: no birth has told what its aliases stand for; a rebirth is asked for",
      });
    };
    refused(AT);
    t.equal(nodes.takeRequests().length, 1);
    refused(AT + 9000);
    t.equal(nodes.takeRequests().length, 0);
    refused(AT + 10_000);
    t.equal(nodes.takeRequests().length, 1);
    nodes.read(bytes(birth), birth, AT);
    t.equal(nodes.read(bytes(data), data, AT).length, 2);
    t.equal(nodes.takeRequests().length, 0);
  },
);

t.test("a device's metrics are its own, their aliases are the node's, and seq runs over all of a node's messages", async (t) => {
  const nodes = new SparkplugNodes();
  const engUnit = { keys: ["engUnit"], values: [{ stringValue: "°C" }] };
  nodes.read(payload(0, [{ name: "bdSeq", datatype: 8, longValue: 1 }]), topic("NBIRTH"), AT);
  nodes.read(payload(1, [{ name: "T", alias: 7, datatype: 9, floatValue: 20, properties: engUnit }]), topic("DBIRTH", "e/d"), AT);
  nodes.read(payload(2, [{ name: "T", datatype: 3, intValue: 1 }]), topic("DBIRTH", "e/other"), AT);
  t.strictSame(nodes.read(payload(3, [{ alias: 7, floatValue: 21.5 }]), topic("DDATA", "e/d"), AT), [
    { name: "T", value: 21.5, time: AT, unit: "°C" },
  ]);
  const minusTwo = nodes.read(payload(4, [{ name: "T", intValue: 2 ** 32 - 2 }]), topic("DDATA", "e/other"), AT);
  t.strictSame(minusTwo, [{ name: "T", value: -2, time: AT, unit: undefined }], "the type is known by the name");
  t.strictSame(nodes.read(payload(5, []), topic("DDEATH", "e/d"), AT), []);
  t.equal(nodes.takeRequests().length, 0);
  for (let seq = 6; seq < 256; seq++) nodes.read(payload(seq, []), topic("NDATA"), AT);
  nodes.read(payload(0, []), topic("NDATA"), AT);
  t.equal(nodes.takeRequests().length, 0, "255 is followed by 0");
  nodes.read(payload(2, []), topic("NDATA"), AT);
  t.equal(nodes.takeRequests().length, 1);
});

t.test("after a death nothing follows but a birth; the death of an older session says nothing", async (t) => {
  const nodes = new SparkplugNodes();
  const bdSeq = (value: number): Metric => ({ name: "bdSeq", datatype: 8, longValue: value });
  nodes.read(payload(0, [bdSeq(7)]), topic("NBIRTH"), AT);
  nodes.read(payload(undefined, [bdSeq(6)]), topic("NDEATH"), AT);
  nodes.read(payload(1, []), topic("NDATA"), AT);
  t.equal(nodes.takeRequests().length, 0);
  nodes.read(payload(undefined, [bdSeq(7)]), topic("NDEATH"), AT);
  nodes.read(payload(2, []), topic("NDATA"), AT);
  t.equal(nodes.takeRequests().length, 1);
  t.strictSame(nodes.read(bytes(death), death, AT), []);
});

t.test("values are read by their types", async (t) => {
  const of = (metric: Metric, datatype: number): unknown =>
    metricValue(sparkplug.Metric.decode(sparkplug.Metric.encode(metric).finish()), datatype);
  t.equal(of({ intValue: 0xf2 }, 1), -14, "a byte in its own width");
  t.equal(of({ intValue: 2 ** 32 - 14 }, 1), -14, "and in 32 bits");
  t.equal(of({ intValue: 0xfff2 }, 2), -14);
  t.equal(of({ intValue: 0xf2 }, 5), 242);
  t.equal(of({ longValue: -5 }, 4), -5);
  t.equal(of({ longValue: 2 ** 40 }, 8), 2 ** 40);
  t.equal(of({ longValue: 2 ** 40 }, 13), 2 ** 40);
  t.equal(of({ booleanValue: false }, 11), false);
  t.equal(of({ stringValue: "RUN" }, 12), "RUN");
  t.equal(of({ intValue: 3, isNull: true }, 3), null);
  t.equal(of({}, 3), null, "a data set, a template or bytes are no number");
});

t.test("what is no payload is undecodable", async (t) => {
  const nodes = new SparkplugNodes();
  t.throws(() => nodes.read(Uint8Array.of(0xff), topic("NDATA"), AT), PayloadError);
  t.throws(() => nodes.read(Uint8Array.of(0x12, 0x7f), topic("NBIRTH"), AT), {
    message: /^cannot decode payload: it is no Sparkplug B payload: /,
  });
});
