// Kills a runtime at every step of switches of its model, under load: afterwards the old model or the new one must be in force for all
// streams, whatever was answered must stand, and every prediction and state must be what the versions in force give, bit for bit.
import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import type { StateTensors } from "../../src/engine/engine.ts";
import type { Model } from "../../src/model/model.ts";
import { ControlClient } from "../../src/runtime/control-socket.ts";
import type { ListedModel } from "../../src/runtime/model-switch.ts";
import { startMosquitto } from "../support/mosquitto.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";
import { end, startRuntime, takesReadings } from "./kill-process.ts";
import { SwitchLoad } from "./switch-kill-load.ts";
import type { Judgement } from "./switch-kill-load.ts";

const NODE = "switched";

/** Where in a switch the runtime is killed. */
export const switchSteps = [
  "file begun",
  "file kept",
  "lineage noted",
  "being verified",
  "coming into force",
  "answered",
  "checkpoint",
  "rollback",
] as const;
export type SwitchStep = (typeof switchSteps)[number];

export interface SwitchKillReport extends Judgement {
  /** By step: rounds after which the new model was in force, of all. */
  readonly rounds: Readonly<Record<SwitchStep, { readonly switched: number; readonly all: number }>>;
  /** Rounds after which neither the old model nor the new one was in force, or not the one that was answered. */
  readonly wrongModels: number;
}

export interface SwitchKillOptions {
  readonly rounds: number;
  readonly devices: number;
  readonly seed: number;
  readonly write?: (line: string) => void;
}

/** Resolves when a file of the name's kind appears in the folder. */
async function appears(folder: string, ending: string): Promise<void> {
  const watching = new AbortController();
  const watcher = watch(folder, { signal: watching.signal });
  await new Promise<void>((seen) => watcher.on("change", (_kind, name) => String(name).endsWith(ending) && seen()));
  watching.abort();
}

class SwitchStage {
  readonly #folder: string;
  readonly #random: Random;
  readonly #load: SwitchLoad;
  child: ChildProcess;
  /** The versions in force, in their order. */
  readonly chain: string[];
  wrongModels = 0;

  constructor(folder: string, random: Random, load: SwitchLoad, child: ChildProcess, version: string) {
    this.#folder = folder;
    this.#random = random;
    this.#load = load;
    this.child = child;
    this.chain = [version];
  }

  get #state(): string {
    return join(this.#folder, "state");
  }

  async #ask(method: string, params: unknown): Promise<unknown> {
    const client = (await ControlClient.connect(this.#state))!;
    try {
      return await client.request(method, params);
    } finally {
      client.close();
    }
  }

  async inForce(): Promise<string> {
    return ((await this.#ask("models", {})) as ListedModel[]).find(({ inForce }) => inForce)!.version;
  }

  /** Returns at the moment for the kill. */
  async #moment(step: SwitchStep, answered: Promise<unknown>): Promise<void> {
    const models = join(this.#state, "models");
    const within = (ms: number): Promise<void> => sleep(ms * this.#random.next());
    switch (step) {
      case "file begun":
        return appears(models, ".onnx.new");
      case "file kept":
        return appears(models, ".onnx");
      case "lineage noted":
        return appears(models, ".json");
      case "being verified":
        await appears(models, ".json");
        return within(400);
      case "coming into force":
        await appears(models, ".json");
        return within(60);
      case "answered":
        await answered;
        return within(3);
      case "checkpoint":
        await answered;
        return within(60);
      case "rollback":
        return within(60);
    }
  }

  /** Returns whether the new model was in force after it. */
  async round(step: SwitchStep, model: Model, before: string | undefined): Promise<boolean> {
    await takesReadings(this.#state);
    const old = this.chain.at(-1)!;
    await until("every stream is on the model in force", () => this.#load.isOn(old));
    const isRollback = step === "rollback" && before !== undefined;
    const target = isRollback ? before : model.version;
    const file = join(this.#folder, "given.onnx");
    writeFileSync(file, model.bytes);
    this.#load.know(model);
    let isAnswered = false;
    const asked = isRollback
      ? this.#ask("rollback", { group: "presses" })
      : this.#ask("promote", { file, group: "presses", unverified: step !== "being verified" });
    const answered = asked.then(() => (isAnswered = true));
    // The runtime is killed before it has answered, most times.
    answered.catch(() => {});
    await this.#moment(isRollback || step !== "rollback" ? step : "answered", answered);
    await end(this.child, "SIGKILL");
    // No model is to blame for these crashes.
    rmSync(join(this.#state, "crashes.json"), { force: true });
    const isPromised = isAnswered;
    this.child = await startRuntime(join(this.#folder, "config.yaml"), this.#state);
    await takesReadings(this.#state);
    const now = await this.inForce();
    if ((now !== old && now !== target) || (isPromised && now !== target)) this.wrongModels++;
    this.chain.push(now);
    return now === target;
  }

  async states(): Promise<Map<string, StateTensors>> {
    const states = new Map<string, StateTensors>();
    for (const { name } of this.#load.devices) {
      const { state } = (await this.#ask("get", { stream: name })) as { state: Record<string, number[]> };
      states.set(name, Object.fromEntries(Object.entries(state).map(([key, values]) => [key, Float32Array.from(values)])));
    }
    return states;
  }
}

export async function runSwitchKills({ rounds, devices, seed, write = () => {} }: SwitchKillOptions): Promise<SwitchKillReport> {
  const random = createRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), "hiddenstate-switch-"));
  const first = randomModel({ features: 2, hidden: [12], seed });
  writeFileSync(join(folder, "model.onnx"), first.bytes);
  mkdirSync(join(folder, "state"));
  const broker = await startMosquitto({ config: ["max_queued_messages 0", "max_inflight_messages 1000"] });
  const config = join(folder, "config.yaml");
  writeFileSync(
    config,
    `node: ${NODE}\nstate: state\nlog: error\nmqtt: { url: "${broker.url}" }\n` +
      `groups:\n  - { name: presses, topic: "plant/{press}/readings", codec: protobuf, model: model.onnx, predictions: { format: protobuf } }\n`,
  );
  const load = await SwitchLoad.connect(broker.url, NODE, random.fork(), devices);
  load.know(first);
  const counts = Object.fromEntries(switchSteps.map((step) => [step, { switched: 0, all: 0 }])) as Record<
    SwitchStep,
    { switched: number; all: number }
  >;
  let stage: SwitchStage | undefined;
  try {
    stage = new SwitchStage(folder, random, load, await startRuntime(config, join(folder, "state")), first.version);
    await takesReadings(join(folder, "state"));
    load.start();
    let before: string | undefined;
    for (let round = 1; round <= rounds; round++) {
      const step = switchSteps[(round - 1) % switchSteps.length]!;
      const hidden = [8 + (random.uint32() % 8)];
      const old = stage.chain.at(-1)!;
      const switched = await stage.round(step, randomModel({ features: 2, hidden, seed: 1000 * seed + round }), before);
      // One step back is all that is asked for.
      if (switched) before = step === "rollback" && before !== undefined ? undefined : old;
      counts[step].all++;
      if (switched) counts[step].switched++;
      write(`round ${round}, ${step}: ${switched ? "the new model" : "the old model"}`);
    }
    await load.pause();
    await until("everything is predicted", () => load.isAnswered).catch(() => {});
    const states = await stage.states();
    await end(stage.child, "SIGTERM");
    if (stage.child.exitCode !== 0) throw new Error(`the runtime ended with ${stage.child.exitCode} at SIGTERM`);
    return { rounds: counts, wrongModels: stage.wrongModels, ...load.judge(stage.chain, states) };
  } finally {
    await load.pause();
    stage?.child.kill("SIGKILL");
    await load.disconnect();
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What must all be 0. */
export function switchFaultsOf(report: SwitchKillReport): number {
  const { missingOutputs, differingRepeats, wrongOutputs, wrongVersions, wrongStates, wrongModels } = report;
  return missingOutputs + differingRepeats + wrongOutputs + wrongVersions + wrongStates + wrongModels;
}
