// Kills a runtime under load, its broker, both, or stops it for a while, again and again, while states are reset and set, and holds what
// is left against a fold of our own: every state and every prediction must be what an uninterrupted run would have given, bit for bit.
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { ControlClient } from "../../src/runtime/control-socket.ts";
import { startMosquitto } from "../support/mosquitto.ts";
import type { Mosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";
import { Load } from "./kill-load.ts";
import { end, startRuntime, takesReadings } from "./kill-process.ts";

const NODE = "killed";
const SETTLE_MS_MAX = 60_000;

/** `stop`: SIGSTOP for a while; `stopBroker`: the broker is killed while the runtime stands still. */
export const faultKinds = ["runtime", "broker", "stop", "both", "stopBroker"] as const;
export type FaultKind = (typeof faultKinds)[number];
/** Of a hundred rounds. */
const SHARES: Readonly<Record<FaultKind, number>> = { runtime: 60, broker: 12, stop: 12, both: 8, stopBroker: 8 };

export interface KillOptions {
  readonly rounds: number;
  readonly devices: number;
  readonly seed: number;
  /** The longest that the runtime is stopped. */
  readonly stopMsMax: number;
  readonly write?: (line: string) => void;
}

export interface KillReport {
  readonly rounds: Readonly<Record<FaultKind, number>>;
  readonly messages: number;
  readonly readings: number;
  readonly commands: number;
  /** Readings whose prediction never came. */
  readonly missingOutputs: number;
  /** Predictions that the runtime may have published to a broker that confirmed them and was killed: not ours, and not missing. */
  readonly lostByBroker: number;
  /** Predictions that came more than once, and how many of those came with other bytes. */
  readonly repeatedOutputs: number;
  readonly differingRepeats: number;
  /** Predictions that are not, bit for bit, the uninterrupted run's. */
  readonly wrongOutputs: number;
  readonly wrongStates: number;
  /** Streams stepped more or less often than they have readings. */
  readonly wrongSteps: number;
}

type States = ReadonlyMap<string, { readonly steps: number; readonly h: Float32Array }>;

async function readStates(state: string): Promise<States> {
  const client = await ControlClient.connect(state);
  const states = new Map<string, { steps: number; h: Float32Array }>();
  for (const { stream } of (await client!.request("streams", {})) as { stream: string }[]) {
    const answer = (await client!.request("get", { stream })) as { facts: { steps: number }; state: { h: number[] } };
    states.set(stream, { steps: answer.facts.steps, h: Float32Array.from(answer.state.h) });
  }
  client!.close();
  return states;
}

function compare(load: Load, states: States): Omit<KillReport, "rounds"> {
  let [wrongOutputs, wrongStates, wrongSteps] = [0, 0, 0];
  for (const [id, y] of load.expected) if (load.got.has(id) && !Object.is(load.got.get(id), y)) wrongOutputs++;
  for (const twin of load.twins) {
    const found = states.get(twin.name);
    if ((found?.steps ?? 0) !== twin.sequence) wrongSteps++;
    if (found !== undefined && !twin.state.every((value, i) => Object.is(value, found.h[i]))) wrongStates++;
  }
  const { messages, readings, commands, missing, repeated: repeatedOutputs, differing: differingRepeats } = load;
  const lostByBroker = missing.filter((id) => load.atRisk.has(id)).length;
  const missingOutputs = missing.length - lostByBroker;
  const counted = { missingOutputs, lostByBroker, repeatedOutputs, differingRepeats, wrongOutputs, wrongStates, wrongSteps };
  return { messages, readings, commands, ...counted };
}

/** A runtime with its broker and its load, and what can be done to them. */
class Stage {
  readonly #options: KillOptions;
  readonly #random: Random;
  readonly #broker: Mosquitto;
  readonly #config: string;
  readonly #state: string;
  readonly load: Load;
  child: ChildProcess;

  constructor(options: KillOptions, random: Random, broker: Mosquitto, load: Load, folder: string, child: ChildProcess) {
    this.#options = options;
    this.#random = random;
    this.#broker = broker;
    this.#config = join(folder, "config.yaml");
    this.#state = join(folder, "state");
    this.load = load;
    this.child = child;
  }

  async #killRuntime(): Promise<void> {
    await end(this.child, "SIGKILL");
  }

  async #startRuntime(): Promise<void> {
    this.child = await startRuntime(this.#config, this.#state);
  }

  /** Does something to the runtime while its broker is killed and comes back, and sends again what neither had kept. */
  async #loseBroker(before: () => Promise<void>, after: () => Promise<void>): Promise<void> {
    await before();
    await this.load.pause();
    this.load.noteRisk();
    await this.#broker.kill();
    await this.load.disconnect();
    await sleep(500 * this.#random.next());
    await this.#broker.restart();
    await after();
    await this.load.connect();
    await this.load.reachesRuntime();
    this.load.sendAgain();
    this.load.start();
  }

  async #stopFor(ms: number): Promise<void> {
    this.child.kill("SIGSTOP");
    await sleep(ms);
    this.child.kill("SIGCONT");
  }

  async round(kind: FaultKind): Promise<void> {
    const stopMs = 200 + (this.#options.stopMsMax - 200) * this.#random.next() ** 3;
    // Most are hit at work, some while they start and recover.
    const atWork = kind !== "runtime" || this.#random.next() < 0.75;
    if (atWork) await takesReadings(this.#state);
    await sleep(atWork ? 100 + 900 * this.#random.next() : 200 * this.#random.next());
    const nothing = (): Promise<void> => Promise.resolve();
    switch (kind) {
      case "runtime":
        await this.#killRuntime();
        return this.#startRuntime();
      case "broker":
        return this.#loseBroker(nothing, nothing);
      case "stop":
        return this.#stopFor(stopMs);
      case "both":
        return this.#loseBroker(
          () => this.#killRuntime(),
          () => this.#startRuntime(),
        );
      case "stopBroker":
        return this.#loseBroker(
          async () => void this.child.kill("SIGSTOP"),
          async () => {
            await sleep(stopMs);
            this.child.kill("SIGCONT");
          },
        );
    }
  }

  /** Until everything is answered; what a killed broker has taken never is. */
  async settle(): Promise<void> {
    await this.load.pause();
    await this.load.confirmed();
    await this.load.reachesRuntime();
    const until = Date.now() + SETTLE_MS_MAX;
    let quietSince = Date.now();
    for (let before = -1; Date.now() < until && Date.now() - quietSince < 5000;) {
      const { missing, got } = this.load;
      if (missing.length === 0) break;
      if (got.size !== before) [before, quietSince] = [got.size, Date.now()];
      await sleep(100);
    }
    await sleep(200);
  }
}

/** Each kind by its share, the first five one of each. */
function kindOf(round: number, random: Random): FaultKind {
  if (round <= faultKinds.length) return faultKinds[round - 1]!;
  let chance = 100 * random.next();
  return faultKinds.find((kind) => (chance -= SHARES[kind]) < 0) ?? "runtime";
}

/** Runs the whole: a broker of its own, `rounds` faults, and the comparison. */
export async function runKills(options: KillOptions): Promise<KillReport> {
  const { rounds, devices, seed, write = () => {} } = options;
  const random = createRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-kill-"));
  const model = randomModel({ features: 2, hidden: [16], seed });
  writeFileSync(join(folder, "model.onnx"), model.bytes);
  const broker = await startMosquitto({ config: ["max_queued_messages 0", "max_inflight_messages 1000"] });
  const config = join(folder, "config.yaml");
  writeFileSync(
    config,
    `node: ${NODE}\nstate: state\nlog: error\nmqtt: { url: "${broker.url}" }\ncommands: { mqtt: true }\n` +
      `groups:\n  - { name: presses, topic: "plant/{press}/readings", codec: protobuf, model: model.onnx, predictions: { format: protobuf } }\n`,
  );
  const load = new Load(broker.url, NODE, random.fork(), model, devices);
  const counts: Record<FaultKind, number> = { runtime: 0, broker: 0, stop: 0, both: 0, stopBroker: 0 };
  let stage: Stage | undefined;
  try {
    await load.connect();
    stage = new Stage(options, random, broker, load, folder, await startRuntime(config, join(folder, "state")));
    // A broker keeps nothing for a session that was never there.
    await load.reachesRuntime();
    load.start();
    for (let round = 1; round <= rounds; round++) {
      const kind = kindOf(round, random);
      await stage.round(kind);
      counts[kind]++;
      write(`round ${round}, ${kind}: ${load.readings} readings, ${load.got.size} predictions seen`);
    }
    await stage.settle();
    const states = await readStates(join(folder, "state"));
    await end(stage.child, "SIGTERM");
    if (stage.child.exitCode !== 0) throw new Error(`the runtime ended with ${stage.child.exitCode} at SIGTERM`);
    return { rounds: counts, ...compare(load, states) };
  } finally {
    await load.pause();
    stage?.child.kill("SIGKILL");
    await load.disconnect();
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What must all be 0. */
export function faultsOf(report: KillReport): number {
  return report.missingOutputs + report.differingRepeats + report.wrongOutputs + report.wrongStates + report.wrongSteps;
}
