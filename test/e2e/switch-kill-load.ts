// The load of a run that kills a runtime in the middle of switches: numbered readings, the predictions that came of them, each with the
// version that it names, and a fold of our own that follows those versions.
import { setTimeout as sleep } from "node:timers/promises";
import mqtt from "mqtt";
import type { MqttClient } from "mqtt";
import type { Random } from "../../src/base/random.ts";
import { createStateTensors } from "../../src/engine/engine.ts";
import type { StateTensors } from "../../src/engine/engine.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { payloadCodec } from "../../src/message/codecs.ts";
import { decodePrediction } from "../../src/message/prediction.ts";
import { predictionTopic } from "../../src/message/topics.ts";
import type { Model } from "../../src/model/model.ts";
import { shortVersion } from "../../src/model/model.ts";

/** Readings that a state is rebuilt from. */
const RECENT = 64;

interface Predicted {
  readonly version: string;
  readonly y: number;
}

interface Device {
  readonly name: string;
  readonly rows: Float32Array[];
  /** By sequence number. */
  readonly predicted: Map<number, Predicted>;
}

/** One stream stepped alone, on whichever model. */
class Alone {
  #engine: NativeEngine;
  #slot: number;
  readonly #recent: Float32Array[] = [];

  constructor(model: Model) {
    this.#engine = new NativeEngine(model);
    this.#slot = this.#engine.allocate();
  }

  step(x: Float32Array): number {
    this.#recent.push(x);
    if (this.#recent.length > RECENT) this.#recent.shift();
    return this.#step(x);
  }

  #step(x: Float32Array): number {
    const y = new Float32Array(1);
    this.#engine.step({ slots: Int32Array.of(this.#slot), count: 1, steps: 1, x, y });
    return y[0]!;
  }

  switchTo(model: Model): void {
    this.#engine = new NativeEngine(model);
    this.#slot = this.#engine.allocate();
    for (const x of this.#recent) this.#step(x);
  }

  get state(): StateTensors {
    const state = createStateTensors(this.#engine.spec.states);
    this.#engine.read(this.#slot, state);
    return state;
  }
}

export interface Judgement {
  readonly readings: number;
  readonly missingOutputs: number;
  readonly repeatedOutputs: number;
  /** Repetitions with other bytes, another version among them. */
  readonly differingRepeats: number;
  readonly wrongOutputs: number;
  /** Streams that did not come by the versions in force, one after the other. */
  readonly wrongVersions: number;
  readonly wrongStates: number;
}

export class SwitchLoad {
  readonly #random: Random;
  readonly #client: MqttClient;
  /** By what predictions call them. */
  readonly #models = new Map<string, Model>();
  readonly devices: readonly Device[];
  readonly #payloads = new Map<string, string>();
  #isPumping = true;
  #pump: Promise<void> = Promise.resolve();
  #repeated = 0;
  #differing = 0;

  private constructor(client: MqttClient, random: Random, devices: number) {
    this.#client = client;
    this.#random = random;
    this.devices = Array.from({ length: devices }, (_, i) => ({ name: `press-${i}`, rows: [], predicted: new Map() }));
  }

  static async connect(url: string, node: string, random: Random, devices: number): Promise<SwitchLoad> {
    const load = new SwitchLoad(await mqtt.connectAsync(url, { protocolVersion: 5 }), random, devices);
    load.#client.on("message", (_topic, payload) => load.#take(payload));
    await load.#client.subscribeAsync(predictionTopic(node, "+").replace("%2B", "+"), { qos: 1 });
    return load;
  }

  async disconnect(): Promise<void> {
    await this.#client.endAsync(true);
  }

  know(model: Model): void {
    this.#models.set(shortVersion(model.version), model);
  }

  #take(payload: Uint8Array): void {
    const { stream, firstSequence, count, sequences, outputs, version } = decodePrediction("protobuf", payload);
    const id = `${stream}/${firstSequence}`;
    const bytes = Buffer.from(payload).toString("base64");
    const known = this.#payloads.get(id);
    if (known !== undefined) this.#repeated++;
    if (known !== undefined && known !== bytes) this.#differing++;
    this.#payloads.set(id, bytes);
    const device = this.devices.find(({ name }) => name === stream)!;
    for (let i = 0; i < count; i++) device.predicted.set(sequences[i]!, { version, y: outputs[i]! });
  }

  /** Publishes, six messages every 20 ms, until `pause`. */
  start(): void {
    this.#isPumping = true;
    this.#pump = (async () => {
      while (this.#isPumping) {
        for (let i = 0; i < 6; i++) this.#publish();
        await sleep(20);
      }
    })();
  }

  async pause(): Promise<void> {
    this.#isPumping = false;
    await this.#pump;
  }

  #publish(): void {
    const device = this.devices[this.#random.uint32() % this.devices.length]!;
    const count = 1 + (this.#random.uint32() % 3);
    const first = device.rows.length;
    const values = Float32Array.from({ length: count * 2 }, (_, i) =>
      i % 2 === 0 ? 101_325 + 5 * this.#random.normal() : this.#random.normal(),
    );
    for (let i = 0; i < count; i++) device.rows.push(values.slice(2 * i, 2 * i + 2));
    const readings = {
      part: undefined,
      identity: { boot: 1, nonce: 77 },
      count,
      sequences: Float64Array.from({ length: count }, (_, i) => first + i),
      times: new Float64Array(count).fill(Number.NaN),
      values,
      missing: undefined,
    };
    const payload = payloadCodec("protobuf").encode(readings, ["feature0", "feature1"]);
    this.#client.publish(`plant/${device.name}/readings`, Buffer.from(payload), { qos: 1 });
  }

  /** Whether every stream has been stepped by a version last. */
  isOn(version: string): boolean {
    return this.devices.every(({ predicted }) => predicted.get(predicted.size - 1)?.version === shortVersion(version));
  }

  get isAnswered(): boolean {
    return this.devices.every(({ rows, predicted }) => predicted.size === rows.length);
  }

  /** Holds everything against the fold. `chain`: the versions that were in force, in their order. */
  judge(chain: readonly string[], states: ReadonlyMap<string, StateTensors>): Judgement {
    let [readings, missingOutputs, wrongOutputs, wrongVersions, wrongStates] = [0, 0, 0, 0, 0];
    const expected = chain.map((version) => shortVersion(version)).filter((version, i, all) => version !== all[i - 1]);
    for (const { name, rows, predicted } of this.devices) {
      readings += rows.length;
      missingOutputs += rows.length - predicted.size;
      const alone = new Alone(this.#models.get(expected[0]!)!);
      const seen = [expected[0]!];
      for (const [sequence, x] of rows.entries()) {
        const { version = seen.at(-1)!, y } = predicted.get(sequence) ?? {};
        if (version !== seen.at(-1)) {
          seen.push(version);
          alone.switchTo(this.#models.get(version)!);
        }
        if (!Object.is(alone.step(x), y)) wrongOutputs++;
      }
      if (seen.join() !== expected.join()) wrongVersions++;
      const found = states.get(name);
      const same = Object.entries(alone.state).every(([key, values]) =>
        values.every((one, i) => Object.is(one, found?.[key]?.[i])),
      );
      if (!same) wrongStates++;
    }
    const repeats = { repeatedOutputs: this.#repeated, differingRepeats: this.#differing };
    return { readings, missingOutputs, ...repeats, wrongOutputs, wrongVersions, wrongStates };
  }
}
