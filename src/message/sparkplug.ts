// Sparkplug B (specification 3.0): what edge nodes and their devices publish, as values by name. Births tell the names and types behind
// the aliases of later messages. They are remembered here and not in the journal: what a message gave is values by the time it is
// journalled, and after a restart the specification's own way, a rebirth request, brings the births again.
import { reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { roundedNumber } from "./exact-number.ts";
import { sparkplug } from "./generated/sparkplug.js";
import { checkPayloadSize, refuseShape } from "./payload-codec.ts";
import type { MessageOrigin, Request } from "./payload-codec.ts";
import { PayloadError } from "./payload-error.ts";
import type { Sample } from "./samples.ts";
import { metricValue } from "./sparkplug-values.ts";

/** What a birth says of a metric. */
interface Declared {
  readonly name: string;
  readonly datatype: number;
  readonly unit: string | undefined;
}

interface EdgeNode {
  /** A birth has come and no death since. */
  isBorn: boolean;
  /** Of the session that the birth began: the death of an older one comes late and says nothing. */
  bdSeq: number | undefined;
  /** Of the last message. */
  seq: number;
  readonly byAlias: Map<number, Declared>;
  /** By device and name, for metrics that come without alias and type. */
  readonly byName: Map<string, Declared>;
  /** When a rebirth was asked for last, by this box's wall clock. */
  askedAt: number;
}

interface Address {
  /** The topic's levels before the type. */
  readonly group: string;
  readonly type: string;
  readonly node: string;
  readonly device: string | undefined;
}

const REBIRTH = "Node Control/Rebirth";
const BOOLEAN = 11;

/** The protocol's own metrics. */
function isControl(name: string): boolean {
  return name === "bdSeq" || name.startsWith("Node Control/") || name.startsWith("Device Control/");
}

/** `spBv1.0/<group>/<type>/<node>[/<device>]`; a bridge between brokers may have put levels in front. */
const TOPIC = /^(.+)\/([ND](?:BIRTH|DATA|DEATH|CMD))\/([^/]+)(?:\/([^/]+))?$/;

function addressOf(topic: string): Address | undefined {
  const match = TOPIC.exec(topic);
  return match === null ? undefined : { group: match[1]!, type: match[2]!, node: match[3]!, device: match[4] };
}

/** The unit, where the node says it as hosts that show values to people have them say it. */
function unitOf({ properties }: sparkplug.Metric): string | undefined {
  const index = properties?.keys?.indexOf("engUnit") ?? -1;
  return properties?.values?.[index]?.stringValue ?? undefined;
}

/** A decoded payload: its metrics are instances, not the plain objects that an encoder takes, too. */
type Message = Omit<sparkplug.Payload, "metrics"> & { readonly metrics: readonly sparkplug.Metric[] };

function parse(payload: Uint8Array): Message {
  checkPayloadSize(payload);
  try {
    return sparkplug.Payload.decode(payload) as Message;
  } catch (thrown) {
    throw new PayloadError("undecodable", `cannot decode payload: it is no Sparkplug B payload: ${reasonOf(thrown)}`, thrown);
  }
}

export class SparkplugNodes {
  readonly #nodes = new Map<string, EdgeNode>();
  #requests: Request[] = [];

  /** Rebirth requests since the last call. */
  takeRequests(): readonly Request[] {
    const requests = this.#requests;
    if (requests.length > 0) this.#requests = [];
    return requests;
  }

  /** The values of one message. Throws PayloadError: `layout` where no birth has told what its aliases stand for. */
  read(payload: Uint8Array, { topic }: Pick<MessageOrigin, "topic">, receivedAt: number): readonly Sample[] {
    const address = addressOf(topic);
    if (address === undefined || address.type.endsWith("CMD")) return [];
    const message = parse(payload);
    const node = this.#nodeOf(address);
    const { type } = address;
    if (type === "NDEATH") this.#die(node, message);
    if (type === "NBIRTH") this.#bear(node, message);
    const inOrder = type === "NDEATH" || type === "NBIRTH" || this.#follows(node, message);
    if (type === "NBIRTH" || type === "DBIRTH") this.#declare(node, address, message);
    if (type.endsWith("DEATH")) return [];
    const samples = this.#samples(node, address, message, receivedAt);
    const isComplete = samples.length === message.metrics.length;
    if (!inOrder || !isComplete) this.#askForRebirth(address, node, receivedAt);
    if (samples.length > 0 || isComplete) return samples.filter(({ name }) => !isControl(name));
    throw new PayloadError(
      "layout",
      "cannot decode payload: no birth has told what its aliases stand for; a rebirth is asked for",
    );
  }

  #nodeOf({ group, node }: Address): EdgeNode {
    const key = `${group}/${node}`;
    let known = this.#nodes.get(key);
    if (known === undefined) {
      known = { isBorn: false, bdSeq: undefined, seq: -1, byAlias: new Map(), byName: new Map(), askedAt: -Infinity };
      this.#nodes.set(key, known);
      if (this.#nodes.size > limits.sparkplugNodesMax) this.#nodes.delete(this.#nodes.keys().next().value!);
    }
    return known;
  }

  #bear(node: EdgeNode, message: Message): void {
    node.isBorn = true;
    node.bdSeq = bdSeqOf(message);
    node.seq = roundedNumber(message.seq);
    node.byAlias.clear();
    node.byName.clear();
  }

  #die(node: EdgeNode, message: Message): void {
    const bdSeq = bdSeqOf(message);
    if (bdSeq === undefined || node.bdSeq === undefined || bdSeq === node.bdSeq) node.isBorn = false;
  }

  /** Whether nothing is missing between the node's last message and this one. */
  #follows(node: EdgeNode, message: Message): boolean {
    const seq = roundedNumber(message.seq);
    const isNext = node.isBorn && seq === (node.seq + 1) % 256;
    node.seq = seq;
    return isNext;
  }

  #declare(node: EdgeNode, { device = "" }: Address, message: Message): void {
    for (const metric of message.metrics) {
      const { name, datatype } = metric;
      if (name === "") continue;
      const declared = { name, datatype, unit: unitOf(metric) };
      const alias = Object.hasOwn(metric, "alias") ? roundedNumber(metric.alias) : undefined;
      if (alias !== undefined) node.byAlias.set(alias, declared);
      node.byName.set(`${device}\n${name}`, declared);
    }
    if (node.byName.size > limits.sparkplugMetricsMax) {
      node.byAlias.clear();
      node.byName.clear();
      refuseShape(`its node has more than ${limits.sparkplugMetricsMax} metrics`);
    }
  }

  /** Those whose name is known. */
  #samples(node: EdgeNode, { device = "" }: Address, message: Message, receivedAt: number): Sample[] {
    const sentAt = (Object.hasOwn(message, "timestamp") ? roundedNumber(message.timestamp) : undefined) ?? receivedAt;
    return message.metrics.flatMap((metric): Sample[] => {
      const alias = Object.hasOwn(metric, "alias") ? roundedNumber(metric.alias) : undefined;
      const declared = metric.name === "" ? node.byAlias.get(alias ?? -1) : node.byName.get(`${device}\n${metric.name}`);
      const name = declared?.name ?? metric.name;
      if (name === "") return [];
      const time = (Object.hasOwn(metric, "timestamp") ? roundedNumber(metric.timestamp) : undefined) ?? sentAt;
      const value = metricValue(metric, declared?.datatype ?? metric.datatype);
      return [{ name, value, time, unit: declared?.unit }];
    });
  }

  #askForRebirth({ group, node: name }: Address, node: EdgeNode, receivedAt: number): void {
    if (Math.abs(receivedAt - node.askedAt) < limits.sparkplugRebirthMs) return;
    node.askedAt = receivedAt;
    const metrics = [{ name: REBIRTH, datatype: BOOLEAN, booleanValue: true }];
    const payload = sparkplug.Payload.encode({ timestamp: receivedAt, metrics }).finish();
    this.#requests.push({ topic: `${group}/NCMD/${name}`, payload });
  }
}

function bdSeqOf(message: Message): number | undefined {
  const metric = message.metrics.find(({ name }) => name === "bdSeq");
  const value = metric === undefined ? undefined : metricValue(metric, metric.datatype);
  return typeof value === "number" ? value : undefined;
}
