// Kills a runtime under load, again and again, while states are reset and set, and holds what is left against a fold of our own: every
// state and every prediction must be what an uninterrupted run would have given, bit for bit.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import mqtt from "mqtt";
import type { MqttClient } from "mqtt";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { NativeEngine } from "../../src/engine/native-engine.ts";
import { payloadCodec } from "../../src/message/codecs.ts";
import { decodePrediction } from "../../src/message/prediction.ts";
import { commandTopic, predictionTopic } from "../../src/message/topics.ts";
import type { Model } from "../../src/model/model.ts";
import { ControlClient } from "../../src/runtime/control-socket.ts";
import type { Status } from "../../src/runtime/status.ts";
import { asUser } from "../support/cli.ts";
import { startMosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";

const main = resolve(dirname(fileURLToPath(import.meta.url)), "../../src/cli/main.js");
const NODE = "killed";
const START_MS_MAX = 20_000;
const SETTLE_MS_MAX = 60_000;

export interface KillOptions {
  readonly rounds: number;
  readonly devices: number;
  readonly seed: number;
  readonly write?: (line: string) => void;
}

export interface KillReport {
  readonly kills: number;
  readonly messages: number;
  readonly readings: number;
  readonly commands: number;
  /** Readings of the script whose prediction never came. */
  readonly missingOutputs: number;
  /** Predictions that came more than once, and how many of those came with other bytes. */
  readonly repeatedOutputs: number;
  readonly differingRepeats: number;
  /** Predictions that are not, bit for bit, the uninterrupted run's. */
  readonly wrongOutputs: number;
  readonly wrongStates: number;
  /** Streams stepped more or less often than they have readings. */
  readonly wrongSteps: number;
}

/** One device as the script knows it: its own fold, stepped in the order of publishing. */
class Twin {
  readonly name: string;
  readonly #engine: NativeEngine;
  readonly #slot: number;
  sequence = 0;

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

class Load {
  readonly expected = new Map<string, number>();
  readonly twins: Twin[];
  readonly #client: MqttClient;
  readonly #random: Random;
  readonly #model: Model;
  messages = 0;
  readings = 0;
  commands = 0;
  #unconfirmed = 0;

  constructor(client: MqttClient, random: Random, model: Model, devices: number) {
    this.#client = client;
    this.#random = random;
    this.#model = model;
    const engine = new NativeEngine(model);
    this.twins = Array.from({ length: devices }, (_, index) => new Twin(`press-${index}`, engine));
  }

  #publish(topic: string, payload: Uint8Array): void {
    this.#unconfirmed++;
    this.#client.publish(topic, Buffer.from(payload), { qos: 1 }, (error) => {
      if (error) throw error;
      this.#unconfirmed--;
    });
  }

  async confirmed(): Promise<void> {
    while (this.#unconfirmed > 0) await sleep(10);
  }

  /** One message of a random device, or now and then a command to it. */
  next(): void {
    const twin = this.twins[this.#random.uint32() % this.twins.length]!;
    if (twin.sequence > 0 && this.#random.next() < 0.04) return this.#command(twin);
    const count = 1 + (this.#random.uint32() % 4);
    const values = Float32Array.from({ length: count * 2 }, (_, i) =>
      i % 2 === 0 ? 101_325 + 5 * this.#random.normal() : this.#random.normal(),
    );
    const first = twin.sequence;
    for (let i = 0; i < count; i++) {
      const y = twin.step(values.slice(2 * i, 2 * i + 2));
      this.expected.set(`${twin.name}/${first + i}`, y);
    }
    const sequences = Float64Array.from({ length: count }, (_, i) => first + i);
    const readings = {
      part: undefined,
      identity: { boot: 1, nonce: 77 },
      count,
      sequences,
      times: new Float64Array(count).fill(Number.NaN),
      values,
      missing: undefined,
    };
    this.#publish(
      `plant/${twin.name}/readings`,
      payloadCodec("protobuf").encode(
        readings,
        this.#model.spec.features.map(({ name }) => name),
      ),
    );
    this.messages++;
    this.readings += count;
  }

  #command(twin: Twin): void {
    const isReset = this.#random.next() < 0.5;
    const state = Float32Array.from(twin.state, (value) => (isReset ? 0 : Math.fround(value * 0.5)));
    twin.state = state;
    const command = { transaction: `t${this.commands++}`, expires: Date.now() + 600_000, stream: twin.name };
    const payload = JSON.stringify(isReset ? command : { ...command, state: { h: Array.from(state) } });
    this.#publish(commandTopic(NODE, isReset ? "reset" : "set"), Buffer.from(payload));
  }
}

/** The predictions that come, by device and sequence number. */
class Outputs {
  readonly got = new Map<string, number>();
  readonly #payloads = new Map<string, string>();
  repeated = 0;
  differing = 0;

  take(payload: Uint8Array): void {
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
}

async function startRuntime(config: string, state: string): Promise<ChildProcess> {
  const { command, args, env } = asUser(process.execPath, [main, "run", config]);
  const child = spawn(command, args, { env, stdio: ["ignore", "ignore", "inherit"] });
  const until = Date.now() + START_MS_MAX;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the runtime ended with ${child.exitCode}`);
    const client = await ControlClient.connect(state).catch(() => undefined);
    client?.close();
    if (client !== undefined) return child;
    if (Date.now() > until) throw new Error("the runtime does not start");
    await sleep(20);
  }
}

/** Waits until readings can come in: a broker keeps none for a session that was never there. */
async function takesReadings(state: string): Promise<void> {
  const client = await ControlClient.connect(state);
  const ask = (): Promise<unknown> => client!.request("status", {}).catch(() => undefined);
  while (((await ask()) as Status | undefined)?.broker.intake !== true) await sleep(20);
  client!.close();
}

async function kill(child: ChildProcess, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

function compare(
  load: Load,
  outputs: Outputs,
  states: ReadonlyMap<string, { steps: number; h: Float32Array }>,
): Omit<KillReport, "kills"> {
  let [missingOutputs, wrongOutputs, wrongStates, wrongSteps] = [0, 0, 0, 0];
  for (const [id, y] of load.expected) {
    const got = outputs.got.get(id);
    if (got === undefined) missingOutputs++;
    else if (!Object.is(got, y)) wrongOutputs++;
  }
  for (const twin of load.twins) {
    const found = states.get(twin.name);
    if (found?.steps !== twin.sequence) wrongSteps++;
    if (found === undefined || !twin.state.every((value, i) => Object.is(value, found.h[i]))) wrongStates++;
  }
  const { messages, readings, commands } = load;
  const { repeated: repeatedOutputs, differing: differingRepeats } = outputs;
  return {
    messages,
    readings,
    commands,
    missingOutputs,
    repeatedOutputs,
    differingRepeats,
    wrongOutputs,
    wrongStates,
    wrongSteps,
  };
}

async function readStates(state: string): Promise<Map<string, { steps: number; h: Float32Array }>> {
  const client = await ControlClient.connect(state);
  const states = new Map<string, { steps: number; h: Float32Array }>();
  for (const { stream } of (await client!.request("streams", {})) as { stream: string }[]) {
    const answer = (await client!.request("get", { stream })) as { facts: { steps: number }; state: { h: number[] } };
    states.set(stream, { steps: answer.facts.steps, h: Float32Array.from(answer.state.h) });
  }
  client!.close();
  return states;
}

/** Runs the whole: a broker of its own, `rounds` kills, and the comparison. */
export async function runKills(options: KillOptions): Promise<KillReport> {
  const { rounds, devices, seed, write = () => {} } = options;
  const random = createRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-kill-"));
  const state = join(folder, "state");
  const model = randomModel({ features: 2, hidden: [16], seed });
  writeFileSync(join(folder, "model.onnx"), model.bytes);
  const broker = await startMosquitto({ config: ["max_queued_messages 0", "max_inflight_messages 1000"] });
  const config = join(folder, "config.yaml");
  writeFileSync(
    config,
    `node: ${NODE}\nstate: state\nlog: warn\nmqtt: { url: "${broker.url}" }\ncommands: { mqtt: true }\n` +
      `groups:\n  - { name: presses, topic: "plant/{press}/readings", codec: protobuf, model: model.onnx, predictions: { format: protobuf } }\n`,
  );
  const clients = await Promise.all(
    [0, 1].map((i) => mqtt.connectAsync(broker.url, { protocolVersion: 5, clientId: `test-${i}`, clean: true })),
  );
  const [publisher, subscriber] = [clients[0]!, clients[1]!];
  let child: ChildProcess | undefined;
  try {
    const outputs = new Outputs();
    subscriber.on("message", (_topic, payload) => outputs.take(payload));
    await subscriber.subscribeAsync(predictionTopic(NODE, "+").replace("%2B", "+"), { qos: 1 });
    const load = new Load(publisher, random, model, devices);
    child = await startRuntime(config, state);
    await takesReadings(state);
    const loading = { on: true };
    const pump = (async () => {
      while (loading.on) {
        for (let i = 0; i < 12; i++) load.next();
        await sleep(20);
      }
    })();
    for (let round = 1; round <= rounds; round++) {
      await sleep(random.next() < 0.25 ? 50 * random.next() : 200 + 800 * random.next());
      await kill(child, "SIGKILL");
      child = await startRuntime(config, state);
      write(`round ${round}: killed after ${load.readings} readings, ${outputs.got.size} predictions seen`);
    }
    loading.on = false;
    await pump;
    await load.confirmed();
    const until = Date.now() + SETTLE_MS_MAX;
    while (outputs.got.size < load.expected.size && Date.now() < until) await sleep(50);
    await sleep(200);
    const states = await readStates(state);
    await kill(child, "SIGTERM");
    if (child.exitCode !== 0) throw new Error(`the runtime ended with ${child.exitCode} at SIGTERM`);
    return { kills: rounds, ...compare(load, outputs, states) };
  } finally {
    child?.kill("SIGKILL");
    for (const client of clients) await client.endAsync(true);
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What must all be 0. */
export function faultsOf(report: KillReport): number {
  return report.missingOutputs + report.differingRepeats + report.wrongOutputs + report.wrongStates + report.wrongSteps;
}
