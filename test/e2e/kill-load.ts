// The load of a kill run: devices whose own fold is stepped in the order of publishing, what was published and not yet answered, and the
// predictions that came. A broker that is killed forgets what it had confirmed; devices that want nothing lost send it again, in order.
import { setTimeout as sleep } from "node:timers/promises";
import mqtt from "mqtt";
import type { MqttClient } from "mqtt";
import type { Random } from "../../src/base/random.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { payloadCodec } from "../../src/message/codecs.ts";
import { decodePrediction } from "../../src/message/prediction.ts";
import { commandTopic, predictionTopic } from "../../src/message/topics.ts";
import type { Model } from "../../src/model/model.ts";

const EXPIRES_MS = 3_600_000;
const ANSWER_MS_MAX = 60_000;

/** One device as the script knows it. */
class Twin {
  readonly name: string;
  readonly #engine: NativeEngine;
  readonly #slot: number;
  sequence = 0;
  /** Published, in order; what was answered goes at the next look. */
  items: Item[] = [];

  constructor(name: string, engine: NativeEngine) {
    this.name = name;
    this.#engine = engine;
    this.#slot = engine.allocate();
  }

  step(x: Float32Array): number {
    const y = new Float32Array(1);
    this.#engine.step({ slots: Int32Array.of(this.#slot), count: 1, steps: 1, x, y });
    this.sequence++;
    return y[0]!;
  }

  get state(): Float32Array {
    const h = new Float32Array(this.#engine.spec.states[0]!.shape.reduce((n, length) => n * length, 1));
    this.#engine.read(this.#slot, { h });
    return h;
  }

  set state(h: Float32Array) {
    this.#engine.write(this.#slot, { h });
  }
}

/** A message, and what answers it: predictions by device and sequence number, or a command's response. */
interface Item {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly answers: readonly string[];
}

export class Load {
  readonly #url: string;
  readonly #node: string;
  readonly #random: Random;
  readonly #model: Model;
  readonly twins: Twin[];
  #publisher: MqttClient | undefined;
  #subscriber: MqttClient | undefined;
  #unconfirmed = 0;
  #isPumping = true;
  #pump: Promise<void> = Promise.resolve();
  #probes = 0;
  messages = 0;
  readings = 0;
  commands = 0;
  /** By device and sequence number: what the uninterrupted run gives. */
  readonly expected = new Map<string, number>();
  /** What came. */
  readonly got = new Map<string, number>();
  readonly #payloads = new Map<string, string>();
  readonly #responses = new Set<string>();
  /** Unanswered when a broker was killed: it may have confirmed their predictions and forgotten them. */
  readonly atRisk = new Set<string>();
  repeated = 0;
  differing = 0;

  constructor(url: string, node: string, random: Random, model: Model, devices: number) {
    this.#url = url;
    this.#node = node;
    this.#random = random;
    this.#model = model;
    const engine = new NativeEngine(model);
    this.twins = Array.from({ length: devices }, (_, index) => new Twin(`press-${index}`, engine));
  }

  /** New connections, with nothing left of the old ones. */
  async connect(): Promise<void> {
    const clients = await Promise.all(
      [0, 1].map(async (i) => mqtt.connectAsync(this.#url, { protocolVersion: 5, clientId: `test-${i}`, clean: true })),
    );
    [this.#publisher, this.#subscriber] = [clients[0]!, clients[1]!];
    this.#unconfirmed = 0;
    // A broker that is killed ends the connection: what was on its way is sent again by us.
    for (const client of clients) client.on("error", () => {});
    this.#subscriber.on("message", (topic, payload) => {
      if (topic.includes("/response/")) this.#responses.add(topic.slice(topic.lastIndexOf("/") + 1));
      else this.#take(payload);
    });
    const filters = [predictionTopic(this.#node, "+").replace("%2B", "+"), `hiddenstate/${this.#node}/response/+`];
    await this.#subscriber.subscribeAsync(filters, { qos: 1 });
  }

  async disconnect(): Promise<void> {
    for (const client of [this.#publisher, this.#subscriber]) await client?.endAsync(true);
  }

  #take(payload: Uint8Array): void {
    const prediction = decodePrediction("protobuf", payload);
    const id = `${prediction.stream}/${prediction.firstSequence}`;
    const bytes = Buffer.from(payload).toString("base64");
    const known = this.#payloads.get(id);
    if (known !== undefined) {
      this.repeated++;
      if (known !== bytes) this.differing++;
    }
    this.#payloads.set(id, bytes);
    for (let i = 0; i < prediction.count; i++)
      this.got.set(`${prediction.stream}/${prediction.sequences[i]}`, prediction.outputs[i]!);
  }

  #publish({ topic, payload }: Pick<Item, "topic" | "payload">): void {
    const publisher = this.#publisher!;
    this.#unconfirmed++;
    publisher.publish(topic, Buffer.from(payload), { qos: 1 }, () => {
      if (this.#publisher === publisher) this.#unconfirmed--;
    });
  }

  /** Publishes, twelve messages every 20 ms, until `pause`. */
  start(): void {
    this.#isPumping = true;
    this.#pump = (async () => {
      while (this.#isPumping) {
        for (let i = 0; i < 12; i++) this.#next();
        await sleep(20);
      }
    })();
  }

  async pause(): Promise<void> {
    this.#isPumping = false;
    await this.#pump;
  }

  /** Until the broker has confirmed all of it. */
  async confirmed(): Promise<void> {
    while (this.#unconfirmed > 0) await sleep(10);
  }

  /** One message of a random device, or now and then a command to it. */
  #next(): void {
    const twin = this.twins[this.#random.uint32() % this.twins.length]!;
    const item = twin.sequence > 0 && this.#random.next() < 0.04 ? this.#command(twin) : this.#message(twin);
    twin.items.push(item);
    if (twin.items.length % 100 === 0) twin.items = twin.items.filter((one) => !this.#isAnswered(one));
    this.#publish(item);
  }

  #message(twin: Twin): Item {
    const count = 1 + (this.#random.uint32() % 4);
    const values = Float32Array.from({ length: count * 2 }, (_, i) =>
      i % 2 === 0 ? 101_325 + 5 * this.#random.normal() : this.#random.normal(),
    );
    const sequences = Float64Array.from({ length: count }, (_, i) => twin.sequence + i);
    const answers = Array.from(sequences, (sequence) => `${twin.name}/${sequence}`);
    for (const [i, id] of answers.entries()) this.expected.set(id, twin.step(values.slice(2 * i, 2 * i + 2)));
    const readings = {
      part: undefined,
      identity: { boot: 1, nonce: 77 },
      count,
      sequences,
      times: new Float64Array(count).fill(Number.NaN),
      values,
      missing: undefined,
    };
    this.messages++;
    this.readings += count;
    const names = this.#model.spec.features.map(({ name }) => name);
    return { topic: `plant/${twin.name}/readings`, payload: payloadCodec("protobuf").encode(readings, names), answers };
  }

  #command(twin: Twin): Item {
    const isReset = this.#random.next() < 0.5;
    const state = Float32Array.from(twin.state, (value) => (isReset ? 0 : Math.fround(value * 0.5)));
    twin.state = state;
    const transaction = `t${this.commands++}`;
    const command = { transaction, expires: Date.now() + EXPIRES_MS, stream: twin.name };
    const payload = JSON.stringify(isReset ? command : { ...command, state: { h: Array.from(state) } });
    const topic = commandTopic(this.#node, isReset ? "reset" : "set");
    return { topic, payload: Buffer.from(payload), answers: [transaction] };
  }

  #isAnswered({ answers }: Item): boolean {
    return answers.every((id) => this.got.has(id) || this.#responses.has(id));
  }

  /** What a broker killed now may take with it. */
  noteRisk(): void {
    for (const twin of this.twins) {
      for (const item of twin.items) if (!this.#isAnswered(item)) for (const id of item.answers) this.atRisk.add(id);
    }
  }

  /** Until the runtime answers over the broker: its subscriptions are granted then. */
  async reachesRuntime(): Promise<void> {
    const until = Date.now() + ANSWER_MS_MAX;
    for (;;) {
      const transaction = `probe-${this.#probes++}`;
      const probe = { transaction, expires: Date.now() + EXPIRES_MS, stream: this.twins[0]!.name };
      this.#publish({ topic: commandTopic(this.#node, "get"), payload: Buffer.from(JSON.stringify(probe)) });
      for (let look = 0; look < 10; look++) {
        if (this.#responses.has(transaction)) return;
        await sleep(20);
      }
      if (Date.now() > until) throw new Error("the runtime does not answer over the broker");
    }
  }

  /** Everything unanswered again, each device's in its order. */
  sendAgain(): void {
    for (const twin of this.twins) {
      twin.items = twin.items.filter((item) => !this.#isAnswered(item));
      for (const item of twin.items) this.#publish(item);
    }
  }

  /** Readings whose prediction has not come, but for those that a killed broker may have taken. */
  get missing(): string[] {
    return [...this.expected.keys()].filter((id) => !this.got.has(id));
  }
}
